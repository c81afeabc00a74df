//! Lanes: commands on one aggregate go one at a time, in the order they entered.
//!
//! Who waits may park its job in its place. Whoever has the turn can then take the jobs right behind it and do them
//! together with its own; the others wait for the turn as ever.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::AggregateId;

/// The lanes of all aggregates with a command under way. A lane exists while somebody has its turn.
pub(super) struct Lanes<J> {
    queues: Mutex<HashMap<AggregateId, Queue<J>>>,
    limit: usize,
}

/// Who waits in one lane, in order of arrival.
struct Queue<J> {
    places: VecDeque<Place<J>>,
    next_number: u64,
}

struct Place<J> {
    /// Grows from place to place, so that a place can be found after others have gone.
    number: u64,
    turn: oneshot::Sender<Granted<J>>,
    parked: Option<J>,
}

/// A place in a lane. Taking one needs no waiting, so the order of tickets is the order of
/// arrival; dropping it gives the place up.
pub(super) enum Ticket<J> {
    First(Turn<J>),
    Waiting(Waiting<J>),
}

/// A place that is not the first.
pub(super) struct Waiting<J> {
    lanes: Arc<Lanes<J>>,
    aggregate: AggregateId,
    number: u64,
    turn: oneshot::Receiver<Granted<J>>,
}

/// The turn, and the job that was parked meanwhile.
pub(super) struct Granted<J> {
    pub(super) turn: Turn<J>,
    pub(super) job: Option<J>,
}

/// The right to work on one aggregate. Dropping it passes it on to the next in the lane.
pub(super) struct Turn<J> {
    /// None once the turn has been taken out of this value.
    place: Option<(Arc<Lanes<J>>, AggregateId)>,
}

/// The lane has no place left.
#[derive(Debug)]
pub(super) struct LaneFull;

/// Whoever had the turn took the parked job along, and answers for it.
#[derive(Debug)]
pub(super) struct TakenAlong;

impl<J> Lanes<J> {
    pub(super) fn new(limit: usize) -> Self {
        Self { queues: Mutex::new(HashMap::new()), limit }
    }

    /// Takes the next place in the lane of `aggregate`.
    pub(super) fn enter(self: &Arc<Self>, aggregate: &AggregateId) -> Result<Ticket<J>, LaneFull> {
        let mut queues = self.queues();
        let Some(queue) = queues.get_mut(aggregate) else {
            queues.insert(aggregate.clone(), Queue { places: VecDeque::new(), next_number: 0 });
            return Ok(Ticket::First(Turn { place: Some((Arc::clone(self), aggregate.clone())) }));
        };
        if queue.places.len() >= self.limit {
            // Places that were given up still stand in the queue until their turn comes; they do not count.
            queue.places.retain(|place| !place.turn.is_closed());
            if queue.places.len() >= self.limit {
                return Err(LaneFull);
            }
        }
        let (sender, receiver) = oneshot::channel();
        let number = queue.next_number;
        queue.next_number += 1;
        queue.places.push_back(Place { number, turn: sender, parked: None });
        let lanes = Arc::clone(self);
        Ok(Ticket::Waiting(Waiting { lanes, aggregate: aggregate.clone(), number, turn: receiver }))
    }

    /// How many aggregates have a command under way.
    pub(super) fn active(&self) -> usize {
        self.queues().len()
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<AggregateId, Queue<J>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(self: &Arc<Self>, aggregate: &AggregateId) {
        loop {
            let next = {
                let mut queues = self.queues();
                let next = queues.get_mut(aggregate).and_then(|queue| queue.places.pop_front());
                if next.is_none() {
                    queues.remove(aggregate);
                }
                next
            };
            let Some(Place { turn: next, parked: job, .. }) = next else { return };
            let turn = Turn { place: Some((Arc::clone(self), aggregate.clone())) };
            // A sender whose receiver is gone gives the turn back, and the one behind gets it. A receiver that goes away
            // with the turn already in it drops the turn, which comes back here.
            match next.send(Granted { turn, job }) {
                Ok(()) => return,
                Err(mut returned) => returned.turn.place = None,
            }
        }
    }
}

impl<J> Waiting<J> {
    /// Leaves the job in the place, for whoever has the turn to take along. Gives it back when the place has its turn
    /// already.
    pub(super) fn park(&self, job: J) -> Option<J> {
        let mut queues = self.lanes.queues();
        let Some(queue) = queues.get_mut(&self.aggregate) else { return Some(job) };
        match queue.places.binary_search_by_key(&self.number, |place| place.number) {
            Ok(at) => {
                queue.places[at].parked = Some(job);
                None
            }
            Err(_) => Some(job),
        }
    }

