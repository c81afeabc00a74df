//! The one task that has a processor's messages in hand. Everything that waits for somebody runs in tasks of its own, which it
//! owns: it never waits but for them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::finished::Memory;
use super::hand::{Hand, Slot};
use super::opening::{Opened, Opening};
use super::stats::{Counters, ShutdownReport};
use super::work::{Bench, Ended, Job, in_full};
use crate::consume::{ConsumeError, ConsumerInfo, Control, Delivery, Subscription};
use crate::health::Monitor;

/// How long one look at the consumer may take.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// How often it is looked at while messages wait for those that are still with somebody else.
const LOOK_WHILE_SETTLING: Duration = Duration::from_millis(100);

/// How many deliveries are taken in before anything else has its turn.
const AT_ONCE: usize = 128;

type Deliveries = BoxStream<'static, Result<Delivery, ConsumeError>>;

pub(super) struct Actor {
    pub(super) bench: Arc<Bench>,
    pub(super) hand: Hand,
    pub(super) memory: Memory,
    pub(super) work: JoinSet<(u64, Ended)>,
    /// Short messages to the server, each with the time when it was sent and whom it was about.
    chores: JoinSet<Vec<(u64, Instant)>>,
    looks: JoinSet<Look>,
    pub(super) reopening: JoinSet<Opened>,
    opening: Opening,
    deliveries: Option<Deliveries>,
    pub(super) control: Option<Arc<dyn Control>>,
    monitor: Monitor,
    /// Until when the gate may be shut.
    settling: Option<Instant>,
    /// The consumer was deleted with its stream, of which there is another one now: it is read when all of the old one that
    /// is in hand was brought to its end.
    pub(super) next: Option<Opened>,
    /// Whether the server has said where the consumer stands.
    has_floor: bool,
    pub(super) is_stopping: bool,
}

/// What was seen of a consumer.
struct Look {
    info: Result<ConsumerInfo, ConsumeError>,
    /// How many messages were in hand when it was asked for.
    in_hand: usize,
    /// Of which control it is, so that an answer of one that is gone is known.
    control: Arc<dyn Control>,
}

impl Actor {
    pub(super) fn new(bench: Arc<Bench>, opening: Opening, subscription: Subscription, monitor: Monitor) -> Self {
        let mut actor = Self {
            bench,
            hand: Hand::default(),
            memory: Memory::default(),
            work: JoinSet::new(),
            chores: JoinSet::new(),
            looks: JoinSet::new(),
            reopening: JoinSet::new(),
            opening,
            deliveries: None,
            control: None,
            monitor,
            settling: None,
            next: None,
            has_floor: false,
            is_stopping: false,
        };
        actor.read(subscription);
        actor
    }

