//! A service on NATS from described aggregates: discoverable, bounded, and never silent towards a caller.
//!
//! ```
//! # use headwater_core::*;
//! # use schemars::JsonSchema;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Clone, Serialize, Deserialize, JsonSchema)] struct Counter { count: u64 }
//! # #[derive(Clone, Serialize, Deserialize, JsonSchema)] struct Increment { by: u64 }
//! # impl Command for Increment { const NAME: &'static str = "increment"; }
//! # #[derive(Clone, Serialize, Deserialize, JsonSchema)] struct Incremented { by: u64 }
//! # impl Event for Incremented {
//! #     fn types() -> Vec<EventType> {
//! #         vec![EventType { name: "incremented", schema_version: 1, schema: |g| g.subschema_for::<Incremented>() }]
//! #     }
//! #     fn name(&self) -> &'static str { "incremented" }
//! #     fn encode(&self) -> Result<Vec<u8>, serde_json::Error> { serde_json::to_vec(self) }
//! #     fn decode(name: &str, data: &[u8]) -> Result<Self, DecodeError> {
//! #         serde_json::from_slice(data).map_err(|source| DecodeError::Data { name: name.to_owned(), source })
//! #     }
//! # }
//! # impl Aggregate for Counter {
//! #     const TYPE: &'static str = "counter";
//! #     type Event = Incremented;
//! #     type Rejection = NeverRejected;
//! #     fn init(_: &AggregateId) -> Self { Counter { count: 0 } }
//! #     fn evolve(&mut self, event: &Incremented) { self.count += event.by; }
//! # }
//! # impl Decide<Increment> for Counter {
//! #     fn decide(&self, command: Increment, _: &CommandContext) -> Result<Vec<Incremented>, NeverRejected> {
//! #         Ok(vec![Incremented { by: command.by }])
//! #     }
//! # }
//! # impl Described for Counter {
//! #     type Env = ();
//! #     fn describe(_: std::sync::Arc<()>) -> Describe<Self> { Describe::new().command::<Increment>() }
//! # }
//! use headwater_core::store::MemoryStore;
//! use headwater_nats::connect::{Connection, NatsConfig};
//! use headwater_nats_service::{Limits, Service};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = headwater_testkit::TestServer::start().await;
//! # let url = server.url();
//! let connection = Connection::connect(&NatsConfig::new(url.as_str())).await?;
//! let service = Service::builder("counters", "1.0.0")
//!     .description("Counts.")
//!     .aggregate::<Counter>()
//!     .store(MemoryStore::new())
//!     .limits(Limits::default().in_flight(256))
//!     .start(connection)
//!     .await?;
//!
//! // Any program that speaks NATS can ask it.
//! let client = async_nats::connect(&url).await?;
//! let command = r#"{"aggregateId": "visitors", "command": {"by": 2}}"#;
//! let reply = client.request("counters.command.counter.increment", command.into()).await?;
//! let reply: serde_json::Value = serde_json::from_slice(&reply.payload)?;
//! assert_eq!(reply["result"]["state"]["count"], 2);
//!
//! service.drain().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What an instance does with a request
//!
//! One subscription takes all commands and one all queries, so that what the service does not have is answered too. A message
//! is looked at in this order, and what fails first is the answer:
//!
//! 1. **Subject**: a message under a subject that is not the service's is dropped and counted ([`StrayStats::foreign`]).
//! 2. **Reply subject**: without one, or with one outside `_INBOX.`, `_R_.` and [`Limits::allow_replies_under`], there is no
//!    answer and nothing is done; it is counted. An answer elsewhere could be stored as an event or reach an API.
//! 3. **Known**: 400 for an aggregate type or command, 404 for a query that the service does not have.
//! 4. The [stages of the edge](edge::Stage), and [layers](edge) of yours between them: **size** of headers and body (413) and
//!    **content type** other than JSON (400); the **deadline** in `Headwater-Deadline` has passed (504); features that are on;
//!    **draining** or too many under way (503, at once).
//! 5. **Depth** of the JSON, then the envelope: 400. A command takes its place in its aggregate's lane here, in the order of
//!    arrival; everything after that happens side by side. A `get` that memory can answer is answered here.
//!
//! Whatever happens then is an answer of the protocol, a panic in a handler too (500), and the next request is served. From a
//! caller's headers only a valid `traceparent` reaches an event.
//!
//! A state too large to send does not undo a command: the answer is then 413 with `executed: true`, `revision` and `sequence`
//! in its details, and `"return": "revision"` asks for a reply without the state. A page of a history is cut instead.
//!
//! # What it promises
//!
//! - Commands that one connection sends to one aggregate run in the order they were sent, within an instance
//!   (`tests/all/order_and_load.rs`).
//! - [`RunningService::drain`] loses no request that reached the instance: it is answered, or nobody listened any more
//!   (`tests/all/draining.rs`). Where the connection was lost just before or while leaving, what was on the wire may be lost.
//! - When the client dies or the connection breaks, the instance subscribes again, usually within milliseconds; what it had
//!   taken in is finished, and the answers of the last moment are sent again (`tests/all/hostile.rs`, `tests/all/starting.rs`). A
//!   caller may so get the same answer twice.
//! - Whoever is sent more than it takes on ([`Limits`]) refuses the rest at once and serves what it has admitted
//!   (`tests/all/overload.rs`, `tests/all/limits.rs`).
//! - Discovery is ADR-32 in full, checked against schemas written from its text (`tests/all/discovery.rs`).
//!
//! # Statistics
//!
//! `num_requests` counts answers. `num_errors` counts those of 500 and above, without requests that were turned away because
//! there were too many or the instance was leaving; `last_error` is `{number}:{code}` and names no aggregate. An endpoint's
//! `data` has `codes` (answers by code, `ok` for successes), `in_flight`, `shed`, `refused_reply`, `no_reply`, and
//! `answer_micros`: `p50`, `p90` and `p99` of the microseconds from arrival to answer, of requests that were not turned away.
//! They are within 4 %, from buckets of fixed number, and null before the first answer; [`RunningService::reset_stats`] begins
//! anew. What no endpoint stands for is in a member `data` of the whole answer, beside ADR-32's, as in [`ServiceStats`].
//!
//! # Rooms
//!
//! | file | holds |
//! |---|---|
//! | `service`, `limits`, `start`, `problem` | describing and starting |
//! | `running`, `presence` | the handle; the task that subscribes, subscribes again, and sees the instance out |
//! | `subscriptions`, `requests`, `reading` | what is listened to, how to leave it without loss, the reading loops |
//! | `door`, `endpoint` | messages that are requests, and others; what there is to ask |
//! | [`edge`] | the stages and layers that a request passes, and what then becomes of it |
//! | `replies`, `outbox` | sending answers |
//! | `auth` | who is calling, and what they may do |
//! | `probes` | probes over HTTP, off unless asked for |
//! | `rate_limit`, `circuit_breaker` | how many requests are taken, and what is left alone because it fails; off unless asked for |
//! | `telemetry` | traces and metrics, off unless asked for |
//! | `control`, `about`, `health`, `counters`, `answer_times`, `stats` | what the instance tells about itself |
#![deny(missing_docs)]

mod about;
mod answer_times;
pub mod auth;
mod circuit_breaker;
mod config;
mod control;
mod counters;
mod door;
pub mod edge;
mod endpoint;
mod health;
mod instance;
mod limits;
mod outbox;
mod presence;
mod probes;
mod problem;
mod queue_groups;
mod rate_limit;
mod reading;
mod replies;
mod requests;
mod running;
mod service;
mod start;
mod stats;
mod subscriptions;
mod telemetry;

pub use circuit_breaker::{CircuitBreaker, CircuitState, CircuitStats, Dependency, DependencyError, Window};
pub use config::{ConfigError, GeneralConfig, ProbesConfig, ServiceConfig};
pub use headwater_nats::telemetry::{ReaderSpans, Telemetry};
pub use limits::Limits;
pub use probes::Probes;
pub use problem::{Problem, StartError};
pub use queue_groups::QueueGroups;
pub use rate_limit::{Rate, RateLimit, RateLimitStats, RefusedStats};
pub use running::{DrainReport, RunningService, Stopped};
pub use service::Service;
pub use stats::{ServiceStats, StrayStats};
