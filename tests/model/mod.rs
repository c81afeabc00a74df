//! The store in memory is the model of the one on JetStream: the same script of appends, reads and subscriptions gives
//! the same answers on both, whatever the heads and ids it comes with, and in every commit mode. Only the sequences are
//! numbers of their own; they go up alike.
//!
//! `PROPTEST_CASES` sets how many scripts are played in each mode, `HEADWATER_SEED` plays those of an earlier run.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod caller;
mod pair;
mod script;

use std::fmt::Debug;
use std::str::FromStr;

use headwater::Name;
use headwater::nats::connect::Connection;
use headwater::store::{CommitMode, JetStreamStore, MemoryStore, StoreConfig};
use headwater_tests::Site;
use pair::Pair;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use script::{Op, Script};
use tokio::runtime::Runtime;

/// Both stores, and the runtime that the one of them needs.
struct Stores {
    runtime: Runtime,
    model: MemoryStore,
    real: JetStreamStore,
    _site: Site,
}

impl Stores {
    fn open(mode: CommitMode) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (site, real) = runtime.block_on(async {
            let site = Site::alone().await;
            let connection = Connection::connect(&site.config()).await.unwrap();
            let config = StoreConfig::new(Name::new("model").unwrap()).commit(mode);
            let real = JetStreamStore::open(connection, config).await.unwrap();
            (site, real)
        });
        Self { runtime, model: MemoryStore::new(), real, _site: site }
    }

    /// Plays scripts until the stores differ. Every script has aggregates of its own.
    fn agree<S: Strategy>(&self, cases: u32, scripts: &S, play: &impl AsyncFn(&Pair, &S::Value) -> Result<(), String>)
    where
        S::Value: Debug,
    {
        let seed: u64 = number("HEADWATER_SEED").unwrap_or_else(rand::random);
        let config = ProptestConfig {
            cases: number("PROPTEST_CASES").unwrap_or(cases),
            failure_persistence: None,
            max_shrink_iters: 100,
            ..ProptestConfig::default()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let played = runner.run(scripts, |script| {
            let pair = Pair::new(self.model.clone(), self.real.clone());
            self.runtime.block_on(play(&pair, &script)).map_err(TestCaseError::fail)
        });
        match played {
            Ok(()) => {}
            Err(TestError::Fail(reason, script)) => panic!("HEADWATER_SEED={seed}: {reason}\n{script:?}"),
            Err(TestError::Abort(reason)) => panic!("HEADWATER_SEED={seed}: {reason}"),
        }
    }
}

fn number<N: FromStr<Err: Debug>>(variable: &str) -> Option<N> {
    std::env::var(variable).ok().map(|value| value.parse().expect("a whole number"))
}

/// One thing after the other, on a few aggregates.
fn in_turn(mode: CommitMode) {
    Stores::open(mode).agree(40, &script::script(), &async |pair: &Pair, Script { ops, subscriptions }: &Script| {
        pair.play(ops, subscriptions).await
    });
}

/// Many aggregates at once, each with a script of its own.
fn at_once(mode: CommitMode) {
    let scripts = proptest::collection::vec(proptest::collection::vec(script::op(1), 1..15), 40..80);
    Stores::open(mode)
        .agree(4, &scripts, &async |pair: &Pair, scripts: &Vec<Vec<Op>>| pair.play_at_once(scripts).await);
}

#[test]
fn one_after_the_other_in_auto_mode() {
    in_turn(CommitMode::Auto);
}

#[test]
fn one_after_the_other_grouped() {
    in_turn(CommitMode::Grouped);
}

#[test]
fn one_after_the_other_pipelined() {
    in_turn(CommitMode::Pipelined);
}

#[test]
fn many_aggregates_at_once_in_auto_mode() {
    at_once(CommitMode::Auto);
}

#[test]
fn many_aggregates_at_once_grouped() {
    at_once(CommitMode::Grouped);
}

#[test]
fn many_aggregates_at_once_pipelined() {
    at_once(CommitMode::Pipelined);
}
