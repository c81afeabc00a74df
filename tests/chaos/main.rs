//! Two instances of the receipts service over JetStream, callers who send again at random, and everybody killed or
//! frozen in between. Afterwards the history of the run is held against the journal.
//!
//! The seed is printed; `HEADWATER_SEED` takes an earlier one, which makes the same choices again (when what falls
//! into whose lap stays a matter of chance). A run takes about twenty seconds; for a soak:
//!
//! ```sh
//! HEADWATER_CHAOS_SECONDS=600 cargo test -p headwater-tests --test chaos
//! ```
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod answers;
mod callers;
mod checker;
mod faults;
mod history;
mod order;
mod real;
mod record;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use callers::Callers;
use faults::Scene;
use headwater::client::RetryPolicy;
use headwater_tests::Site;
use history::{Entry, History};
use rand::SeedableRng;
use rand::rngs::StdRng;
use record::Record;
use sample_receipts::domain::ReceiptClient;

/// How many callers send once and leave sending again to themselves, and how many leave it to the client too.
const CALLERS: (usize, usize) = (9, 3);

/// How many problems are shown; they are in the file all the same.
const SHOWN: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_or_frozen_callers_are_told_what_the_journal_says() {
    let seed: u64 = number("HEADWATER_SEED").unwrap_or_else(rand::random);
    // Shown when the test fails.
    println!("HEADWATER_SEED={seed}");
    let at_least = Duration::from_secs(number("HEADWATER_CHAOS_SECONDS").unwrap_or(15));
    let (history, ended) = run(seed, at_least).await;
    println!("{}", real::summary(&history));
    let mut problems: Vec<_> = ended.err().into_iter().collect();
    problems.extend(checker::check(&history).iter().map(ToString::to_string));
    problems.extend(real::missing(&history));
    if !problems.is_empty() {
        let path = written(&history, seed);
        let (count, shown) = (problems.len(), &problems[..problems.len().min(SHOWN)]);
        panic!("HEADWATER_SEED={seed}: {count} problems, the history is in {}\n{}", path.display(), shown.join("\n"));
    }
}

/// A run, as far as it went.
async fn run(seed: u64, at_least: Duration) -> (History, Result<(), String>) {
    let site = Site::alone().await;
    let mut scene = Scene::set(&site, StdRng::seed_from_u64(seed)).await;
    let record = Arc::new(Record::begin());
    let callers = Callers::start(clients(&site).await, seed, &record);
    let mut ended = scene.play(&record, at_least).await;
    ended = callers.finish().await.and(ended);
    let mut history = record.so_far();
    history.journal = site.journal().await.all().await.iter().map(Entry::from).collect();
    (history, ended)
}

async fn clients(site: &Site) -> Vec<ReceiptClient> {
    let (once, again) = CALLERS;
    let impatient = site.receipts_with(|client| client.retry(RetryPolicy::none())).await;
    let patient = site.receipts().await;
    [vec![impatient; once], vec![patient; again]].concat()
}

/// Writes the history to a file and says where.
fn written(history: &History, seed: u64) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{seed}.jsonl"));
    history.write(&path).unwrap();
    path
}

/// A number from the environment.
fn number<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, and `{text}` is not")))
}
