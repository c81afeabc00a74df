//! Plays a script.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use headwater_core::call::{CommandRequest, GetRequest, RequestMetadata, ReturnMode};
use headwater_core::dispatch::{Deadline, DispatchStats, Dispatcher};
use headwater_core::store::{EventStore, Freshness, ReadOptions};
use headwater_core::{AggregateId, AggregateType, CommandId, Described, RecordedEvent};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::TICK;
use super::log::{Got, Log, Sent, Span, Told};
use super::script::{Order, Patience, Script, Setting, Step};
use super::weather::{StormySnapshots, StormyStore};
use crate::account::{Account, Quotes};

/// Longer than anything takes, in a time that costs nothing.
const FOR_EVER: Duration = TICK.saturating_mul(10_000);

/// Described once, because compiling the schemas takes longer than a run.
static ACCOUNT: LazyLock<AggregateType> =
    LazyLock::new(|| Account::describe(Arc::new(Quotes { delay: TICK, down: false })).build().unwrap());

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    pub log: Log,
    /// The events of each aggregate.
    pub journal: Vec<Vec<RecordedEvent>>,
    /// What all dispatchers of the run did.
    pub stats: Vec<DispatchStats>,
}

/// The id of an aggregate.
pub fn aggregate(number: usize) -> AggregateId {
    AggregateId::new("account", format!("a{number}")).unwrap()
}

/// The id of a command.
pub fn command_id(number: usize) -> CommandId {
    CommandId::new(format!("c{number}")).unwrap()
}

/// Plays the script; then calls every aggregate by its state on all instances and on a new one, and sends every command
/// that was ever sent once more.
pub fn play(script: &Script) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut run = Run::new(script);
        for step in &script.steps {
            run.step(step).await;
            // Whoever has begun goes as far as it can before the next one begins.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        run.finish().await
    })
}

/// A run under way.
struct Run<'a> {
    script: &'a Script,
    store: StormyStore,
    snapshots: StormySnapshots,
    instances: Vec<Instance>,
    log: Arc<Mutex<Log>>,
    stats: Vec<DispatchStats>,
}

/// A dispatcher and the calls it serves.
struct Instance {
    /// No other has it.
    number: usize,
    dispatcher: Dispatcher,
    calls: JoinSet<()>,
}

impl Instance {
    fn new(number: usize, setting: &Setting, store: &StormyStore, snapshots: &StormySnapshots) -> Self {
        let mut builder = Dispatcher::builder(store.clone())
            .aggregate_type(ACCOUNT.clone())
            .attempts(setting.attempts)
            .lane_limit(setting.lane_limit)
            .timeout(FOR_EVER)
            .snapshot_idle(TICK * 10)
            .cache_bytes(if setting.tiny_cache { 1024 } else { 1024 * 1024 });
        if let Some(every) = setting.snapshot_every {
            builder = builder.snapshots(snapshots.clone()).snapshot_every(every);
        }
        Self { number, dispatcher: builder.build().unwrap(), calls: JoinSet::new() }
    }
}

