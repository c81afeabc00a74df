//! Publishing into streams in memory.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::time::Instant;

use super::log::Added;
use super::{MAX_MESSAGE, MemoryBroker};
use crate::message::Message;
use crate::publish::{Acknowledgement, Publish, PublishError, Published};

impl Publish for MemoryBroker {
    fn send(&self, message: Message, _deadline: Instant) -> BoxFuture<'_, Result<Acknowledgement, PublishError>> {
        let stored = async move { self.store(message) };
        stored.map(|stored| stored.map(|published| ready(Ok(published)).boxed())).boxed()
    }
}

impl MemoryBroker {
    fn store(&self, message: Message) -> Result<Published, PublishError> {
        let subject = message.subject.clone();
        if let Some(reason) = flaw(&message) {
            return Err(PublishError::Refused { subject, reason });
        }
        let mut state = self.shared.state();
        let listened = state.listeners.listen_to(&subject).then(|| message.clone());
        let Some(stream) = state.streams.values_mut().find(|stream| stream.settings.takes(&subject)) else {
            return Err(PublishError::NoStream { subject });
        };
        let (sequence, duplicate) = match stream.add(message, Instant::now()) {
            Added::Stored(sequence) => (sequence, false),
            Added::Duplicate(sequence) => (sequence, true),
            Added::Full(what) => {
                let source = format!("the stream `{}` is full: {what}", stream.settings.name);
                return Err(PublishError::Unavailable { subject, source: source.into() });
            }
        };
        let published = Published { stream: stream.settings.name.clone(), sequence, duplicate };
        if let Some(message) = listened {
            state.listeners.hand_out(&message, None);
        }
        Ok(published)
    }
}

/// What no server would take.
pub(super) fn flaw(message: &Message) -> Option<String> {
    let size = message.size();
    let too_large = || format!("it has {size} bytes with its headers, and {MAX_MESSAGE} are allowed");
    message.flaw().or_else(|| (size > MAX_MESSAGE).then(too_large))
}
