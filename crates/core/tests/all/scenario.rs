//! Given / when / then, and what it says when it does not hold.
#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

use crate::wallet;

use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, Utc};
use headwater_core::scenario::Outcome;
use headwater_core::{
    Aggregate, AggregateId, Command, CommandContext, CommandId, Decide, DecodeError, Event, EventType, Handle,
    HandleError, IntoEvents, Metadata, NeverRejected, Rejection, RejectionType, Scenario,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wallet::{Assign, Deposit, Wallet, WalletRejection, Withdraw, assigned, deposited, withdrawn};

fn wallet() -> Scenario<Wallet> {
    Scenario::new("w-1")
}

fn withdraw(amount: u64) -> Withdraw {
    Withdraw { amount, by: "Ann".to_owned() }
}

/// The message of the panic.
fn failure(expectation: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(expectation)).expect_err("the expectation does not hold");
    panic.downcast_ref::<String>().cloned().expect("a panic with a message made for it")
}

#[test]
fn the_events_a_command_leads_to_are_compared_with_the_expected_ones() {
    wallet().given_nothing().when(Deposit { amount: 5 }).then([deposited(5)]);
    wallet()
        .given([deposited(5), withdrawn(1, "Bob")])
        .given([deposited(2)])
        .when(withdraw(6))
        .then([withdrawn(6, "Ann")])
        .then_state(|wallet| assert_eq!(wallet.balance, 0));
}

#[test]
fn several_events_are_compared_in_their_order() {
    let given = || wallet().given([deposited(5)]).when(Assign { owner: "Ann".to_owned() });
    given().then([withdrawn(5, "Ann"), assigned("Ann")]).then_state(|wallet| assert_eq!(wallet.movements.len(), 2));
    let swapped = failure(|| {
        given().then([assigned("Ann"), withdrawn(5, "Ann")]);
    });
    assert!(swapped.contains("  - assigned {\"owner\":\"Ann\"}\n  + withdrawn {"), "{swapped}");
}

