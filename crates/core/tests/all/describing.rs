//! What a description holds, and what it refuses, with every problem at once.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::wallet;

use headwater_core::{
    Aggregate, AggregateId, Answer, Command, CommandContext, Decide, DecodeError, Describe, Event, EventType, Query,
    Rejection, RejectionType,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

#[test]
fn a_description_lists_everything_by_name_with_its_schema() {
    let wallets = wallet::described().build().unwrap();
    assert_eq!(wallets.kind().as_str(), "wallet");
    let names: Vec<_> = wallets.commands().map(|command| command.name().as_str()).collect();
    assert_eq!(names, ["assign", "deposit", "withdraw"]);
    let deposit = wallets.command("deposit").unwrap();
    assert_eq!(deposit.schema()["properties"]["amount"]["minimum"], 1);
    assert_eq!(deposit.events(), ["deposited"]);
    let events: Vec<_> = wallets.events().map(|event| (event.name.as_str(), event.schema_version)).collect();
    assert_eq!(events, [("assigned", 1), ("deposited", 3), ("withdrawn", 1)]);
    let queries: Vec<_> = wallets.queries().map(|query| query.name().as_str()).collect();
    assert_eq!(queries, ["can-withdraw"]);
    assert_eq!(wallets.query("can-withdraw").unwrap().answer_schema()["required"], json!(["allowed"]));
    assert!(wallets.state_schema()["properties"]["movements"].is_object());
    assert!(wallets.command("steal").is_none() && wallets.query("get").is_none());
}

#[test]
fn a_description_is_shared_between_threads_and_cheap_to_clone() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    let wallets = wallet::described().build().unwrap();
    shared(&wallets);
    assert!(std::ptr::eq(wallets.clone().state_schema(), wallets.state_schema()));
}

#[test]
fn a_payload_is_checked_against_its_command() {
    let wallets = wallet::described().build().unwrap();
    let withdraw = wallets.command("withdraw").unwrap();
    assert!(withdraw.check(&json!({ "amount": 1, "by": "Ann" })).is_ok());
    let failure = withdraw.check(&json!({ "amount": 0, "by": 7 })).unwrap_err();
    assert!(failure.message.contains("`withdraw`"), "{failure}");
    let mut paths: Vec<_> = failure.violations().into_iter().map(|violation| violation.path).collect();
    paths.sort();
    assert_eq!(paths, ["/amount", "/by"]);
}

/// An aggregate that does everything wrong.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct Wrong {}

#[derive(Clone)]
struct WrongEvent;

fn anything(_: &mut SchemaGenerator) -> Schema {
    Schema::default()
}

impl Event for WrongEvent {
    fn types() -> Vec<EventType> {
        [("done", 1), ("Not A Name", 1), ("done", 1), ("unversioned", 0)]
            .map(|(name, schema_version)| EventType { name, schema_version, schema: anything })
            .to_vec()
    }

    fn name(&self) -> &'static str {
        "done"
    }

    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        Ok(b"null".to_vec())
    }

    fn decode(_: &str, _: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("no")]
struct WrongRejection;

impl Rejection for WrongRejection {
    fn types() -> Vec<RejectionType> {
        ["no", "not_a_name", "no"].map(|name| RejectionType { name, schema: anything }).to_vec()
    }

    fn name(&self) -> &'static str {
        "no"
    }

    fn members(&self) -> Map<String, Value> {
        Map::new()
    }

    fn from_parts(_: &str, _: &Map<String, Value>) -> Option<Self> {
        None
    }
}

impl Aggregate for Wrong {
    const TYPE: &'static str = "Wrong.Type";
    type Event = WrongEvent;
    type Rejection = WrongRejection;

    fn init(_: &AggregateId) -> Self {
        Self {}
    }

    fn evolve(&mut self, _: &WrongEvent) {}
}

macro_rules! command {
    ($type:ident, $name:literal, $schema:expr) => {
        #[derive(Serialize, Deserialize)]
        struct $type {}

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema.try_into().unwrap()
            }
        }

        impl Command for $type {
            const NAME: &'static str = $name;
        }

        impl Decide<$type> for Wrong {
            fn decide(&self, _: $type, _: &CommandContext) -> Result<Vec<WrongEvent>, WrongRejection> {
                Ok(vec![WrongEvent])
            }

            fn event_names() -> Vec<&'static str> {
                vec!["done", "undone"]
            }
        }
    };
}

command!(Misnamed, "do it", json!({}));
command!(One, "one", json!({}));
command!(Remote, "remote", json!({ "$ref": "https://example.com/remote.json" }));
command!(Malformed, "malformed", json!({ "type": "no such type" }));

#[derive(Serialize, Deserialize, JsonSchema)]
struct Get {}

impl Query for Get {
    const NAME: &'static str = "get";
    type Answer = ();
}

impl Answer<Get> for Wrong {
    fn answer(&self, _: Get) {}
}

#[test]
fn every_problem_of_a_description_is_told_at_once() {
    let refused = Describe::<Wrong>::new()
        .command::<Misnamed>()
        .command::<One>()
        .command::<One>()
        .command::<Remote>()
        .command::<Malformed>()
        .query::<Get>()
        .build()
        .unwrap_err();
    let told = refused.to_string();
    for problem in [
        "aggregate `Wrong.Type`",
        "`Wrong.Type` is not a name",
        "event: `Not A Name` is not a name",
        "event `done` is there twice",
        "event `unversioned`: schema versions count from 1",
        "rejection: `not_a_name` is not a name",
        "rejection `no` is there twice",
        "command: `do it` is not a name",
        "command `one` is there twice",
        "command `one`: `undone` is not among the aggregate's events",
        "the JSON Schema of command `remote` cannot be used",
        "the JSON Schema of command `malformed` cannot be used",
        "query `get`: every aggregate has one of this name already",
    ] {
        assert!(told.contains(problem), "{problem}\nis not among\n{}", refused.problems().join("\n"));
    }
}

#[test]
fn an_aggregate_without_commands_is_refused() {
    let refused = Describe::<wallet::Wallet>::new().build().unwrap_err();
    assert_eq!(refused.problems(), ["there are no commands"]);
}
