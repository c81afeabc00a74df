//! An aggregate written with the macros, used in process: through the client the macro writes,
//! and through its methods alone.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, clippy::pedantic)]
#![allow(clippy::missing_errors_doc, clippy::must_use_candidate, reason = "these are about what people write")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use headwater_core::call::CallError;
use headwater_core::client::{ExecuteError, IntoTransport};
use headwater_core::dispatch::Dispatcher;
use headwater_core::store::{Append, EventStore as _, Head, MemoryStore};
use headwater_core::{
    Aggregate as _, AggregateId, Clock, CommandContext, CommandId, EventId, FailureCode, HandleError, JSON, Metadata,
    Name, NewEvent, Upcasters,
};
use headwater_macros::{Command, Event, Query, Rejection, aggregate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What is bought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Basket {
    id: String,
    lines: BTreeMap<String, u64>,
    closed: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct LineAdded {
    name: String,
    price: u64,
}

#[derive(Debug, Clone, Event)]
#[event(upcasters = upcasters)]
enum BasketEvent {
    #[event(version = 2)]
    LineAdded(LineAdded),
    LineRemoved {
        name: String,
    },
    Closed {
        at: DateTime<Utc>,
    },
}

fn upcasters() -> Upcasters {
    // Version 1 had the price in whole units.
    Upcasters::new().rewrite("line-added", 1, |mut data| {
        let units = data["price"].as_u64().ok_or("there is no price")?;
        data["price"] = json!(units * 100);
        Ok(data)
    })
}

#[derive(Debug, Clone, PartialEq, thiserror::Error, Rejection)]
enum BasketRejection {
    #[error("the basket is closed")]
    BasketClosed,
    #[error("there is no {name}")]
    NoSuchLine { name: String },
}

#[derive(Debug, Clone, Command, Serialize, Deserialize, JsonSchema)]
struct AddLine {
    name: String,
    price: u64,
}

#[derive(Debug, Clone, Command, Serialize, Deserialize, JsonSchema)]
struct AddLines {
    lines: Vec<AddLine>,
}

#[derive(Debug, Clone, Command, Serialize, Deserialize, JsonSchema)]
struct RemoveLine {
    name: String,
}

#[derive(Debug, Clone, Command, Serialize, Deserialize, JsonSchema)]
struct Close {}

#[derive(Debug, Clone, Command, Serialize, Deserialize, JsonSchema)]
struct AddListed {
    name: String,
}

#[derive(Debug, Clone, Query, Serialize, Deserialize, JsonSchema)]
#[query(answer = u64)]
struct Total {}

/// What things cost; no list at all when nobody answers.
#[derive(Debug, Default)]
struct Prices(Option<BTreeMap<String, u64>>);

impl Prices {
    async fn of(&self, name: &str) -> Result<u64, HandleError<BasketRejection>> {
        tokio::task::yield_now().await;
        let list = self.0.as_ref().ok_or_else(|| HandleError::unavailable("price-list", "nobody answers"))?;
        Ok(*list.get(name).ok_or_else(|| BasketRejection::NoSuchLine { name: name.to_owned() })?)
    }
}

#[aggregate(
    type = "basket",
    event = BasketEvent,
    rejection = BasketRejection,
    client = pub(crate) BasketClient,
    env = Prices,
)]
impl Basket {
    /// Helpers and constants stay where they are.
    const LIMIT: usize = 3;

    fn init(id: &AggregateId) -> Self {
        Self { id: id.id().to_owned(), lines: BTreeMap::new(), closed: None }
    }

    fn evolve(&mut self, event: &BasketEvent) {
        match event {
            BasketEvent::LineAdded(line) => *self.lines.entry(line.name.clone()).or_default() += line.price,
            BasketEvent::LineRemoved { name } => drop(self.lines.remove(name)),
            BasketEvent::Closed { at } => self.closed = Some(*at),
        }
    }

    fn check_open(&self) -> Result<(), BasketRejection> {
        if self.closed.is_some() { Err(BasketRejection::BasketClosed) } else { Ok(()) }
    }

    /// Adds one line.
    #[command]
    fn add_line(&self, command: AddLine) -> Result<LineAdded, BasketRejection> {
        self.check_open()?;
        Ok(LineAdded { name: command.name, price: command.price })
    }

    #[command]
    pub(crate) fn add_lines(&self, command: AddLines) -> Result<Vec<LineAdded>, BasketRejection> {
        self.check_open()?;
        let added = command.lines.into_iter().map(|line| LineAdded { name: line.name, price: line.price });
        Ok(added.take(Self::LIMIT).collect())
    }

    #[command]
    fn remove_line(&self, RemoveLine { name }: RemoveLine) -> Result<BasketEvent, BasketRejection> {
        if self.lines.contains_key(&name) {
            return Ok(BasketEvent::LineRemoved { name });
        }
        Err(BasketRejection::NoSuchLine { name })
    }

