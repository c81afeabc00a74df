//! What released versions promised is kept, and the program can tell.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

use crate::support;

use std::path::{Path, PathBuf};

use headwater::Described as _;
use headwater::evolution::{Compatibility, assert_compatible};
use sample_receipts::domain::Receipt;
use serde_json::{Value, json};
use support::run;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.lock.json");

/// When this fails, it says what to do.
#[test]
fn released_promises_are_kept() {
    assert_compatible("schema.lock.json", &[Receipt::describe(().into()).build().unwrap()], Compatibility::Full);
}

/// The committed lock as it would be if something else had been promised.
fn promised(folder: &Path, change: impl FnOnce(&mut Value)) -> PathBuf {
    let mut lock: Value = serde_json::from_str(&std::fs::read_to_string(COMMITTED).unwrap()).unwrap();
    change(&mut lock["aggregates"]["receipt"]);
    let file = folder.join("schema.lock.json");
    std::fs::write(&file, lock.to_string()).unwrap();
    file
}

#[tokio::test]
async fn the_lock_is_printed_checked_and_written() {
    let committed = std::fs::read_to_string(COMMITTED).unwrap();
    assert_eq!(run(&["schema-lock"]).await.done(), committed);
    let checked = run(&["schema-lock", "--check", COMMITTED]).await.done();
    assert!(checked.ends_with("schema.lock.json holds all that is promised, and it is kept (full)\n"), "{checked}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.json");
    let path = file.to_str().unwrap();
    let missing = run(&["schema-lock", "--check", path]).await.refused(1);
    assert!(missing.contains("there is no such file; --write makes it"), "{missing}");
    run(&["schema-lock", "--write", path]).await.done();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), committed);
    run(&["schema-lock", "--check", path]).await.done();
}

#[tokio::test]
async fn a_broken_promise_is_told_with_its_place_and_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = promised(folder.path(), |receipt| {
        receipt["events"]["item-added"]["1"]["properties"]["quantity"] = json!({ "type": "string" });
    });
    let before = std::fs::read_to_string(&file).unwrap();
    for action in ["--check", "--write"] {
        let told = run(&["schema-lock", action, file.to_str().unwrap()]).await.refused(1);
        assert!(told.contains("receipt: event `item-added` version 1 at `/quantity`"), "{told}");
        assert!(told.contains("raise the event's schema version to 2 and add an upcaster from 1"), "{told}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), before, "{action}");
    }
}

#[tokio::test]
async fn what_is_not_in_the_file_yet_is_told_and_added() {
    let folder = tempfile::tempdir().unwrap();
    let file = promised(folder.path(), |receipt| _ = receipt["commands"].as_object_mut().unwrap().remove("void"));
    let path = file.to_str().unwrap();
    let told = run(&["schema-lock", "--check", path]).await.refused(1);
    assert!(told.ends_with("not in it yet; --write adds it:\n- receipt: command `void`\n"), "{told}");
    run(&["schema-lock", "--write", path]).await.done();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), std::fs::read_to_string(COMMITTED).unwrap());
}
