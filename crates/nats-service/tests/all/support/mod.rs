//! A small aggregate written by hand, a service of it on a server of its own, and plain NATS requests to it.
#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part of this")]

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, HeaderMap, Message};
use bytes::Bytes;
use headwater_core::store::MemoryStore;
use headwater_core::{
    Aggregate, AggregateId, AggregateType, Answer, Command, CommandContext, Decide, DecodeError, Describe, Described,
    Event, EventType, Handle, HandleError, Query, Rejection, RejectionType,
};
use headwater_nats::connect::{Connection, NatsConfig};
use headwater_nats_service::{RunningService, Service};
use headwater_testkit::TestServer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

/// Adds numbers up, and misbehaves on request.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    pub id: String,
    pub total: i64,
    pub padding: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    #[schemars(range(min = -1000, max = 1000))]
    pub amount: i64,
}

/// Several events at once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AddMany {
    pub amounts: Vec<i64>,
}

/// Makes the state large.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Pad {
    pub bytes: usize,
}

/// Is always rejected.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Refuse {}

/// Panics.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Explode {}

/// Adds one when the gate lets it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AddLater {}

/// Asks something that does not answer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AskOutside {}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct IsAbove {
    pub limit: i64,
}

/// A query whose answer panics.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ExplodeToo {}

