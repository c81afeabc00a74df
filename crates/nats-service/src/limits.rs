//! What an instance takes on: how large, how many, for how long.

mod check;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_nats::connect::HumanDuration;
use headwater_nats::limits::{InvalidReplyPrefix, Limits as RequestLimits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::endpoint::Asks;

/// What an instance takes on: how large, how many, for how long. Handed to [`Service::limits`](crate::Service::limits).
///
/// ```
/// use headwater_nats_service::Limits;
/// use std::time::Duration;
///
/// let limits = Limits::default()
///     .max_body(16 * 1024)
///     .in_flight(256)
///     .command_in_flight("receipt.import", 4)
///     .default_deadline(Duration::from_secs(2));
/// assert!(limits.allow_replies_under("_INBOX_till").is_ok());
/// ```
///
/// The same as TOML:
///
/// ```toml
/// [limits]
/// max_body = 16384
/// in_flight = 256
/// commands."receipt.import" = { in_flight = 4 }
/// default_deadline = "2s"
/// reply_prefixes = ["_INBOX_till"]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct Limits {
    /// The largest body of a request, in bytes; 64 KiB by default.
    #[schemars(range(min = 1))]
    pub(crate) max_body: usize,
    /// The most header lines of a request; 64 by default.
    pub(crate) max_header_lines: usize,
    /// The most bytes of a request's headers; 8 KiB by default.
    pub(crate) max_header_bytes: usize,
    /// The deepest nesting of objects and arrays in a request; 32 by default.
    #[schemars(range(min = 1))]
    pub(crate) max_json_depth: usize,
    /// The largest body of a reply, in bytes. The server's `max_payload` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024))]
    pub(crate) max_reply: Option<usize>,
    /// The most bytes that the data of one event may have. The store's limit by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(crate) max_event_size: Option<usize>,
    /// The most events of one command; 1000 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) max_events: Option<usize>,
    /// How many commands, and how many queries, may be under way at once; 1024 of each by default.
    #[schemars(range(min = 1))]
    pub(crate) in_flight: usize,
    /// How many commands may wait for one aggregate; 1024 by default.
    #[schemars(range(min = 1))]
    pub(crate) lane: usize,
    /// How long a request that names no deadline may take; 10 s by default.
    pub(crate) default_deadline: HumanDuration,
    /// The longest a request may take whatever deadline it names; 60 s by default.
    pub(crate) longest_deadline: HumanDuration,
    /// How long a handler may ask outside for one command. As long as the request may take by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) handler_timeout: Option<HumanDuration>,
    /// Subjects under which callers may wait for answers, beside `_INBOX` and `_R_`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) reply_prefixes: Vec<String>,
    /// Limits of single commands, as `aggregate.command`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) commands: BTreeMap<String, Single>,
    /// Limits of single queries, as `aggregate.query`, `get` and `history` included.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) queries: BTreeMap<String, Single>,
}

/// The limits of one command or query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Single {
    /// How many may be under way at once.
    #[schemars(range(min = 1))]
    pub(crate) in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let request = RequestLimits::default();
        Self {
            max_body: request.max_body,
            max_header_lines: request.max_header_lines,
            max_header_bytes: request.max_header_bytes,
            max_json_depth: request.max_json_depth,
            max_reply: None,
            max_event_size: None,
            max_events: None,
            in_flight: 1024,
            lane: 1024,
            default_deadline: HumanDuration::from_secs(10),
            longest_deadline: HumanDuration::from_secs(60),
            handler_timeout: None,
            reply_prefixes: Vec::new(),
            commands: BTreeMap::new(),
            queries: BTreeMap::new(),
        }
    }
}

impl Limits {
    /// The largest body of a request, in bytes; 64 KiB by default. Above it: 413.
    pub fn max_body(self, bytes: usize) -> Self {
        Self { max_body: bytes, ..self }
    }

    /// The most header lines of a request; 64 by default. Above it: 413.
    pub fn max_header_lines(self, lines: usize) -> Self {
        Self { max_header_lines: lines, ..self }
    }

    /// The most bytes of a request's headers; 8 KiB by default. Above it: 413.
    pub fn max_header_bytes(self, bytes: usize) -> Self {
        Self { max_header_bytes: bytes, ..self }
    }

    /// The deepest nesting of objects and arrays in a request; 32 by default. Above it: 400.
    pub fn max_json_depth(self, levels: usize) -> Self {
        Self { max_json_depth: levels, ..self }
    }

    /// The largest body of a reply, in bytes. The server's `max_payload` by default, and never above
    /// it. What does not fit is a 413; a page of a history is cut instead.
    pub fn max_reply(self, bytes: usize) -> Self {
        Self { max_reply: Some(bytes), ..self }
    }

