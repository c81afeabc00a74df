//! A request on its way to its aggregate.

use std::fmt;
use std::sync::Arc;

use async_nats::HeaderMap;
use bytes::Bytes;
use headwater_core::Name;
use headwater_nats::header;
use headwater_nats::subject::CallKind;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::edge::{Caller, Ticket};
use crate::endpoint::Asks;

/// A request on its way to its aggregate, as the layers of the edge see it.
pub struct Request {
    pub(crate) ticket: Ticket,
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) body: Bytes,
    pub(crate) deadline: Instant,
    pub(crate) caller: Option<Arc<Caller>>,
    pub(crate) place: Option<Place>,
}

/// A place among the requests under way; free again when it is dropped.
pub(crate) struct Place {
    pub(crate) _instance: OwnedSemaphorePermit,
    pub(crate) _endpoint: Option<OwnedSemaphorePermit>,
}

impl Request {
    /// Whether it is a command or a query.
    #[must_use]
    pub fn kind(&self) -> CallKind {
        match self.ticket.endpoint.asks {
            Asks::Command(_) => CallKind::Command,
            Asks::Query(_) => CallKind::Query,
        }
    }

    /// The aggregate type it is for.
    #[must_use]
    pub fn aggregate(&self) -> &Name {
        &self.ticket.endpoint.aggregate
    }

    /// The command or query, such as `add-item` or `get`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.ticket.endpoint.asks.name()
    }

    /// The subject it was sent to.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.ticket.endpoint.subject
    }

    /// The first value of a header, whatever the case of the name's letters. At most as large as the
    /// [limits](crate::Limits) allow once the stage [`Limits`](crate::edge::Stage::Limits) is passed.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header::get(self.headers.as_ref()?, name)
    }

    /// The body as it came.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// When the answer stops mattering. Before the stage [`Deadline`](crate::edge::Stage::Deadline) is passed this is the
    /// service's default.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When it was taken in.
    #[must_use]
    pub fn arrived(&self) -> Instant {
        self.ticket.arrived
    }

    /// Who is calling; none before the stage [`Auth`](crate::edge::Stage::Auth), and with auth off.
    #[must_use]
    pub fn caller(&self) -> Option<&Arc<Caller>> {
        self.caller.as_ref()
    }

    /// Says who is calling, for a layer that finds out by itself.
    pub fn set_caller(&mut self, caller: impl Into<Arc<Caller>>) {
        self.caller = Some(caller.into());
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if self.place.is_some() {
            self.ticket.endpoint.counters.in_flight.sub(1);
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("subject", &self.subject())
            .field("bytes", &self.body.len())
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}
