//! What one command may come to: how long its handler may take, how many events there may be, and how large.

use std::time::Duration;

use tokio::time::timeout_at;

use super::execute::within;
use super::{Deadline, Inner};
use crate::Failure;
use crate::description::EncodedEvent;

/// What one command may come to. What is not set is left to the deadline and to the store.
#[derive(Debug, Clone, Default)]
pub(super) struct Bounds {
    pub(super) handler_timeout: Option<Duration>,
    /// Bytes of one event's data.
    pub(super) max_event_size: Option<usize>,
    pub(super) max_events: Option<usize>,
}

impl Bounds {
    /// Whether these events may be stored; 413 when one of them is too large, or there are too many.
    pub(super) fn check(&self, events: &[EncodedEvent]) -> Result<(), Failure> {
        let count = events.len();
        if let Some(limit) = self.max_events.filter(|limit| count > *limit) {
            let message = format!("the command leads to {count} events; at most {limit} are stored for one command");
            return Err(Failure::payload_too_large(message).detail("events", count).detail("limit", limit));
        }
        let Some(limit) = self.max_event_size else { return Ok(()) };
        let Some(place) = events.iter().position(|event| event.data.len() > limit) else { return Ok(()) };
        let (name, size) = (&events[place].name, events[place].data.len());
        let message = format!("event {} of {count}, `{name}`, has {size} bytes; at most {limit} are stored", place + 1);
        Err(Failure::payload_too_large(message)
            .detail("event", name.as_str())
            .detail("size", size)
            .detail("limit", limit))
    }

    pub(super) fn problems(&self) -> impl Iterator<Item = String> + use<> {
        [
            (self.handler_timeout == Some(Duration::ZERO))
                .then_some("handler_timeout is 0; no handler could ask anything"),
            (self.max_event_size == Some(0)).then_some("max_event_size is 0; no event could be stored"),
            (self.max_events == Some(0)).then_some("max_events is 0; no event could be stored"),
        ]
        .into_iter()
        .flatten()
        .map(str::to_owned)
    }
}

impl Inner {
    /// Waits for a handler until the deadline, and no longer than a handler may take.
    pub(super) async fn handled<T>(
        &self,
        command: &str,
        deadline: Deadline,
        handling: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let limit = self.settings.bounds.handler_timeout;
        let until = limit.and_then(|limit| Some((limit, Deadline::now().checked_add(limit)?)));
        match until.filter(|(_, until)| *until < deadline) {
            None => within(deadline, "the handler was asking outside", handling).await,
            Some((limit, until)) => timeout_at(until, handling).await.map_err(|_| {
                Failure::deadline_exceeded(format!("the handler of `{command}` took longer than the {limit:?} it may"))
                    .detail("limit", "handler")
            })?,
        }
    }
}
