//! What happens in a run: made at random, and made smaller by proptest when it fails.

use proptest::collection::vec;
use proptest::prelude::*;

/// How many different commands there are to send, and to send again.
pub const COMMANDS: usize = 16;

/// A whole run.
#[derive(Debug, Clone)]
pub struct Script {
    pub setting: Setting,
    /// What the commands ask for, by number. They take turns with the aggregates.
    pub orders: Vec<Order>,
    pub steps: Vec<Step>,
    /// What happens to appends, in their order; those beyond the end go well.
    pub appends: Vec<AppendWeather>,
    /// The same for reads.
    pub reads: Vec<ReadWeather>,
    /// The same for loading and saving snapshots.
    pub snapshots: Vec<SnapshotWeather>,
}

/// How the dispatchers are built.
#[derive(Debug, Clone)]
pub struct Setting {
    pub aggregates: usize,
    pub instances: usize,
    pub tiny_cache: bool,
    pub snapshot_every: Option<u64>,
    pub attempts: u32,
    pub lane_limit: usize,
    /// Whether the store wants the commands that wait for one aggregate in one append.
    pub together: bool,
}

impl Setting {
    /// One instance and one aggregate, and nothing special.
    pub const PLAIN: Self = Self {
        aggregates: 1,
        instances: 1,
        tiny_cache: false,
        snapshot_every: None,
        attempts: 10,
        lane_limit: 1024,
        together: false,
    };
}

/// What a command asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    Deposit(u64),
    DepositTwice(u64),
    Withdraw(u64),
    Nothing,
    /// Asks outside, and deposits as much as the text is long.
    DepositQuoted(String),
}

/// What one client, or whoever runs the instances, does next.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends a command, for the first time or again.
    Send {
        instance: usize,
        command: usize,
        /// Under the same id, something else.
        altered: bool,
        expects: Option<u64>,
        patience: Patience,
    },
    /// Asks for an aggregate's state.
    Get { instance: usize, aggregate: usize, at_least: Option<u64> },
    /// An instance is gone in the middle of everything, and another takes its place.
    Replace { instance: usize },
    /// An instance writes all the snapshots it can.
    Flush { instance: usize },
    /// Time passes.
    Pass { ticks: u32 },
}

/// For how long a caller waits.
#[derive(Debug, Clone, Copy)]
pub enum Patience {
    Endless,
    /// The dispatcher is told.
    Deadline(u32),
    /// The caller just goes away.
    Leaves(u32),
}

/// What happens to an append.
#[derive(Debug, Clone, Copy)]
pub enum AppendWeather {
    Fine,
    /// It takes so long to get there, and its answer so long to come back.
    Slow(u32, u32),
    /// It never arrives, and nobody knows.
    Lost,
    /// It is stored, and nobody knows.
    StoredUnknown,
    /// It is stored; the answer was lost, and the store found that out by itself.
    Settled,
    /// It is given up as unknown and arrives later.
    Late(u32),
    /// The store is down.
    Down,
    /// The store does what none may.
    Lies(Lie),
}

/// What no store may do. No script has it; it shows that the check would notice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lie {
    /// It stores, and says that it did not.
    SaysNo,
    /// It says that it stored, and did not.
    SaysYes,
    /// It stores the first event and no other.
    Half,
    /// It stores everything once more under other ids.
    Twice,
}

/// What happens to a read.
#[derive(Debug, Clone, Copy)]
pub enum ReadWeather {
    Fine,
    Slow(u32),
    /// A replica that misses so many of the aggregate's newest events answers, where that is allowed.
    Stale(u64),
    Down,
}

/// What happens to a snapshot that is loaded or saved.
#[derive(Debug, Clone, Copy)]
pub enum SnapshotWeather {
    Fine,
    Slow(u32),
    Fails,
    /// One byte of it is not what it was.
    Damaged,
    /// The one before is loaded; one that is saved gets lost.
    Old,
}

impl Script {
    /// The least script that still fails, taking one thing away after the other. Proptest goes over a script only once,
    /// and most of what can go can go only after something else.
    pub fn least(self, fails: impl Fn(&Self) -> bool) -> Self {
        let mut least = self;
        loop {
            let Some(smaller) = least.smaller().find(|script| fails(script)) else { return least };
            least = smaller;
        }
    }

