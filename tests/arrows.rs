//! The map of the house: which crate may depend on which. Reads `cargo metadata` and says in words
//! which arrow is wrong.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate of the workspace may depend on, tests and examples aside.
const ALLOWED: &[(&str, &[&str])] = &[
    ("headwater-core", &[]),
    ("headwater-macros", &[]),
    ("headwater-nats", &["headwater-core"]),
    ("headwater-nats-store", &["headwater-core", "headwater-nats"]),
    ("headwater-nats-service", &["headwater-core", "headwater-nats"]),
    ("headwater-nats-client", &["headwater-core", "headwater-nats"]),
    ("headwater-nats-messaging", &["headwater-core", "headwater-macros", "headwater-nats"]),
    ("headwater-testkit", &["headwater-core", "headwater-nats"]),
    // The only one that knows OpenTelemetry's SDK.
    ("headwater-telemetry", &["headwater-nats"]),
    (
        "headwater",
        &[
            "headwater-core",
            "headwater-macros",
            "headwater-nats",
            "headwater-nats-client",
            "headwater-nats-messaging",
            "headwater-nats-service",
            "headwater-nats-store",
            "headwater-telemetry",
        ],
    ),
    // The demo runs a server of its own, which is the testkit's work.
    ("sample-receipts", &["headwater", "headwater-testkit"]),
    ("example-agents", &["headwater", "headwater-testkit"]),
];

/// What the core must never know, nor anything beneath it.
const NEVER_IN_CORE: &[&str] = &["async-nats", "mio", "socket2", "rustls", "hyper", "reqwest"];

/// What may depend on anything.
const FREE: &[&str] = &["headwater-cli", "headwater-tests", "headwater-benches"];

struct Workspace {
    /// Direct dependencies among the crates of the workspace, without those of tests and examples.
    arrows: BTreeMap<String, BTreeSet<String>>,
    /// Everything beneath `headwater-core`.
    beneath_core: BTreeSet<String>,
}

fn workspace() -> Workspace {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--no-deps"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let names: BTreeSet<_> = packages.iter().map(|package| text(&package["name"])).collect();
    let arrows = packages.iter().map(|package| {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let at_run_time = dependencies.filter(|dependency| dependency["kind"].is_null());
        let ours = at_run_time.map(|dependency| text(&dependency["name"])).filter(|name| names.contains(name));
        (text(&package["name"]), ours.collect())
    });
    Workspace { arrows: arrows.collect(), beneath_core: beneath_core(root) }
}

/// Every crate beneath the core, by `cargo tree` with the features the core asks for itself.
fn beneath_core(root: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", "headwater-core", "--edges", "normal", "--prefix", "none", "--offline"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn every_arrow_between_crates_is_on_the_map() {
    let workspace = workspace();
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    for (from, to) in &workspace.arrows {
        if FREE.contains(&from.as_str()) {
            continue;
        }
        let Some(allowed) = allowed.get(from.as_str()) else {
            wrong.push(format!("{from} is not on the map: add it to ARCHITECTURE.md and to this test"));
            continue;
        };
        for to in to.iter().filter(|to| !allowed.contains(&to.as_str())) {
            wrong.push(format!("{from} -> {to}: {from} may depend on {allowed:?} only"));
        }
    }
    assert!(wrong.is_empty(), "arrows that ARCHITECTURE.md does not allow:\n{}", wrong.join("\n"));
}

#[test]
fn the_map_names_only_crates_that_exist() {
    let workspace = workspace();
    for (name, _) in ALLOWED {
        assert!(workspace.arrows.contains_key(*name), "{name} is on the map and not in the workspace");
    }
}

#[test]
fn the_core_knows_no_nats_and_no_sockets() {
    let workspace = workspace();
    assert!(workspace.beneath_core.contains("serde"), "cargo tree told nothing: {:?}", workspace.beneath_core);
    for never in NEVER_IN_CORE {
        assert!(
            !workspace.beneath_core.contains(*never),
            "headwater-core depends on {never}, maybe through another crate"
        );
    }
}
