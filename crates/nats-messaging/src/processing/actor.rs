//! The one task that lays a processor's messages on the table. Everything that waits for somebody runs in tasks of its own, the
//! workers among them, which it owns: it never waits but for them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::hand::Slot;
use super::opening::{Opened, Opening};
use super::stats::{Counters, ShutdownReport};
use super::table::Table;
use super::work::{Bench, in_full};
use crate::consume::{ConsumeError, ConsumerInfo, Control, Delivery, Subscription};
use crate::health::Monitor;

/// How long one look at the consumer may take.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// How often it is looked at while messages wait for those that are still with somebody else.
const LOOK_WHILE_SETTLING: Duration = Duration::from_millis(100);

/// How many deliveries are taken in before anything else has its turn.
const AT_ONCE: usize = 64;

/// How long what can be begun waits, at the most, for workers that seem to be at work and may be waiting: for a lock, say.
const HELP_AFTER: Duration = Duration::from_millis(1);

type Deliveries = BoxStream<'static, Result<Delivery, ConsumeError>>;

pub(super) struct Actor {
    pub(super) bench: Arc<Bench>,
    pub(super) table: Arc<Table>,
    /// The workers.
    pub(super) work: JoinSet<()>,
    /// How many workers the machine can keep busy: more are there when some of them wait.
    threads: usize,
    /// When more workers are to be there, whether these wait or not.
    help_due: Option<Instant>,
    /// What has come and is not on the table yet.
    arrived: Vec<Delivery>,
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
            table: Table::new(Arc::clone(&bench)),
            bench,
            work: JoinSet::new(),
            threads: Handle::current().metrics().num_workers(),
            help_due: None,
            arrived: Vec::with_capacity(AT_ONCE),
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
                _ = settle.tick(), if self.is_gate_shut() => self.look(),
                () = self.step() => {}
            }
        };
        self.close(deadline).await
    }

    /// Waits for whatever happens next, and does what follows from it. A cancelled call loses nothing.
    pub(super) async fn step(&mut self) {
        let due = self.table.laid().hand.next_due();
        tokio::select! {
            Some(_) = self.work.join_next(), if !self.work.is_empty() => while self.work.try_join_next().is_some() {},
            arrival = next_of(&mut self.deliveries), if self.has_room() => self.arrivals(arrival),
            () = self.table.changed.notified() => {}
            () = until(due), if due.is_some() => self.table.laid().hand.end_pauses(Instant::now()),
            () = until(self.help_due), if self.help_due.is_some() => self.help(),
            Some(told) = self.chores.join_next(), if !self.chores.is_empty() => {
                let mut laid = self.table.laid();
                for (sequence, when) in told.unwrap_or_default() {
                    laid.hand.sign(sequence, when);
                }
            }
            Some(Ok(look)) = self.looks.join_next(), if !self.looks.is_empty() => self.looked(look),
            Some(Ok(opened)) = self.reopening.join_next(), if !self.reopening.is_empty() => self.reopened(opened),
            () = std::future::ready(()), if self.next.is_some() && self.is_empty() => self.begin_with_the_new_stream(),
            else => std::future::pending().await,
        }
    }

    pub(super) fn begin_what_can_be(&mut self) {
        self.begin(self.threads);
        let is_overdue_at = || Instant::now() + HELP_AFTER;
        self.help_due = self.table.has_work().then(|| self.help_due.unwrap_or_else(is_overdue_at));
        let has_room = self.has_room();
        let mut laid = self.table.laid();
        laid.is_full = !has_room;
        self.table.count(&laid);
    }

    /// Adds workers until there are enough that do not wait, or nothing can be begun.
    fn begin(&mut self, enough: usize) {
        while let Some(begun) = self.table.begin(enough) {
            self.work.spawn(Arc::clone(&self.table).work(begun));
        }
    }

    /// The workers have been at it for long: all that can be begun is begun.
    fn help(&mut self) {
        self.help_due = None;
        self.begin(usize::MAX);
    }

    fn is_empty(&self) -> bool {
        self.table.laid().hand.is_empty()
    }

    fn is_gate_shut(&self) -> bool {
        self.table.laid().hand.is_gate_shut()
    }

    fn has_room(&self) -> bool {
        self.deliveries.is_some() && self.room() > 0
    }

    /// How many messages may be taken in.
    fn room(&self) -> usize {
        // The server forgets what was purged, and delivers as many others beside it; but not time and again.
        let delivered = 2 * self.opening.config.max_ack_pending as usize;
        let laid = self.table.laid();
        let most = match self.bench.settings.in_hand {
            // At a shut gate everything is taken in that was delivered and not acknowledged.
            Some(most) if laid.hand.is_gate_shut() => most.max(delivered),
            Some(most) => most,
            None => delivered,
        };
        most.saturating_sub(laid.hand.len())
    }

    /// Takes in what has come, and what comes at once after it.
    fn arrivals(&mut self, mut arrival: Option<Result<Delivery, ConsumeError>>) {
        let most = self.room().clamp(1, AT_ONCE);
        for _ in 0..most {
            match arrival {
                Some(Ok(delivery)) => self.arrived.push(delivery),
                Some(Err(error)) => {
                    // What came before it is from before.
                    self.take_in();
                    self.went_wrong(&error);
                }
                None => {
                    self.take_in();
                    self.ended();
                }
            }
            if self.arrived.len() >= most || self.deliveries.is_none() {
                break;
            }
            let Some(next) = next_of(&mut self.deliveries).now_or_never() else { break };
            arrival = next;
        }
        self.take_in();
    }

    /// Lays what has come on the table.
    fn take_in(&mut self) {
        if self.arrived.is_empty() {
            return;
        }
        let (mut laid, now) = (self.table.laid(), Instant::now());
        for delivery in self.arrived.drain(..) {
            Counters::add(&self.bench.counters.deliveries);
            let sequence = delivery.context.sequence;
            if laid.memory.is_finished(sequence) {
                // The server has not heard of it.
                Counters::add(&self.bench.counters.duplicates);
                self.chores.spawn(async move {
                    let _lost_again = timeout(LOOK_WITHIN, delivery.ack()).await;
                    Vec::new()
                });
                continue;
            }
            let key = self.bench.settings.order.as_ref().and_then(|key| key.of(&delivery.message));
            let past = laid.memory.take_back(sequence);
            laid.hand.take(delivery, key, past, now);
        }
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
        let floor = self.has_floor.then(|| self.table.laid().memory.floor());
        self.reopening.spawn(self.opening.clone().again(floor));
    }

    fn reopened(&mut self, opened: Opened) {
        if opened.stream_is_new && !self.is_empty() {
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
            self.table.laid().memory.clear();
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
        self.table.laid().hand.shut_gate();
    }

    /// Asks how the consumer stands, unless that is being asked already.
    fn look(&mut self) {
        let Some(control) = self.control.clone().filter(|_| self.looks.is_empty()) else { return };
        let (stream, consumer) = (self.bench.stream.to_string(), self.bench.consumer.to_string());
        let in_hand = self.table.laid().hand.len();
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
                self.table.laid().memory.acknowledged_to(info.ack_floor);
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
        if !self.is_gate_shut() || !(all_are_here || too_late) {
            return;
        }
        if !all_are_here {
            info!(
                stream = %self.bench.stream, consumer = %self.bench.consumer,
                "goes on without messages that others have not acknowledged: their order is not kept"
            );
        }
        self.settling = None;
        self.table.laid().hand.open_gate();
    }

    /// Tells the server of messages of which it has not heard for half of the time it waits.
    pub(super) fn pulse(&mut self) {
        let now = Instant::now();
        let Some(then) = now.checked_sub(self.ack_wait() / 2) else { return };
        let unsigned = self.table.laid().hand.unsigned_since(then);
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
