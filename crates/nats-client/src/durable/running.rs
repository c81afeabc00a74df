//! The handle to a reader at work.

use std::sync::Arc;

use headwater_core::{Name, Sequence};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::api::Trouble;
use super::consumer::Consumer;
use super::error::ReaderError;
use super::stats::{Counters, Lag, ReaderState, ReaderStats};

/// A reader at work. Dropping it ends the reader without a goodbye: handlers are aborted, and the events in hand are
/// shown to the next reader when the time to acknowledge them is over. [`stop`](Self::stop) is better.
#[must_use = "dropping it ends the reader"]
pub struct RunningReader {
    pub(super) consumer: Consumer,
    pub(super) counters: Arc<Counters>,
    pub(super) stop: CancellationToken,
    pub(super) task: AbortOnDropHandle<Result<(), ReaderError>>,
}

impl std::fmt::Debug for RunningReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningReader")
            .field("name", &self.consumer.name)
            .field("stream", &self.consumer.stream)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl RunningReader {
    /// The durable's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.consumer.name
    }

    /// What it has done and what it has in hand.
    #[must_use]
    pub fn stats(&self) -> ReaderStats {
        let stats = self.counters.snapshot();
        if self.task.is_finished() { ReaderStats { state: ReaderState::Stopped, ..stats } } else { stats }
    }

    /// How far the durable is behind the journal, asked of the server. It works also when the reader has ended, or
    /// another one of the name is at work.
    ///
    /// # Errors
    /// [`ReaderError::Unavailable`] when the server does not say; [`ReaderError::Refused`] when there is no such
    /// durable, or the user has no right to ask.
    pub async fn lag(&self) -> Result<Lag, ReaderError> {
        let Consumer { name, stream, .. } = &self.consumer;
        let message = || format!("the lag of the reader {name} of the stream {stream} is not known");
        match self.consumer.info().await {
            Ok(Some(info)) => Ok(Lag {
                unread: info.num_pending,
                unacknowledged: info.num_ack_pending,
                acknowledged_to: Sequence::new(info.ack_floor.stream_seq),
            }),
            Ok(None) => Err(ReaderError::Refused(format!("{}: there is no such consumer", message()))),
            Err(Trouble::Refused(error)) => Err(ReaderError::Refused(format!("{}: {}", message(), error.description))),
            Err(Trouble::ForNow(error)) => Err(ReaderError::unavailable(message(), error)),
            Err(Trouble::Lost(error) | Trouble::ForGood(error)) => Err(error),
        }
    }

    /// Stops: no more events are begun, handlers at work are waited for, what is in hand is given back, and the next
    /// reader of the name can go on at once.
    ///
    /// # Errors
    /// Why the reader had ended by itself, if it had.
    pub async fn stop(self) -> Result<ReaderStats, ReaderError> {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until the reader ends by itself. A cancelled call ends the reader.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn ended(self) -> Result<ReaderStats, ReaderError> {
        let Self { counters, task, .. } = self;
        match task.await {
            Ok(result) => result.map(|()| ReaderStats { state: ReaderState::Stopped, ..counters.snapshot() }),
            Err(error) => Err(ReaderError::unavailable("the reader's task has died", error)),
        }
    }

    /// Whether the reader has ended; [`ended`](Self::ended) says why.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}
