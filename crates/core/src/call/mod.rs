//! Calls to a service: what is asked, what comes back, and the [`Transport`] between.
//!
//! The dispatcher answers these in process; a NATS client carries them over the wire. A typed
//! client is written against [`Transport`] and does not know which of the two it has.

mod error;
mod request;
mod transport;

pub use error::{CallError, LostReply};
pub use request::{
    CommandReply, CommandRequest, EntityReply, EventSummary, GetRequest, HistoryReply, HistoryRequest, QueryReply,
    QueryRequest, RequestMetadata, ReturnMode,
};
pub use transport::{CallOptions, LiveEvent, LiveEvents, Transport};
