//! `headwater services`: who is there, what they offer, how they are doing; found over `$SRV`, as NATS services are.

mod info;
mod ls;
mod ping;
mod schema;
mod stats;

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Subcommand;
use headwater_nats_client::Discovery;
use headwater_nats_client::discovery::{Answer, Answers, Question};

use crate::arguments::some_time;
use crate::call::{Called, complaint};
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::output::{counted, note};
use crate::world::World;

/// List services, and ask them what they offer and how they are doing
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater services ls
  headwater services info receipts
  headwater services stats receipts --json
  headwater services ping --expect 3 --wait 5s")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Ls(ls::Args),
    Info(info::Args),
    Stats(stats::Args),
    Ping(ping::Args),
    Schema(schema::Args),
}

pub(crate) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    match args.action {
        Action::Ls(args) => ls::run(args, world).await,
        Action::Info(args) => info::run(args, world).await,
        Action::Stats(args) => stats::run(args, world).await,
        Action::Ping(args) => ping::run(args, world).await,
        Action::Schema(args) => schema::run(args, world).await,
    }
}

/// How long to wait for answers. Nobody says how many instances there are.
#[derive(Debug, Clone, Copy, clap::Args)]
struct WaitArguments {
    /// Wait for answers for so long at most; shorter when it gets quiet, or all that are expected are there
    #[arg(long, value_name = "DURATION", value_parser = some_time, default_value = "2s")]
    wait: Duration,

    /// End as soon as so many instances have answered, and wait for them however quiet it gets; exit status 1 when
    /// fewer come [default: whoever answers, until nobody has for a moment]
    #[arg(long, value_name = "N")]
    expect: Option<NonZeroUsize>,
}

/// Which instances are asked.
#[derive(Debug, Clone, Default)]
struct Asked {
    service: Option<String>,
    instance: Option<String>,
}

impl Asked {
    /// The question, narrowed to these instances.
    fn narrow<T: Answer>(&self, question: Question<T>) -> Question<T> {
        match (&self.service, &self.instance) {
            (Some(service), Some(instance)) => question.instance(service, instance),
            (Some(service), None) => question.service(service),
            _ => question,
        }
    }

    /// What there is none of when nobody answers.
    fn missing(&self) -> String {
        match (&self.service, &self.instance) {
            (Some(service), Some(instance)) => format!("no instance `{instance}` of `{service}` answered"),
            (Some(service), None) => format!("no instance of `{service}` answered"),
            _ => "no service answered".to_owned(),
        }
    }
}

/// Asks a question and gathers the answers.
///
/// # Errors
/// When nobody answers, or fewer than are expected.
async fn gather<T: Answer + 'static>(
    world: &World,
    asked: &Asked,
    wait: WaitArguments,
    ask: impl FnOnce(&Discovery) -> Question<T>,
) -> Result<Answers<T>, Complaint> {
    let (connection, _) = world.connect().await?;
    let discovery = Discovery::new(connection);
    let mut question = asked.narrow(ask(&discovery)).within(wait.wait);
    if let Some(expected) = wait.expect {
        question = question.expecting(expected.get());
    }
    let answers = question.await.map_err(|error| complaint(error, &Called::nothing()))?;
    if answers.malformed > 0 {
        note(format_args!("left out: {} that cannot be read", counted(answers.malformed as u64, "answer")));
    }
    if answers.answers.is_empty() {
        return Err(Complaint::failed("no-responders", asked.missing())
            .note("Is it another server or account than meant? --wait 5s gives more time."));
    }
    Ok(answers)
}

/// Exit status 1 where fewer have answered than were expected; what did come has been shown.
fn enough(found: usize, wait: WaitArguments) -> Result<Exit, Complaint> {
    match wait.expect {
        Some(expected) if found < expected.get() => {
            let text = format!("{} answered, and {expected} were expected", counted(found as u64, "instance"));
            Err(Complaint::failed("too-few", text).detail("found", found).detail("expected", expected.get()))
        }
        _ => Ok(Exit::Done),
    }
}
