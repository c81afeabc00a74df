//! The bodies of replies, to and from the core's types.
//!
//! States, answers and events are handed through as the JSON they are; nothing parses them on the
//! way. Reading tolerates members and codes it does not know.
//!
//! ```
//! use bytes::Bytes;
//! use headwater_core::{AggregateId, Revision, Sequence, call::EntityReply};
//! use headwater_nats::reply::{self, Served};
//!
//! let aggregate = AggregateId::new("receipt", "order-1")?;
//! let entity = EntityReply {
//!     aggregate: aggregate.clone(),
//!     revision: Revision::new(4),
//!     sequence: Sequence::new(1041),
//!     state: Bytes::from_static(br#"{"status":"open"}"#),
//! };
//! let body = Bytes::from(reply::write_entity(&entity, &Served::now("instance-1")));
//! let read = reply::read_entity(None, &body, &aggregate)?;
//! assert_eq!(read.state, entity.state);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod failure;
mod read;
mod write;

use std::time::Duration;

use chrono::{DateTime, Utc};
use headwater_core::call::RequestMetadata;

pub use read::{ReplyError, read_command, read_entity, read_failure, read_history, read_query};
pub use write::{write_command, write_entity, write_failure, write_history, write_query};

/// How a request was served: what goes into a reply's `metadata`.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Served<'a> {
    /// The instance that served it.
    pub instance: &'a str,
    /// When the reply was made.
    pub timestamp: DateTime<Utc>,
    /// How long it took inside the service.
    pub duration: Duration,
    /// What the caller said about the request, whose command id and correlation id the reply
    /// repeats; none when the request could not be read.
    pub request: Option<&'a RequestMetadata>,
}

impl<'a> Served<'a> {
    /// Served by `instance` now, in no time, to a caller who said nothing.
    pub fn now(instance: &'a str) -> Self {
        Self { instance, timestamp: Utc::now(), duration: Duration::ZERO, request: None }
    }

    /// What the caller said.
    pub fn request(self, request: &'a RequestMetadata) -> Self {
        Self { request: Some(request), ..self }
    }

    /// How long it took.
    pub fn took(self, duration: Duration) -> Self {
        Self { duration, ..self }
    }
}
