//! The command line: what can be asked of the program, and how it is written.

mod client;
mod features;
mod items;
mod nats;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use headwater::evolution::Compatibility;

pub(crate) use client::{CallerArguments, ClientAction, ClientArguments, CommandOptions, ReadOptions};
pub(crate) use features::FeatureArguments;
pub(crate) use nats::NatsArguments;

/// Receipts on NATS: run the service, call it, or watch the whole of it in a demo.
///
/// Without arguments it plays the demo: it finds or obtains a nats-server, starts it in a temporary
/// folder, runs two instances of the service, drives them through their client and stops everything.
#[derive(Debug, Parser)]
#[command(name = "sample-receipts", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// Play the demo without any server: events in memory, commands dispatched in process
    #[arg(long)]
    pub(crate) in_process: bool,

    /// Record the demo as one trace, from the client's calls to the journal, and send it by OTLP over HTTP to where the OTEL_*
    /// variables say
    #[arg(long, conflicts_with = "in_process")]
    pub(crate) telemetry: bool,

    #[command(subcommand)]
    pub(crate) action: Option<Action>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Run the receipts service until SIGINT or SIGTERM
    Serve(ServeArguments),
    /// Call a running receipts service
    Client(ClientArguments),
    /// Run a nats-server for development until SIGINT or SIGTERM
    NatsServer(NatsServerArguments),
    /// Show what the service promises about its events, commands, rejections and queries, or check it
    SchemaLock(SchemaLockArguments),
    /// Print the JSON Schema of the file that `serve --config` reads
    ConfigSchema,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(crate) nats: NatsArguments,

    /// How many instances of the service to run in this process
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) instances: NonZeroUsize,

    /// The queue group that the instances share
    #[arg(long, value_name = "NAME")]
    pub(crate) queue_group: Option<String>,

    /// Where events are kept
    #[arg(long, value_enum, default_value_t = StoreChoice::Jetstream)]
    pub(crate) store: StoreChoice,

    /// How many servers of a cluster keep each event, 1 to 5; with 3, one of them may be lost. A journal that is kept by fewer
    /// is refused
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u8).range(1..=5))]
    pub(crate) replicas: u8,

    /// Answer /livez, /readyz and /startupz over HTTP at this IP address and port, port 0 for a free one; further instances
    /// take the ports that follow
    #[arg(long, value_name = "ADDR")]
    pub(crate) probes: Option<SocketAddr>,

    /// Record traces, one in ten, and metrics, and send them by OTLP over HTTP to where the OTEL_* variables say; with
    /// --probes also show the metrics at /metrics
    #[arg(long)]
    pub(crate) telemetry: bool,

    /// How log lines are written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,

    #[command(flatten)]
    pub(crate) features: FeatureArguments,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line, with the ids of the trace it belongs to
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreChoice {
    /// In a JetStream stream: durable, and shared with instances elsewhere
    Jetstream,
    /// In the memory of this process: gone when it ends, and for its own instances only
    Memory,
}

impl StoreChoice {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Jetstream => "jetstream",
            Self::Memory => "memory",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct NatsServerArguments {
    /// The port for clients [default: a free one]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,

    /// The folder JetStream stores in; it stays afterwards [default: a temporary one, removed at the end]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) store_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaLockArguments {
    /// Check this program against what released versions promised; exit status 1 when a promise is broken or not in
    /// the file yet
    #[arg(long, value_name = "FILE", conflicts_with = "write")]
    pub(crate) check: Option<PathBuf>,

    /// Add what this program promises to the file, unless a promise in it is broken
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,

    /// What is to be kept: backward (this program reads what older ones wrote), forward (older ones read what it
    /// writes), full or off
    #[arg(long, value_name = "WAY", default_value_t = Compatibility::Full)]
    pub(crate) compatibility: Compatibility,
}

#[cfg(test)]
mod tests;
