//! The check before a call: the payload against the schema that the service publishes, so that a mistake is told with its
//! place and nothing was sent.

use headwater_core::call::CallError;
use headwater_core::schema::PayloadValidator;
use headwater_core::{FailureCode, Name, Violation};
use headwater_nats::discovery::{Info, metadata};
use headwater_nats_client::NatsClient;
use serde_json::{Value, json};

use super::{Called, Payload, complaint};
use crate::complaint::Complaint;

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
}

impl Endpoint<'_> {
    /// Checks the payload against the schema that the service publishes.
    ///
    /// # Errors
    /// Every violation with its place; that there is no such command or query, and which there are; or that the schema
    /// cannot be had.
    pub(crate) async fn check(&self, payload: &Payload) -> Result<(), Complaint> {
        let Self { client, kind, aggregate, name } = self;
        let pointer = format!("/aggregates/{aggregate}/{}/{name}/request", kind.room());
        let schema = match client.discovery().schema(client.service().as_str(), &pointer).await {
            Ok(schema) => schema,
            Err(CallError::Failed(failure)) if failure.code == FailureCode::NotFound => {
                return Err(self.unknown().await);
            }
            Err(error) => {
                let unchecked = complaint(error, &Called { service: Some(client.service()), command_id: None });
                return Err(unchecked.note("The schema to check the payload against was asked for; nothing was sent."));
            }
        };
        let validator = PayloadValidator::new(name.as_str(), &schema).map_err(|error| {
            Complaint::because("the schema that the service publishes", &error)
                .note("--no-check sends the payload without the check; the service makes its own.")
        })?;
        let checked = match kind {
            Kind::Command => validator.check(&payload.value),
            // The schema of a query is that of the whole body.
            Kind::Query => validator.check(&json!({ "aggregateId": "any", "query": payload.value })),
        };
        checked.map_err(|violations| invalid(name, &violations, kind))
    }

    /// There is no such command or query; which there are, as far as the service tells.
    async fn unknown(&self) -> Complaint {
        let Self { client, kind, aggregate, name } = self;
        let (service, kind) = (client.service(), kind.as_str());
        let missing = Complaint::refused("not-found", format!("`{service}` has no {kind} `{name}` for `{aggregate}`"));
        let infos = client.discovery().info().service(service.as_str()).first().await;
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
