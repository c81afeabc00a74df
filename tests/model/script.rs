//! What is done to both stores.

use proptest::collection::vec;
use proptest::prelude::*;

/// How many aggregates a script has.
pub(crate) const AGGREGATES: usize = 3;

/// The names of events, as they take turns in an append.
pub(crate) const NAMES: [&str; 3] = ["item-added", "noted", "closed"];

#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) ops: Vec<Op>,
    /// Each begins before the operation with its number.
    pub(crate) subscriptions: Vec<(usize, Subscription)>,
}

/// One operation on the aggregate with this number.
#[derive(Debug, Clone)]
pub(crate) struct Op {
    pub(crate) aggregate: usize,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    Append { head: Known, command: Sender, events: usize, bytes: usize },
    Read { after: u64, limit: Option<usize>, leader: bool },
    Head { leader: bool },
}

/// A head that was given out once.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Known {
    Newest,
    /// So many before the newest; that of an aggregate without events when there are not so many.
    Earlier(usize),
}

/// Whose events they are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sender {
    New,
    /// The one before, or so many before that; a new one when there are not so many.
    Again(usize),
}

/// What a reader wants to see.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) from: Start,
    /// Only this aggregate.
    pub(crate) aggregate: Option<usize>,
    /// Only events with the first so many names; all when 0.
    pub(crate) names: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    Beginning,
    /// After the newest event of this aggregate.
    After(usize),
    Now,
}

pub(crate) fn op(aggregates: usize) -> impl Strategy<Value = Op> {
    let head = prop_oneof![3 => Just(Known::Newest), 2 => (1..5_usize).prop_map(Known::Earlier)];
    let command = prop_oneof![3 => Just(Sender::New), 2 => (0..4_usize).prop_map(Sender::Again)];
    let events = prop_oneof![20 => 1..5_usize, 1 => Just(0), 1 => 30..70_usize];
    let bytes = prop_oneof![20 => 0..100_usize, 1 => 0..5000_usize];
    let append = (head, command, events, bytes).prop_map(|(head, command, events, bytes)| What::Append {
        head,
        command,
        events,
        bytes,
    });
    let read = (0..40_u64, proptest::option::of(0..40_usize), any::<bool>())
        .prop_map(|(after, limit, leader)| What::Read { after, limit, leader });
    let what = prop_oneof![6 => append, 2 => read, 1 => any::<bool>().prop_map(|leader| What::Head { leader })];
    (0..aggregates, what).prop_map(|(aggregate, what)| Op { aggregate, what })
}

fn subscription() -> impl Strategy<Value = Subscription> {
    let from = prop_oneof![Just(Start::Beginning), (0..AGGREGATES).prop_map(Start::After), Just(Start::Now)];
    (from, proptest::option::of(0..AGGREGATES), 0..3_usize).prop_map(|(from, aggregate, names)| Subscription {
        from,
        aggregate,
        names,
    })
}

pub(crate) fn script() -> impl Strategy<Value = Script> {
    let subscriptions = vec((0..40_usize, subscription()), 0..4);
    (vec(op(AGGREGATES), 1..40), subscriptions).prop_map(|(ops, subscriptions)| Script { ops, subscriptions })
}