    /// Works until it is told to stop, and brings everything to its end by then.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<Option<Instant>>) -> ShutdownReport {
        let mut pulse = self.every_pulse();
        let mut look = every(self.bench.settings.health.interval);
        let mut settle = every(LOOK_WHILE_SETTLING);
        let deadline = loop {
            self.begin_what_can_be();
            tokio::select! {
                deadline = told_to_stop(&mut stopped) => break deadline,
                _ = pulse.tick() => self.pulse(),
                _ = look.tick() => self.look(),
                _ = settle.tick(), if self.hand.is_gate_shut() => self.look(),
                () = self.step() => {}
            }
        };
        self.close(deadline).await
    }

    /// Waits for whatever happens next, and does what follows from it. A cancelled call loses nothing.
    pub(super) async fn step(&mut self) {
        let due = self.hand.next_due();
        tokio::select! {
            Some(done) = self.work.join_next(), if !self.work.is_empty() => {
                self.worked(done);
                self.take_in_what_is_done();
            }
            arrival = next_of(&mut self.deliveries), if self.has_room() => self.arrivals(arrival),
            () = until(due), if due.is_some() => self.hand.end_pauses(Instant::now()),
            Some(told) = self.chores.join_next(), if !self.chores.is_empty() => {
                for (sequence, when) in told.unwrap_or_default() {
                    self.hand.sign(sequence, when);
                }
            }
            Some(Ok(look)) = self.looks.join_next(), if !self.looks.is_empty() => self.looked(look),
            Some(Ok(opened)) = self.reopening.join_next(), if !self.reopening.is_empty() => self.reopened(opened),
            () = std::future::ready(()), if self.next.is_some() && self.hand.is_empty() => self.begin_with_the_new_stream(),
            else => std::future::pending().await,
        }
    }

    pub(super) fn begin_what_can_be(&mut self) {
        while self.hand.running() < self.bench.settings.concurrency {
            let Some((sequence, held)) = self.hand.next() else { break };
            let job = Job { slot: Arc::clone(&held.slot), key: held.key.clone(), past: held.past.clone() };
            let work = Arc::clone(&self.bench).work(job);
            self.work.spawn(work.map(move |ended| (sequence, ended)));
        }
        self.bench.counters.in_hand.store(self.hand.len() as u64, Ordering::Relaxed);
    }

    pub(super) fn take_in_what_is_done(&mut self) {
        while let Some(done) = self.work.try_join_next() {
            self.worked(done);
        }
    }

    fn worked(&mut self, done: Result<(u64, Ended), tokio::task::JoinError>) {
        // It catches panics itself, so this one was aborted, with all others.
        let Ok((sequence, ended)) = done else { return };
        match ended {
            Ended::Finished => {
                self.hand.finished(sequence);
                self.memory.finish(sequence);
            }
            Ended::GivenBack(past) => {
                self.hand.finished(sequence);
                self.memory.give_back(sequence, past);
            }
            Ended::Again(pause, past) => {
                let now = Instant::now();
                // A pause beyond what a clock can count is as good as a day.
                let until = now.checked_add(pause).unwrap_or(now + Duration::from_secs(24 * 3600));
                self.hand.pause(sequence, until, past);
            }
        }
    }

    fn has_room(&self) -> bool {
        let most = self.bench.settings.in_hand.unwrap_or(usize::MAX);
        self.deliveries.is_some() && (self.hand.is_gate_shut() || self.hand.len() < most)
    }

    /// Takes in what has come, and what comes at once after it.
    fn arrivals(&mut self, mut arrival: Option<Result<Delivery, ConsumeError>>) {
        for _ in 0..AT_ONCE {
            match arrival {
                Some(Ok(delivery)) => self.take(delivery),
                Some(Err(error)) => self.went_wrong(&error),
                None => self.ended(),
            }
            if !self.has_room() {
                return;
            }
            let Some(next) = next_of(&mut self.deliveries).now_or_never() else { return };
            arrival = next;
        }
    }

    fn take(&mut self, delivery: Delivery) {
        Counters::add(&self.bench.counters.deliveries);
        let sequence = delivery.context.sequence;
        if self.memory.is_finished(sequence) {
            // The server has not heard of it.
            Counters::add(&self.bench.counters.duplicates);
            self.chores.spawn(async move {
                let _lost_again = timeout(LOOK_WITHIN, delivery.ack()).await;
                Vec::new()
            });
            return;
        }
        let key = self.bench.settings.order.as_ref().and_then(|key| key.of(&delivery.message));
        let past = self.memory.take_back(sequence);
        self.hand.take(delivery, key, past, Instant::now());
    }

    fn went_wrong(&mut self, error: &ConsumeError) {
        match error {
            ConsumeError::Gone { .. } | ConsumeError::NoStream { .. } => self.ended(),
            ConsumeError::Unavailable { .. } | ConsumeError::Refused { .. } | ConsumeError::Lookup { .. } => {
                warn!(
                    stream = %self.bench.stream, consumer = %self.bench.consumer, error = in_full(error),
                    "reading a consumer was interrupted"
                );
                // Something may have been delivered to nobody.
                self.settle();
            }
        }
    }

    /// Nothing more comes from this subscription.
    fn ended(&mut self) {
        self.deliveries = None;
        if self.is_stopping || !self.reopening.is_empty() || self.next.is_some() {
            return;
        }
        self.control = None;
        self.monitor.lost();
        let floor = self.has_floor.then(|| self.memory.floor());
        self.reopening.spawn(self.opening.clone().again(floor));
    }

    fn reopened(&mut self, opened: Opened) {
        if opened.stream_is_new && !self.hand.is_empty() {
            self.next = Some(opened);
            return;
        }
        self.go_on_with(opened);
    }

    fn begin_with_the_new_stream(&mut self) {
        if let Some(opened) = self.next.take() {
            self.go_on_with(opened);
        }
    }

    fn go_on_with(&mut self, opened: Opened) {
        let Opened { subscription, created, stream_is_new, from } = opened;
        if stream_is_new {
            self.memory.clear();
            self.has_floor = false;
        }
        self.opening.created = created;
        Counters::add(&self.bench.counters.recreated);
        self.monitor.recreated(Instant::now(), from, stream_is_new);
        self.read(subscription);
    }

    fn read(&mut self, subscription: Subscription) {
        self.deliveries = Some(subscription.deliveries);
        self.control = Some(subscription.control);
        self.settle();
        self.look();
    }

    /// Where order is kept: holds up what comes until all is here that was delivered and not acknowledged.
    fn settle(&mut self) {
        let config = &self.opening.config;
        let wait = config.backoff.iter().max().copied().unwrap_or(config.ack_wait);
        let limit = self.bench.settings.settle_within.unwrap_or(wait + Duration::from_secs(1));
        if self.bench.settings.order.is_none() || limit.is_zero() {
            return;
        }
        self.settling = Some(Instant::now() + limit);
        self.hand.shut_gate();
    }

    /// Asks how the consumer stands, unless that is being asked already.
    fn look(&mut self) {
        let Some(control) = self.control.clone().filter(|_| self.looks.is_empty()) else { return };
        let (stream, consumer) = (self.bench.stream.to_string(), self.bench.consumer.to_string());
        let in_hand = self.hand.len();
        self.looks.spawn(async move {
            let info = match timeout(LOOK_WITHIN, control.info()).await {
                Ok(info) => info,
                Err(late) => Err(ConsumeError::Unavailable { stream, consumer, source: late.into() }),
            };
            Look { info, in_hand, control }
        });
    }

    fn looked(&mut self, look: Look) {
        let Look { info, in_hand, control } = look;
        if !self.control.as_ref().is_some_and(|current| Arc::ptr_eq(current, &control)) {
            return;
        }
        match info {
            Ok(info) => {
                self.memory.acknowledged_to(info.ack_floor);
                self.has_floor = true;
                self.monitor.looked(Instant::now(), &info, self.bench.counters.progress());
                self.open_gate_if(info.ack_pending <= in_hand as u64);
            }
            Err(ConsumeError::Gone { .. } | ConsumeError::NoStream { .. }) => self.ended(),
            Err(error) => {
                debug!(stream = %self.bench.stream, error = in_full(&error), "a consumer could not be looked at");
                self.monitor.not_answered();
                self.open_gate_if(false);
            }
        }
    }

    fn open_gate_if(&mut self, all_are_here: bool) {
        let too_late = self.settling.is_some_and(|until| Instant::now() >= until);
        if !self.hand.is_gate_shut() || !(all_are_here || too_late) {
            return;
        }
        if !all_are_here {
            info!(
                stream = %self.bench.stream, consumer = %self.bench.consumer,
                "goes on without messages that others have not acknowledged: their order is not kept"
            );
        }
        self.settling = None;
        self.hand.open_gate();
    }

    /// Tells the server of messages of which it has not heard for half of the time it waits.
    pub(super) fn pulse(&mut self) {
        let now = Instant::now();
        let Some(then) = now.checked_sub(self.ack_wait() / 2) else { return };
        let unsigned = self.hand.unsigned_since(then);
        if unsigned.is_empty() || self.control.is_none() {
            return;
        }
        let limit = self.pulse_interval();
        self.chores.spawn(async move {
            let mut told = Vec::with_capacity(unsigned.len());
            // Those that are not reached in time have their turn with the next pulse.
            let _late = timeout(limit, announce(unsigned, &mut told)).await;
            told
        });
    }

    /// How long the server waits at least before it delivers a message again.
    fn ack_wait(&self) -> Duration {
        let config = &self.opening.config;
        config.backoff.iter().min().copied().unwrap_or(config.ack_wait)
    }

    pub(super) fn every_pulse(&self) -> Interval {
        every(self.pulse_interval())
    }

    fn pulse_interval(&self) -> Duration {
        (self.ack_wait() / 8).max(Duration::from_millis(1))
    }

    pub(super) fn has_more_to_come(&self) -> bool {
        self.deliveries.is_some()
    }
}

async fn told_to_stop(stopped: &mut watch::Receiver<Option<Instant>>) -> Instant {
    // Where the other end is gone nobody waits for what becomes of the rest.
    stopped.wait_for(Option::is_some).await.ok().and_then(|deadline| *deadline).unwrap_or_else(Instant::now)
}

async fn announce(unsigned: Vec<(u64, Arc<Slot>)>, told: &mut Vec<(u64, Instant)>) {
    for (sequence, slot) in unsigned {
        let now = Instant::now();
        if slot.get().in_progress().await.is_ok() {
            told.push((sequence, now));
        }
    }
}

async fn next_of(deliveries: &mut Option<Deliveries>) -> Option<Result<Delivery, ConsumeError>> {
    match deliveries {
        Some(deliveries) => deliveries.next().await,
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
