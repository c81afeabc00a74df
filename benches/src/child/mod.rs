//! The programs under test. Each runs in a process of its own: this same binary, started with a hidden subcommand.
//!
//! A program says [`READY`] on standard output when it takes requests, serves until standard input ends, finishes what
//! it has begun, and may say a line of JSON about its run before it ends.

mod by_hand;
mod consuming;
mod echo;
mod features;
mod lagging;
mod ours;
mod publishing;
mod reader;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;

pub(crate) use by_hand::{ByHand, Loading};
pub(crate) use consuming::{By, Consuming, ConsumingSaid, Note};
pub(crate) use features::{Features, SECRET, TOKEN};
pub(crate) use lagging::{GO, Lagging, STAND, Spread as LagSpread, Stand};
pub(crate) use ours::Ours;
pub(crate) use publishing::{Publishing, PublishingSaid};
pub(crate) use reader::{Reader, ReaderSaid};

use crate::{Fallible, report};

/// The line that says that requests are taken.
pub(crate) const READY: &str = "ready";

/// Which program to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "program", rename_all = "kebab-case")]
pub(crate) enum Role {
    /// The receipts service on Headwater.
    Ours(Ours),
    /// The same service on bare async-nats.
    ByHand(ByHand),
    /// Reads the journal from its first event to its last, then ends.
    Reader(Reader),
    /// Publishes messages to a stream, then ends.
    Publishing(Publishing),
    /// Reads messages of a stream through a durable consumer, then ends.
    Consuming(Consuming),
    /// Reads messages of a stream through a router, far too slowly until it is told otherwise.
    Lagging(Lagging),
    /// Answers every `get` with the same bytes.
    Echo {
        url: String,
        service: String,
        /// The file with these bytes.
        reply: PathBuf,
    },
}

/// Is that program until standard input ends.
pub(crate) async fn play(role: Result<Role, serde_json::Error>) -> ExitCode {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    let outcome = match role {
        Ok(Role::Ours(ours)) => ours.run().await,
        Ok(Role::ByHand(by_hand)) => by_hand.run().await,
        Ok(Role::Reader(reader)) => reader.run().await.and_then(|said| Ok(serde_json::to_value(said)?)),
        Ok(Role::Publishing(publishing)) => publishing.run().await.and_then(|said| Ok(serde_json::to_value(said)?)),
        Ok(Role::Consuming(consuming)) => consuming.run().await.and_then(|said| Ok(serde_json::to_value(said)?)),
        Ok(Role::Lagging(lagging)) => lagging.run().await,
        Ok(Role::Echo { url, service, reply }) => echo::run(&url, &service, &reply).await,
        Err(error) => Err(error.into()),
    };
    match outcome.and_then(|said| say(&said.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::complain(&format!("the program under test failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Says that requests are taken, and returns when standard input has ended.
async fn serve_until_told() -> Fallible<()> {
    let (ended, end) = oneshot::channel();
    // A thread of its own, which no runtime waits for: a read of standard input cannot be given up.
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut rest);
        let _ = ended.send(());
    });
    say(READY)?;
    end.await?;
    Ok(())
}

fn say(line: &str) -> Fallible<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Nothing to say at the end.
const NOTHING: Value = Value::Null;
