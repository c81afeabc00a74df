//! The command as a user starts it: it measures, reports and leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::process::{Command, Output};

use headwater_testkit::Locator;
use serde_json::Value;

fn benches(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_headwater-benches")).args(arguments).output().unwrap()
}

#[tokio::test]
async fn a_quick_run_reports_both_programs_and_checks_their_journals() {
    // Of appends to one aggregate at once, 2.12.1 leaves some without an answer.
    if Locator::from_process().locate().await.unwrap().is_older_than((2, 12, 8)) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("figures.json");
    let (file, dir) = (json.to_str().unwrap(), folder.path().to_str().unwrap());
    let run = ["one-event", "get", "hot", "--quick", "--pairs", "1", "--seconds", "0.3", "--in-flight", "4"];
    let output = benches(&[&run[..], &["--json", file, "--dir", dir]].concat());
    let (table, progress) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{progress}");
    for shown in ["one-event", "4 in flight", "by hand", "echo", "hot"] {
        assert!(table.contains(shown), "{shown} is not in\n{table}");
    }
    let figures: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let cases = figures["cases"].as_array().unwrap();
    // `get` has two: from memory, and with the journal asked.
    assert_eq!(cases.len(), 4, "{figures:#}");
    for case in cases {
        for contender in case["contenders"].as_array().unwrap() {
            let reading = &contender["readings"][0];
            assert!(reading["operations"].as_u64().unwrap() > 0, "{case:#}");
            assert!(reading["p99"].as_f64().unwrap() >= reading["p50"].as_f64().unwrap(), "{case:#}");
        }
    }
    let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["figures.json"], "the servers' files are gone");
}

#[test]
fn a_consumer_that_lags_is_watched_until_it_has_caught_up() {
    let folder = tempfile::tempdir().unwrap();
    // 5 000 messages for each of three routers.
    let run = ["lag", "--quick", "--seconds", "0.05", "--dir", folder.path().to_str().unwrap()];
    let output = benches(&run);
    let (table, progress) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{progress}");
    for case in ["one slow handler", "in order by key", "a fast handler beside it"] {
        let note = table.lines().find(|line| line.starts_with("lag ") && line.contains(&format!("{case}: ")));
        let note = note.unwrap_or_else(|| panic!("{case} is not in\n{table}"));
        assert!(note.contains("MiB of the reader") && note.contains("pending"), "{note}");
    }
}

#[test]
fn the_list_names_every_scenario_and_starts_nothing() {
    let output = benches(&["--list"]);
    let list = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    for scenario in ["one-event", "cold-load", "two-event", "cluster", "memory"] {
        assert!(list.lines().any(|line| line.starts_with(scenario)), "{list}");
    }
}

#[test]
fn a_mistake_on_the_command_line_is_told_before_anything_starts() {
    for wrong in [&["no-such-scenario"][..], &["--pairs", "0"], &["--seconds", "-1"], &["--in-flight", "0"]] {
        let output = benches(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}
