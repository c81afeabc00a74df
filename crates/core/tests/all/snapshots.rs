//! Snapshots: written behind the replies, used on a cold load, and never believed against the journal.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::account;

use std::sync::Arc;
use std::time::Duration;

use account::*;
use headwater_core::client::AggregateClient;
use headwater_core::dispatch::{Dispatcher, DispatcherBuilder};
use headwater_core::store::{MemorySnapshots, MemoryStore, SnapshotStore};
use headwater_core::*;

const ONE: Deposit = Deposit { amount: 1 };

#[derive(Clone, Default)]
struct World {
    store: MemoryStore,
    snapshots: MemorySnapshots,
}

impl World {
    fn builder(&self) -> DispatcherBuilder {
        Dispatcher::builder(self.store.clone())
            .aggregate_with::<Account>(Arc::new(Quotes::default()))
            .snapshots(self.snapshots.clone())
    }

    /// An instance that has nothing in memory.
    fn fresh(&self) -> (Dispatcher, AggregateClient<Account>) {
        let dispatcher = self.builder().build().unwrap();
        (dispatcher.clone(), AggregateClient::new(dispatcher))
    }

    async fn stored(&self) -> bytes::Bytes {
        self.snapshots.load(&account()).await.unwrap().unwrap()
    }
}

fn account() -> AggregateId {
    AggregateId::new("account", "a").unwrap()
}

async fn deposit(accounts: &AggregateClient<Account>, times: u64) {
    for _ in 0..times {
        accounts.command("a", &ONE).await.unwrap();
    }
}

