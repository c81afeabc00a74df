//! A store, and snapshots beside it, to which happens what the script says.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use headwater_core::store::{
    Append, AppendError, Appended, EventFilter, EventStore, EventStream, Freshness, Head, History, MemoryStore,
    ReadError, ReadOptions, SnapshotStore, StartFrom, StoreError,
};
use headwater_core::{AggregateId, CommandId, EventId, Sequence};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::TICK;
use super::script::{AppendWeather, Lie, ReadWeather, Script, SnapshotWeather};

/// What is still to happen; nothing more once it is empty.
#[derive(Debug)]
struct Forecast<W>(Mutex<VecDeque<W>>);

impl<W: Copy> Forecast<W> {
    fn new(weather: &[W]) -> Self {
        Self(Mutex::new(weather.iter().copied().collect()))
    }

    fn next(&self) -> Option<W> {
        self.0.lock().unwrap().pop_front()
    }

    fn calm_down(&self) {
        self.0.lock().unwrap().clear();
    }
}

/// Clones share everything.
#[derive(Debug, Clone)]
pub struct StormyStore {
    /// What is really stored.
    pub inner: MemoryStore,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Whether commands that wait together are to be stored together.
    together: bool,
    appends: Forecast<AppendWeather>,
    reads: Forecast<ReadWeather>,
    /// Appends that were given up and are still on their way.
    late: Mutex<JoinSet<()>>,
}

impl StormyStore {
    pub fn new(script: &Script) -> Self {
        let (appends, reads) = (Forecast::new(&script.appends), Forecast::new(&script.reads));
        let shared = Shared { together: script.setting.together, appends, reads, late: Mutex::default() };
        Self { inner: MemoryStore::new(), shared: Arc::new(shared) }
    }

    /// Everything goes well from now on, and what was late has arrived.
    pub async fn calm_down(&self) {
        self.shared.appends.calm_down();
        self.shared.reads.calm_down();
        let late = std::mem::take(&mut *self.shared.late.lock().unwrap());
        late.join_all().await;
    }

    async fn lie(&self, append: Append, lie: Lie) -> Result<Appended, AppendError> {
        let (aggregate, mut events) = (append.aggregate.clone(), append.events.clone());
        match lie {
            Lie::SaysNo => {
                self.inner.append(append).await?;
                Err(AppendError::Unavailable { aggregate, source: StoreError::new("not now") })
            }
            Lie::SaysYes | Lie::Half => {
                let head = append.head.clone();
                let ends = (1..=events.len() as u64).map(|place| Sequence::new(head.sequence().get() + place));
                let ends: Vec<_> = ends.collect();
                if lie == Lie::Half {
                    events.truncate(1);
                    self.inner.append(Append { events, ..append }).await?;
                }
                Ok(Appended::new(head.after(ends.into_iter())))
            }
            Lie::Twice => {
                let appended = self.inner.append(append).await?;
                // Of a withdrawal there may not be enough for two.
                events.retain(|event| event.name.as_str() == "deposited");
                events.iter_mut().for_each(|event| event.id = EventId::derive(&CommandId::generate(), &aggregate, 0));
                let _ = self.inner.append(Append { aggregate, head: appended.head.clone(), events }).await;
                Ok(appended)
            }
        }
    }

    async fn stale(&self, aggregate: &AggregateId, missing: u64) -> History {
        let mut history = self.inner.read(aggregate, ReadOptions::all()).await.unwrap();
        let left = history.events.len().saturating_sub(usize::try_from(missing).unwrap());
        history.events.truncate(left);
        history.head = Head::EMPTY.after(history.events.iter().map(|event| event.sequence));
        history
    }

    /// Waits, and says how many of the newest events the answer misses.
    async fn read_weather(&self, freshness: Freshness) -> Result<u64, ReadError> {
        match self.shared.reads.next() {
            None | Some(ReadWeather::Fine) => Ok(0),
            Some(ReadWeather::Slow(ticks)) => {
                sleep(TICK * ticks).await;
                Ok(0)
            }
            Some(ReadWeather::Stale(missing)) => Ok(if freshness == Freshness::Fast { missing } else { 0 }),
            Some(ReadWeather::Down) => Err(StoreError::new("the store is down").into()),
        }
    }
}