#[test]
fn a_difference_shows_what_is_the_same_what_is_missing_and_what_is_there_instead() {
    let shown = failure(|| {
        let events = [withdrawn(5, "Ann"), assigned("Bob"), deposited(1)];
        wallet().given([deposited(5)]).when(Assign { owner: "Ann".to_owned() }).then(events);
    });
    assert_eq!(
        shown,
        "wallet/w-1 after 1 event: `assign` led to other events than expected
    withdrawn {\"amount\":5,\"by\":\"Ann\"}
  - assigned {\"owner\":\"Bob\"}
  + assigned {\"owner\":\"Ann\"}
  - deposited {\"amount\":1,\"currency\":\"EUR\"}"
    );
}

#[test]
fn events_instead_of_nothing_and_nothing_instead_of_events_are_shown() {
    wallet().given([assigned("Ann")]).when(Assign { owner: "Ann".to_owned() }).then_nothing();
    let unexpected = failure(|| {
        wallet().when(Deposit { amount: 5 }).then_nothing();
    });
    assert!(unexpected.ends_with("  + deposited {\"amount\":5,\"currency\":\"EUR\"}\n  - nothing"), "{unexpected}");
    let missing = failure(|| {
        wallet().given([assigned("Ann")]).when(Assign { owner: "Ann".to_owned() }).then([assigned("Ann")]);
    });
    assert!(missing.ends_with("  - assigned {\"owner\":\"Ann\"}\n  + nothing"), "{missing}");
}

#[test]
fn a_rejection_is_compared_by_name_and_members() {
    let short = || wallet().given([deposited(5)]).when(withdraw(6));
    short()
        .then_rejected(WalletRejection::InsufficientFunds { balance: 5 })
        .then_state(|wallet| assert_eq!(wallet.balance, 5));
    let other_members = failure(|| {
        short().then_rejected(WalletRejection::InsufficientFunds { balance: 6 });
    });
    assert_eq!(
        other_members,
        "wallet/w-1 after 1 event: `withdraw` was not rejected as expected
  - rejected: insufficient-funds {\"balance\":6}
  + rejected: insufficient-funds {\"balance\":5}"
    );
    let other_name = failure(|| {
        short().then_rejected(WalletRejection::AlreadyOwned { owner: "Ann".to_owned() });
    });
    assert!(other_name.contains("  - rejected: already-owned {\"owner\":\"Ann\"}"), "{other_name}");
}

#[test]
fn a_rejection_instead_of_events_and_the_other_way_round_are_shown() {
    let rejected = failure(|| {
        wallet().when(withdraw(1)).then([withdrawn(1, "Ann")]);
    });
    assert!(rejected.contains("led to no events") && rejected.contains("+ rejected: insufficient-funds"), "{rejected}");
    let done = failure(|| {
        wallet().when(Deposit { amount: 1 }).then_rejected(WalletRejection::InsufficientFunds { balance: 0 });
    });
    assert!(done.contains("- rejected: ") && done.contains("+ deposited {"), "{done}");
}

#[test]
fn user_and_metadata_reach_the_decision() {
    let owned = || wallet().given([assigned("Ann")]);
    let refused = || WalletRejection::AlreadyOwned { owner: "Ann".to_owned() };
    owned().when(Assign { owner: "Bob".to_owned() }).then_rejected(refused());
    owned().by("Bob").when(Assign { owner: "Bob".to_owned() }).then_rejected(refused());
    owned().by("Ann").when(Assign { owner: "Bob".to_owned() }).then([assigned("Bob")]);
    let metadata = Metadata { user_id: Some("Ann".to_owned()), ..Metadata::new(CommandId::new("c-7").unwrap()) };
    owned().metadata(metadata).when(Assign { owner: "Bob".to_owned() }).then([assigned("Bob")]);
}

#[test]
#[should_panic(expected = "aggregateId is empty")]
fn an_id_that_breaks_the_rule_is_a_panic() {
    let _ = Scenario::<Wallet>::new("");
}

/// Asks what it is told to ask, and keeps what the context told it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Diary {
    pages: u64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Write {
    weather: bool,
}

impl Command for Write {
    const NAME: &'static str = "write";
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Written {
    at: DateTime<Utc>,
    revision: u64,
    tenant: Option<String>,
    command: String,
    weather: Option<String>,
}

impl Event for Written {
    fn types() -> Vec<EventType> {
        vec![EventType { name: "written", schema_version: 1, schema: |g| g.subschema_for::<Self>() }]
    }

    fn name(&self) -> &'static str {
        "written"
    }

    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    fn decode(name: &str, data: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(data).map_err(|source| DecodeError::Data { name: name.to_owned(), source })
    }
}

impl IntoEvents<Self> for Written {
    fn into_events(self) -> Vec<Self> {
        vec![self]
    }

    fn event_names() -> Vec<&'static str> {
        vec!["written"]
    }
}

impl Aggregate for Diary {
    const TYPE: &'static str = "diary";
    type Event = Written;
    type Rejection = NeverRejected;

    fn init(_: &AggregateId) -> Self {
        Self { pages: 0 }
    }

    fn evolve(&mut self, _: &Written) {
        self.pages += 1;
    }
}

/// Where the weather is asked; none when nobody answers.
struct Weather(Option<&'static str>);

impl Handle<Write, Weather> for Diary {
    async fn handle(
        &self,
        command: Write,
        context: &CommandContext,
        weather: &Weather,
    ) -> Result<Vec<Written>, HandleError<NeverRejected>> {
        tokio::task::yield_now().await;
        let weather = match (command.weather, weather.0) {
            (false, _) => None,
            (true, Some(weather)) => Some(weather.to_owned()),
            (true, None) => return Err(HandleError::unavailable("weather", "nobody answers")),
        };
        Ok(vec![Written {
            at: context.now,
            revision: context.revision.get(),
            tenant: context.aggregate.tenant().map(ToOwned::to_owned),
            command: context.metadata.command_id.to_string(),
            weather,
        }])
    }
}

fn page(weather: Option<&str>) -> Written {
    Written {
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
        revision: 0,
        tenant: None,
        command: "scenario".to_owned(),
        weather: weather.map(ToOwned::to_owned),
    }
}

#[tokio::test]
async fn a_handler_is_given_its_environment_and_the_whole_context() {
    let diary = || Scenario::<Diary>::new("d-1");
    let ask = || Write { weather: true };
    diary().when_handled(ask(), &Weather(Some("rain"))).await.then([page(Some("rain"))]);
    let time: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
    let in_tenant = AggregateId::new("diary", "d-1").unwrap().in_tenant("acme").unwrap();
    let expected = Written { at: time, revision: 2, tenant: Some("acme".to_owned()), ..page(None) };
    Scenario::<Diary>::of(in_tenant)
        .given([page(None), page(None)])
        .at(time)
        .when_handled(Write { weather: false }, &Weather(None))
        .await
        .then([expected])
        .then_state(|diary| assert_eq!(diary.pages, 3));
}

#[tokio::test]
async fn a_dependency_that_does_not_answer_can_be_expected() {
    let alone: Outcome<Diary> =
        Scenario::new("d-1").given([page(None)]).when_handled(Write { weather: true }, &Weather(None)).await;
    alone.then_unavailable("weather").then_state(|diary| assert_eq!(diary.pages, 1));
    let answered = Scenario::<Diary>::new("d-1").when_handled(Write { weather: true }, &Weather(Some("sun"))).await;
    let shown = failure(|| {
        answered.then_unavailable("weather");
    });
    assert!(shown.contains("  - unavailable: weather\n  + written {"), "{shown}");
}

/// An aggregate whose author made the mistake that `FAULT` names.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Faulty<const FAULT: u8> {}

const NOT_LISTED: u8 = 0;
const BREAKS_ITS_SCHEMA: u8 = 1;
const LOSES_A_MEMBER: u8 = 2;
const CANNOT_BE_READ: u8 = 3;
const NOTHING: u8 = 4;

/// Has no `PartialEq`: a scenario needs none.
#[derive(Debug, Clone)]
struct Fact<const FAULT: u8>(u64);

#[derive(Serialize, Deserialize, JsonSchema)]
struct FactData {
    number: u64,
}

impl<const FAULT: u8> Event for Fact<FAULT> {
    fn types() -> Vec<EventType> {
        let name = if FAULT == NOT_LISTED { "fakt" } else { "fact" };
        vec![EventType { name, schema_version: 1, schema: |g| g.subschema_for::<FactData>() }]
    }

    fn name(&self) -> &'static str {
        "fact"
    }

    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let member = if FAULT == BREAKS_ITS_SCHEMA { "nummer" } else { "number" };
        serde_json::to_vec(&Map::from_iter([(member.to_owned(), Value::from(self.0))]))
    }

    fn decode(name: &str, data: &[u8]) -> Result<Self, DecodeError> {
        match FAULT {
            LOSES_A_MEMBER => Ok(Self(0)),
            CANNOT_BE_READ => Err(DecodeError::UnknownEvent { name: name.to_owned() }),
            _ => serde_json::from_slice(data)
                .map(|FactData { number }| Self(number))
                .map_err(|source| DecodeError::Data { name: name.to_owned(), source }),
        }
    }
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("no")]
struct No<const FAULT: u8>(u64);

impl<const FAULT: u8> Rejection for No<FAULT> {
    fn types() -> Vec<RejectionType> {
        let name = if FAULT == NOT_LISTED { "nein" } else { "no" };
        vec![RejectionType { name, schema: |g| g.subschema_for::<FactData>() }]
    }

    fn name(&self) -> &'static str {
        "no"
    }

    fn members(&self) -> Map<String, Value> {
        let member = if FAULT == BREAKS_ITS_SCHEMA { "nummer" } else { "number" };
        Map::from_iter([(member.to_owned(), Value::from(self.0))])
    }

    fn from_parts(_: &str, members: &Map<String, Value>) -> Option<Self> {
        match FAULT {
            LOSES_A_MEMBER => Some(Self(0)),
            CANNOT_BE_READ => None,
            _ => members["number"].as_u64().map(Self),
        }
    }
}

impl<const FAULT: u8> Aggregate for Faulty<FAULT> {
    const TYPE: &'static str = "faulty";
    type Event = Fact<FAULT>;
    type Rejection = No<FAULT>;

    fn init(_: &AggregateId) -> Self {
        Self {}
    }

    fn evolve(&mut self, _: &Fact<FAULT>) {}
}

impl<const FAULT: u8> Decide<Deposit> for Faulty<FAULT> {
    fn decide(&self, command: Deposit, _: &CommandContext) -> Result<Vec<Fact<FAULT>>, No<FAULT>> {
        if command.amount > 10 { Err(No(command.amount)) } else { Ok(vec![Fact(command.amount)]) }
    }
}

impl<const FAULT: u8> IntoEvents<Self> for Fact<FAULT> {
    fn into_events(self) -> Vec<Self> {
        vec![self]
    }

    fn event_names() -> Vec<&'static str> {
        vec!["fact"]
    }
}

/// What the scenario says of an event and of a rejection that are as expected, and faulty.
fn said_of<const FAULT: u8>() -> [String; 2] {
    let faulty = || Scenario::<Faulty<FAULT>>::new("f-1");
    let event = failure(|| {
        faulty().when(Deposit { amount: 7 }).then([Fact(7)]);
    });
    let rejection = failure(|| {
        faulty().when(Deposit { amount: 11 }).then_rejected(No(11));
    });
    [event, rejection]
}

#[test]
fn an_event_or_rejection_that_would_not_survive_its_way_is_a_failure() {
    for said in said_of::<NOT_LISTED>() {
        assert!(said.contains("is not among the aggregate's"), "{said}");
    }
    for said in said_of::<BREAKS_ITS_SCHEMA>() {
        assert!(said.contains("breaks its own schema") && said.contains("nummer"), "{said}");
    }
    for said in said_of::<LOSES_A_MEMBER>() {
        assert!(said.contains("read back as another one") && said.contains("+ ") && said.contains(":0}"), "{said}");
    }
    for said in said_of::<CANNOT_BE_READ>() {
        assert!(said.contains("cannot be read back"), "{said}");
    }
    Scenario::<Faulty<NOTHING>>::new("f-1").when(Deposit { amount: 7 }).then([Fact(7)]);
    Scenario::<Faulty<NOTHING>>::new("f-1").when(Deposit { amount: 11 }).then_rejected(No(11));
}