    #[command]
    fn close(&self, _: Close, context: &CommandContext) -> Result<Option<BasketEvent>, BasketRejection> {
        Ok(self.closed.is_none().then_some(BasketEvent::Closed { at: context.now }))
    }

    #[command]
    async fn add_listed(
        &self,
        command: AddListed,
        context: &CommandContext,
        prices: &Prices,
    ) -> Result<LineAdded, HandleError<BasketRejection>> {
        assert_eq!(context.aggregate.kind(), Self::TYPE);
        self.check_open()?;
        let price = prices.of(&command.name).await?;
        Ok(LineAdded { name: command.name, price })
    }

    #[query]
    fn total(&self, _: Total) -> u64 {
        self.lines.values().sum()
    }

    #[cfg(any())]
    #[query]
    fn total(&self, _: Total) -> u64 {
        0
    }

    #[cfg(any())]
    #[command]
    fn never_compiled(&self, _: NeverCompiled) -> Result<LineAdded, BasketRejection> {
        unreachable!()
    }
}

/// The time stands still.
#[derive(Debug)]
struct Midnight;

impl Clock for Midnight {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
}

fn dispatcher(prices: Prices, store: MemoryStore) -> Dispatcher {
    let builder = Dispatcher::builder(store).clock(Midnight).aggregate_with::<Basket>(Arc::new(prices));
    builder.build().expect("the aggregate describes itself well")
}

fn baskets() -> BasketClient {
    BasketClient::new(dispatcher(Prices::default(), MemoryStore::new()))
}

fn line(name: &str, price: u64) -> AddLine {
    AddLine { name: name.to_owned(), price }
}

#[tokio::test]
async fn the_client_has_a_method_for_each_command() {
    let baskets = baskets();
    let added = baskets.add_line("b-1", line("tea", 200)).await.unwrap();
    assert_eq!(added.state.lines, BTreeMap::from([("tea".to_owned(), 200)]));
    let added = baskets.add_lines("b-1", AddLines { lines: vec![line("jam", 1), line("oil", 2)] }).await.unwrap();
    assert_eq!(added.events.len(), 2);
    let removed = baskets.remove_line("b-1", RemoveLine { name: "jam".to_owned() }).await.unwrap();
    assert_eq!(removed.state.lines.keys().collect::<Vec<_>>(), ["oil", "tea"]);
    assert_eq!(removed.state.id, "b-1");
}

#[tokio::test]
async fn a_rejection_arrives_as_the_domains_own_type() {
    let refused = baskets().remove_line("b-1", RemoveLine { name: "jam".to_owned() }).await.unwrap_err();
    assert_eq!(refused.rejection(), Some(&BasketRejection::NoSuchLine { name: "jam".to_owned() }));
}

#[tokio::test]
async fn the_context_tells_the_time_and_no_event_is_an_answer_too() {
    let baskets = baskets();
    let closed = baskets.close("b-1", Close {}).await.unwrap();
    assert_eq!(closed.state.closed, Some(DateTime::UNIX_EPOCH));
    let again = baskets.close("b-1", Close {}).await.unwrap();
    assert_eq!((again.events.len(), again.revision), (0, closed.revision));
}

#[tokio::test]
async fn an_async_command_asks_its_environment() {
    let list = BTreeMap::from([("tea".to_owned(), 250)]);
    let baskets = BasketClient::new(dispatcher(Prices(Some(list)), MemoryStore::new()));
    let added = baskets.add_listed("b-1", AddListed { name: "tea".to_owned() }).await.unwrap();
    assert_eq!(added.state.lines["tea"], 250);

    let unlisted = baskets.add_listed("b-1", AddListed { name: "gold".to_owned() }).await.unwrap_err();
    assert_eq!(unlisted.rejection(), Some(&BasketRejection::NoSuchLine { name: "gold".to_owned() }));
}

#[tokio::test]
async fn an_environment_that_does_not_answer_is_unavailable() {
    let refused = baskets().add_listed("b-1", AddListed { name: "tea".to_owned() }).await.unwrap_err();
    let ExecuteError::Call(CallError::Failed(failure)) = &refused else { panic!("{refused:?}") };
    assert_eq!((&failure.code, failure.reason()), (&FailureCode::Unavailable, Some("price-list")));
    assert!(refused.is_retryable());
}

#[tokio::test]
async fn a_query_has_a_method_and_get_and_history_come_with_the_client() {
    let baskets = baskets();
    baskets.add_lines("b-1", AddLines { lines: vec![line("jam", 100), line("oil", 150)] }).await.unwrap();
    assert_eq!(baskets.total("b-1", Total {}).await.unwrap().answer, 250);
    assert_eq!(baskets.get("b-1").at_revision(1).await.unwrap().state.lines["jam"], 100);
    let page = baskets.history("b-1").await.unwrap();
    let names: Vec<_> = page.events.iter().map(|event| event.recorded.event.name.as_str()).collect();
    assert_eq!(names, ["line-added", "line-added"]);
}

