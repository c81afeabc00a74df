//! `headwater query`: a service's own queries.

use std::io;

use headwater_core::call::{CallOptions, QueryReply, QueryRequest, Transport as _};
use headwater_core::{Name, Revision};
use headwater_nats::subject::{GET, HISTORY};
use serde_json::json;

use crate::call::{Called, CallerArguments, Endpoint, Kind, PayloadArguments, complaint, name};
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::output::Style;
use crate::show;
use crate::world::World;

/// Ask an aggregate one of its service's queries, and show the answer
///
/// The payload is checked against the schema that the service publishes before anything is sent. The state of an aggregate
/// and its history have verbs of their own: `headwater aggregate show` and `headwater aggregate history`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater query receipts receipt summary order-1
  headwater query receipts receipt summary order-1 --min-revision 4 --json")]
pub(crate) struct Args {
    /// The service, such as receipts
    #[arg(value_parser = name)]
    service: Name,
    /// The aggregate type, such as receipt
    #[arg(value_parser = name)]
    aggregate: Name,
    /// The query, such as summary
    #[arg(value_parser = name)]
    query: Name,
    /// The aggregate's id, such as order-1
    id: String,

    #[command(flatten)]
    payload: PayloadArguments,

    /// Wait until the aggregate has at least this revision: read your own writes
    #[arg(long, value_name = "REVISION")]
    min_revision: Option<Revision>,

    /// Send the payload without checking it first; the service makes its own check
    #[arg(long)]
    no_check: bool,

    #[command(flatten)]
    caller: CallerArguments,
}

pub(crate) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    let Args { service, aggregate: kind, query, id, .. } = &args;
    for (built_in, verb) in [(GET, "show"), (HISTORY, "history")] {
        if query.as_str() == built_in {
            let verb = format!("Every service has this query: headwater aggregate {verb} {service} {kind} {id}");
            return Err(Complaint::usage(format!("`{query}` has a verb of its own")).note(verb));
        }
    }
    let payload = args.payload.read()?;
    let aggregate = args.caller.aggregate(kind.clone(), id)?;
    let client = world.client(service, args.caller.credentials()?).await?;
    if !args.no_check {
        let (kind, aggregate, name) = (Kind::Query, kind, query);
        Endpoint { client: &client, kind, aggregate, name, limit: world.limit()? }.check(&payload).await?;
    }
    let request = QueryRequest {
        aggregate,
        query: query.to_string(),
        payload: payload.bytes,
        min_revision: args.min_revision,
        metadata: args.caller.metadata(),
    };
    let reply = client.query(request, &CallOptions::default()).await;
    let called = Called { service: Some(service), command_id: None };
    told(&reply.map_err(|error| complaint(error, &called))?, world)?;
    Ok(Exit::Done)
}

fn told(reply: &QueryReply, world: &World) -> io::Result<()> {
    if world.is_json() {
        return world.output.json(&json!({
            "aggregate": show::aggregate(&reply.aggregate),
            "revision": reply.revision,
            "sequence": reply.sequence,
            "answer": show::value(&reply.answer),
        }));
    }
    world.output.lines(show::pretty(&reply.answer))?;
    let at = format!("revision {}, sequence {}", reply.revision, reply.sequence);
    world.output.line(world.output.styled(Style::Quiet, &at))
}