    /// What it becomes with one thing less.
    fn smaller(&self) -> impl Iterator<Item = Self> {
        fn without<T: Clone>(all: &[T]) -> impl Iterator<Item = Vec<T>> {
            let pieces = [all.len() / 2, all.len() / 4, 1].into_iter().filter(|size| *size > 0);
            pieces.flat_map(move |size| {
                let starts = (0..all.len()).step_by(size);
                starts.map(move |at| [&all[..at], all.get(at + size..).unwrap_or_default()].concat())
            })
        }
        let steps = without(&self.steps).map(|steps| Self { steps, ..self.clone() });
        let appends = without(&self.appends).map(|appends| Self { appends, ..self.clone() });
        let reads = without(&self.reads).map(|reads| Self { reads, ..self.clone() });
        let snapshots = without(&self.snapshots).map(|snapshots| Self { snapshots, ..self.clone() });
        steps.chain(appends).chain(reads).chain(snapshots)
    }
}

impl Order {
    /// Another order, for the same id to be misused with.
    pub fn altered(&self) -> Self {
        match self {
            Self::Deposit(amount) | Self::DepositTwice(amount) => Self::Deposit(amount + 1),
            Self::Withdraw(amount) => Self::Deposit(*amount),
            Self::Nothing => Self::Deposit(1),
            // It asked outside and cannot be decided again, so its events do not tell what it was; its id is trusted.
            Self::DepositQuoted(_) => self.clone(),
        }
    }
}

fn ticks() -> impl Strategy<Value = u32> {
    0..4_u32
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![
        3 => (1..4_u64).prop_map(Order::Deposit),
        3 => (1..4_u64).prop_map(Order::DepositTwice),
        4 => (1..6_u64).prop_map(Order::Withdraw),
        1 => Just(Order::Nothing),
        1 => "[A-Z]{1,3}".prop_map(Order::DepositQuoted),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let instance = || 0..3_usize;
    let patience = prop_oneof![
        8 => Just(Patience::Endless),
        1 => ticks().prop_map(Patience::Deadline),
        1 => ticks().prop_map(Patience::Leaves),
    ];
    // A low number is sent more often than a high one: so some commands are repeated a lot.
    let command = (0..COMMANDS, 0..COMMANDS).prop_map(|(one, other)| one.min(other));
    let altered = proptest::bool::weighted(0.1);
    let expects = proptest::option::weighted(0.1, 0..4_u64);
    let send = (instance(), command, altered, expects, patience).prop_map(
        |(instance, command, altered, expects, patience)| Step::Send { instance, command, altered, expects, patience },
    );
    let get = (instance(), 0..3_usize, proptest::option::weighted(0.3, 1..9_u64))
        .prop_map(|(instance, aggregate, at_least)| Step::Get { instance, aggregate, at_least });
    prop_oneof![
        20 => send,
        2 => get,
        1 => instance().prop_map(|instance| Step::Replace { instance }),
        1 => instance().prop_map(|instance| Step::Flush { instance }),
        4 => (1..4_u32).prop_map(|ticks| Step::Pass { ticks }),
    ]
}

fn setting() -> impl Strategy<Value = Setting> {
    let every = proptest::option::weighted(0.7, 1..5_u64);
    let limits = (prop_oneof![Just(10), Just(2)], prop_oneof![4 => Just(1024), 1 => Just(2)]);
    (1..=3_usize, 1..=3_usize, any::<bool>(), every, limits, any::<bool>()).prop_map(
        |(aggregates, instances, tiny_cache, snapshot_every, (attempts, lane_limit), together)| Setting {
            aggregates,
            instances,
            tiny_cache,
            snapshot_every,
            attempts,
            lane_limit,
            together,
        },
    )
}

/// Any script.
pub fn script() -> impl Strategy<Value = Script> {
    let append = prop_oneof![
        6 => Just(AppendWeather::Fine),
        6 => (ticks(), ticks()).prop_map(|(there, back)| AppendWeather::Slow(there, back)),
        1 => Just(AppendWeather::Lost),
        2 => Just(AppendWeather::StoredUnknown),
        2 => Just(AppendWeather::Settled),
        2 => (1..6_u32).prop_map(AppendWeather::Late),
        1 => Just(AppendWeather::Down),
    ];
    let read = prop_oneof![
        6 => Just(ReadWeather::Fine),
        6 => ticks().prop_map(ReadWeather::Slow),
        3 => (1..6_u64).prop_map(ReadWeather::Stale),
        1 => Just(ReadWeather::Down),
    ];
    let snapshot = prop_oneof![
        4 => Just(SnapshotWeather::Fine),
        2 => ticks().prop_map(SnapshotWeather::Slow),
        1 => Just(SnapshotWeather::Fails),
        1 => Just(SnapshotWeather::Damaged),
        1 => Just(SnapshotWeather::Old),
    ];
    (setting(), vec(order(), COMMANDS), vec(step(), 1..60), vec(append, 0..40), vec(read, 0..80), vec(snapshot, 0..30))
        .prop_map(|(setting, orders, steps, appends, reads, snapshots)| Script {
            setting,
            orders,
            steps,
            appends,
            reads,
            snapshots,
        })
}