impl<'a> Run<'a> {
    fn new(script: &'a Script) -> Self {
        let (store, snapshots) = (StormyStore::new(script), StormySnapshots::new(script));
        let new = |number| Instance::new(number, &script.setting, &store, &snapshots);
        let instances = (0..script.setting.instances).map(new).collect();
        Self { script, store, snapshots, instances, log: Arc::default(), stats: Vec::new() }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Send { instance, command, altered, expects, patience } => {
                let order = &self.script.orders[*command];
                let order = if *altered { order.altered() } else { order.clone() };
                self.send(*instance, *command, order, *expects, *patience);
            }
            Step::Get { instance, aggregate, at_least } => {
                self.get(*instance, aggregate % self.script.setting.aggregates, *at_least);
            }
            Step::Replace { instance } => {
                let place = instance % self.instances.len();
                let number = self.started();
                let new = Instance::new(number, &self.script.setting, &self.store, &self.snapshots);
                let mut old = std::mem::replace(&mut self.instances[place], new);
                old.calls.shutdown().await;
                self.stats.push(old.dispatcher.stats());
            }
            Step::Flush { instance } => {
                let place = instance % self.instances.len();
                let dispatcher = self.instances[place].dispatcher.clone();
                self.instances[place].calls.spawn(async move { dispatcher.flush_snapshots().await });
            }
            Step::Pass { ticks } => tokio::time::sleep(TICK * *ticks).await,
        }
    }

    /// How many instances there have been.
    fn started(&self) -> usize {
        self.instances.len() + self.stats.len()
    }

    /// Sends a command, and has a task take down what its caller is told.
    fn send(&mut self, instance: usize, command: usize, order: Order, expects: Option<u64>, patience: Patience) {
        let number = command % self.script.setting.aggregates;
        let place = instance % self.instances.len();
        let instance = &mut self.instances[place];
        let (name, payload) = request_of(&order);
        let request = CommandRequest {
            aggregate: aggregate(number),
            command: name.to_owned(),
            payload,
            expected_revision: expects.map(Into::into),
            return_mode: ReturnMode::Entity,
            metadata: RequestMetadata { command_id: Some(command_id(command)), ..RequestMetadata::default() },
        };
        let (log, store) = (Arc::clone(&self.log), self.store.clone());
        let span = Span { begun: revision(&store, number), ended: u64::MAX };
        let sent =
            Sent { command, aggregate: number, instance: instance.number, order, expects, span, told: Told::Unknown };
        let entry = {
            let mut log = log.lock().unwrap();
            log.sent.push(sent);
            log.sent.len() - 1
        };
        let (deadline, leaves) = match patience {
            Patience::Endless => (FOR_EVER, FOR_EVER * 2),
            Patience::Deadline(ticks) => (not_at_once(ticks), FOR_EVER * 2),
            Patience::Leaves(ticks) => (FOR_EVER, not_at_once(ticks)),
        };
        let pending = instance.dispatcher.submit(request, Deadline::now() + deadline);
        instance.calls.spawn(async move {
            if let Ok(answer) = timeout(leaves, pending).await {
                let mut log = log.lock().unwrap();
                log.sent[entry].span.ended = revision(&store, number);
                log.sent[entry].told = Told::of(answer);
            }
        });
    }

    fn get(&mut self, instance: usize, number: usize, at_least: Option<u64>) {
        let place = instance % self.instances.len();
        let request = GetRequest {
            aggregate: aggregate(number),
            at_revision: None,
            at_time: None,
            min_revision: at_least.map(Into::into),
            metadata: RequestMetadata::default(),
        };
        let (dispatcher, store, log) =
            (self.instances[place].dispatcher.clone(), self.store.clone(), Arc::clone(&self.log));
        self.instances[place].calls.spawn(async move {
            let begun = revision(&store, number);
            let told = dispatcher.get(request, Deadline::now() + not_at_once(8)).await;
            let span = Span { begun, ended: revision(&store, number) };
            log.lock().unwrap().gets.push(Got { aggregate: number, at_least, span, told });
        });
    }

    async fn finish(mut self) -> Outcome {
        self.answered().await;
        self.store.calm_down().await;
        self.snapshots.calm_down();
        // A dispatcher that knows nothing but the journal.
        let bare = Setting { tiny_cache: false, snapshot_every: None, ..self.script.setting };
        self.instances.push(Instance::new(self.started(), &bare, &self.store, &self.snapshots));
        // And one that knows whatever snapshots are left.
        let with_snapshots = Setting { snapshot_every: Some(1), ..bare };
        self.instances.push(Instance::new(self.started(), &with_snapshots, &self.store, &self.snapshots));
        for instance in 0..self.instances.len() {
            (0..self.script.setting.aggregates).for_each(|number| self.get(instance, number, None));
        }
        self.answered().await;
        let mut sent: Vec<usize> = self.log.lock().unwrap().sent.iter().map(|sent| sent.command).collect();
        sent.sort_unstable();
        sent.dedup();
        for number in sent {
            let order = self.script.orders[number].clone();
            self.send(number, number, order, None, Patience::Endless);
            self.answered().await;
        }
        self.stats.extend(self.instances.iter().map(|instance| instance.dispatcher.stats()));
        let journal = (0..self.script.setting.aggregates).map(|number| events(&self.store, number)).collect();
        let log = std::mem::take(&mut *self.log.lock().unwrap());
        Outcome { log, journal, stats: self.stats }
    }

    /// Waits until all calls are answered.
    async fn answered(&mut self) {
        for instance in &mut self.instances {
            while let Some(call) = timeout(FOR_EVER * 2, instance.calls.join_next()).await.expect("no call hangs") {
                call.expect("no call panics");
            }
        }
    }
}

/// Half a tick more, so that it does not fall together with anything else.
fn not_at_once(ticks: u32) -> Duration {
    TICK * ticks + TICK / 2
}

fn events(store: &StormyStore, number: usize) -> Vec<RecordedEvent> {
    let (store, aggregate) = (&store.inner, aggregate(number));
    store.read(&aggregate, ReadOptions::all()).now_or_never().unwrap().unwrap().events
}

fn revision(store: &StormyStore, number: usize) -> u64 {
    let (store, aggregate) = (&store.inner, aggregate(number));
    store.head(&aggregate, Freshness::Leader).now_or_never().unwrap().unwrap().revision().get()
}

fn request_of(order: &Order) -> (&'static str, Bytes) {
    let (name, payload) = match order {
        Order::Deposit(amount) => ("deposit", json!({ "amount": amount })),
        Order::DepositTwice(amount) => ("deposit-twice", json!({ "amount": amount })),
        Order::Withdraw(amount) => ("withdraw", json!({ "amount": amount })),
        Order::Nothing => ("nothing", json!({})),
        Order::DepositQuoted(currency) => ("deposit-quoted", json!({ "currency": currency })),
    };
    (name, payload.to_string().into())
}
