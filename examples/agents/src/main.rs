//! Agents that work on tasks, and who watches them.

mod demo;
mod events;
mod program;
mod runner;
mod service;
mod signals;
mod watcher;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use headwater::messaging::BoxError;
use tracing_subscriber::EnvFilter;

/// Agents that work on tasks, and who watches them.
///
/// Without arguments it plays a demo: it finds or obtains a nats-server, applies the topology, runs both services as programs of
/// their own, kills one of them in the middle, and shows that nothing is lost.
#[derive(Debug, Parser)]
#[command(name = "agents", version)]
struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the publisher: it is asked to let an agent work, and tells by events what it does
    Runner {
        #[command(flatten)]
        server: Server,

        /// Whose events these are
        #[arg(long, default_value = "acme")]
        tenant: String,
    },
    /// Run the subscriber: it handles the events, and goes on where it stopped
    Watcher {
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Debug, Args)]
struct Server {
    /// The server
    #[arg(long, env = "NATS_URL", default_value = "nats://localhost:4222")]
    nats_url: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&*error),
    }
}

async fn run(Arguments { action }: Arguments) -> Result<(), BoxError> {
    match action {
        None => demo::run().await,
        Some(Action::Runner { server, tenant }) => runner::run(&server.nats_url, &tenant).await,
        Some(Action::Watcher { server }) => watcher::run(&server.nats_url).await,
    }
}

#[expect(clippy::print_stderr, reason = "a program complains there")]
fn complain(error: &(dyn std::error::Error + Send + Sync)) -> ExitCode {
    eprint!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
    ExitCode::FAILURE
}
