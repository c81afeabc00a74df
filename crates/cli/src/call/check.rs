//! The check before a call: the payload against the schema that the service publishes, so that a mistake is told with its
//! place and nothing was sent.

use std::pin::pin;
use std::time::Duration;

use headwater_core::call::CallError;
use headwater_core::schema::PayloadValidator;
use headwater_core::{FailureCode, Name, Violation};
use headwater_nats::discovery::{Info, metadata};
use headwater_nats_client::NatsClient;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Called, Payload, complaint};
use crate::complaint::Complaint;

/// After how long without the schema the service is asked whether it publishes one at all.
const LATE: Duration = Duration::from_millis(300);

/// Which of an aggregate type's endpoints are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Command,
    Query,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Query => "query",
        }
    }

    const fn room(self) -> &'static str {
        match self {
            Self::Command => "commands",
            Self::Query => "queries",
        }
    }
}

/// What is to be called.
#[derive(Debug)]
pub(crate) struct Endpoint<'a> {
    pub(crate) client: &'a NatsClient,
    pub(crate) kind: Kind,
    pub(crate) aggregate: &'a Name,
    pub(crate) name: &'a Name,
    /// How long an instance has to answer.
    pub(crate) limit: Duration,
}

/// Why there is no schema.
enum NoSchema {
    /// What the service says of itself names none.
    NotPublished,
    NoAnswer(CallError),
}

impl Endpoint<'_> {
    /// Checks the payload against the schema that the service publishes.
    ///
    /// # Errors
    /// Every violation with its place; that there is no such command or query, and which there are; or that the schema
    /// cannot be had.
    pub(crate) async fn check(&self, payload: &Payload) -> Result<(), Complaint> {
        let Self { client, kind, aggregate, name, .. } = self;
        let pointer = format!("/aggregates/{aggregate}/{}/{name}/request", kind.room());
        const UNCHECKED: &str = "--no-check sends the payload without the check; the service makes its own.";
        let schema = match self.schema(&pointer).await {
            Ok(schema) => schema,
            Err(NoSchema::NoAnswer(CallError::Failed(failure))) if failure.code == FailureCode::NotFound => {
                return Err(self.unknown().await);
            }
            Err(NoSchema::NoAnswer(error)) => {
                let unchecked = complaint(error, &Called { service: Some(client.service()), command_id: None });
                let asked = "The schema to check the payload against was asked for; nothing was sent.";
                return Err(unchecked.note(asked).note(UNCHECKED));
            }
            Err(NoSchema::NotPublished) => {
                let none = format!("`{}` publishes no schema to check the payload against", client.service());
                return Err(Complaint::refused("no-schema", none).note("Nothing was sent.").note(UNCHECKED));
            }
        };
        let validator = PayloadValidator::new(name.as_str(), &schema)
            .map_err(|error| Complaint::because("the schema that the service publishes", &error).note(UNCHECKED))?;
        let checked = match kind {
            Kind::Command => validator.check(&payload.value),
            // The schema of a query is that of the whole body.
            Kind::Query => validator.check(&json!({ "aggregateId": "any", "query": payload.value })),
        };
        checked.map_err(|violations| invalid(name, &violations, kind))
    }

    /// The schema, as soon as an instance has answered. That none will is known before the time is up where an instance says
    /// what it publishes.
    async fn schema(&self, pointer: &str) -> Result<Value, NoSchema> {
        let Self { client, limit, .. } = self;
        let (discovery, service) = (client.discovery().answer_within(*limit), client.service().as_str());
        let mut asking = pin!(discovery.schema(service, pointer));
        if let Ok(answered) = timeout(LATE, &mut asking).await {
            return answered.map_err(NoSchema::NoAnswer);
        }
        let saying = discovery.info().service(service).within(*limit).first();
        tokio::select! {
            biased;
            answered = &mut asking => return answered.map_err(NoSchema::NoAnswer),
            said = saying => {
                let said = said.ok().and_then(|said| said.answers.into_iter().next());
                if said.is_some_and(|info| !publishes_schema(&info)) {
                    return Err(NoSchema::NotPublished);
                }
            }
        }
        asking.await.map_err(NoSchema::NoAnswer)
    }

    /// There is no such command or query; which there are, as far as the service tells.
    async fn unknown(&self) -> Complaint {
        let Self { client, kind, aggregate, name, limit } = self;
        let (service, kind) = (client.service(), kind.as_str());
        let missing = Complaint::refused("not-found", format!("`{service}` has no {kind} `{name}` for `{aggregate}`"));
        let infos = client.discovery().info().service(service.as_str()).within(*limit).first().await;
        let Some(info) = infos.ok().and_then(|infos| infos.answers.into_iter().next()) else { return missing };
        let names = names(&info, kind, aggregate.as_str());
        if names.is_empty() {
            let aggregates = aggregates(&info);
            let told = format!("Its aggregate types: {}.", aggregates.join(", "));
            return missing.detail("aggregates", aggregates).note(told);
        }
        let told = format!("There are: {}.", names.join(", "));
        missing.detail("names", names).note(told)
    }
}

fn publishes_schema(info: &Info) -> bool {
    info.endpoints.iter().any(|endpoint| endpoint.metadata.contains_key(metadata::REQUEST_SCHEMA))
}

/// The names of an aggregate type's commands or queries.
fn names(info: &Info, kind: &str, aggregate: &str) -> Vec<String> {
    let prefix = format!("{kind}-{aggregate}-");
    let endpoints = info.endpoints.iter().filter(|endpoint| {
        let is = |member, value| endpoint.metadata.get(member).is_some_and(|found| found == value);
        is(metadata::KIND, kind) && is(metadata::AGGREGATE, aggregate)
    });
    endpoints.filter_map(|endpoint| endpoint.name.strip_prefix(&prefix).map(str::to_owned)).collect()
}

fn aggregates(info: &Info) -> Vec<String> {
    let mut found: Vec<_> =
        info.endpoints.iter().filter_map(|endpoint| endpoint.metadata.get(metadata::AGGREGATE).cloned()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn invalid(name: &Name, violations: &[Violation], kind: &Kind) -> Complaint {
    let own: Vec<_> = violations
        .iter()
        .map(|violation| match kind {
            Kind::Command => violation.clone(),
            Kind::Query => Violation {
                path: violation.path.strip_prefix("/query").unwrap_or(&violation.path).to_owned(),
                message: violation.message.clone(),
            },
        })
        .collect();
    let message = format!("the payload breaks the schema of `{name}`; nothing was sent");
    let refused = Complaint::refused(FailureCode::ValidationFailed.as_str(), message).detail("violations", json!(own));
    own.iter().fold(refused, |refused, violation| refused.note(place(violation)))
}

/// A violation in one line: where, and what.
pub(super) fn place(violation: &Violation) -> String {
    let at = if violation.path.is_empty() { "the payload" } else { &violation.path };
    format!("{at}: {}", violation.message)
}

/// The violations that a service tells in the details of a failure.
pub(super) fn violations(details: &serde_json::Map<String, Value>) -> Vec<Violation> {
    details.get("violations").and_then(|told| serde_json::from_value(told.clone()).ok()).unwrap_or_default()
}
