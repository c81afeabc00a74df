//! `headwater aggregate`: one aggregate's state and history, through its service's queries.

mod history;
mod show;

use clap::Subcommand;
use headwater_core::Name;

use crate::call::{CallerArguments, name};
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::world::World;

/// Show an aggregate as it is or was, and what happened to it
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater aggregate show receipts receipt order-1
  headwater aggregate history receipts receipt order-1 --at 3")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Show(show::Args),
    History(history::Args),
}

pub(crate) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    match args.action {
        Action::Show(args) => show::run(args, world).await,
        Action::History(args) => history::run(args, world).await,
    }
}

/// Which aggregate.
#[derive(Debug, clap::Args)]
struct AggregateArguments {
    /// The service, such as receipts
    #[arg(value_parser = name)]
    service: Name,
    /// The aggregate type, such as receipt
    #[arg(value_parser = name)]
    aggregate: Name,
    /// The aggregate's id, such as order-1
    id: String,

    #[command(flatten)]
    caller: CallerArguments,
}
