//! Readings of Headwater beside hand-written code that does the same work on bare async-nats.
//!
//! One command starts its own servers, runs both programs alternately and prints a table:
//! `cargo run --release -p headwater-benches -- --help`.
//!
//! - [`arguments`]: what can be asked of the command.
//! - [`scenario`]: what is compared, one file each.
//! - [`receipts`]: the calls that both programs are sent.
//! - [`child`]: the programs under test, each run in a process of its own.
//! - [`harness`]: servers, processes, load, processor time, and the check of the journal afterwards.
//! - [`report`]: the table and the JSON.

mod arguments;
mod child;
mod harness;
mod receipts;
mod report;
mod scenario;

use std::process::ExitCode;

use clap::Parser;

/// For the programs under test alike: a service that is to be fast uses such an allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What goes wrong here is told to a person and ends a scenario; nothing branches on it.
type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            report::complain(&format!("no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        match arguments.role() {
            Some(role) => child::play(role).await,
            None => scenario::run_all(&arguments).await,
        }
    })
}
