//! Making a server have what a topology says, also while somebody else does the same.
//!
//! Every step looks anew at what is there, and does what is needed for that. When everything has been done the whole is looked at
//! once more, and what somebody else has changed meanwhile is done again, a few times at the most.

use headwater_nats::connect::Connection;
use serde::Serialize;

use super::Topology;
use super::catalogue::{CONSUMER, STREAM};
use super::compare::{self, Difference};
use super::error::TopologyError;
use super::form::{self, Config};
use super::lease::Lease;
use super::model::{Consumer, Stream, Target};
use super::plan::{self, Action, Change, Leave, Plan};
use super::server::{Asked, Server, pause};

/// How often the whole is done again when somebody else keeps changing it, and how often a single step.
const ROUNDS: u32 = 5;
const TRIES: u32 = 8;

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Done {
    /// To what.
    pub target: Target,
    /// What.
    pub action: Action,
}

impl Topology {
    /// Finds out what a server has otherwise. Nothing is changed.
    ///
    /// # Errors
    /// When the server does not answer or refuses to tell.
    pub async fn plan(&self, connection: &Connection) -> Result<Plan, TopologyError> {
        plan::make(self, &Server::new(connection)).await
    }

    /// Makes a server have what the topology says, and tells what was done: nothing the second time. Two may do so at once.
    ///
    /// A call that is dropped may have done some of it; doing it again does the rest.
    ///
    /// # Errors
    /// Before anything is changed: [`TopologyError::Refused`] when something stands in the way, and
    /// [`TopologyError::NeedsReplace`] when something would have to be replaced without leave. Later, when the server refuses
    /// something or does not answer, or somebody else keeps changing the same; what was done stays done then.
    pub async fn apply(&self, connection: &Connection, leave: Leave) -> Result<Vec<Done>, TopologyError> {
        let mut done = Vec::new();
        self.apply_and_tell(connection, leave, &mut |step| done.push(step.clone())).await?;
        Ok(done)
    }

