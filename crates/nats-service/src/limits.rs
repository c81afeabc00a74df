//! What an instance takes on: how large, how many, for how long.

use std::time::Duration;

use headwater_nats::limits::{InvalidReplyPrefix, Limits as RequestLimits};

use crate::problem::Problems;

/// What an instance takes on: how large, how many, for how long.
///
/// ```
/// use headwater_nats_service::Limits;
/// use std::time::Duration;
///
/// let limits = Limits::default().max_body(16 * 1024).in_flight(64).default_deadline(Duration::from_secs(2));
/// assert!(limits.allow_replies_under("_INBOX_till").is_ok());
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Limits {
    pub(crate) request: RequestLimits,
    pub(crate) in_flight: usize,
    pub(crate) lane: usize,
    pub(crate) default_deadline: Duration,
    pub(crate) longest_deadline: Duration,
    pub(crate) max_reply: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request: RequestLimits::default(),
            in_flight: 1024,
            lane: 1024,
            default_deadline: Duration::from_secs(10),
            longest_deadline: Duration::from_secs(60),
            max_reply: None,
        }
    }
}

impl Limits {
    /// The largest body of a request, in bytes; 64 KiB by default. Above it: 413.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.request.max_body = bytes;
        self
    }

    /// The most header lines of a request; 64 by default. Above it: 413.
    pub fn max_header_lines(mut self, lines: usize) -> Self {
        self.request.max_header_lines = lines;
        self
    }

    /// The most bytes of a request's headers; 8 KiB by default. Above it: 413.
    pub fn max_header_bytes(mut self, bytes: usize) -> Self {
        self.request.max_header_bytes = bytes;
        self
    }

    /// The deepest nesting of objects and arrays in a request; 32 by default. Above it: 400.
    pub fn max_json_depth(mut self, levels: usize) -> Self {
        self.request.max_json_depth = levels;
        self
    }

    /// The largest body of a reply, in bytes. The server's `max_payload` by default, and never above
    /// it. What does not fit is a 413; a page of a history is cut instead.
    pub fn max_reply(mut self, bytes: usize) -> Self {
        self.max_reply = Some(bytes);
        self
    }

    /// How many commands, and how many queries, may be under way at once; 1024 of each by default.
    /// Above it: 503 `unavailable` with the reason `overloaded`, at once.
    pub fn in_flight(mut self, requests: usize) -> Self {
        self.in_flight = requests;
        self
    }

    /// How many commands may wait for one aggregate; 1024 by default. Above it: 503 `unavailable`
    /// with the reason `overloaded`.
    pub fn lane(mut self, commands: usize) -> Self {
        self.lane = commands;
        self
    }

    /// How long a request that names no deadline may take; 10 s by default. Then: 504.
    pub fn default_deadline(mut self, time: Duration) -> Self {
        self.default_deadline = time;
        self
    }

    /// The longest a request may take whatever deadline it names; 60 s by default. A caller with a
    /// wrong clock could otherwise occupy a place for ever.
    pub fn longest_deadline(mut self, time: Duration) -> Self {
        self.longest_deadline = time;
        self
    }

    /// Also answers to reply subjects under `prefix`, for callers with an inbox prefix of their own.
    /// By default answers go to `_INBOX.` and `_R_.` only.
    ///
    /// # Errors
    /// [`InvalidReplyPrefix`] when it holds wildcards, spaces or empty tokens, or starts with `$`.
    pub fn allow_replies_under(mut self, prefix: &str) -> Result<Self, InvalidReplyPrefix> {
        self.request = self.request.allow_replies_under(prefix)?;
        Ok(self)
    }

    /// Places for requests that wait at the edge: as many as may be under way behind it.
    pub(crate) fn waiting(&self) -> usize {
        self.in_flight.saturating_mul(4).min(tokio::sync::Semaphore::MAX_PERMITS)
    }

    pub(crate) fn check(&self, problems: &mut Problems) {
        for (setting, value) in [
            ("limits.max_body", self.request.max_body),
            ("limits.max_json_depth", self.request.max_json_depth),
            ("limits.in_flight", self.in_flight),
            ("limits.lane", self.lane),
        ] {
            if value == 0 {
                problems.add(setting, &value, "must be at least 1");
            }
        }
        if self.max_reply.is_some_and(|bytes| bytes < SMALLEST_REPLY) {
            problems.add(
                "limits.max_reply",
                &self.max_reply.unwrap_or_default(),
                "must be at least 1024, to hold a failure",
            );
        }
        for (setting, value) in
            [("limits.default_deadline", self.default_deadline), ("limits.longest_deadline", self.longest_deadline)]
        {
            if value.is_zero() {
                problems.add(setting, &format!("{value:?}"), "must be longer than nothing");
            }
        }
        if self.default_deadline > self.longest_deadline {
            let value = format!("{:?}", self.default_deadline);
            problems.add("limits.default_deadline", &value, "must not be above limits.longest_deadline");
        }
        // tokio's semaphore takes no more.
        if self.in_flight > tokio::sync::Semaphore::MAX_PERMITS {
            problems.add("limits.in_flight", &self.in_flight, "is more than can be counted");
        }
    }
}

/// A reply limit below this could not hold every failure.
pub(crate) const SMALLEST_REPLY: usize = 1024;
