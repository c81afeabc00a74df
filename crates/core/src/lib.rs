//! Headwater's words and rules: aggregates, commands, events, the event store port and
//! in-process dispatch. No NATS, no sockets, no global clock.
#![deny(missing_docs)]

#[doc(hidden)]
pub mod __private;
mod aggregate;
pub mod call;
pub mod client;
mod clock;
mod command;
mod contract;
pub mod description;
pub mod dispatch;
mod event;
pub mod evolution;
mod failure;
mod id;
mod metadata;
mod name;
mod query;
mod rejection;
mod revision;
pub mod scenario;
pub mod schema;
pub mod store;
mod upcast;

pub use aggregate::{Aggregate, Decide, Handle, HandleError};
pub use clock::{Clock, SystemClock};
pub use command::{Command, CommandContext};
pub use contract::Contract;
pub use description::{AggregateType, Describe, DescribeError, Described};
pub use event::{DecodeError, Event, EventType, IntoEvents, JSON, NewEvent, RecordedEvent};
pub use failure::{Failure, FailureCode, Violation};
pub use id::{AggregateId, CommandId, EventId, IdError, InvalidAggregateId, MAX_ID_LENGTH};
pub use metadata::{MAX_METADATA_LENGTH, Metadata};
pub use name::{MAX_NAME_LENGTH, Name, NameError, is_name};
pub use query::{Answer, Query};
pub use rejection::{NeverRejected, Rejection, RejectionType};
pub use revision::{Revision, Sequence};
pub use scenario::Scenario;
pub use upcast::{UpcastEvent, Upcasters};
