//! Callers who do what the worst of real ones do, each by a seed: they give up early, send again, send twice at once,
//! repeat what was answered long ago and mix up their command ids.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use headwater::CommandId;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use sample_receipts::domain::ReceiptClient;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::answers::{asked, refused_read};
use crate::history::{Answer, Asked, Call};
use crate::order::Order;
use crate::record::Record;

/// How many receipts are worked on at the same time.
const RECEIPTS: usize = 6;

/// How often it is the first of them, on top of its turns.
const HOT: f64 = 0.3;

/// A receipt with more events is left alone: its states would fill the history.
const LONG: u64 = 120;

/// How many answered commands a caller may come back to.
const REMEMBERED: usize = 32;

/// How long a call may take, from the impatient to the patient.
const PATIENCE: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

/// How long the last attempts at a command are repeated when nothing bad happens any more.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// Callers at work.
pub(crate) struct Callers {
    at_work: JoinSet<Result<(), String>>,
    stop: Arc<AtomicBool>,
}

/// One of the receipts that are worked on; it is replaced by a new one when it is closed or long.
#[derive(Debug)]
struct Current {
    generation: u32,
    /// The highest revision that anybody has been told of.
    revision: u64,
}

type Receipts = Arc<[Mutex<Current>]>;

/// A command that may be sent again.
#[derive(Debug, Clone)]
struct Sent {
    aggregate: String,
    id: CommandId,
    order: Order,
    expected: Option<u64>,
}

struct Caller {
    number: usize,
    client: ReceiptClient,
    random: StdRng,
    receipts: Receipts,
    record: Arc<Record>,
    stop: Arc<AtomicBool>,
    /// Commands that were acknowledged.
    answered: VecDeque<Sent>,
    /// Commands that were given up without knowing.
    given_up: Vec<Sent>,
}

impl Callers {
    /// As many callers as there are clients.
    pub(crate) fn start(clients: Vec<ReceiptClient>, seed: u64, record: &Arc<Record>) -> Self {
        let receipts: Receipts = (0..RECEIPTS).map(|_| Mutex::new(Current { generation: 0, revision: 0 })).collect();
        let (mut at_work, stop) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for (number, client) in clients.into_iter().enumerate() {
            let caller = Caller {
                number,
                client,
                random: StdRng::seed_from_u64(seed.wrapping_add(1 + number as u64)),
                receipts: Arc::clone(&receipts),
                record: Arc::clone(record),
                stop: Arc::clone(&stop),
                answered: VecDeque::new(),
                given_up: Vec::new(),
            };
            at_work.spawn(caller.work());
        }
        Self { at_work, stop }
    }

    /// Lets every caller finish what it has begun, now that nothing bad happens any more.
    pub(crate) async fn finish(mut self) -> Result<(), String> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.at_work.join_next().await {
            ended.map_err(|error| error.to_string())??;
        }
        Ok(())
    }
}

impl Caller {
    async fn work(mut self) -> Result<(), String> {
        while !self.stop.load(Ordering::Relaxed) {
            match self.random.random_range(0..100) {
                0..15 => self.read().await,
                15..23 => self.repeat().await,
                23..28 => self.mix_up().await,
                28..33 => self.twice_at_once().await,
                _ => self.see_through().await,
            }
            self.pause().await;
        }
        self.settle().await
    }

    /// Mostly a moment, sometimes long enough for a fault to pass.
    async fn pause(&mut self) {
        let longest = if self.random.random_bool(0.02) { 400 } else { 12 };
        sleep(Duration::from_millis(self.random.random_range(0..longest))).await;
    }

    /// A new command, sent until it is answered or the caller gives up.
    async fn see_through(&mut self) {
        let sent = self.invent();
        while self.send(&sent).await.is_open() {
            if self.stop.load(Ordering::Relaxed) || self.random.random_bool(0.15) {
                return self.given_up.push(sent);
            }
            self.pause().await;
        }
    }

    /// A new command, sent twice before any answer.
    async fn twice_at_once(&mut self) {
        let sent = self.invent();
        let within = [self.patience(), self.patience()];
        let (one, other) = tokio::join!(self.call(&sent, within[0], true), self.call(&sent, within[1], false));
        self.take_in(&sent, one);
        self.take_in(&sent, other);
    }

    /// A command that was acknowledged, once more.
    async fn repeat(&mut self) {
        if let Some(sent) = self.remembered() {
            self.send(&sent).await;
        }
    }

    /// The id of a command that was acknowledged, on another one.
    async fn mix_up(&mut self) {
        if let Some(sent) = self.remembered() {
            let order = sent.order.other(&mut self.random);
            self.send(&Sent { order, ..sent }).await;
        }
    }