    /// The most bytes that the data of one event may have. A command that leads to a larger one is refused with 413, which
    /// names event and size, and nothing of it is stored. The store's own limit by default, which holds in any case; the one on
    /// JetStream counts the whole event and keeps below the server's `max_payload`.
    pub fn max_event_size(self, bytes: usize) -> Self {
        Self { max_event_size: Some(bytes), ..self }
    }

    /// The most events that one command may lead to; 1000 by default, and never above it. One with more is refused with 413,
    /// and nothing of it is stored.
    pub fn max_events(self, events: usize) -> Self {
        Self { max_events: Some(events), ..self }
    }

    /// How many commands, and how many queries, may be under way at once; 1024 of each by default.
    /// Above it: 503 `unavailable` with the reason `overloaded`, at once.
    pub fn in_flight(self, requests: usize) -> Self {
        Self { in_flight: requests, ..self }
    }

    /// How many requests for one command, as `aggregate.command`, may be under way at once, so that a slow one leaves places
    /// for the others. Above it: 503 `unavailable` with the reason `overloaded`, at once. Only [`in_flight`](Self::in_flight)
    /// by default.
    pub fn command_in_flight(mut self, command: impl Into<String>, requests: usize) -> Self {
        self.commands.insert(command.into(), Single { in_flight: requests });
        self
    }

    /// The same for one query, as `aggregate.query`. `get` and `history` are queries too.
    pub fn query_in_flight(mut self, query: impl Into<String>, requests: usize) -> Self {
        self.queries.insert(query.into(), Single { in_flight: requests });
        self
    }

    /// How many commands may wait for one aggregate; 1024 by default. Above it: 503 `unavailable`
    /// with the reason `overloaded`.
    pub fn lane(self, commands: usize) -> Self {
        Self { lane: commands, ..self }
    }

    /// How long a request that names no deadline may take; 10 s by default. Then: 504.
    pub fn default_deadline(self, time: Duration) -> Self {
        Self { default_deadline: time.into(), ..self }
    }

    /// The longest a request may take whatever deadline it names; 60 s by default. A caller with a
    /// wrong clock could otherwise occupy a place for ever.
    pub fn longest_deadline(self, time: Duration) -> Self {
        Self { longest_deadline: time.into(), ..self }
    }

    /// How long the handler of a command may ask outside; as long as the request may take by default. Then: 504, nothing is
    /// stored, and the next command on the aggregate has its turn. The handler's future is dropped where it waits, so what it
    /// asked for outside may have happened.
    pub fn handler_timeout(self, time: Duration) -> Self {
        Self { handler_timeout: Some(time.into()), ..self }
    }

    /// Also answers to reply subjects under `prefix`, for callers with an inbox prefix of their own.
    /// By default answers go to `_INBOX.` and `_R_.` only.
    ///
    /// # Errors
    /// [`InvalidReplyPrefix`] when it holds wildcards, spaces or empty tokens, or starts with `$`.
    pub fn allow_replies_under(mut self, prefix: &str) -> Result<Self, InvalidReplyPrefix> {
        let _ = RequestLimits::default().allow_replies_under(prefix)?;
        self.reply_prefixes.push(prefix.to_owned());
        Ok(self)
    }

    /// What is accepted of a request before it is looked at any closer. The limits were checked.
    pub(crate) fn request(&self) -> RequestLimits {
        let mut request = RequestLimits::default();
        request.max_body = self.max_body;
        request.max_header_lines = self.max_header_lines;
        request.max_header_bytes = self.max_header_bytes;
        request.max_json_depth = self.max_json_depth;
        let allow = |request: RequestLimits, prefix: &String| request.allow_replies_under(prefix);
        self.reply_prefixes.iter().try_fold(request, allow).expect("the prefixes were checked")
    }

    /// Places for requests that wait at the edge: as many as may be under way behind it.
    pub(crate) fn waiting(&self) -> usize {
        self.in_flight.saturating_mul(4).min(Semaphore::MAX_PERMITS)
    }

    /// Places for the requests of one command or query, where it has a limit of its own.
    pub(crate) fn places_of(&self, aggregate: &str, asks: &Asks) -> Option<Arc<Semaphore>> {
        let singles = match asks {
            Asks::Command(_) => &self.commands,
            Asks::Query(_) => &self.queries,
        };
        if singles.is_empty() {
            return None;
        }
        let single = singles.get(&format!("{aggregate}.{}", asks.name()))?;
        Some(Arc::new(Semaphore::new(single.in_flight)))
    }
}

/// A reply limit below this could not hold every failure.
pub(crate) const SMALLEST_REPLY: usize = 1024;