#[async_trait]
impl EventStore for StormyStore {
    fn name(&self) -> &'static str {
        "stormy"
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let aggregate = append.aggregate.clone();
        let unknown =
            |aggregate| AppendError::OutcomeUnknown { aggregate, source: StoreError::new("no acknowledgement") };
        match self.shared.appends.next() {
            None | Some(AppendWeather::Fine) => self.inner.append(append).await,
            Some(AppendWeather::Slow(there, back)) => {
                sleep(TICK * there).await;
                let appended = self.inner.append(append).await;
                sleep(TICK * back).await;
                appended
            }
            Some(AppendWeather::Lost) => Err(unknown(aggregate)),
            Some(AppendWeather::StoredUnknown) => {
                self.inner.append(append).await?;
                Err(unknown(aggregate))
            }
            Some(AppendWeather::Settled) => {
                let appended = self.inner.append(append).await?;
                Ok(Appended { duplicate: true, ..appended })
            }
            Some(AppendWeather::Late(ticks)) => {
                let store = self.inner.clone();
                self.shared.late.lock().unwrap().spawn(async move {
                    sleep(TICK * ticks).await;
                    // Whatever becomes of it, nobody hears of it.
                    let _ = store.append(append).await;
                });
                Err(unknown(aggregate))
            }
            Some(AppendWeather::Down) => {
                Err(AppendError::Unavailable { aggregate, source: StoreError::new("the store is down") })
            }
            Some(AppendWeather::Lies(lie)) => self.lie(append, lie).await,
        }
    }

    fn prefers_one_append(&self, waiting: usize) -> bool {
        self.shared.together && waiting > 1
    }

    async fn read(&self, aggregate: &AggregateId, read: ReadOptions) -> Result<History, ReadError> {
        match self.read_weather(read.freshness).await? {
            0 => self.inner.read(aggregate, read).await,
            missing => {
                let mut history = self.stale(aggregate, missing).await;
                history.events.retain(|event| event.revision > read.after);
                history.events.truncate(read.limit.unwrap_or(usize::MAX));
                Ok(history)
            }
        }
    }

    async fn head(&self, aggregate: &AggregateId, freshness: Freshness) -> Result<Head, ReadError> {
        let missing = self.read_weather(freshness).await?;
        Ok(self.stale(aggregate, missing).await.head)
    }

    async fn subscribe(&self, filter: EventFilter, from: StartFrom) -> Result<EventStream, ReadError> {
        self.inner.subscribe(filter, from).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Snapshots that may fail, be damaged, or be older than what was saved last. Clones share everything.
#[derive(Debug, Clone)]
pub struct StormySnapshots {
    /// All that was ever saved, oldest first.
    saved: Arc<Mutex<HashMap<AggregateId, Vec<Bytes>>>>,
    weather: Arc<Forecast<SnapshotWeather>>,
}

impl StormySnapshots {
    pub fn new(script: &Script) -> Self {
        Self { saved: Arc::default(), weather: Arc::new(Forecast::new(&script.snapshots)) }
    }

    pub fn calm_down(&self) {
        self.weather.calm_down();
    }

    async fn weather(&self) -> Result<SnapshotWeather, StoreError> {
        match self.weather.next() {
            None => Ok(SnapshotWeather::Fine),
            Some(SnapshotWeather::Fails) => Err(StoreError::new("the snapshots are down")),
            Some(weather) => {
                if let SnapshotWeather::Slow(ticks) = weather {
                    sleep(TICK * ticks).await;
                }
                Ok(weather)
            }
        }
    }
}

fn damaged(snapshot: &Bytes) -> Bytes {
    let mut bytes = snapshot.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes.into()
}

#[async_trait]
impl SnapshotStore for StormySnapshots {
    async fn load(&self, aggregate: &AggregateId) -> Result<Option<Bytes>, StoreError> {
        let weather = self.weather().await?;
        let saved = self.saved.lock().unwrap();
        let saved = saved.get(aggregate).map_or(&[][..], Vec::as_slice);
        Ok(match weather {
            SnapshotWeather::Old => saved.iter().rev().nth(1).cloned(),
            SnapshotWeather::Damaged => saved.last().map(damaged),
            _ => saved.last().cloned(),
        })
    }

    async fn save(&self, aggregate: &AggregateId, snapshot: Bytes) -> Result<(), StoreError> {
        let snapshot = match self.weather().await? {
            SnapshotWeather::Old => return Ok(()),
            SnapshotWeather::Damaged => damaged(&snapshot),
            _ => snapshot,
        };
        self.saved.lock().unwrap().entry(aggregate.clone()).or_default().push(snapshot);
        Ok(())
    }
}