    /// The state, half the time at least as new as somebody was told.
    async fn read(&mut self) {
        let (aggregate, revision) = self.current();
        let min_revision = (revision > 0 && self.random.random_bool(0.5)).then_some(revision);
        let within = self.patience();
        let get = self.client.get(&aggregate).timeout(within);
        let called = self.record.now();
        let answer = match min_revision {
            Some(min) => get.min_revision(min).await,
            None => get.await,
        };
        let answer = match answer {
            Ok(found) => Answer::Found {
                revision: found.revision.get(),
                sequence: found.sequence.get(),
                state: json!(found.state),
            },
            Err(error) => refused_read(&error),
        };
        self.write_down((called, within), aggregate, Asked::Get { min_revision }, answer);
    }

    /// Half of what was given up is sent until it is answered; of the rest it stays unknown what became of it.
    async fn settle(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        for sent in std::mem::take(&mut self.given_up) {
            while self.random.random_bool(0.5) && self.send(&sent).await.is_open() {
                if begun.elapsed() > SETTLED_WITHIN {
                    return Err(format!("nobody could tell what became of {sent:?} within {SETTLED_WITHIN:?}"));
                }
                self.pause().await;
            }
        }
        Ok(())
    }

    fn invent(&mut self) -> Sent {
        let (aggregate, revision) = self.current();
        let expected = self.random.random_bool(0.1).then_some(revision);
        Sent { aggregate, id: CommandId::generate(), order: Order::random(&mut self.random), expected }
    }

    fn remembered(&mut self) -> Option<Sent> {
        let (older, newer) = self.answered.as_slices();
        let slice = if newer.is_empty() || self.random.random_bool(0.5) && !older.is_empty() { older } else { newer };
        slice.choose(&mut self.random).cloned()
    }

    fn patience(&mut self) -> Duration {
        *PATIENCE.choose(&mut self.random).unwrap()
    }

    async fn send(&mut self, sent: &Sent) -> Call {
        let (within, with_state) = (self.patience(), self.random.random_bool(0.2));
        let call = self.call(sent, within, with_state).await;
        self.take_in(sent, call.clone());
        call
    }

    async fn call(&self, sent: &Sent, within: Duration, with_state: bool) -> Call {
        let Sent { aggregate, id, order, expected } = sent;
        let mut call = order.call(&self.client, aggregate).command_id(id.clone()).timeout(within);
        if let Some(expected) = expected {
            call = call.expected_revision(*expected);
        }
        let called = self.record.now();
        let answer = asked(call, with_state).await;
        let asked = Asked::Command { id: id.to_string(), order: order.clone(), expected: *expected };
        self.write_down((called, within), aggregate.clone(), asked, answer)
    }

    /// Writes down a call that was made then and was given so much time.
    fn write_down(&self, when: (u64, Duration), aggregate: String, asked: Asked, answer: Answer) -> Call {
        let (called, within) = when;
        let until = called + u64::try_from(within.as_micros()).unwrap();
        let call = Call { caller: self.number, called, returned: self.record.now(), until, aggregate, asked, answer };
        self.record.call(call.clone());
        call
    }

    /// What follows from an answer for what is done next.
    fn take_in(&mut self, sent: &Sent, call: Call) {
        match call.answer {
            Answer::Done { revision, .. } => {
                self.heard(&call.aggregate, |current| {
                    current.revision = current.revision.max(revision);
                    revision > LONG
                });
                self.answered.push_back(sent.clone());
                if self.answered.len() > REMEMBERED {
                    self.answered.pop_front();
                }
            }
            Answer::Rejected { why } if why.contains("this takes an open one") || why.contains("voided") => {
                self.heard(&call.aggregate, |_| true);
            }
            _ => {}
        }
    }

    /// Something about a receipt, if it is still worked on. `is_over` says whether it is no longer.
    fn heard(&self, aggregate: &str, is_over: impl FnOnce(&mut Current) -> bool) {
        let mut parts = aggregate.split('-').skip(1).map(|part| part.parse::<u32>().unwrap());
        let (slot, generation) = (parts.next().unwrap(), parts.next().unwrap());
        let mut current = self.receipts[slot as usize].lock().unwrap_or_else(PoisonError::into_inner);
        if current.generation == generation && is_over(&mut current) {
            *current = Current { generation: generation + 1, revision: 0 };
        }
    }

    /// One of the receipts that are worked on, often the first, and the highest revision that anybody was told of.
    fn current(&mut self) -> (String, u64) {
        let slot = if self.random.random_bool(HOT) { 0 } else { self.random.random_range(0..RECEIPTS) };
        let current = self.receipts[slot].lock().unwrap_or_else(PoisonError::into_inner);
        (format!("order-{slot}-{}", current.generation), current.revision)
    }
}
