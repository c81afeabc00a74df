//! The answers of the last moment, in case the client they were handed to dies with them.
//!
//! A client takes an answer into a queue, and what is in the queue or half sent when its connection breaks is gone without a
//! word. The few answers that can be concerned are kept and sent once more over the next connection. A caller who has had
//! his answer does not listen any longer, so the second one reaches nobody.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::Subject;
use tokio::time::Instant;

use crate::replies::Reply;

/// How long before a connection is known to be broken an answer may have been lost with it.
const MOMENT: Duration = Duration::from_secs(1);

/// As many answers as a client's queue holds.
const MOST: usize = 2048;

/// How many bytes of answers are kept.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The answers that were handed over last, newest last.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    answers: VecDeque<Answer>,
    bytes: usize,
}

#[derive(Debug)]
struct Answer {
    to: Subject,
    reply: Reply,
    /// The client that it was handed to.
    generation: u64,
    at: Instant,
}

impl Kept {
    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.answers.pop_front() {
            self.bytes -= oldest.reply.size();
        }
    }
}

impl Outbox {
    /// Keeps an answer that was handed to the client of this generation.
    pub(crate) fn keep(&self, to: &Subject, reply: &Reply, generation: u64) {
        let mut kept = self.kept();
        kept.bytes += reply.size();
        let answer = Answer { to: to.clone(), reply: reply.clone(), generation, at: Instant::now() };
        kept.answers.push_back(answer);
        while kept.answers.len() > MOST || (kept.bytes > MOST_BYTES && kept.answers.len() > 1) {
            kept.forget_oldest();
        }
    }

    /// The answers that may have been lost when the connection broke at `broken`, now that the client of `generation` is
    /// there. What was handed to that same client afterwards is in its queue still.
    pub(crate) fn lost(&self, broken: Instant, generation: u64) -> Vec<(Subject, Reply)> {
        let Kept { answers, .. } = std::mem::take(&mut *self.kept());
        let lost =
            |answer: &Answer| answer.at + MOMENT >= broken && (answer.at <= broken || answer.generation != generation);
        answers.into_iter().filter(lost).map(|Answer { to, reply, .. }| (to, reply)).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(outbox: &Outbox, to: &str, size: usize, generation: u64) {
        outbox.keep(&Subject::from(to), &Reply::result(vec![b'x'; size]), generation);
    }

    fn lost(outbox: &Outbox, broken: Instant, generation: u64) -> Vec<String> {
        outbox.lost(broken, generation).into_iter().map(|(to, _)| to.to_string()).collect()
    }

    fn kept(outbox: &Outbox) -> (usize, usize) {
        let kept = outbox.kept();
        (kept.answers.len(), kept.bytes)
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_handed_over_in_the_last_moment_is_sent_again_once() {
        let outbox = Outbox::default();
        keep(&outbox, "long ago", 1, 1);
        tokio::time::advance(MOMENT * 2).await;
        keep(&outbox, "just before", 1, 1);
        tokio::time::advance(MOMENT / 2).await;
        let broken = Instant::now();
        tokio::time::advance(MOMENT / 2).await;
        keep(&outbox, "into the dead client", 1, 1);
        keep(&outbox, "into the new client", 1, 2);
        assert_eq!(lost(&outbox, broken, 2), ["just before", "into the dead client"]);
        assert!(lost(&outbox, broken, 2).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_connects_again_still_has_what_it_was_given_meanwhile() {
        let outbox = Outbox::default();
        keep(&outbox, "just before", 1, 1);
        let broken = Instant::now();
        tokio::time::advance(MOMENT / 2).await;
        keep(&outbox, "meanwhile", 1, 1);
        assert_eq!(lost(&outbox, broken, 1), ["just before"]);
    }

    #[test]
    fn it_is_bounded_in_number_and_size() {
        let outbox = Outbox::default();
        for number in 0..=MOST {
            keep(&outbox, &number.to_string(), 1, 1);
        }
        assert_eq!(kept(&outbox), (MOST, MOST));
        keep(&outbox, "large", MOST_BYTES, 1);
        assert_eq!(kept(&outbox), (1, MOST_BYTES));
    }
}
