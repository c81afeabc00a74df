//! `headwater events`: committed events, as they come and from the journal.

mod filter;
mod show;
mod tail;

use std::num::NonZeroUsize;

use clap::Subcommand;
use headwater_core::{Name, RecordedEvent};

use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::show as shown;
use crate::world::World;

/// Show the events of a service: as they come, or from its journal
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater events tail receipts
  headwater events show receipts --since 1h --type item-added
  headwater events show receipts --aggregate receipt/order-1 --follow --json")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Tail(tail::Args),
    Show(show::Args),
}

pub(crate) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    match args.action {
        Action::Tail(args) => tail::run(args, world).await,
        Action::Show(args) => show::run(args, world).await,
    }
}

/// Writes events, up to a number of them.
struct Printer<'a> {
    world: &'a World,
    service: Name,
    left: usize,
}

impl<'a> Printer<'a> {
    fn new(world: &'a World, service: Name, count: Option<NonZeroUsize>) -> Self {
        Self { world, service, left: count.map_or(usize::MAX, NonZeroUsize::get) }
    }

    /// Whether as many have been written as were asked for.
    fn is_done(&self) -> bool {
        self.left == 0
    }

    fn write(&mut self, event: &RecordedEvent) -> std::io::Result<()> {
        self.left = self.left.saturating_sub(1);
        let output = &self.world.output;
        match self.world.is_json() {
            true => output.json(&shown::event_json(&self.service, event)),
            false => output.line(shown::event_line(event, true, output)),
        }
    }
}
