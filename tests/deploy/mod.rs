//! What `deploy/` ships is tried as it is shipped: servers run with its configurations, and the receipts program with its
//! command lines.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::PathBuf;

mod certificates;
mod cluster;
mod manifests;
mod one_node;
mod run;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sample-receipts-under-test");

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The text of a file of the repository.
fn text(path: &str) -> String {
    let path = repository(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
