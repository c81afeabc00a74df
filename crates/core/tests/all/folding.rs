//! However a history is cut, cached, snapshotted or upcast on its way, it folds to the same state.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::journal;
use crate::wallet;

use headwater_core::{Aggregate, AggregateId, Event, Revision};
use journal::{Journal, StoredData};
use proptest::prelude::*;
use serde_json::json;
use wallet::{Movement, Wallet, WalletEvent, assigned, deposited, withdrawn};

fn empty() -> Wallet {
    Wallet::init(&AggregateId::new("wallet", "w-1").unwrap())
}

fn fold<'a>(mut state: Wallet, events: impl IntoIterator<Item = &'a WalletEvent>) -> Wallet {
    events.into_iter().for_each(|event| state.evolve(event));
    state
}

/// What happened to a wallet, and in which version it was written down.
#[derive(Debug, Clone)]
enum Fact {
    In { amount: u64, version: u32 },
    Out { amount: u64, by: String },
    Assigned(String),
    Opened { owner: String, deposit: Option<u64> },
    Viewed,
}

impl Fact {
    fn stored(&self) -> StoredData {
        let (name, schema_version, data) = match self {
            Self::In { amount, version: 1 } => ("deposited", 1, json!({ "amount": amount.to_string() })),
            Self::In { amount, version: 2 } => ("deposited", 2, json!({ "amount": amount })),
            Self::In { amount, .. } => ("deposited", 3, json!({ "amount": amount, "currency": "EUR" })),
            Self::Out { amount, by } => ("withdrawn", 1, json!({ "amount": amount, "by": by })),
            Self::Assigned(owner) => ("assigned", 1, json!({ "owner": owner })),
            Self::Opened { owner, deposit } => ("opened", 1, json!({ "owner": owner, "deposit": deposit })),
            Self::Viewed => ("balance-viewed", 1, json!({})),
        };
        StoredData { name: name.to_owned(), schema_version, data }
    }

    /// What it does to a wallet, said without the wallet's own events.
    fn told_to(&self, wallet: &mut Wallet) {
        match self {
            Self::In { amount, .. } => paid_in(wallet, *amount),
            Self::Out { amount, by } => {
                wallet.balance -= amount;
                wallet.movements.push(Movement::Out { amount: *amount, by: by.clone() });
            }
            Self::Assigned(owner) => wallet.owner = Some(owner.clone()),
            Self::Opened { owner, deposit } => {
                wallet.owner = Some(owner.clone());
                deposit.iter().for_each(|amount| paid_in(wallet, *amount));
            }
            Self::Viewed => {}
        }
    }
}

fn paid_in(wallet: &mut Wallet, amount: u64) {
    wallet.balance += amount;
    wallet.movements.push(Movement::In(amount));
}

fn told(facts: &[Fact]) -> Wallet {
    let mut wallet = empty();
    facts.iter().for_each(|fact| fact.told_to(&mut wallet));
    wallet
}

/// Up to 60 facts, with no more paid out than there is.
fn facts() -> impl Strategy<Value = Vec<Fact>> {
    let name = || prop_oneof!["[A-Z][a-z]{0,8}", ".{1,6}"];
    let fact = prop_oneof![
        4 => (0..1000_u64, 1..=3_u32).prop_map(|(amount, version)| Fact::In { amount, version }),
        3 => (0..1500_u64, name()).prop_map(|(amount, by)| Fact::Out { amount, by }),
        1 => name().prop_map(Fact::Assigned),
        2 => (name(), prop::option::of(0..1000_u64)).prop_map(|(owner, deposit)| Fact::Opened { owner, deposit }),
        1 => Just(Fact::Viewed),
    ];
    prop::collection::vec(fact, 1..60).prop_map(|mut facts| {
        let mut balance = 0;
        facts.retain(|fact| match fact {
            Fact::In { amount, .. } | Fact::Opened { deposit: Some(amount), .. } => {
                balance += amount;
                true
            }
            Fact::Out { amount, .. } => {
                let covered = *amount <= balance;
                balance -= if covered { *amount } else { 0 };
                covered
            }
            _ => true,
        });
        if facts.is_empty() { vec![Fact::Viewed] } else { facts }
    })
}

fn events() -> impl Strategy<Value = Vec<WalletEvent>> {
    let event = prop_oneof![
        (0..1000_u64).prop_map(deposited),
        ".{1,6}".prop_map(|owner| assigned(&owner)),
        ".{1,6}".prop_map(|by| withdrawn(0, &by)),
    ];
    prop::collection::vec(event, 0..40)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_fold_of_a_split_equals_the_whole(events in events(), at in any::<prop::sample::Index>()) {
        let (first, rest) = events.split_at(at.index(events.len() + 1));
        let half_way = fold(empty(), first);
        prop_assert_eq!(fold(half_way.clone(), rest), fold(empty(), &events));
        // Also when the state went through JSON on the way, as a snapshot does.
        let restored: Wallet = serde_json::from_slice(&serde_json::to_vec(&half_way).unwrap()).unwrap();
        prop_assert_eq!(fold(restored, rest), fold(empty(), &events));
    }

    #[test]
    fn an_event_is_read_as_it_was_written(events in events()) {
        for event in events {
            let read = WalletEvent::decode(event.name(), &event.encode().unwrap()).unwrap();
            prop_assert_eq!(read, event);
        }
    }

    #[test]
    fn a_history_loads_to_the_same_state_however_it_was_appended(
        facts in facts(), sizes in prop::collection::vec(1..9_usize, 1..5),
    ) {
        let stored: Vec<_> = facts.iter().map(Fact::stored).collect();
        let loaded = run(async {
            let journal = Journal::default();
            journal.store(&stored, &sizes).await;
            journal.wallets().get("w-1").await
        });
        prop_assert_eq!(loaded.unwrap().state, told(&facts));
    }

    #[test]
    fn every_earlier_revision_shows_the_fold_of_its_events(facts in facts()) {
        let stored: Vec<_> = facts.iter().map(Fact::stored).collect();
        run(async {
            let journal = Journal::default();
            journal.store(&stored, &[3]).await;
            let wallets = journal.wallets();
            for revision in 1..=facts.len() {
                let entity = wallets.get("w-1").at_revision(Revision::new(revision as u64)).await.unwrap();
                prop_assert_eq!(entity.state, told(&facts[..revision]));
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_snapshot_and_its_tail_equal_the_replay(facts in facts(), at in any::<prop::sample::Index>()) {
        let stored: Vec<_> = facts.iter().map(Fact::stored).collect();
        let (first, rest) = stored.split_at(1 + at.index(stored.len()));
        run(async {
            let journal = Journal::default();
            journal.store(first, &[4]).await;
            let (earlier, wallets) = journal.with_snapshots();
            prop_assert_eq!(wallets.get("w-1").await.unwrap().state, told(&facts[..first.len()]));
            earlier.flush_snapshots().await;
            journal.store(rest, &[4]).await;
            // The instance of before, which has the state in memory, and a new one that starts from the snapshot.
            let (later, fresh) = journal.with_snapshots();
            prop_assert_eq!(fresh.get("w-1").await.unwrap().state, told(&facts));
            prop_assert_eq!(wallets.get("w-1").min_revision(Revision::new(stored.len() as u64)).await.unwrap().state,
                told(&facts));
            prop_assert_eq!(later.stats().events_read, rest.len() as u64);
            Ok(())
        })?;
    }
}
