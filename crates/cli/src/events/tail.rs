//! `headwater events tail`: the live feed of committed events.

use futures_util::StreamExt as _;
use headwater_core::FailureCode;
use headwater_core::call::{LiveEvent, Transport as _};

use super::Printer;
use super::filter::FilterArguments;
use crate::call::{Called, complaint};
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::output::{note, plain};
use crate::signals;
use crate::world::World;

/// Show events as they are committed, until Ctrl-C
///
/// The feed needs no JetStream rights, and shows each event once at most: those of the time of a lost connection are
/// missing, which is told on standard error. `headwater events show --follow` misses none. With --json each line is an
/// event as the journal keeps it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater events tail receipts
  headwater events tail receipts --type item-added --type item-removed --json
  headwater events tail receipts --aggregate receipt/order-1 --count 1")]
pub(super) struct Args {
    #[command(flatten)]
    filter: FilterArguments,
}

pub(super) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    let (service, filter) = args.filter.read()?;
    let client = world.client(&service, None).await?;
    let called = Called { service: Some(&service), command_id: None };
    let mut feed = client.live(filter).await.map_err(|error| complaint(error, &called))?;
    // From here on Ctrl-C is an end like any other; until here it ends the program as it does others.
    let stop = signals::stop_requested().map_err(|error| Complaint::because("signals cannot be caught", &error))?;
    tokio::pin!(stop);
    // Standard output holds events and nothing else.
    note(format_args!("following {service}; Ctrl-C ends it"));
    let mut printer = Printer::new(world, service.clone(), args.filter.count);
    while !printer.is_done() {
        let item = tokio::select! {
            item = feed.next() => item,
            _ = &mut stop => return Ok(Exit::Done),
        };
        match item {
            Some(LiveEvent::Event(event)) => printer.write(&event)?,
            Some(LiveEvent::Gap) => note("the connection was lost and is back; events in between are missing here"),
            Some(LiveEvent::Unreadable(failure)) if failure.code == FailureCode::Forbidden => {
                return Err(Complaint::refused(failure.code.as_str(), failure.message));
            }
            Some(LiveEvent::Unreadable(failure)) => {
                note(format_args!("a message on the feed is no event: {}", plain(&failure.message)));
            }
            Some(_) => {}
            None => return Err(Complaint::failed("disconnected", "the feed ended: the connection was closed")),
        }
    }
    Ok(Exit::Done)
}
