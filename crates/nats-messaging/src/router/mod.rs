//! Handlers of events and requests by subject: plain async functions that say by their parameters what they want.

mod answer;
mod context;
mod dispatch;
mod endpoint;
mod extract;
mod function;
pub mod handler;
mod layers;
mod limits;
mod naming;
mod opened;
mod pattern;
mod payload;
mod plan;
mod requests;
mod route;
#[expect(clippy::module_inception, reason = "the file is named after its idea")]
mod router;
mod running;
mod settings;
mod start;
mod telemetry;
mod tree;

pub use answer::{Answer, IntoOutcome, IntoReply, Poison, Reply, RetryAfter};
pub use context::Context;
pub use extract::{Extension, FromMessage, FromState, Headers, Json, MessageId, Payload, State, Subject};
pub use function::Handler;
pub use handler::{EventHandler, Outcome};
pub use layers::Next;
pub use naming::ConsumerOf;
pub use pattern::{Pattern, PatternError};
pub use route::Route;
pub use router::Router;
pub use running::{Running, Shutdown};
pub use settings::{Group, Stream};
pub use start::{Problem, StartError};
pub use tree::Tree;
