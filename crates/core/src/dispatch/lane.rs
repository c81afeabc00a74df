//! Lanes: commands on one aggregate go one at a time, in the order they entered.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::AggregateId;

/// The lanes of all aggregates with a command under way. A lane exists while somebody has its turn.
pub(super) struct Lanes {
    queues: Mutex<HashMap<AggregateId, VecDeque<oneshot::Sender<Turn>>>>,
    limit: usize,
}

/// A place in a lane. Taking one needs no waiting, so the order of tickets is the order of
/// arrival; dropping it gives the place up.
pub(super) enum Ticket {
    First(Turn),
    Waiting(oneshot::Receiver<Turn>),
}

/// The right to work on one aggregate. Dropping it passes it on to the next in the lane.
pub(super) struct Turn {
    /// None once the turn has been taken out of this value.
    place: Option<(Arc<Lanes>, AggregateId)>,
}

/// The lane has no place left.
#[derive(Debug)]
pub(super) struct LaneFull;

impl Lanes {
    pub(super) fn new(limit: usize) -> Self {
        Self { queues: Mutex::new(HashMap::new()), limit }
    }

    /// Takes the next place in the lane of `aggregate`.
    pub(super) fn enter(self: &Arc<Self>, aggregate: &AggregateId) -> Result<Ticket, LaneFull> {
        let mut queues = self.queues();
        let Some(queue) = queues.get_mut(aggregate) else {
            queues.insert(aggregate.clone(), VecDeque::new());
            return Ok(Ticket::First(Turn { place: Some((Arc::clone(self), aggregate.clone())) }));
        };
        if queue.len() >= self.limit {
            // Places that were given up still stand in the queue until their turn comes; they do not count.
            queue.retain(|waiting| !waiting.is_closed());
            if queue.len() >= self.limit {
                return Err(LaneFull);
            }
        }
        let (sender, receiver) = oneshot::channel();
        queue.push_back(sender);
        Ok(Ticket::Waiting(receiver))
    }

    /// How many aggregates have a command under way.
    pub(super) fn active(&self) -> usize {
        self.queues().len()
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<AggregateId, VecDeque<oneshot::Sender<Turn>>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(self: &Arc<Self>, aggregate: &AggregateId) {
        let mut turn = Turn { place: Some((Arc::clone(self), aggregate.clone())) };
        loop {
            let next = {
                let mut queues = self.queues();
                let next = queues.get_mut(aggregate).and_then(VecDeque::pop_front);
                if next.is_none() {
                    queues.remove(aggregate);
                }
                next
            };
            let Some(next) = next else {
                turn.place = None;
                return;
            };
            // A sender whose receiver is gone gives the turn back, and the one behind gets it. A receiver that goes away
            // with the turn already in it drops the turn, which comes back here.
            match next.send(turn) {
                Ok(()) => return,
                Err(returned) => turn = returned,
            }
        }
    }
}

impl Ticket {
    /// Waits for the turn.
    pub(super) async fn turn(self) -> Turn {
        match self {
            Self::First(turn) => turn,
            Self::Waiting(receiver) => receiver.await.expect("a lane passes its turn on until the last in it had it"),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((lanes, aggregate)) = self.place.take() {
            Lanes::pass_on(&lanes, &aggregate);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn id(id: &str) -> AggregateId {
        AggregateId::new("receipt", id).unwrap()
    }

    #[tokio::test]
    async fn turns_come_in_the_order_of_entering() {
        let lanes = Arc::new(Lanes::new(10));
        let first = lanes.enter(&id("a")).unwrap().turn().await;
        let mut second = Box::pin(lanes.enter(&id("a")).unwrap().turn());
        let mut third = Box::pin(lanes.enter(&id("a")).unwrap().turn());
        // Polled the other way round, and still not out of order.
        assert!((&mut third).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        drop(first);
        assert!((&mut third).now_or_never().is_none());
        drop((&mut second).now_or_never().expect("the second has its turn"));
        drop((&mut third).now_or_never().expect("the third has its turn"));
        assert_eq!(lanes.active(), 0);
    }

    #[tokio::test]
    async fn another_aggregate_does_not_wait() {
        let lanes = Arc::new(Lanes::new(10));
        let _first = lanes.enter(&id("a")).unwrap().turn().await;
        assert!(lanes.enter(&id("b")).unwrap().turn().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_place_given_up_is_passed_over_at_any_moment() {
        let lanes = Arc::new(Lanes::new(10));
        let first = lanes.enter(&id("a")).unwrap().turn().await;
        let gone_before = lanes.enter(&id("a")).unwrap();
        let gone_after = lanes.enter(&id("a")).unwrap();
        let last = lanes.enter(&id("a")).unwrap();
        drop(gone_before);
        drop(first);
        drop(gone_after);
        assert!(last.turn().now_or_never().is_some());
        assert_eq!(lanes.active(), 0);
    }

    #[tokio::test]
    async fn a_full_lane_refuses_and_forgets_places_given_up() {
        let lanes = Arc::new(Lanes::new(2));
        let _turn = lanes.enter(&id("a")).unwrap().turn().await;
        let waiting = [lanes.enter(&id("a")).unwrap(), lanes.enter(&id("a")).unwrap()];
        assert!(lanes.enter(&id("a")).is_err());
        drop(waiting);
        assert!(lanes.enter(&id("a")).is_ok());
    }
}
