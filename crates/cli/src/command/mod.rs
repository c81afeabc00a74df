//! `headwater command`: commands to aggregates.

mod send;

use clap::Subcommand;

use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::world::World;

/// Send commands to the aggregates of a service
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater command send receipts receipt finalize order-1
  headwater command send receipts receipt add-item order-1 --data-file item.json")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Send(Box<send::Args>),
}

pub(crate) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    match args.action {
        Action::Send(args) => send::run(*args, world).await,
    }
}
