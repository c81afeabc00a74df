//! A reader at work: one task that owns the line, the desk and the handlers at work, and does one thing at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use headwater_core::{AggregateId, Revision, Sequence};
use headwater_nats::subject::Subjects;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::api::Trouble;
use super::backoff::Backoff;
use super::consumer::{Consumer, ConsumerInfo};
use super::desk::{Desk, Held};
use super::error::ReaderError;
use super::gate::SOON;
use super::handler::Handler;
use super::journal;
use super::line::{Arrival, Arrived, Line};
use super::memory::{Memory, Recollection};
use super::opening::{Known, Opened, open};
use super::outcome::Outcome;
use super::settings::Settings;
use super::stats::{Counters, ReaderState};
use super::telemetry::ReaderTelemetry;

/// The acknowledgements of JetStream.
pub(super) const ACK: Bytes = Bytes::from_static(b"+ACK");
const IN_PROGRESS: Bytes = Bytes::from_static(b"+WPI");
pub(super) const NAK: Bytes = Bytes::from_static(b"-NAK");

/// A reader at work.
pub(super) struct Reader {
    pub(super) consumer: Consumer,
    pub(super) subjects: Subjects,
    pub(super) settings: Settings,
    pub(super) handler: Handler,
    pub(super) counters: Arc<Counters>,
    pub(super) telemetry: Option<Arc<ReaderTelemetry>>,
    pub(super) desk: Desk,
    pub(super) memory: Memory,
    pub(super) way: Way,
    pub(super) known: Known,
    /// The last place that came, and before which nothing new comes.
    pub(super) reached: u64,
    /// Everything up to here was done when the gate was shut.
    pub(super) done_at_gate: u64,
    /// The number of the last delivery that has come, or that there was before this line.
    pub(super) last_delivery: u64,
    /// Messages that are no events.
    pub(super) junk: BTreeMap<u64, Junk>,
    pub(super) work: JoinSet<(u64, Outcome)>,
    pub(super) question: Option<BoxFuture<'static, Result<Option<ConsumerInfo>, Trouble>>>,
    pub(super) ask_at: Instant,
    pub(super) ask_again: Backoff,
    /// Acknowledgements that may have been lost were repeated over this line.
    pub(super) repeated: bool,
    sign_at: Instant,
    reopen: Backoff,
    pub(super) closing: Option<Closing>,
}

/// The way to the server.
pub(super) enum Way {
    Open(Line),
    Opening(BoxFuture<'static, Result<Opened, ReaderError>>),
    /// Over for good; what is left to say is said over the line, if there is one.
    Over(Option<Line>),
}

/// A message that is no event.
pub(super) struct Junk {
    pub(super) reply: Subject,
    /// Why, until that is said.
    error: Option<ReaderError>,
}

/// The end of a reader.
pub(super) struct Closing {
    pub(super) result: Result<(), ReaderError>,
    pub(super) deadline: Instant,
}

/// What happens to a reader.
enum Happening {
    Stop,
    Done(u64, Outcome),
    Arrival(Arrival),
    Opened(Result<Box<Opened>, ReaderError>),
    Answer(Result<Option<ConsumerInfo>, Trouble>),
    Time,
}

impl Reader {
    pub(super) fn new(
        consumer: Consumer,
        subjects: Subjects,
        settings: Settings,
        handler: Handler,
        counters: Arc<Counters>,
    ) -> Self {
        let now = Instant::now();
        let telemetry = settings.telemetry.as_ref();
        Self {
            telemetry: telemetry.map(|told| ReaderTelemetry::new(told, &subjects, &settings.name, &counters)),
            memory: Memory::new(settings.remembered),
            desk: Desk::default(),
            way: Way::Over(None),
            known: Known::default(),
            reached: 0,
            done_at_gate: 0,
            last_delivery: 0,
            junk: BTreeMap::new(),
            work: JoinSet::new(),
            question: None,
            ask_at: now,
            ask_again: Backoff::new(Duration::from_millis(5), SOON),
            repeated: false,
            sign_at: now + settings.ack_wait / 2,
            reopen: Backoff::new(Duration::from_millis(10), Duration::from_secs(2)),
            closing: None,
            consumer,
            subjects,
            settings,
            handler,
            counters,
        }
    }

    /// Reads until it is stopped or cannot go on, over a way that is open already.
    pub(super) async fn run(mut self, opened: Opened, stop: CancellationToken) -> Result<(), ReaderError> {
        self.opened(opened).await;
        loop {
            self.begin_what_can_be();
            self.show();
            if self.is_closed() {
                return self.close().await;
            }
            let happening = self.wait(&stop).await;
            if let Err(error) = self.handle(happening).await {
                self.begin_closing(Err(error));
            }
        }
    }