    /// [`apply`](Self::apply), which tells of every step when it is done.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub async fn apply_and_tell(
        &self,
        connection: &Connection,
        leave: Leave,
        tell: &mut (dyn FnMut(&Done) + Send),
    ) -> Result<(), TopologyError> {
        let server = Server::new(connection);
        for round in 0..ROUNDS {
            let plan = plan::make(self, &server).await?;
            permitted(&plan, leave)?;
            if plan.is_done(leave) {
                return Ok(());
            }
            let deletes = |change: &Change| matches!(change.action, Action::Replace | Action::Extra);
            match plan.pending(leave).any(deletes) {
                true => self.do_alone(&server, leave, tell).await?,
                false => self.do_steps(&server, &plan, leave, None, tell).await?,
            }
            if round > 0 {
                pause(round).await;
            }
        }
        let plan = plan::make(self, &server).await?;
        match plan.pending(leave).next() {
            None => Ok(()),
            Some(change) => Err(TopologyError::Contended { target: change.target.to_string(), attempts: ROUNDS }),
        }
    }

    /// Does the steps while nobody else deletes anything.
    async fn do_alone(
        &self,
        server: &Server<'_>,
        leave: Leave,
        tell: &mut (dyn FnMut(&Done) + Send),
    ) -> Result<(), TopologyError> {
        let mut lease = Lease::take(server).await?;
        // What was found before may have been done by whoever had the lease before us.
        let done = async {
            let plan = plan::make(self, server).await?;
            permitted(&plan, leave)?;
            self.do_steps(server, &plan, leave, Some(&mut lease), tell).await
        }
        .await;
        lease.give_back().await;
        done
    }

    async fn do_steps(
        &self,
        server: &Server<'_>,
        plan: &Plan,
        leave: Leave,
        mut lease: Option<&mut Lease<'_>>,
        tell: &mut (dyn FnMut(&Done) + Send),
    ) -> Result<(), TopologyError> {
        // What is deleted goes first, for it may have the subjects that something else is to have.
        let (extra, rest): (Vec<_>, Vec<_>) = plan.pending(leave).partition(|change| change.action == Action::Extra);
        for change in extra.into_iter().chain(rest) {
            if let Some(lease) = lease.as_deref_mut() {
                lease.renew().await?;
            }
            let allowed = Leave { replace: leave.replace && lease.is_some(), ..leave };
            if let Some(action) = self.step(server, change, allowed).await? {
                tracing::info!(target = %change.target, ?action, "topology");
                tell(&Done { target: change.target.clone(), action });
            }
        }
        Ok(())
    }

    /// Does one step, and says what was done: nothing when somebody else was faster.
    async fn step(&self, server: &Server<'_>, change: &Change, leave: Leave) -> Result<Option<Action>, TopologyError> {
        if change.action == Action::Extra {
            return Ok(delete(server, &change.target).await?.then_some(Action::Delete));
        }
        match &change.target {
            Target::Stream { name } => match self.streams.iter().find(|stream| stream.name == *name) {
                Some(stream) => bring_stream(server, stream, leave).await,
                None => Ok(None),
            },
            Target::Consumer { stream, name } => {
                let of_stream = self.streams.iter().find(|known| known.name == *stream);
                let own = self.consumers.iter().find(|own| own.stream == *stream && own.name == *name);
                match (of_stream, own) {
                    (Some(stream), Some(own)) => bring_consumer(server, own, &stream.config, leave).await,
                    _ => Ok(None),
                }
            }
        }
    }

    /// What [`destroy`](Self::destroy) would delete.
    ///
    /// # Errors
    /// When the server does not answer or refuses to tell.
    pub async fn destroyed(&self, connection: &Connection) -> Result<Vec<Change>, TopologyError> {
        let server = Server::new(connection);
        let live = server.streams().await?;
        let streams = self.streams.iter().rev().filter_map(|stream| {
            let live = live.get(&stream.name)?;
            Some(Change {
                target: Target::stream(&stream.name),
                action: Action::Delete,
                differences: Vec::new(),
                notes: vec![format!("{} messages and {} consumers of it are lost", live.messages, live.consumers)],
            })
        });
        Ok(streams.collect())
    }

    /// Deletes the topology's streams, with all they have and with all their consumers. What else is on the server stays.
    ///
    /// # Errors
    /// When the server refuses something or does not answer; what was deleted is gone then.
    pub async fn destroy(&self, connection: &Connection) -> Result<Vec<Done>, TopologyError> {
        let server = Server::new(connection);
        let mut lease = Lease::take(&server).await?;
        let done = self.destroy_with(&server, &mut lease).await;
        lease.give_back().await;
        done
    }

    async fn destroy_with(&self, server: &Server<'_>, lease: &mut Lease<'_>) -> Result<Vec<Done>, TopologyError> {
        let mut done = Vec::new();
        for stream in self.streams.iter().rev() {
            lease.renew().await?;
            let target = Target::stream(&stream.name);
            if delete(server, &target).await? {
                done.push(Done { target, action: Action::Delete });
            }
        }
        Ok(done)
    }
}

/// Refuses a plan as a whole, before anything is done.
fn permitted(plan: &Plan, leave: Leave) -> Result<(), TopologyError> {
    let problems: Vec<_> = plan.obstacles(leave).map(|problem| problem.message.clone()).collect();
    if !problems.is_empty() {
        return Err(TopologyError::Refused { problems });
    }
    let changes: Vec<_> = plan
        .changes
        .iter()
        .filter(|change| change.action == Action::Replace && !leave.replace)
        .map(|change| replaced(&change.target, &change.differences))
        .collect();
    if changes.is_empty() { Ok(()) } else { Err(TopologyError::NeedsReplace { changes }) }
}

fn replaced(target: &Target, differences: &[Difference]) -> String {
    let refused: Vec<_> =
        differences.iter().filter(|difference| difference.needs_replace).map(ToString::to_string).collect();
    format!("{target} ({})", refused.join(", "))
}

async fn delete(server: &Server<'_>, target: &Target) -> Result<bool, TopologyError> {
    match target {
        Target::Stream { name } => server.delete_stream(name).await,
        Target::Consumer { stream, name } => server.delete_consumer(stream, name).await,
    }
}

