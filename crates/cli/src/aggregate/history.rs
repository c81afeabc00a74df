//! `headwater aggregate history`: what happened to an aggregate, page by page, so that a long history is shown while it is
//! read.

use std::num::NonZeroUsize;

use headwater_core::Revision;
use headwater_core::call::{CallOptions, HistoryRequest, Transport as _};

use super::AggregateArguments;
use crate::call::{Called, complaint};
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::output::{counted, note};
use crate::show;
use crate::world::World;

/// List what happened to an aggregate, oldest first
///
/// With --json each line is an event as the journal keeps it: a CloudEvent, with its sequence.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater aggregate history receipts receipt order-1
  headwater aggregate history receipts receipt order-1 --after 2 --at 5
  headwater aggregate history receipts receipt order-1 --json | jq .data")]
pub(super) struct Args {
    #[command(flatten)]
    of: AggregateArguments,

    /// Up to this revision
    #[arg(long, visible_alias = "at-revision", value_name = "REVISION")]
    at: Option<Revision>,

    /// Only what happened after this revision
    #[arg(long, value_name = "REVISION", default_value = "0")]
    after: Revision,

    /// At most so many events [default: all of them]
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
}

pub(super) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    let AggregateArguments { service, aggregate, id, caller } = args.of;
    let aggregate = caller.aggregate(aggregate, &id)?;
    let client = world.client(&service, caller.credentials()?).await?;
    let mut next = Some(args.after).filter(|after| args.at.is_none_or(|at| *after < at));
    let mut left = args.limit.map_or(usize::MAX, NonZeroUsize::get);
    let mut more = 0;
    while let Some(after_revision) = next.filter(|_| left > 0) {
        let request = HistoryRequest {
            aggregate: aggregate.clone(),
            after_revision,
            limit: Some(left).filter(|left| *left < usize::MAX),
            metadata: caller.metadata(),
        };
        let page = client.history(request, &CallOptions::default()).await;
        let called = Called { service: Some(&service), command_id: None };
        let page = page.map_err(|error| complaint(error, &called))?;
        for event in &page.events {
            if args.at.is_some_and(|at| event.revision > at) {
                return Ok(Exit::Done);
            }
            match world.is_json() {
                true => world.output.json(&show::event_json(&service, event))?,
                false => world.output.line(show::event_line(event, false, &world.output))?,
            }
        }
        left = left.saturating_sub(page.events.len());
        next = page.next;
        let end = args.at.map_or(page.revision, |at| at.min(page.revision));
        more = next.map_or(0, |next| end.get().saturating_sub(next.get()));
    }
    if let Some(next) = next.filter(|_| more > 0) {
        note(format_args!("{} more: --after {next}", counted(more, "event")));
    }
    Ok(Exit::Done)
}