    async fn wait(&mut self, stop: &CancellationToken) -> Happening {
        let times = [Some(self.sign_at), Some(self.ask_at).filter(|_| self.question.is_none()), self.desk.next_due()];
        let deadline = self.closing.as_ref().map(|closing| closing.deadline);
        let time = times.into_iter().chain([deadline]).flatten().min().unwrap_or(self.sign_at);
        let (way, question, work) = (&mut self.way, &mut self.question, &mut self.work);
        tokio::select! {
            () = stop.cancelled(), if self.closing.is_none() => Happening::Stop,
            Some(done) = work.join_next() => match done {
                Ok((sequence, outcome)) => Happening::Done(sequence, outcome),
                // Panics of handlers are caught inside, and nothing aborts them here.
                Err(_) => Happening::Time,
            },
            happening = way.next() => happening,
            answer = answered(question) => Happening::Answer(answer),
            () = sleep_until(time) => Happening::Time,
        }
    }

    async fn handle(&mut self, happening: Happening) -> Result<(), ReaderError> {
        match happening {
            Happening::Stop => self.begin_closing(Ok(())),
            Happening::Done(sequence, outcome) => self.done(sequence, outcome).await?,
            Happening::Arrival(arrival) => self.arrived(arrival).await?,
            Happening::Opened(opened) => self.opened(*opened?).await,
            Happening::Answer(answer) => {
                self.question = None;
                self.answered(answer).await;
            }
            Happening::Time => self.on_time().await,
        }
        if self.closing.is_none() && self.desk.is_done_before_barrier() {
            // What is wrong with the first of them is what the reader ends with.
            let error = self.junk.values_mut().next().and_then(|junk| junk.error.take());
            return error.map_or(Ok(()), Err);
        }
        Ok(())
    }

    async fn arrived(&mut self, arrival: Arrival) -> Result<(), ReaderError> {
        match arrival {
            Arrival::Message(arrived) => {
                self.reopen.reset();
                self.take(*arrived).await;
            }
            Arrival::Confirmed(sequence) => self.put_out_of_hand(sequence),
            Arrival::Unpinned => self.unpinned().await,
            Arrival::Broken(why) => self.broken(why).await,
            Arrival::Over => self.way = Way::Over(self.take_line()),
            Arrival::Forbidden(subject) => {
                return Err(ReaderError::Refused(format!(
                    "the NATS user has no right to {subject}, which a reader needs"
                )));
            }
        }
        Ok(())
    }

    async fn take(&mut self, arrived: Arrived) {
        let Arrived { place, newly_pinned, message } = arrived;
        self.counters.deliveries.increment();
        self.counters.unread.set(place.pending);
        // A server that has lost its last notes counts some of them once more.
        let missed = place.delivery > self.last_delivery + 1;
        self.last_delivery = place.delivery;
        if missed || newly_pinned {
            self.shut_gate();
        }
        let sequence = place.sequence;
        if let Some(held) = self.desk.get_mut(sequence) {
            self.counters.duplicates.increment();
            (held.reply, held.deliveries, held.signed) = (place.reply, place.times, Instant::now());
            self.tell(sequence).await;
            return;
        }
        if let Some(junk) = self.junk.get_mut(&sequence) {
            junk.reply = place.reply;
            return;
        }
        let event = match journal::decode(&self.subjects, &message.subject, &message.payload, sequence) {
            Ok(event) => event,
            Err(error) => return self.take_junk(sequence, place.reply, error),
        };
        match self.memory.recall(&event) {
            Recollection::New => {
                self.desk.take(Held::new(event, place.reply, place.times, Instant::now()));
                self.reached = self.reached.max(sequence);
                if self.desk.is_gate_shut() {
                    self.ask_soon();
                }
            }
            Recollection::Handled => {
                self.counters.duplicates.increment();
                self.reached = self.reached.max(sequence);
                self.say(&place.reply, ACK).await;
            }
            Recollection::Other(other) => {
                let error = doubled(event.aggregate, event.revision, other, event.sequence);
                self.take_junk(sequence, place.reply, error);
            }
        }
    }

    fn take_junk(&mut self, sequence: u64, reply: Subject, error: ReaderError) {
        self.junk.insert(sequence, Junk { reply, error: Some(error) });
        self.desk.bar_from(sequence);
    }

