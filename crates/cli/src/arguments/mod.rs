//! The command line: what every verb takes, and the verbs.

mod connection;

use clap::{Args, Parser, Subcommand};

pub(crate) use connection::{ConnectionArguments, some_time, timeout};

use crate::aggregate;
use crate::backup;
use crate::command;
use crate::complaint::Complaint;
use crate::completions;
use crate::doctor;
use crate::events;
use crate::exit::Exit;
use crate::permissions;
use crate::query;
use crate::services;
use crate::topology;
use crate::world::World;

/// Services, commands, events and streams of Headwater, from the shell.
///
/// The connection is found as the `nats` command finds it: by flags, by the NATS_* variables, by a context. Results go
/// to standard output, as text or with --json; everything else goes to standard error.
///
/// Exit status: 0 done, 1 refused or failed, 2 the command line makes no sense, 3 things are not as they should be.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, propagate_version = true, disable_help_subcommand = true)]
#[command(after_long_help = "Examples:
  headwater services ls
  headwater --context production services stats receipts
  headwater command send receipts receipt add-item order-1 --data '{\"name\":\"Tea\",\"price\":\"2.50\",\"quantity\":1}'")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) settings: Settings,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,

    /// Print JSON instead of text: one value, or one on each line where they come one by one. Errors too
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Services(services::Args),
    Command(command::Args),
    Query(Box<query::Args>),
    Events(events::Args),
    Aggregate(Box<aggregate::Args>),
    Topology(topology::Args),
    Backup(backup::Args),
    Restore(backup::restore::Args),
    Doctor(doctor::Args),
    Permissions(permissions::Args),
    Completions(completions::Args),
}

impl Verb {
    pub(crate) async fn run(self, world: &World) -> Result<Exit, Complaint> {
        match self {
            Self::Services(args) => services::run(args, world).await,
            Self::Command(args) => command::run(args, world).await,
            Self::Query(args) => query::run(*args, world).await,
            Self::Events(args) => events::run(args, world).await,
            Self::Aggregate(args) => aggregate::run(*args, world).await,
            Self::Topology(args) => topology::run(args, world).await,
            Self::Backup(args) => backup::run(args, world).await,
            Self::Restore(args) => backup::restore::run(args, world).await,
            Self::Doctor(args) => doctor::run(args, world).await,
            Self::Permissions(args) => permissions::run(&args, world),
            Self::Completions(args) => completions::run(&args, world),
        }
    }
}

#[cfg(test)]
mod tests;
