//! The journal's stream: created as the protocol says, and refused when it would not keep the guarantees.

mod compare;
mod settings;

use std::time::Duration;

use bytes::Bytes;
use headwater_core::store::StoreError;
use headwater_nats::subject::Subjects;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

use crate::api::{self, Api, ApiError, NoAnswer, code};
use crate::backoff::Backoff;
use crate::config::{Manage, StoreConfig};
use crate::error::{OpenError, OpenErrorKind};
use crate::journal::Journal;
pub(crate) use compare::{Drift, compare};

/// How long opening a store may try, an election of a leader included.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long one request may take before it is sent again. A server of a cluster leaves requests about a stream
/// unanswered that is being made at the moment.
const ONE_REQUEST: Duration = Duration::from_millis(1500);

/// A stream's configuration as the server has it.
pub(crate) type StreamConfig = Map<String, Value>;

/// What the server says of a stream.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamInfo {
    pub(crate) config: StreamConfig,
    #[serde(default)]
    pub(crate) state: StreamState,
}

/// How full a stream is.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct StreamState {
    #[serde(default)]
    pub(crate) messages: u64,
    #[serde(default)]
    pub(crate) bytes: u64,
    #[serde(default)]
    pub(crate) first_seq: u64,
    #[serde(default)]
    pub(crate) last_seq: u64,
}

/// Makes sure that the journal's stream is there and keeps the guarantees.
pub(crate) async fn ensure(api: &Api, subjects: &Subjects, config: &StoreConfig) -> Result<u64, OpenError> {
    let owner = Owner { api, subjects, config, name: subjects.journal_stream(), deadline: Instant::now() + PATIENCE };
    let found = match owner.info().await? {
        Some(found) => found,
        None if config.manage == Manage::Verify => return Err(owner.missing()),
        None => owner.create().await?,
    };
    let drifts = compare(&found.config, subjects, config);
    let replicas = found.config.get("num_replicas").and_then(Value::as_u64).unwrap_or(1);
    let harmful: Vec<&Drift> = drifts.iter().filter(|drift| drift.breaks_guarantees(config.manage)).collect();
    if !harmful.is_empty() {
        return Err(owner.unsafe_stream(&harmful));
    }
    if drifts.is_empty() {
        return Ok(replicas);
    }
    if config.manage == Manage::Update {
        owner.update(found.config, &drifts).await?;
        return Ok(config.replicas.into());
    }
    for Drift { field, found, wanted, .. } in &drifts {
        warn!(stream = owner.name, field, found, wanted, "the journal's stream differs from the settings");
    }
    Ok(replicas)
}

/// Asks what the server says of the stream now.
pub(crate) async fn ask(api: &Api, stream: &str, limit: Duration) -> Result<Result<StreamInfo, ApiError>, StoreError> {
    let answer = api.request(api.subject(&format!("STREAM.INFO.{stream}")), None, Bytes::new(), limit).await?;
    api::parse(&answer.payload)
}

/// One attempt to make the stream what it has to be.
struct Owner<'a> {
    api: &'a Api,
    subjects: &'a Subjects,
    config: &'a StoreConfig,
    name: String,
    deadline: Instant,
}