    /// Waits for the turn. An error when the parked job was taken along.
    pub(super) async fn turn(&mut self) -> Result<Granted<J>, TakenAlong> {
        (&mut self.turn).await.map_err(|_| TakenAlong)
    }
}

impl<J> Turn<J> {
    /// How many jobs are parked right behind this turn.
    pub(super) fn parked(&self) -> usize {
        let Some((lanes, aggregate)) = &self.place else { return 0 };
        let queues = lanes.queues();
        let Some(queue) = queues.get(aggregate) else { return 0 };
        queue.places.iter().take_while(|place| place.parked.is_some()).count()
    }

    /// Takes jobs that are parked right behind this turn along, at most `most` of them.
    pub(super) fn take_along(&self, most: usize) -> Vec<J> {
        let Some((lanes, aggregate)) = &self.place else { return Vec::new() };
        let mut queues = lanes.queues();
        let Some(queue) = queues.get_mut(aggregate) else { return Vec::new() };
        let parked = queue.places.iter().take_while(|place| place.parked.is_some()).count().min(most);
        queue.places.drain(..parked).filter_map(|place| place.parked).collect()
    }
}

impl<J> Drop for Turn<J> {
    fn drop(&mut self) {
        if let Some((lanes, aggregate)) = self.place.take() {
            lanes.pass_on(&aggregate);
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

    fn lanes(limit: usize) -> Arc<Lanes<u32>> {
        Arc::new(Lanes::new(limit))
    }

    /// The turn at once, if it is there.
    fn now(ticket: Ticket<u32>) -> Option<Turn<u32>> {
        match ticket {
            Ticket::First(turn) => Some(turn),
            Ticket::Waiting(mut waiting) => waiting.turn().now_or_never()?.ok().map(|granted| granted.turn),
        }
    }

    fn waiting(ticket: Ticket<u32>) -> Waiting<u32> {
        match ticket {
            Ticket::First(_) => panic!("it is the first"),
            Ticket::Waiting(waiting) => waiting,
        }
    }

    #[tokio::test]
    async fn turns_come_in_the_order_of_entering() {
        let lanes = lanes(10);
        let first = now(lanes.enter(&id("a")).unwrap()).unwrap();
        let mut second = waiting(lanes.enter(&id("a")).unwrap());
        let mut third = waiting(lanes.enter(&id("a")).unwrap());
        // Polled the other way round, and still not out of order.
        assert!(third.turn().now_or_never().is_none() && second.turn().now_or_never().is_none());
        drop(first);
        assert!(third.turn().now_or_never().is_none());
        drop(second.turn().now_or_never().expect("the second has its turn"));
        drop(third.turn().now_or_never().expect("the third has its turn"));
        assert_eq!(lanes.active(), 0);
    }

    #[tokio::test]
    async fn parked_jobs_right_behind_are_taken_along_and_no_others() {
        let lanes = lanes(10);
        let first = now(lanes.enter(&id("a")).unwrap()).unwrap();
        let mut places: Vec<_> = (0..4).map(|_| waiting(lanes.enter(&id("a")).unwrap())).collect();
        for parked in [0, 1, 3] {
            assert!(places[parked].park(parked as u32).is_none());
        }
        assert_eq!(first.parked(), 2);
        assert_eq!(first.take_along(1), [0]);
        assert_eq!(first.take_along(9), [1]);
        assert!(places[0].turn().await.is_err() && places[1].turn().await.is_err());
        drop(first);
        let third = places[2].turn().await.expect("the third has its turn");
        assert!(third.job.is_none());
        drop(third);
        let last = places[3].turn().await.expect("the last has its turn");
        assert_eq!(last.job, Some(3));
        assert_eq!(places[3].park(7), Some(7), "who has the turn keeps its job");
    }

    #[tokio::test]
    async fn another_aggregate_does_not_wait() {
        let lanes = lanes(10);
        let _first = now(lanes.enter(&id("a")).unwrap()).unwrap();
        assert!(now(lanes.enter(&id("b")).unwrap()).is_some());
    }

    #[tokio::test]
    async fn a_place_given_up_is_passed_over_at_any_moment() {
        let lanes = lanes(10);
        let first = now(lanes.enter(&id("a")).unwrap()).unwrap();
        let gone_before = lanes.enter(&id("a")).unwrap();
        let gone_after = lanes.enter(&id("a")).unwrap();
        let last = lanes.enter(&id("a")).unwrap();
        drop(gone_before);
        drop(first);
        drop(gone_after);
        assert!(now(last).is_some());
        assert_eq!(lanes.active(), 0);
    }

    #[tokio::test]
    async fn a_full_lane_refuses_and_forgets_places_given_up() {
        let lanes = lanes(2);
        let _turn = now(lanes.enter(&id("a")).unwrap()).unwrap();
        let waiting = [lanes.enter(&id("a")).unwrap(), lanes.enter(&id("a")).unwrap()];
        assert!(lanes.enter(&id("a")).is_err());
        drop(waiting);
        assert!(lanes.enter(&id("a")).is_ok());
    }
}