#[tokio::test]
async fn options_set_on_the_client_hold_for_its_calls() {
    let baskets = baskets().with(|calls| calls.correlation_id("c-1").timeout(Duration::from_secs(5)));
    let added = baskets.clone().add_line("b-1", line("tea", 200)).await.unwrap();
    assert_eq!(added.correlation_id.as_deref(), Some("c-1"));
}

#[tokio::test]
async fn a_client_is_made_over_a_shared_transport_and_over_the_untyped_client() {
    let shared = dispatcher(Prices::default(), MemoryStore::new()).into_transport();
    let one = BasketClient::new(Arc::clone(&shared));
    one.add_line("b-1", line("tea", 200)).await.unwrap();
    let other = BasketClient::from(headwater_core::client::AggregateClient::new(shared));
    assert_eq!(other.total("b-1", Total {}).await.unwrap().answer, 200);
}

#[tokio::test]
async fn stored_events_of_an_older_version_are_brought_up_to_date() {
    let store = MemoryStore::new();
    let aggregate = AggregateId::new(Basket::TYPE, "b-1").unwrap();
    let command_id = CommandId::generate();
    let old = NewEvent {
        id: EventId::derive(&command_id, &aggregate, 0),
        name: Name::new("line-added").unwrap(),
        schema_version: 1,
        time: DateTime::UNIX_EPOCH,
        content_type: JSON.into(),
        data: Bytes::from_static(br#"{"name":"tea","price":2}"#),
        metadata: Arc::new(Metadata::new(command_id)),
    };
    store.append(Append { aggregate, head: Head::EMPTY, events: vec![old] }).await.unwrap();

    let baskets = BasketClient::new(dispatcher(Prices::default(), store));
    assert_eq!(baskets.get("b-1").await.unwrap().state.lines["tea"], 200);
}

#[test]
fn the_domain_is_tested_without_any_of_this() {
    let id = AggregateId::new(Basket::TYPE, "b-1").unwrap();
    let mut basket = Basket::init(&id);
    let added = basket.add_line(line("tea", 200)).unwrap();
    basket.evolve(&added.into());
    assert_eq!(basket.total(Total {}), 200);

    let closed = BasketEvent::Closed { at: DateTime::UNIX_EPOCH };
    basket.evolve(&closed);
    assert_eq!(basket.add_line(line("jam", 1)).unwrap_err(), BasketRejection::BasketClosed);
}

mod through_a_re_export {
    //! Neither crate is found by its name: the macros are told where it is.

    use headwater_core as toolkit;

    use super::{Command, Event, Query, Rejection, aggregate};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
    struct Door {}

    #[derive(Command, Serialize, Deserialize, JsonSchema)]
    #[command(crate = toolkit)]
    struct Knock {}

    #[derive(Query, Serialize, Deserialize, JsonSchema)]
    #[query(answer = bool, crate = toolkit)]
    struct IsOpen {}

    #[derive(Clone, Event)]
    #[event(crate = toolkit)]
    enum DoorEvent {
        Knocked { times: u8 },
    }

    #[derive(Debug, Clone, thiserror::Error, Rejection)]
    #[rejection(crate = toolkit)]
    enum DoorRejection {
        #[error("nobody is in")]
        NobodyIn { since: u8 },
    }

    #[aggregate(type = "door", event = DoorEvent, rejection = DoorRejection, client = pub(self) Doors, crate = toolkit)]
    impl Door {
        fn init(_: &toolkit::AggregateId) -> Self {
            Self {}
        }

        fn evolve(&mut self, _: &DoorEvent) {}

        #[command]
        fn knock(&self, _: Knock) -> Result<DoorEvent, DoorRejection> {
            Err(DoorRejection::NobodyIn { since: 3 })
        }

        #[query]
        fn is_open(&self, _: IsOpen) -> bool {
            false
        }
    }

    #[tokio::test]
    async fn everything_works_the_same() {
        let built = toolkit::dispatch::Dispatcher::builder(toolkit::store::MemoryStore::new()).aggregate::<Door>();
        let doors = Doors::new(built.build().unwrap());
        let refused = doors.knock("front", Knock {}).await.unwrap_err();
        assert!(matches!(refused.rejection(), Some(DoorRejection::NobodyIn { since: 3 })), "{refused:?}");
        let unasked = doors.is_open("front", IsOpen {}).await.unwrap_err();
        assert_eq!(unasked.failure().unwrap().code, toolkit::FailureCode::NotFound);
    }
}
