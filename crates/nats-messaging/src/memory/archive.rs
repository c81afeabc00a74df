//! Streams in memory, read and cleared message by message.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::MemoryBroker;
use crate::archive::{Archive, ArchiveError, Archived};
use crate::subject;

impl Archive for MemoryBroker {
    fn next(
        &self,
        stream: String,
        pattern: String,
        from: u64,
    ) -> BoxFuture<'_, Result<Option<Archived>, ArchiveError>> {
        let state = self.shared.state();
        let found = match state.streams.get(&stream) {
            None => Err(ArchiveError::NoStream { stream }),
            Some(stream) => {
                let mut matching =
                    stream.log.from(from).filter(|stored| subject::matches(&pattern, &stored.message.subject));
                Ok(matching.next().map(|stored| Archived {
                    message: (*stored.message).clone(),
                    sequence: stored.sequence,
                    timestamp: self.shared.clock.time_at(stored.at),
                }))
            }
        };
        ready(found).boxed()
    }

    fn remove(&self, stream: String, sequence: u64) -> BoxFuture<'_, Result<bool, ArchiveError>> {
        let mut state = self.shared.state();
        let removed = match state.streams.get_mut(&stream) {
            None => Err(ArchiveError::NoStream { stream }),
            Some(stream) => Ok(stream.remove(sequence)),
        };
        ready(removed).boxed()
    }

    fn keeps_acknowledged(&self, stream: String) -> BoxFuture<'_, Result<bool, ArchiveError>> {
        let is_there = self.shared.state().streams.contains_key(&stream);
        ready(if is_there { Ok(true) } else { Err(ArchiveError::NoStream { stream }) }).boxed()
    }
}