macro_rules! named {
    ($($command:ident = $name:literal),* $(,)?) => { $(impl Command for $command { const NAME: &'static str = $name; })* };
}

named!(
    Add = "add",
    AddMany = "add-many",
    Pad = "pad",
    Refuse = "refuse",
    Explode = "explode",
    AddLater = "add-later",
    AskOutside = "ask-outside",
);

impl Query for IsAbove {
    const NAME: &'static str = "is-above";
    type Answer = bool;
}

impl Query for ExplodeToo {
    const NAME: &'static str = "explode-too";
    type Answer = bool;
}

impl Answer<IsAbove> for Tally {
    fn answer(&self, query: IsAbove) -> bool {
        self.total > query.limit
    }
}

impl Answer<ExplodeToo> for Tally {
    fn answer(&self, _: ExplodeToo) -> bool {
        panic!("as the test wants it");
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Added {
    pub amount: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Padded {
    pub bytes: usize,
}

#[derive(Debug, Clone)]
pub enum TallyEvent {
    Added(Added),
    Padded(Padded),
}

impl Event for TallyEvent {
    fn types() -> Vec<EventType> {
        vec![
            EventType { name: "added", schema_version: 1, schema: |g| g.subschema_for::<Added>() },
            EventType { name: "padded", schema_version: 1, schema: |g| g.subschema_for::<Padded>() },
        ]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Added(_) => "added",
            Self::Padded(_) => "padded",
        }
    }

    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Added(data) => serde_json::to_vec(data),
            Self::Padded(data) => serde_json::to_vec(data),
        }
    }

    fn decode(name: &str, data: &[u8]) -> Result<Self, DecodeError> {
        let read = match name {
            "added" => serde_json::from_slice(data).map(Self::Added),
            "padded" => serde_json::from_slice(data).map(Self::Padded),
            _ => return Err(DecodeError::UnknownEvent { name: name.to_owned() }),
        };
        read.map_err(|source| DecodeError::Data { name: name.to_owned(), source })
    }
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum TallyRejection {
    #[error("not with me, {by}")]
    NotWithMe { by: String },
}

impl Rejection for TallyRejection {
    fn types() -> Vec<RejectionType> {
        vec![RejectionType { name: "not-with-me", schema: |g| g.subschema_for::<Map<String, Value>>() }]
    }

    fn name(&self) -> &'static str {
        "not-with-me"
    }

    fn members(&self) -> Map<String, Value> {
        let Self::NotWithMe { by } = self;
        Map::from_iter([("by".to_owned(), by.clone().into())])
    }

    fn from_parts(_: &str, members: &Map<String, Value>) -> Option<Self> {
        Some(Self::NotWithMe { by: members.get("by")?.as_str()?.to_owned() })
    }
}

impl Aggregate for Tally {
    const TYPE: &'static str = "tally";
    type Event = TallyEvent;
    type Rejection = TallyRejection;

    fn init(id: &AggregateId) -> Self {
        Self { id: id.id().to_owned(), total: 0, padding: String::new() }
    }

    fn evolve(&mut self, event: &TallyEvent) {
        match event {
            TallyEvent::Added(Added { amount }) => self.total += amount,
            TallyEvent::Padded(Padded { bytes }) => self.padding = "x".repeat(*bytes),
        }
    }
}

type Decided = Result<Vec<TallyEvent>, TallyRejection>;

impl Decide<Add> for Tally {
    fn decide(&self, command: Add, _: &CommandContext) -> Decided {
        Ok(vec![TallyEvent::Added(Added { amount: command.amount })])
    }
}

impl Decide<AddMany> for Tally {
    fn decide(&self, command: AddMany, _: &CommandContext) -> Decided {
        Ok(command.amounts.into_iter().map(|amount| TallyEvent::Added(Added { amount })).collect())
    }
}

impl Decide<Pad> for Tally {
    fn decide(&self, command: Pad, _: &CommandContext) -> Decided {
        Ok(vec![TallyEvent::Padded(Padded { bytes: command.bytes })])
    }
}

impl Decide<Refuse> for Tally {
    fn decide(&self, _: Refuse, _: &CommandContext) -> Decided {
        Err(TallyRejection::NotWithMe { by: "the tally".to_owned() })
    }
}

impl Decide<Explode> for Tally {
    fn decide(&self, _: Explode, _: &CommandContext) -> Decided {
        panic!("as the test wants it");
    }
}

/// What the handlers of the aggregate ask: a gate that opens for one command at a time.
#[derive(Debug)]
pub struct Gate(pub Semaphore);

impl Handle<AddLater, Gate> for Tally {
    async fn handle(
        &self,
        _: AddLater,
        _: &CommandContext,
        gate: &Gate,
    ) -> Result<Vec<TallyEvent>, HandleError<TallyRejection>> {
        gate.0.acquire().await.expect("the gate is never closed").forget();
        Ok(vec![TallyEvent::Added(Added { amount: 1 })])
    }
}

impl Handle<AskOutside, Gate> for Tally {
    async fn handle(
        &self,
        _: AskOutside,
        _: &CommandContext,
        _: &Gate,
    ) -> Result<Vec<TallyEvent>, HandleError<TallyRejection>> {
        Err(HandleError::unavailable("price-list", "no route to host"))
    }
}

impl Described for Tally {
    type Env = Gate;

    fn describe(gate: Arc<Gate>) -> Describe<Self> {
        Describe::new()
            .command::<Add>()
            .command::<AddMany>()
            .command::<Pad>()
            .command::<Refuse>()
            .command::<Explode>()
            .handled_command::<AddLater, Gate>(Arc::clone(&gate))
            .handled_command::<AskOutside, Gate>(gate)
            .query::<IsAbove>()
            .query::<ExplodeToo>()
    }
}

/// A closed gate.
pub fn gate() -> Arc<Gate> {
    Arc::new(Gate(Semaphore::new(0)))
}

/// The aggregate type with a gate of its own.
pub fn tally() -> AggregateType {
    Tally::describe(gate()).build().expect("the description holds together")
}

/// The service `tallies` over `store`, with nothing out of the ordinary.
pub fn tallies(store: &MemoryStore) -> Service {
    Service::builder("tallies", "1.2.3").aggregate_with::<Tally>(gate()).store(store.clone())
}

pub async fn connection(server: &TestServer) -> Connection {
    Connection::connect(&NatsConfig::new(server.url().as_str())).await.expect("the server lets us in")
}

/// A service on a server of its own, and a caller.
pub struct World {
    pub service: RunningService,
    pub caller: Caller,
    pub store: MemoryStore,
    pub server: TestServer,
}

impl World {
    pub async fn start() -> Self {
        Self::with(|service| service).await
    }

    /// The service as `describe` changes it.
    pub async fn with(describe: impl FnOnce(Service) -> Service) -> Self {
        Self::on(TestServer::start().await, describe).await
    }

    /// The same with a gate that the test opens.
    pub async fn gated(gate: &Arc<Gate>, describe: impl FnOnce(Service) -> Service) -> Self {
        let gated = |store: &MemoryStore| {
            let service = Service::builder("tallies", "1.2.3").aggregate_with::<Tally>(Arc::clone(gate));
            describe(service.store(store.clone()))
        };
        Self::run(TestServer::start().await, gated).await
    }

    /// The same on this server.
    pub async fn on(server: TestServer, describe: impl FnOnce(Service) -> Service) -> Self {
        Self::run(server, |store| describe(tallies(store))).await
    }

    async fn run(server: TestServer, describe: impl FnOnce(&MemoryStore) -> Service) -> Self {
        let store = MemoryStore::new();
        let service = describe(&store).start(connection(&server).await).await.expect("the service starts");
        Self { caller: Caller::connect(&server).await, service, store, server }
    }
}

/// Asks with plain NATS requests.
#[derive(Clone)]
pub struct Caller {
    pub client: Client,
}

/// An answer, with what a plain NATS client sees of it.
#[derive(Debug)]
pub struct Reply {
    pub body: Value,
    pub headers: HeaderMap,
}

impl Caller {
    pub async fn connect(server: &TestServer) -> Self {
        let client = async_nats::connect(server.url()).await.expect("the server lets us in");
        Self { client }
    }

    pub async fn ask(&self, subject: &str, body: impl Into<Bytes>) -> Reply {
        self.ask_with(subject, HeaderMap::new(), body).await
    }

    pub async fn ask_with(&self, subject: &str, headers: HeaderMap, body: impl Into<Bytes>) -> Reply {
        self.try_ask(subject, headers, body).await.unwrap_or_else(|error| panic!("{subject}: {error}"))
    }

    pub async fn try_ask(
        &self,
        subject: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Result<Reply, async_nats::RequestError> {
        let request =
            async_nats::Request::new().headers(headers).payload(body.into()).timeout(Some(Duration::from_secs(15)));
        self.client.send_request(subject.to_owned(), request).await.map(Reply::of)
    }

    /// Sends a command to the tally called `id`.
    pub async fn command(&self, id: &str, name: &str, payload: Value) -> Reply {
        self.ask(&format!("tallies.command.tally.{name}"), body(id, &payload)).await
    }

    pub async fn query(&self, name: &str, body: Value) -> Reply {
        self.ask(&format!("tallies.query.tally.{name}"), body.to_string()).await
    }

    /// The state of the tally called `id`.
    pub async fn get(&self, id: &str) -> Reply {
        self.query("get", json!({ "aggregateId": id })).await
    }
}

/// The body of a command request.
pub fn body(id: &str, payload: &Value) -> String {
    json!({ "aggregateId": id, "command": payload }).to_string()
}

impl Reply {
    pub fn of(message: Message) -> Self {
        let body = serde_json::from_slice(&message.payload).expect("an answer is JSON");
        Self { body, headers: message.headers.unwrap_or_default() }
    }

    /// The result of a success.
    #[track_caller]
    pub fn result(&self) -> &Value {
        assert_eq!(self.body["success"], true, "{:#}", self.body);
        assert!(self.body.get("error").is_none() && self.headers.is_empty(), "{self:?}");
        &self.body["result"]
    }

    /// The error of a failure, which must carry this number and code, in the headers too.
    #[track_caller]
    pub fn failure(&self, number: u16, code: &str) -> &Value {
        assert_eq!(self.body["success"], false, "{:#}", self.body);
        assert!(self.body.get("result").is_none(), "{:#}", self.body);
        let error = &self.body["error"];
        assert_eq!(error["code"], code, "{error:#}");
        let header = |name: &str| self.headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default();
        assert_eq!(header("Nats-Service-Error-Code"), number.to_string(), "{error:#}");
        assert!(!header("Nats-Service-Error").is_empty());
        let retryable = matches!(code, "rate-limited" | "unavailable" | "outcome-unknown" | "deadline-exceeded");
        assert_eq!(error["retryable"], retryable, "{error:#}");
        error
    }
}

/// Headers of a request.
pub fn headers<const N: usize>(lines: [(&str, &str); N]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name, value);
    }
    headers
}

/// Another aggregate type with a command of the same name.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Plain {
    pub count: u64,
}

impl Aggregate for Plain {
    const TYPE: &'static str = "plain";
    type Event = TallyEvent;
    type Rejection = TallyRejection;

    fn init(_: &AggregateId) -> Self {
        Self::default()
    }

    fn evolve(&mut self, _: &TallyEvent) {
        self.count += 1;
    }
}

impl Decide<Add> for Plain {
    fn decide(&self, command: Add, _: &CommandContext) -> Decided {
        Ok(vec![TallyEvent::Added(Added { amount: command.amount })])
    }
}

pub fn plain() -> AggregateType {
    Describe::<Plain>::new().command::<Add>().build().expect("the description holds together")
}
