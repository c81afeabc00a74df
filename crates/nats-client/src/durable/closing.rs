//! The end of a reader: nothing more is begun, what was begun is finished, and the rest is given back.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::Subject;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use super::error::ReaderError;
use super::line::{Arrival, Line};
use super::reader::{Closing, NAK, Reader, Way};

/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Reader {
    /// From now on nothing is begun.
    pub(super) fn begin_closing(&mut self, result: Result<(), ReaderError>) {
        match &mut self.closing {
            Some(closing) if closing.result.is_ok() => closing.result = result,
            Some(_) => {}
            None => {
                self.shut_gate();
                match &mut self.way {
                    Way::Open(line) => line.close(),
                    _ => self.way = Way::Over(None),
                }
                self.closing = Some(Closing { result, deadline: Instant::now() + self.settings.stop_timeout });
            }
        }
    }

    /// Whether it is closing, and everything that was begun is finished, nothing more can come, and the server knows
    /// what it has to; or the time for that is over.
    pub(super) fn is_closed(&self) -> bool {
        let Some(closing) = &self.closing else { return false };
        let finished = self.work.is_empty()
            && match &self.way {
                Way::Over(None) => true,
                Way::Over(Some(_)) => !self.desk.iter().any(|(_, held)| held.finish().is_some()),
                Way::Open(_) | Way::Opening(_) => false,
            };
        finished || Instant::now() >= closing.deadline
    }

    /// Gives back what is in hand, and hands over to the next reader.
    pub(super) async fn close(mut self) -> Result<(), ReaderError> {
        let reader = self.settings.name.clone();
        if !self.work.is_empty() {
            warn!(%reader, handlers = self.work.len(), "handlers were still at work and are aborted");
            self.work.shutdown().await;
        }
        if let Some(mut line) = self.take_line() {
            let mut back: BTreeMap<u64, Subject> = BTreeMap::new();
            let unfinished = self.desk.iter().filter(|(_, held)| held.finish().is_none());
            back.extend(unfinished.map(|(sequence, held)| (sequence, held.reply.clone())));
            back.extend(self.junk.iter().map(|(sequence, junk)| (*sequence, junk.reply.clone())));
            // What is given back while the server still has a request of this line comes right here again.
            let rest = timeout(self.settings.takeover, rest(&mut line, &mut back)).await;
            debug!(%reader, events = back.len(), in_time = rest.is_ok(), "events are given back");
            for reply in back.values() {
                line.send(reply, NAK).await;
            }
            if line.pin().is_some()
                && let Ok(Err(trouble)) = timeout(LAST_WORDS, self.consumer.unpin()).await
            {
                debug!(%reader, ?trouble, "the next reader has to wait until this one is missed");
            }
            // Where the connection is down, the server learns by the silence.
            _ = self.consumer.api.connection.flush(LAST_WORDS).await;
        }
        self.closing.map_or(Ok(()), |closing| closing.result)
    }
}

/// Takes what still comes over a line, until it is over.
async fn rest(line: &mut Line, back: &mut BTreeMap<u64, Subject>) {
    line.close();
    loop {
        match line.next().await {
            Arrival::Message(arrived) => {
                back.insert(arrived.place.sequence, arrived.place.reply);
            }
            Arrival::Over | Arrival::Broken(_) => return,
            Arrival::Confirmed(_) | Arrival::Unpinned | Arrival::Forbidden(_) => {}
        }
    }
}