    /// Another reader gets the messages now: it is to get those too that were not begun here.
    async fn unpinned(&mut self) {
        info!(reader = %self.settings.name, "another reader of this name has taken over");
        self.shut_gate();
        for held in self.desk.give_up_unbegun() {
            self.say(&held.reply, NAK).await;
        }
    }

    async fn broken(&mut self, why: &'static str) {
        debug!(reader = %self.settings.name, why, "the way to the server is opened anew");
        self.counters.reopened.increment();
        self.shut_gate();
        let Some(mut line) = self.take_line() else { return };
        // What has come is whole.
        while let Some(arrived) = line.next_that_came() {
            self.take(arrived).await;
        }
        self.known.pin = line.pin().map(str::to_owned);
        if self.closing.is_some() {
            return;
        }
        self.known.done_to = Some(self.done_to());
        let (consumer, settings) = (self.consumer.clone(), self.settings.clone());
        self.way = Way::Opening(open(consumer, settings, self.known.clone(), None, self.reopen.next_pause()).boxed());
    }

    async fn opened(&mut self, opened: Opened) {
        let Opened { line, info, created, recreated } = opened;
        if recreated {
            self.counters.recreated.increment();
        }
        self.known.created = Some(created);
        self.way = Way::Open(line);
        // The line was opened after that: whatever is delivered from here on has to come over it.
        self.last_delivery = info.delivered.consumer_seq;
        self.repeated = false;
        self.shut_gate();
        self.judge(&info).await;
        // Whatever was finished meanwhile.
        self.sign().await;
    }

    async fn on_time(&mut self) {
        let now = Instant::now();
        self.desk.end_pauses(now);
        if now >= self.sign_at {
            self.sign().await;
        }
        if now >= self.ask_at {
            self.ask(now);
        }
    }

    /// Tells the server what is in hand, and once more what is finished.
    async fn sign(&mut self) {
        self.sign_at = Instant::now() + self.settings.ack_wait / 2;
        let (Way::Open(line) | Way::Over(Some(line))) = &self.way else { return };
        let mut finished = Vec::new();
        for (sequence, held) in self.desk.iter_mut() {
            if held.finish().is_some() {
                finished.push(sequence);
            } else {
                let now = Instant::now();
                if line.send(&held.reply, IN_PROGRESS).await {
                    held.signed = now;
                }
            }
        }
        for junk in self.junk.values() {
            line.send(&junk.reply, IN_PROGRESS).await;
        }
        for sequence in finished {
            self.tell(sequence).await;
        }
    }

    /// Says something about a delivery, if there is a way to.
    pub(super) async fn say(&mut self, reply: &Subject, what: Bytes) -> bool {
        match &self.way {
            Way::Open(line) | Way::Over(Some(line)) => line.send(reply, what).await,
            _ => false,
        }
    }

    pub(super) fn put_out_of_hand(&mut self, sequence: u64) {
        if self.desk.get(sequence).is_some_and(|held| held.finish().is_some()) {
            self.desk.remove(sequence);
        }
    }

    pub(super) fn take_line(&mut self) -> Option<Line> {
        match std::mem::replace(&mut self.way, Way::Over(None)) {
            Way::Open(line) => Some(line),
            Way::Over(line) => line,
            Way::Opening(_) => None,
        }
    }

    fn show(&self) {
        let pinned = match &self.way {
            Way::Open(line) | Way::Over(Some(line)) => line.pin().is_some(),
            _ => false,
        };
        self.counters.set_state(match &self.way {
            _ if self.closing.is_some() => ReaderState::Stopping,
            Way::Opening(_) | Way::Over(_) => ReaderState::Opening,
            Way::Open(_) if !pinned => ReaderState::Waiting,
            Way::Open(_) if self.desk.is_gate_shut() => ReaderState::Settling,
            Way::Open(_) => ReaderState::Reading,
        });
        self.counters.in_hand.set(self.desk.len() as u64);
        self.counters.position.set(self.done_to());
    }
}

impl Way {
    async fn next(&mut self) -> Happening {
        match self {
            Self::Open(line) => Happening::Arrival(line.next().await),
            Self::Opening(opening) => Happening::Opened(opening.await.map(Box::new)),
            Self::Over(_) => std::future::pending().await,
        }
    }
}

async fn answered<T>(question: &mut Option<BoxFuture<'static, T>>) -> T {
    match question {
        Some(question) => question.await,
        None => std::future::pending().await,
    }
}

fn doubled(aggregate: AggregateId, revision: Revision, one: u64, two: Sequence) -> ReaderError {
    let what = format!("revision {revision} of {aggregate} stands here and at sequence {one}");
    ReaderError::HistoryBroken { sequence: two, aggregate: Some(aggregate), what }
}