#[tokio::test]
async fn a_cold_load_starts_from_the_snapshot_and_reads_only_what_is_newer() {
    let world = World::default();
    let (dispatcher, accounts) = world.fresh();
    deposit(&accounts, 40).await;
    dispatcher.flush_snapshots().await;
    deposit(&accounts, 3).await;

    let (cold, accounts) = world.fresh();
    let entity = accounts.get("a").await.unwrap();
    assert_eq!((entity.revision.get(), entity.state), (43, Account { balance: 43, entries: 43 }));
    let stats = cold.stats();
    assert_eq!((stats.snapshots_used, stats.events_read), (1, 3));
    assert_eq!(accounts.command("a", &ONE).await.unwrap().revision.get(), 44);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_written_every_so_many_events_and_when_an_aggregate_goes_idle() {
    let world = World::default();
    let dispatcher = world.builder().snapshot_every(10).snapshot_idle(Duration::from_secs(60)).build().unwrap();
    let accounts = AggregateClient::<Account>::new(dispatcher.clone());
    deposit(&accounts, 9).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(world.snapshots.is_empty(), "{:?}", dispatcher.stats());
    deposit(&accounts, 1).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(dispatcher.stats().snapshots_written, 1);
    deposit(&accounts, 1).await;
    tokio::time::sleep(Duration::from_secs(125)).await;
    assert_eq!(dispatcher.stats().snapshots_written, 2);
    let (cold, accounts) = world.fresh();
    assert_eq!(accounts.get("a").await.unwrap().revision.get(), 11);
    assert_eq!(cold.stats().events_read, 0);
}

#[tokio::test]
async fn an_aggregate_that_leaves_the_cache_leaves_a_snapshot() {
    let world = World::default();
    let dispatcher = world.builder().cache_bytes(8 * 1024).build().unwrap();
    let accounts = AggregateClient::<Account>::new(dispatcher.clone());
    for id in 0..100 {
        accounts.command(format!("a{id}"), &ONE).await.unwrap();
    }
    dispatcher.flush_snapshots().await;
    assert!(world.snapshots.len() >= 90, "{} of 100", world.snapshots.len());
}

#[tokio::test(start_paused = true)]
async fn an_aggregate_that_leaves_the_cache_because_others_are_read_leaves_a_snapshot_too() {
    let world = World::default();
    // Written by an instance without snapshots.
    let writer = Dispatcher::builder(world.store.clone()).aggregate_with::<Account>(Arc::new(Quotes::default()));
    let writer = AggregateClient::<Account>::new(writer.build().unwrap());
    for id in 0..600 {
        writer.command(format!("a{id}"), &ONE).await.unwrap();
    }
    let reader = world.builder().cache_bytes(8 * 1024).build().unwrap();
    let accounts = AggregateClient::<Account>::new(reader.clone());
    for id in 0..600 {
        accounts.get(format!("a{id}")).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.snapshots.len() >= 580, "{} of 600: {:?}", world.snapshots.len(), reader.stats());
    // Those still in memory follow when they go idle, though no command was ever carried out here.
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(world.snapshots.len(), 600, "{:?}", reader.stats());
    let (cold, accounts) = world.fresh();
    for id in 0..600 {
        assert_eq!(accounts.get(format!("a{id}")).await.unwrap().revision.get(), 1);
    }
    assert_eq!((cold.stats().snapshots_used, cold.stats().events_read), (600, 0));
}

/// A store that takes snapshots and never says so.
#[derive(Debug)]
struct Hanging;

#[async_trait::async_trait]
impl SnapshotStore for Hanging {
    async fn load(&self, _: &AggregateId) -> Result<Option<bytes::Bytes>, headwater_core::store::StoreError> {
        Ok(None)
    }

    async fn save(&self, _: &AggregateId, _: bytes::Bytes) -> Result<(), headwater_core::store::StoreError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_store_that_hangs_holds_up_no_command_and_fills_no_memory() {
    let dispatcher = Dispatcher::builder(MemoryStore::new())
        .aggregate_with::<Account>(Arc::new(Quotes::default()))
        .snapshots(Hanging)
        .snapshot_every(1)
        .build()
        .unwrap();
    let accounts = AggregateClient::<Account>::new(dispatcher.clone());
    let start = tokio::time::Instant::now();
    for id in 0..2000 {
        accounts.command(format!("a{id}"), &ONE).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO, "nothing waited");
    let skipped = dispatcher.stats().snapshots_skipped;
    assert!(skipped >= 2000 - 1024 - 1, "{skipped} were left out, and the rest waits in a bounded queue");
}

/// The same aggregate type as several releases of a program have it.
macro_rules! release {
    ($module:ident, code: $code:expr, state: { $($field:ident: $type:ty),* }) => {
        mod $module {
            use super::*;

            #[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
            pub(crate) struct Tally {
                pub(crate) counted: u64,
                $(#[serde(default)] pub(crate) $field: $type,)*
            }

            impl Aggregate for Tally {
                const TYPE: &'static str = "tally";
                const CODE_VERSION: u32 = $code;
                type Event = AccountEvent;
                type Rejection = NeverRejected;

                fn init(_: &AggregateId) -> Self {
                    Self::default()
                }

                fn evolve(&mut self, _: &AccountEvent) {
                    // What the second code does differently.
                    self.counted += u64::from(Self::CODE_VERSION);
                }
            }

            impl Decide<Deposit> for Tally {
                fn decide(&self, command: Deposit, _: &CommandContext) -> Result<Vec<AccountEvent>, NeverRejected> {
                    Ok(vec![AccountEvent::Deposited(command.amount)])
                }
            }

            impl Described for Tally {
                type Env = ();

                fn describe(_: Arc<()>) -> Describe<Self> {
                    Describe::new().command::<Deposit>()
                }
            }
        }
    };
}

release!(first, code: 1, state: {});
release!(rebuilt, code: 1, state: {});
release!(other_code, code: 2, state: {});
release!(other_state, code: 1, state: { largest: u64 });

/// One cold instance: what it shows of the tally, and whether it started from the snapshot.
async fn cold_tally<A>(world: &World, counted: impl Fn(&A) -> u64) -> (u64, u64, u64)
where
    A: Aggregate + Described<Env = ()>,
{
    let builder = Dispatcher::builder(world.store.clone()).aggregate::<A>().snapshots(world.snapshots.clone());
    let dispatcher = builder.build().unwrap();
    let state = AggregateClient::<A>::new(dispatcher.clone()).get("t").await.unwrap().state;
    let stats = dispatcher.stats();
    (counted(&state), stats.snapshots_used, stats.events_read)
}

#[tokio::test]
async fn a_snapshot_of_another_state_or_another_code_is_thrown_away() {
    let world = World::default();
    let builder = Dispatcher::builder(world.store.clone()).aggregate::<first::Tally>();
    let dispatcher = builder.snapshots(world.snapshots.clone()).build().unwrap();
    let tallies = AggregateClient::<first::Tally>::new(dispatcher.clone());
    for _ in 0..7 {
        tallies.command("t", &ONE).await.unwrap();
    }
    dispatcher.flush_snapshots().await;
    assert_eq!(cold_tally(&world, |tally: &rebuilt::Tally| tally.counted).await, (7, 1, 0));
    assert_eq!(cold_tally(&world, |tally: &other_code::Tally| tally.counted).await, (14, 0, 7));
    assert_eq!(cold_tally(&world, |tally: &other_state::Tally| tally.counted + tally.largest).await, (7, 0, 7));
}

#[tokio::test]
async fn a_snapshot_with_any_byte_changed_is_thrown_away() {
    let world = World::default();
    let (dispatcher, accounts) = world.fresh();
    deposit(&accounts, 5).await;
    dispatcher.flush_snapshots().await;
    let good = world.stored().await;
    for at in 0..good.len() {
        let mut bad = good.to_vec();
        bad[at] ^= 1;
        world.snapshots.save(&account(), bad.into()).await.unwrap();
        let (cold, accounts) = world.fresh();
        assert_eq!(accounts.get("a").await.unwrap().state, Account { balance: 5, entries: 5 }, "byte {at}");
        assert_eq!(cold.stats().snapshots_used, 0, "byte {at}");
    }
    for bad in ["", "{}", "0123456789abcdef{}"] {
        world.snapshots.save(&account(), bad.into()).await.unwrap();
        assert_eq!(world.fresh().1.get("a").await.unwrap().revision.get(), 5);
    }
}

#[tokio::test]
async fn a_snapshot_that_is_ahead_of_the_journal_is_thrown_away() {
    let (world, restored) = (World::default(), World::default());
    let (dispatcher, accounts) = world.fresh();
    deposit(&accounts, 5).await;
    dispatcher.flush_snapshots().await;
    restored.snapshots.save(&account(), world.stored().await).await.unwrap();
    let (_, accounts) = restored.fresh();
    assert!(
        accounts.get("a").await.unwrap_err().failure().is_some_and(|failure| failure.code == FailureCode::NotFound)
    );
    assert_eq!(accounts.command("a", &ONE).await.unwrap().revision.get(), 1);
}

#[tokio::test]
async fn a_repeated_command_is_known_from_the_snapshot_and_from_what_it_left_out() {
    let world = World::default();
    let (dispatcher, accounts) = world.fresh();
    let id = |number: u64| CommandId::new(format!("c{number}")).unwrap();
    for number in 1..=1100 {
        accounts.command("a", &ONE).command_id(id(number)).without_state().await.unwrap();
    }
    dispatcher.flush_snapshots().await;
    for (number, read) in [(1100, 0), (1, 76)] {
        let (cold, accounts) = world.fresh();
        let again = accounts.command("a", &ONE).command_id(id(number)).await.unwrap();
        assert_eq!((again.replayed, again.revision.get(), again.state.balance), (true, number, number));
        assert_eq!(cold.stats().snapshots_used, 1);
        assert!(cold.stats().events_read >= read);
    }
    let (_, accounts) = world.fresh();
    assert!(!accounts.command("a", &ONE).await.unwrap().replayed);
    assert_eq!(world.store.len(), 1101);
}