async fn bring_stream(server: &Server<'_>, wanted: &Stream, leave: Leave) -> Result<Option<Action>, TopologyError> {
    let target = Target::stream(&wanted.name);
    let differences = |live: &Config| compare::streams(wanted.kind, &form::stream(live), &wanted.config);
    let mut action = None;
    for attempt in 0..TRIES {
        let live = server.stream(&wanted.name).await?.map(|live| live.config);
        let asked = match step_for(&target, live.as_ref(), &differences, leave)? {
            Step::Nothing => return Ok(action),
            Step::Delete => {
                server.delete_stream(&wanted.name).await?;
                action = Some(Action::Replace);
                continue;
            }
            Step::Create => {
                action = action.or(Some(Action::Create));
                server.create_stream(&wanted.name, form::request(STREAM, &wanted.config, None)).await
            }
            Step::Update => {
                action = action.or(Some(Action::Update));
                server.update_stream(&wanted.name, form::request(STREAM, &wanted.config, live.as_ref())).await
            }
        };
        if taken(&target, asked, &differences)? {
            return Ok(action);
        }
        pause(attempt).await;
    }
    Err(TopologyError::Contended { target: target.to_string(), attempts: TRIES })
}

async fn bring_consumer(
    server: &Server<'_>,
    wanted: &Consumer,
    stream: &Config,
    leave: Leave,
) -> Result<Option<Action>, TopologyError> {
    let at = (wanted.stream.as_str(), wanted.name.as_str());
    let target = Target::consumer(at.0, at.1);
    let differences = |live: &Config| compare::consumers(&form::consumer(live, stream), &wanted.config);
    let mut action = None;
    for attempt in 0..TRIES {
        let live = server.consumer(at.0, at.1).await?;
        let asked = match step_for(&target, live.as_ref(), &differences, leave)? {
            Step::Nothing => return Ok(action),
            Step::Delete => {
                server.delete_consumer(at.0, at.1).await?;
                action = Some(Action::Replace);
                continue;
            }
            Step::Create => {
                action = action.or(Some(Action::Create));
                server.create_consumer(at, form::request(CONSUMER, &wanted.config, None)).await
            }
            Step::Update => {
                action = action.or(Some(Action::Update));
                server.update_consumer(at, form::request(CONSUMER, &wanted.config, live.as_ref())).await
            }
        };
        if taken(&target, asked, &differences)? {
            return Ok(action);
        }
        pause(attempt).await;
    }
    Err(TopologyError::Contended { target: target.to_string(), attempts: TRIES })
}

enum Step {
    Nothing,
    Create,
    Update,
    Delete,
}

/// What is to be done about what is there now.
fn step_for(
    target: &Target,
    live: Option<&Config>,
    differences: &impl Fn(&Config) -> Vec<Difference>,
    leave: Leave,
) -> Result<Step, TopologyError> {
    let Some(live) = live else { return Ok(Step::Create) };
    let differences = differences(live);
    if differences.is_empty() {
        return Ok(Step::Nothing);
    }
    match differences.iter().any(|difference| difference.needs_replace) {
        false => Ok(Step::Update),
        true if leave.replace => Ok(Step::Delete),
        true => Err(TopologyError::NeedsReplace { changes: vec![replaced(target, &differences)] }),
    }
}

/// Whether the server has taken what it was asked; if not, it is to be looked at again.
fn taken(
    target: &Target,
    asked: Result<Asked, TopologyError>,
    differences: &impl Fn(&Config) -> Vec<Difference>,
) -> Result<bool, TopologyError> {
    let config = match asked {
        Ok(Asked::Done(config)) => config,
        Ok(Asked::Otherwise) => return Ok(false),
        // It may have been done nevertheless, which the next look tells.
        Err(error) if error.is_retryable() => return Ok(false),
        Err(error) => return Err(error),
    };
    let left: Vec<_> = differences(&config).iter().map(ToString::to_string).collect();
    if left.is_empty() {
        return Ok(true);
    }
    Err(TopologyError::Server {
        doing: format!("set up {target} as asked"),
        code: 0,
        reason: format!("it left out {}; it may be too old for that", left.join(", ")),
    })
}
