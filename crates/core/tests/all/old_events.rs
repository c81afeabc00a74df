//! Stored events of every age load to the right state. The fixtures are what earlier versions of the wallet wrote;
//! they are never changed, only added to.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::journal;
use crate::wallet;

use std::collections::BTreeMap;

use headwater_core::{FailureCode, Revision};
use journal::{Journal, StoredData};
use serde::Deserialize;
use wallet::{Deposit, Wallet};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fixture {
    #[allow(dead_code, reason = "for the reader")]
    about: String,
    events: Vec<StoredData>,
    state: Option<Wallet>,
    broken_at: Option<u64>,
    says: Option<String>,
}

fn fixtures() -> BTreeMap<String, Fixture> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let fixture = serde_json::from_slice(&std::fs::read(&path).unwrap());
        (name, fixture.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    };
    std::fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap().path())).collect()
}

#[tokio::test]
async fn stored_events_of_every_age_load_to_the_state_they_mean_today() {
    let mut seen = 0;
    for (name, fixture) in fixtures() {
        let Some(expected) = fixture.state else { continue };
        let journal = Journal::default();
        journal.store(&fixture.events, &[1, 2]).await;
        let wallets = journal.wallets();
        let entity = wallets.get("w-1").await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(entity.state, expected, "{name}");
        assert_eq!(entity.revision, Revision::new(fixture.events.len() as u64), "{name}: stored events count");
        // Life goes on behind them.
        let reply = wallets.command("w-1", &Deposit { amount: 100 }).await.unwrap();
        assert_eq!(reply.revision, entity.revision.next(), "{name}");
        assert_eq!(reply.state.balance, expected.balance + 100, "{name}");
        let again = journal.wallets().get("w-1").await.unwrap();
        assert_eq!(again.state, reply.state, "{name}");
        seen += 1;
    }
    assert!(seen >= 6, "{seen} fixtures with a state");
}

#[tokio::test]
async fn a_stored_event_that_cannot_be_read_is_reported_with_its_revision_and_never_passed_over() {
    let mut seen = 0;
    for (name, fixture) in fixtures() {
        let (Some(revision), Some(says)) = (fixture.broken_at, fixture.says) else { continue };
        let journal = Journal::default();
        journal.store(&fixture.events, &[8]).await;
        let wallets = journal.wallets();
        let read = wallets.get("w-1").await.unwrap_err();
        let failure = read.failure().unwrap_or_else(|| panic!("{name}: {read}"));
        assert_eq!(failure.code, FailureCode::Internal, "{name}");
        assert_eq!(failure.reason(), Some("history-broken"), "{name}");
        assert_eq!(failure.details["revision"], revision, "{name}");
        assert!(failure.message.contains(&says), "{name}: {}", failure.message);
        let decided = wallets.command("w-1", &Deposit { amount: 1 }).await.unwrap_err();
        assert!(decided.to_string().contains(&says), "{name}: nothing is decided on a broken history: {decided}");
        assert_eq!(journal.len(), fixture.events.len(), "{name}: and nothing is stored behind it");
        // Whoever repairs it can still see what is stored.
        let page = wallets.history("w-1").await.unwrap();
        assert_eq!(page.events.len(), fixture.events.len(), "{name}");
        seen += 1;
    }
    assert!(seen >= 5, "{seen} fixtures that are broken");
}
