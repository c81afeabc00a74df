//! The contract of a service: what it can be asked, with the schema of everything.

use headwater_core::Name;
use headwater_core::dispatch::Dispatcher;
use headwater_core::schema::schema_from;
use headwater_nats::discovery::Contract;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub(crate) fn of(service: &Name, version: &str, dispatcher: &Dispatcher) -> Contract {
    let mut aggregates = Map::new();
    for described in dispatcher.types() {
        let commands: Map<String, Value> = described
            .commands()
            .map(|command| {
                let rejections: Vec<_> = described.rejections().iter().map(|rejection| rejection.name).collect();
                let value =
                    json!({ "request": command.schema(), "events": command.events(), "rejections": rejections });
                (command.name().to_string(), value)
            })
            .collect();
        let events: Map<String, Value> = described
            .events()
            .map(|event| (event.name.to_string(), json!({ "version": event.schema_version, "data": event.schema })))
            .collect();
        let rejections: Map<String, Value> =
            described.rejections().iter().map(|r| (r.name.to_owned(), schema_from(r.schema))).collect();
        let queries: Map<String, Value> = described
            .queries()
            .map(|query| {
                (query.name().to_string(), json!({ "request": query.schema(), "response": query.answer_schema() }))
            })
            .collect();
        aggregates.insert(
            described.kind().to_string(),
            json!({
                "state": described.state_schema(), "commands": commands, "events": events,
                "rejections": rejections, "queries": queries,
            }),
        );
    }
    let aggregates = Value::Object(aggregates);
    let hash = Sha256::digest(aggregates.to_string());
    let contract = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Contract { service: service.to_string(), version: version.to_owned(), contract, aggregates }
}
