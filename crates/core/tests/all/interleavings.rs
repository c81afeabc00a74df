//! Whatever the interleaving of commands, retries, conflicts, lost acknowledgements, lost caches and lost instances: what
//! callers were told is what is stored, every command at most once, and every state is the plain fold of the journal.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::interleaving;

use std::cell::RefCell;
use std::fmt::Debug;
use std::str::FromStr;

use headwater_core::dispatch::DispatchStats;
use interleaving::log::Told;
use interleaving::run::{Outcome, play};
use interleaving::script::{AppendWeather, Lie, Order, Patience, ReadWeather, Script, Setting, Step};
use interleaving::{check, script};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// How many scripts are played, unless `PROPTEST_CASES` says otherwise. With `HEADWATER_SEED` they are those of an earlier
/// run.
const SCRIPTS: u64 = 400;

/// What the scripts came across. A property that nothing puts to the test would hold as well.
#[derive(Debug, Default)]
struct Seen {
    done: u64,
    replayed: u64,
    refused: u64,
    unknown: u64,
    conflicts: u64,
    snapshots_used: u64,
    cache_misses: u64,
    joint_appends: u64,
}

impl Seen {
    fn add(&mut self, outcome: &Outcome) {
        for sent in &outcome.log.sent {
            match &sent.told {
                Told::Done(reply) if reply.replayed => self.replayed += 1,
                Told::Done(_) => self.done += 1,
                Told::Refused(_) => self.refused += 1,
                Told::Unknown => self.unknown += 1,
            }
        }
        for DispatchStats { conflicts, snapshots_used, cache_misses, joint_appends, .. } in &outcome.stats {
            self.conflicts += conflicts;
            self.snapshots_used += snapshots_used;
            self.cache_misses += cache_misses;
            self.joint_appends += joint_appends;
        }
    }
}

fn number<N: FromStr<Err: Debug>>(variable: &str) -> Option<N> {
    std::env::var(variable).ok().map(|value| value.parse().expect("a whole number"))
}

/// Plays scripts until one fails; the smallest that does, as far as it was found.
fn failing(seed: u64, scripts: u64, test: impl Fn(&Script) -> Result<(), TestCaseError>) -> Option<Script> {
    let config = ProptestConfig {
        cases: u32::try_from(scripts).unwrap(),
        failure_persistence: None,
        max_shrink_iters: 100,
        ..ProptestConfig::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    match runner.run(&script::script(), |script| test(&script)) {
        Ok(()) => None,
        Err(TestError::Abort(reason)) => panic!("HEADWATER_SEED={seed}: {reason}"),
        Err(TestError::Fail(_, script)) => Some(script.least(|script| test(script).is_err())),
    }
}

fn judged(outcome: &Outcome) -> Result<(), TestCaseError> {
    let wrong = check::violations(outcome);
    if wrong.is_empty() { Ok(()) } else { Err(TestCaseError::fail(wrong.join("\n"))) }
}

#[test]
fn whatever_the_interleaving_what_was_told_is_what_is_stored() {
    let seed: u64 = number("HEADWATER_SEED").unwrap_or_else(rand::random);
    let scripts = number("PROPTEST_CASES").unwrap_or(SCRIPTS);
    let seen = RefCell::new(Seen::default());
    let failing = failing(seed, scripts, |script| {
        let outcome = play(script);
        seen.borrow_mut().add(&outcome);
        judged(&outcome)
    });
    if let Some(script) = failing {
        let wrong = check::violations(&play(&script)).join("\n");
        panic!("HEADWATER_SEED={seed} shows it again.\n{wrong}\n{script:#?}");
    }
    let seen = seen.into_inner();
    println!("seed {seed}: {seen:?}");
    assert!(
        [seen.done, seen.replayed, seen.refused, seen.unknown].into_iter().all(|count| count > scripts),
        "{seen:?}"
    );
    assert!(
        [seen.conflicts, seen.snapshots_used, seen.cache_misses].into_iter().all(|count| count > scripts / 2),
        "{seen:?}"
    );
    assert!(seen.joint_appends > scripts / 10, "{seen:?}");
}

/// A store that had found out by itself that an append was stored, and could not be read right after, once made
/// `unavailable` of it, which says that nothing was done.
#[test]
fn a_command_that_is_stored_and_cannot_be_read_back_is_not_called_undone() {
    let send =
        |command| Step::Send { instance: 0, command, altered: false, expects: None, patience: Patience::Endless };
    let (fine, down) = (ReadWeather::Fine, ReadWeather::Down);
    // Alone; and two that waited while another was stored, and then were stored together.
    for (together, commands, appends) in
        [(false, 1, vec![AppendWeather::Settled]), (true, 3, vec![AppendWeather::Slow(1, 0), AppendWeather::Settled])]
    {
        let script = Script {
            setting: Setting { together, ..Setting::PLAIN },
            orders: vec![Order::DepositTwice(1); 3],
            steps: (0..commands).map(send).collect(),
            appends,
            reads: vec![fine, down, down, down],
            snapshots: Vec::new(),
        };
        let outcome = play(&script);
        assert_eq!(check::violations(&outcome), [""; 0]);
        let told = outcome.log.sent[..commands].iter().map(|sent| matches!(sent.told, Told::Unknown));
        assert_eq!(told.filter(|unknown| *unknown).count(), commands.div_ceil(2), "{:#?}", outcome.log);
        assert_eq!(outcome.stats[0].joint_appends, 0, "the one joint append was not confirmed");
    }
}

/// The check itself is put to the test: a store that lies once, somewhere in the middle, is found out, and what is shown
/// of it is short.
#[test]
fn a_store_that_lies_is_found_out() {
    for lie in [Lie::SaysNo, Lie::SaysYes, Lie::Half, Lie::Twice] {
        let seed = rand::random();
        let found = failing(seed, 100, |script| {
            let mut script = script.clone();
            script.appends.insert(script.appends.len() / 2, AppendWeather::Lies(lie));
            judged(&play(&script))
        });
        let script = found.unwrap_or_else(|| panic!("{lie:?} was not found out, seed {seed}"));
        assert!(script.steps.len() <= 10, "{lie:?}, seed {seed}: {script:#?}");
    }
}
