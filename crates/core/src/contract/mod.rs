//! The contract of a service: what it can be asked, with the schema of everything, as one JSON
//! document with a fingerprint.

mod bodies;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::schema::schema_from;
use crate::{AggregateType, Name};

/// What a service can be asked, for programs in any language.
///
/// The document is `{"service", "version", "contract", "aggregates"}`, as the wire protocol has
/// it; `contract` is the [fingerprint](Contract::fingerprint). An aggregate type has
///
/// | member | holds |
/// |---|---|
/// | `state` | the schema of the state |
/// | `result` | the schema of the `result` of every command's reply |
/// | `commands.{name}` | `request`: the schema of the payload; `events` and `rejections`: names |
/// | `events.{name}` | `version` and the schema of the `data` |
/// | `rejections.{name}` | the schema of its members |
/// | `queries.{name}` | `request`: the schema of the whole body; `response`: of the reply's `result` |
///
/// Every schema is JSON Schema 2020-12 and complete in itself: cut out by its pointer, it can be used.
///
/// ```
/// # use headwater_core::*;
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, JsonSchema)] struct Counter { count: u64 }
/// # #[derive(Clone, Serialize, Deserialize, JsonSchema)] struct Increment { by: u64 }
/// # impl Command for Increment { const NAME: &'static str = "increment"; }
/// # #[derive(Clone)] struct Incremented;
/// # impl Event for Incremented {
/// #     fn types() -> Vec<EventType> {
/// #         vec![EventType { name: "incremented", schema_version: 1, schema: |g| g.subschema_for::<()>() }]
/// #     }
/// #     fn name(&self) -> &'static str { "incremented" }
/// #     fn encode(&self) -> Result<Vec<u8>, serde_json::Error> { Ok(b"null".to_vec()) }
/// #     fn decode(_: &str, _: &[u8]) -> Result<Self, DecodeError> { Ok(Incremented) }
/// # }
/// # impl Aggregate for Counter {
/// #     const TYPE: &'static str = "counter";
/// #     type Event = Incremented;
/// #     type Rejection = NeverRejected;
/// #     fn init(_: &AggregateId) -> Self { Counter { count: 0 } }
/// #     fn evolve(&mut self, _: &Incremented) { self.count += 1; }
/// # }
/// # impl Decide<Increment> for Counter {
/// #     fn decide(&self, _: Increment, _: &CommandContext) -> Result<Vec<Incremented>, NeverRejected> {
/// #         Ok(vec![Incremented])
/// #     }
/// # }
/// let counter = Describe::<Counter>::new().command::<Increment>().build()?;
/// let contract = Contract::of(&Name::new("counters")?, "1.0.0", &[counter]);
///
/// let request = contract.part("/aggregates/counter/commands/increment/request").unwrap();
/// assert_eq!(request["required"], serde_json::json!(["by"]));
/// assert_eq!(contract.part("/contract").unwrap(), contract.fingerprint());
/// assert!(contract.part("/aggregates/invoice").is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    document: Value,
    fingerprint: String,
}

impl Contract {
    /// The contract of `service` in this version, which serves these aggregate types. Their names
    /// have to differ, which a service checks when it is built.
    #[must_use]
    pub fn of(service: &Name, version: &str, types: &[AggregateType]) -> Self {
        let aggregates: Map<_, _> = types.iter().map(|kind| (kind.kind().to_string(), aggregate(kind))).collect();
        let aggregates = Value::Object(aggregates);
        let fingerprint = fingerprint(&aggregates);
        let document = json!({
            "service": service,
            "version": version,
            "contract": fingerprint,
            "aggregates": aggregates,
        });
        Self { document, fingerprint }
    }

    /// The SHA-256 of `aggregates` in canonical JSON (RFC 8785), as 64 hex digits. It is the same
    /// for services that can be asked the same, whatever they are called and however often they
    /// are built, and another one as soon as any schema differs.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The whole document.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The part that a JSON Pointer (RFC 6901) names, such as `/aggregates/receipt`; the whole
    /// document for the empty one. None when nothing is there, or it is no pointer.
    #[must_use]
    pub fn part(&self, pointer: &str) -> Option<&Value> {
        self.document.pointer(pointer)
    }
}

impl Serialize for Contract {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document.serialize(serializer)
    }
}

fn fingerprint(aggregates: &Value) -> String {
    let canonical = serde_json_canonicalizer::to_vec(aggregates)
        .expect("a JSON value has text for keys and finite numbers, and a vector takes any number of bytes");
    Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn aggregate(described: &AggregateType) -> Value {
    let commands = described.commands().map(|command| {
        // In the order of their names: listing them in another order changes nothing for a caller.
        let mut events = command.events().to_vec();
        events.sort_unstable();
        events.dedup();
        let mut rejections: Vec<_> = described.rejections().iter().map(|rejection| rejection.name).collect();
        rejections.sort_unstable();
        let command_parts = json!({ "request": command.schema(), "events": events, "rejections": rejections });
        (command.name().to_string(), command_parts)
    });
    let events = described
        .events()
        .map(|event| (event.name.to_string(), json!({ "version": event.schema_version, "data": event.schema })));
    let rejections =
        described.rejections().iter().map(|rejection| (rejection.name.to_owned(), schema_from(rejection.schema)));
    let further = described.queries().map(|query| {
        let parts = json!({ "request": bodies::query(described, query), "response": bodies::answer(described, query) });
        (query.name().to_string(), parts)
    });
    let built_in = [
        ("get", json!({ "request": bodies::get(), "response": bodies::entity(described) })),
        ("history", json!({ "request": bodies::history(), "response": bodies::page(described) })),
    ];
    let queries = further.chain(built_in.map(|(name, parts)| (name.to_owned(), parts)));
    json!({
        "state": described.state_schema(),
        "result": bodies::result(described),
        "commands": commands.collect::<Map<_, _>>(),
        "events": events.collect::<Map<_, _>>(),
        "rejections": rejections.collect::<Map<_, _>>(),
        "queries": queries.collect::<Map<_, _>>(),
    })
}