impl Owner<'_> {
    /// None when there is no such stream.
    async fn info(&self) -> Result<Option<StreamInfo>, OpenError> {
        match self.call("INFO", Bytes::new()).await? {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.err_code == code::STREAM_NOT_FOUND => Ok(None),
            Err(error) => Err(self.refused("looked at", error)),
        }
    }

    /// Creates the stream, or finds that another instance was faster. Either way it is what the server now has.
    async fn create(&self) -> Result<StreamInfo, OpenError> {
        let wanted = settings::wanted(self.subjects, self.config);
        match self.call("CREATE", to_bytes(&wanted)).await? {
            Ok(created) => {
                info!(stream = self.name, replicas = self.config.replicas, "created the journal's stream");
                Ok(created)
            }
            Err(error) if error.err_code == code::STREAM_NAME_TAKEN => self.info().await?.ok_or_else(|| self.missing()),
            Err(error) => Err(self.refused("created", error)),
        }
    }

    async fn update(&self, found: StreamConfig, drifts: &[Drift]) -> Result<(), OpenError> {
        let updated = settings::updated(found, self.config);
        match self.call("UPDATE", to_bytes(&updated)).await? {
            Ok(_) => {
                for Drift { field, found, wanted, .. } in drifts {
                    info!(stream = self.name, field, found, wanted, "updated the journal's stream");
                }
                Ok(())
            }
            Err(error) => Err(self.refused("updated", error)),
        }
    }

    /// Sends a request again while the server says that it cannot answer *at the moment*.
    async fn call(&self, verb: &str, payload: Bytes) -> Result<Result<StreamInfo, ApiError>, OpenError> {
        let subject = self.api.subject(&format!("STREAM.{verb}.{}", self.name));
        let mut violations = self.api.connection.permission_violations();
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            let request = self.api.request(subject.clone(), None, payload.clone(), ONE_REQUEST);
            let forbidden = async {
                loop {
                    match violations.recv().await {
                        Ok(violation) if violation.subject == subject => return,
                        Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                        // The sender lives in the connection; without it nothing is reported.
                        Err(tokio::sync::broadcast::error::RecvError::Closed) => std::future::pending().await,
                    }
                }
            };
            let answer = tokio::select! {
                answer = timeout_at(self.deadline, request) => answer.unwrap_or_else(|_| Err(too_late())),
                () = forbidden => return Err(OpenError::new(
                    OpenErrorKind::Refused,
                    format!("the NATS user may not publish to {subject}, which the store needs"),
                )),
            };
            let again = match answer {
                Ok(message) => {
                    let answer = api::parse::<StreamInfo>(&message.payload);
                    match answer.map_err(|error| self.unavailable(error))? {
                        Err(error) if error.is_transient() => StoreError::from(ApiFailure(error)),
                        answer => return Ok(answer),
                    }
                }
                Err(NoAnswer::NobodyThere) if !self.has_jetstream() => return Err(self.no_jetstream()),
                Err(none) => none.into(),
            };
            let pause = backoff.next_pause();
            if Instant::now() + pause >= self.deadline {
                return Err(self.unavailable(again));
            }
            sleep(pause).await;
        }
    }

    /// Whether the server we are connected to offers JetStream; in a cluster, others may.
    fn has_jetstream(&self) -> bool {
        self.api.connection.server_info().is_none_or(|server| server.jetstream || server.cluster.is_some())
    }

    fn no_jetstream(&self) -> OpenError {
        let server = self.api.connection.server_info().map_or_else(String::new, |server| format!(" {}", server.name));
        OpenError::new(
            OpenErrorKind::JetStreamDisabled,
            format!(
                "JetStream is switched off on the NATS server{server}: start it with -js or a `jetstream` section; \
                 the journal of `{}` is kept there",
                self.config.service
            ),
        )
    }

    fn missing(&self) -> OpenError {
        OpenError::new(
            OpenErrorKind::Missing,
            format!("the stream {} does not exist, and the settings say not to create it", self.name),
        )
    }

    fn unsafe_stream(&self, drifts: &[&Drift]) -> OpenError {
        let list: Vec<String> = drifts.iter().map(ToString::to_string).collect();
        OpenError::new(
            OpenErrorKind::Unsafe,
            format!("the stream {} cannot be the journal of `{}`: {}", self.name, self.config.service, list.join("; ")),
        )
    }

    fn refused(&self, done: &str, error: ApiError) -> OpenError {
        let name = &self.name;
        match error.err_code {
            code::DISABLED => self.no_jetstream(),
            code::DISABLED_FOR_ACCOUNT => OpenError::new(
                OpenErrorKind::JetStreamDisabled,
                format!(
                    "JetStream is not enabled for the account of this NATS user; the stream {name} is needed there"
                ),
            )
            .caused_by(error),
            _ => {
                let message = format!("the stream {name} could not be {done}: {}", error.description);
                OpenError::new(OpenErrorKind::Refused, message).caused_by(error)
            }
        }
    }

    fn unavailable(&self, error: StoreError) -> OpenError {
        OpenError::new(OpenErrorKind::Unavailable, format!("the stream {} could not be reached", self.name))
            .caused_by(error)
    }
}

/// An error of JetStream's as the cause of one of ours.
struct ApiFailure(ApiError);

impl From<ApiFailure> for StoreError {
    fn from(ApiFailure(error): ApiFailure) -> Self {
        Self::new("JetStream cannot answer at the moment").caused_by(error)
    }
}

fn too_late() -> NoAnswer {
    NoAnswer::Lost(StoreError::new("JetStream did not answer in time"))
}

fn to_bytes(config: &StreamConfig) -> Bytes {
    Bytes::from(serde_json::to_vec(config).expect("a map of JSON values can always be written"))
}

/// Whether events can be stored and read now: the stream has a leader that answers, is still what it has to be, and
/// has room.
pub(crate) async fn check(journal: &Journal) -> Result<(), StoreError> {
    let Journal { api, subjects, config, stream, .. } = journal;
    let found = ask(api, stream, config.lookup_timeout.get()).await?;
    let found = found.map_err(|error| StoreError::new(format!("the stream {stream} is gone")).caused_by(error))?;
    let drifts = compare(&found.config, subjects, config);
    // Fewer replicas than wanted are no reason to stop now; they were accepted or refused at the start.
    if let Some(drift) = drifts.iter().find(|drift| drift.breaks_guarantees(Manage::Update)) {
        return Err(StoreError::new(format!("the stream {stream} was changed: {drift}")));
    }
    let limit = |field: &str| found.config.get(field).and_then(Value::as_u64).filter(|limit| *limit > 0);
    let full = limit("max_bytes").is_some_and(|limit| found.state.bytes >= limit)
        || limit("max_msgs").is_some_and(|limit| found.state.messages >= limit);
    if full { Err(StoreError::new(format!("the stream {stream} is full"))) } else { Ok(()) }
}
