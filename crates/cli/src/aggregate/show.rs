//! `headwater aggregate show`: the state, as it is or as it was.

use chrono::{DateTime, Utc};
use headwater_core::Revision;
use headwater_core::call::{CallOptions, EntityReply, GetRequest, Transport as _};
use serde_json::json;

use super::AggregateArguments;
use crate::call::{Called, complaint};
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::output::{Style, plain};
use crate::show;
use crate::world::World;

/// Show the state of an aggregate, as it is or as it was
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater aggregate show receipts receipt order-1
  headwater aggregate show receipts receipt order-1 --at 3
  headwater aggregate show receipts receipt order-1 --at-time 2026-11-20T12:00:00Z --json")]
pub(super) struct Args {
    #[command(flatten)]
    of: AggregateArguments,

    /// As it was at this revision
    #[arg(long, visible_alias = "at-revision", value_name = "REVISION", conflicts_with = "at_time")]
    at: Option<Revision>,

    /// As it was at this time, such as 2026-11-20T12:00:00Z
    #[arg(long, value_name = "TIME")]
    at_time: Option<DateTime<Utc>>,

    /// Wait until it has at least this revision: read your own writes
    #[arg(long, value_name = "REVISION")]
    min_revision: Option<Revision>,
}

pub(super) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    let AggregateArguments { service, aggregate, id, caller } = args.of;
    let request = GetRequest {
        aggregate: caller.aggregate(aggregate, &id)?,
        at_revision: args.at,
        at_time: args.at_time,
        min_revision: args.min_revision,
        metadata: caller.metadata(),
    };
    let client = world.client(&service, caller.credentials()?).await?;
    let reply = client.get(request, &CallOptions::default()).await;
    let called = Called { service: Some(&service), command_id: None };
    told(&reply.map_err(|error| complaint(error, &called))?, world)?;
    Ok(Exit::Done)
}

fn told(reply: &EntityReply, world: &World) -> std::io::Result<()> {
    if world.is_json() {
        return world.output.json(&json!({
            "aggregate": show::aggregate(&reply.aggregate),
            "revision": reply.revision,
            "sequence": reply.sequence,
            "state": show::value(&reply.state),
        }));
    }
    let whose = plain(&show::of(&reply.aggregate));
    let at = format!("revision {}, sequence {}", reply.revision, reply.sequence);
    world.output.line(format_args!(
        "{}  {}",
        world.output.styled(Style::Heading, &whose),
        world.output.styled(Style::Quiet, &at)
    ))?;
    world.output.lines(show::pretty(&reply.state))
}
