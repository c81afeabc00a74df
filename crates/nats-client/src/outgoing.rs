//! A request before it is sent: checked, with its headers and its time.

use std::fmt;
use std::time::Duration;

use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use headwater_core::call::{CallError, CallOptions, RequestMetadata};
use headwater_nats::header;
use tokio::time::Instant;

/// A request that may be sent.
/// Its `Debug` leaves out the headers, which may hold credentials.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) subject: Subject,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("subject", &self.subject)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What a reply is allowed for its way back, at most; a tenth of a short timeout.
const LONGEST_WAY_BACK: Duration = Duration::from_millis(100);

/// How long a call may take, all tries included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLimit {
    pub(crate) limit: Duration,
    until: Instant,
}

impl TimeLimit {
    /// The time a call has that is made now.
    pub(crate) fn of(options: &CallOptions, default: Duration, now: DateTime<Utc>) -> Result<Self, CallError> {
        let timeout = options.timeout.unwrap_or(default);
        let limit = match options.deadline {
            Some(deadline) => (deadline - now).to_std().unwrap_or_default().min(timeout),
            None => timeout,
        };
        if limit.is_zero() {
            return Err(CallError::NotSent("its deadline has passed".to_owned()));
        }
        let start = Instant::now();
        // A limit beyond what the clock can count is as good as thirty years.
        let until = start.checked_add(limit).unwrap_or_else(|| start + Duration::from_secs(30 * 365 * 24 * 3600));
        Ok(Self { limit, until })
    }

    /// What is left of it.
    pub(crate) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// The headers of a call: the caller's, the trace context, and when the answer stops mattering.
///
/// # Errors
/// [`CallError::NotSent`] that names the header and never shows its value.
pub(crate) fn headers(
    options: &CallOptions,
    metadata: &RequestMetadata,
    limit: TimeLimit,
    now: DateTime<Utc>,
) -> Result<HeaderMap, CallError> {
    let mut headers = HeaderMap::new();
    let said = options.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let traced = metadata.traceparent.iter().map(|value| (header::TRACEPARENT, value.as_str()));
    for (name, value) in said.chain(traced) {
        header::check(name, value).map_err(|error| CallError::NotSent(error.to_string()))?;
        headers.append(name, value);
    }
    // The service is told a little less than the caller waits, so that its word that time is up still arrives in time.
    let served_within = limit.limit - (limit.limit / 10).min(LONGEST_WAY_BACK);
    let timed_out = || TimeDelta::from_std(served_within).ok().and_then(|limit| now.checked_add_signed(limit));
    if let Some(deadline) = options.deadline.or_else(timed_out) {
        headers.insert(header::DEADLINE, header::format_time(deadline));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(options: &CallOptions) -> String {
        let now = Utc::now();
        let limit = TimeLimit::of(options, Duration::from_secs(5), now).unwrap();
        headers(options, &RequestMetadata::default(), limit, now).unwrap_err().to_string()
    }

    #[test]
    fn a_header_that_would_smuggle_another_is_refused_by_name() {
        for (name, value) in [("X-Note", "a\r\nNats-Msg-Id: 1"), ("X-Note", "a\rb"), ("X-Note", "\0")] {
            let options = CallOptions { headers: vec![(name.into(), value.into())], ..CallOptions::default() };
            assert_eq!(
                refusal(&options),
                "the request was not sent: the value of the header `X-Note` holds a control character"
            );
        }
        for name in ["Nats-Msg-Id", "headwater-deadline"] {
            let options = CallOptions { headers: vec![(name.into(), "1".into())], ..CallOptions::default() };
            assert!(refusal(&options).contains("is reserved"));
        }
    }

    #[test]
    fn the_service_is_told_the_deadline_or_a_moment_before_the_timeout() {
        let now = Utc::now();
        let deadline = now + TimeDelta::seconds(60);
        for (options, limit, told) in [
            (CallOptions::default(), 5, now + TimeDelta::milliseconds(4900)),
            (
                CallOptions { timeout: Some(Duration::from_secs(2)), ..CallOptions::default() },
                2,
                now + TimeDelta::milliseconds(1900),
            ),
            (CallOptions { deadline: Some(deadline), ..CallOptions::default() }, 5, deadline),
            (
                CallOptions {
                    timeout: Some(Duration::from_secs(90)),
                    deadline: Some(deadline),
                    ..CallOptions::default()
                },
                60,
                deadline,
            ),
        ] {
            let time = TimeLimit::of(&options, Duration::from_secs(5), now).unwrap();
            assert_eq!(time.limit, Duration::from_secs(limit));
            let headers = headers(&options, &RequestMetadata::default(), time, now).unwrap();
            let header = header::get(&headers, header::DEADLINE).unwrap();
            assert_eq!(header, header::format_time(told));
        }
    }

    #[test]
    fn a_deadline_that_has_passed_is_not_sent() {
        let options = CallOptions { deadline: Some(Utc::now() - TimeDelta::seconds(1)), ..CallOptions::default() };
        let refused = TimeLimit::of(&options, Duration::from_secs(5), Utc::now()).unwrap_err();
        assert!(matches!(refused, CallError::NotSent(_)), "{refused}");
    }

    #[test]
    fn a_time_limit_beyond_all_bounds_is_none() {
        let options = CallOptions { timeout: Some(Duration::MAX), ..CallOptions::default() };
        let limit = TimeLimit::of(&options, Duration::from_secs(5), Utc::now()).unwrap();
        assert!(limit.left() > Duration::from_secs(3600));
        assert!(headers(&options, &RequestMetadata::default(), limit, Utc::now()).unwrap().is_empty());
    }
}
