//! The demo, from outside.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::process::Command;

#[test]
fn a_watcher_that_is_killed_goes_on_where_it_stopped() {
    let output = Command::new(env!("CARGO_BIN_EXE_agents")).output().unwrap();
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{errors}");
    for shown in ["stream AGENT_EVENTS created", "alarm: ada failed", "tenant acme", "watcher is up", "Every step"] {
        assert!(told.contains(shown), "{shown} is not in\n{told}");
    }
    let after = told.split_once("5  Start it again").unwrap().1;
    for workflow in ["review", "repair"] {
        let completed = format!("Completed {{ workflow_id: \"{workflow}\" }}");
        assert!(after.contains(&completed), "{completed} is not in\n{after}");
    }
}
