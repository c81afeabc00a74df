//! One turn of the committer: who comes along, the batch, and who is to blame when it is refused.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use headwater_core::AggregateId;
use headwater_core::store::{Freshness, MAX_EVENTS_PER_APPEND, StoreError, Together};
use tokio::sync::mpsc;

use super::Member;
use crate::append::{EventMessage, Published, Refusal};
use crate::journal::Journal;

/// The most bytes of a batch that more than one append shares. A larger one would hold up what comes after it.
const MAX_SHARED_SIZE: usize = 4 * 1024 * 1024;

/// How often what is left of a refused batch is sent as a smaller one, before each of its appends goes alone.
const ROUNDS: u32 = 3;

/// The appends of one batch, each of another aggregate.
pub(super) struct Turn {
    members: Vec<Member>,
}

impl Turn {
    /// Takes as many of the appends that wait as fit beside the first. What does not stays in `held`, in its order.
    pub(super) fn gather(first: Member, held: &mut Vec<Member>, waiting: &mut mpsc::Receiver<Member>) -> Self {
        let mut room = Room::default();
        let mut members = Vec::new();
        let mut still_held = Vec::new();
        let mut full = !room.admits(&first);
        members.push(first);
        let mut consider = |member: Member, full: &mut bool| {
            // Nobody waits for the answer any more, and nothing was sent.
            if member.answer.is_closed() {
                return;
            }
            if !*full && room.admits(&member) {
                members.push(member);
            } else {
                *full |= room.is_full();
                still_held.push(member);
            }
        };
        for member in held.drain(..) {
            consider(member, &mut full);
        }
        while !full && let Ok(member) = waiting.try_recv() {
            consider(member, &mut full);
        }
        *held = still_held;
        Self { members }
    }

    pub(super) fn messages(&self) -> usize {
        self.members.iter().map(|member| member.messages.len()).sum()
    }

    /// Commits the batch and answers everybody in it. Says whether it was stored at the first attempt.
    pub(super) async fn commit(mut self, journal: &Journal) -> bool {
        for round in 1..=ROUNDS {
            let messages: Vec<&EventMessage> = self.members.iter().flat_map(|member| member.messages.iter()).collect();
            let published = journal.publish_batch(&messages, journal.config.ack_timeout.get()).await;
            match published {
                Published::Stored { last, .. } => {
                    journal.counters.grouped.add(self.members.len());
                    self.stored(last);
                    return round == 1;
                }
                Published::Refused(Refusal::Moved | Refusal::Known | Refusal::InProcess) if self.members.len() > 1 => {
                    journal.counters.taken_apart.increment();
                    let before = self.members.len();
                    self.members = without_the_stale(journal, self.members).await;
                    if self.members.is_empty() {
                        return false;
                    }
                    if self.members.len() == before {
                        break;
                    }
                }
                Published::Refused(Refusal::TooLarge(_)) if self.members.len() > 1 => {
                    journal.counters.taken_apart.increment();
                    let (too_large, others) = by_size(journal, self.members).await;
                    // Where nobody stands out, it is the batch as a whole that is too large.
                    let (alone, together) =
                        if too_large.is_empty() { (others, Vec::new()) } else { (too_large, others) };
                    self.members = together;
                    join_all(alone.into_iter().map(|member| answer_alone(journal, member))).await;
                    if self.members.is_empty() {
                        return false;
                    }
                }
                other => {
                    self.answer_all(other);
                    return false;
                }
            }
        }
        // Nobody is found out, and the batch is refused all the same: everybody learns alone what is the matter.
        join_all(self.members.into_iter().map(|member| answer_alone(journal, member))).await;
        false
    }

    fn stored(self, last: u64) {
        let mut end = last.saturating_sub(self.messages() as u64);
        let together = self.together();
        for member in self.members {
            end += member.messages.len() as u64;
            // Whoever does not listen any more learns it from the history.
            let _ = member.answer.send(Published::Stored { last: end, together: together.clone() });
        }
    }

    /// Who is in the batch; none for one append on its own.
    fn together(&self) -> Option<Arc<Together>> {
        (self.members.len() > 1).then(|| {
            let traced = self.members.iter().filter_map(|member| member.traced.clone()).collect();
            Arc::new(Together { appends: self.members.len(), traced })
        })
    }

    /// Everybody gets what the server said of the batch as a whole.
    fn answer_all(self, said: Published) {
        let mut members = self.members;
        if members.len() == 1 {
            let _ = members.remove(0).answer.send(said);
            return;
        }
        for member in members {
            let _ = member.answer.send(for_one(&said));
        }
    }
}

/// Looks up where each history ends. Who is behind gets the refusal; the others are to be tried again.
async fn without_the_stale(journal: &Journal, members: Vec<Member>) -> Vec<Member> {
    let heads = join_all(members.iter().map(|member| journal.head(&member.aggregate, Freshness::Leader))).await;
    let mut current = Vec::with_capacity(members.len());
    for (member, head) in members.into_iter().zip(heads) {
        match head {
            Ok(head) if head.sequence() == member.head.sequence() => current.push(member),
            // Also who could not be looked up: it does so itself before it says anything.
            Ok(_) | Err(_) => drop(member.answer.send(Published::Refused(Refusal::Moved))),
        }
    }
    current
}

/// Parts those with a message that may be over the stream's limit from the others.
async fn by_size(journal: &Journal, members: Vec<Member>) -> (Vec<Member>, Vec<Member>) {
    let limit = journal.stream_limit().await.unwrap_or(usize::MAX);
    members.into_iter().partition(|member| member.messages.iter().any(|message| message.size_in_batch() > limit))
}

/// What is true of a batch, as far as it is true of one of its members.
fn for_one(said: &Published) -> Published {
    let same = |error: &StoreError| StoreError::new(error.to_string());
    match said {
        Published::NotSent(error) => Published::NotSent(same(error)),
        Published::NotNow(error) => Published::NotNow(same(error)),
        Published::Lost(error) => Published::Lost(same(error)),
        Published::Refused(Refusal::Unable(error)) => Published::Refused(Refusal::Unable(same(error))),
        Published::Stored { .. } | Published::Duplicate { .. } | Published::Refused(_) => {
            Published::NotNow(StoreError::new("the batch was refused for another of its appends"))
        }
    }
}

async fn answer_alone(journal: &Journal, member: Member) {
    let published = journal.publish(member.messages, journal.config.ack_timeout.get()).await;
    let _ = member.answer.send(published);
}

/// What a batch has room for.
#[derive(Default)]
struct Room {
    messages: usize,
    bytes: usize,
    aggregates: HashSet<AggregateId>,
}

impl Room {
    /// Takes the member in, if it fits; the first one always does.
    fn admits(&mut self, member: &Member) -> bool {
        let (messages, bytes) = (self.messages + member.messages.len(), self.bytes + size(member));
        let fits = messages <= MAX_EVENTS_PER_APPEND && bytes <= MAX_SHARED_SIZE;
        if self.messages > 0 && (!fits || self.aggregates.contains(&member.aggregate)) {
            return false;
        }
        self.aggregates.insert(member.aggregate.clone());
        (self.messages, self.bytes) = (messages, bytes);
        true
    }

    /// Whether it is not worth looking for somebody who still fits.
    fn is_full(&self) -> bool {
        self.messages >= MAX_EVENTS_PER_APPEND - 2 || self.bytes >= MAX_SHARED_SIZE * 9 / 10
    }
}

fn size(member: &Member) -> usize {
    // Headers come to about 300 bytes; the limit is a courtesy to others and need not be exact.
    member.messages.iter().map(|message| message.payload.len() + 300).sum()
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;
    use headwater_core::store::Head;
    use tokio::sync::oneshot;

    use super::*;

    type Answer = oneshot::Receiver<Published>;

    fn member(id: &str, messages: usize, bytes: usize) -> (Member, Answer) {
        let message = EventMessage {
            subject: "s".to_owned(),
            headers: HeaderMap::new(),
            payload: bytes::Bytes::from(vec![0; bytes]),
        };
        let (answer, answered) = oneshot::channel();
        let aggregate = AggregateId::new("receipt", id).unwrap();
        let messages = vec![message; messages];
        (Member { aggregate, head: Head::EMPTY, messages, traced: None, answer }, answered)
    }

    fn gather(members: Vec<Member>) -> (Vec<usize>, usize) {
        let (sender, mut waiting) = mpsc::channel(members.len().max(1));
        for member in members {
            assert!(sender.try_send(member).is_ok());
        }
        let mut held = Vec::new();
        let mut turns = Vec::new();
        while let Some(first) = if held.is_empty() { waiting.try_recv().ok() } else { Some(held.remove(0)) } {
            turns.push(Turn::gather(first, &mut held, &mut waiting).members.len());
        }
        (turns, held.len())
    }

    fn all(members: &[(&str, usize, usize)]) -> (Vec<Member>, Vec<Answer>) {
        members.iter().map(|(id, messages, bytes)| member(id, *messages, *bytes)).unzip()
    }

    #[test]
    fn an_aggregate_is_in_a_batch_once_and_keeps_its_order() {
        let (members, _answers) = all(&[("a", 2, 10), ("b", 2, 10), ("a", 1, 10), ("a", 1, 10), ("c", 1, 10)]);
        assert_eq!(gather(members), (vec![3, 1, 1], 0));
    }

    #[test]
    fn a_batch_has_at_most_a_thousand_messages_and_four_mebibytes() {
        let (members, _answers) = all(&[("a", 600, 10), ("b", 600, 10), ("c", 400, 10)]);
        assert_eq!(gather(members), (vec![2, 1], 0));
        let (members, _answers) = all(&[("a", 3, 1 << 20), ("b", 3, 1 << 20), ("c", 1, 10)]);
        assert_eq!(gather(members), (vec![2, 1], 0));
    }

    #[test]
    fn one_append_over_the_shared_size_goes_alone() {
        let (members, _answers) = all(&[("a", 6, 1 << 20), ("b", 1, 10)]);
        assert_eq!(gather(members), (vec![1, 1], 0));
    }

    #[test]
    fn nobody_is_sent_who_does_not_wait_any_more() {
        let (members, mut answers) = all(&[("a", 1, 10), ("b", 1, 10), ("c", 1, 10)]);
        answers.remove(1);
        assert_eq!(gather(members), (vec![2], 0));
    }
}
