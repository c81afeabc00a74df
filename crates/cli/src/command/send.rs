//! `headwater command send`: one command, checked before it is sent, and what it did.

use std::io;

use headwater_core::call::{CallOptions, CommandReply, CommandRequest, ReturnMode, Transport as _};
use headwater_core::{CommandId, Name, Revision};
use serde_json::json;

use crate::call::{Called, CallerArguments, Endpoint, Kind, PayloadArguments, command_id, complaint, name};
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::output::{Style, plain};
use crate::show;
use crate::world::World;

/// Send a command to an aggregate, and show what it did
///
/// The payload is checked against the schema that the service publishes before anything is sent; what breaks it is listed
/// with its place. A command that is sent again with the same --command-id takes effect once.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater command send receipts receipt add-item order-1 --data '{\"name\":\"Tea\",\"price\":\"2.50\",\"quantity\":1}'
  headwater command send receipts receipt finalize order-1 --expected-revision 3
  jq .items order.json | headwater command send receipts receipt add-items order-1 --data -")]
pub(crate) struct Args {
    /// The service, such as receipts
    #[arg(value_parser = name)]
    service: Name,
    /// The aggregate type, such as receipt
    #[arg(value_parser = name)]
    aggregate: Name,
    /// The command, such as add-item
    #[arg(value_parser = name)]
    command: Name,
    /// The aggregate's id, such as order-1
    id: String,

    #[command(flatten)]
    payload: PayloadArguments,

    /// Refuse the command if the aggregate has another revision; 0: if it has any
    #[arg(long, value_name = "REVISION")]
    expected_revision: Option<Revision>,

    /// The command's id: sent again with the same one, it takes effect once [default: a new one]
    #[arg(long, value_name = "ID", value_parser = command_id)]
    command_id: Option<CommandId>,

    /// What caused the command: the id of an event or of a request
    #[arg(long, value_name = "ID")]
    causation_id: Option<String>,

    /// Leave the state out of the reply
    #[arg(long)]
    no_state: bool,

    /// Send the payload without checking it first; the service makes its own check
    #[arg(long)]
    no_check: bool,

    #[command(flatten)]
    caller: CallerArguments,
}

pub(crate) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    // What is wrong with the command line is found out before anybody is bothered.
    let payload = args.payload.read()?;
    let aggregate = args.caller.aggregate(args.aggregate.clone(), &args.id)?;
    let client = world.client(&args.service, args.caller.credentials()?).await?;
    if !args.no_check {
        let (kind, aggregate, name) = (Kind::Command, &args.aggregate, &args.command);
        Endpoint { client: &client, kind, aggregate, name, limit: world.limit()? }.check(&payload).await?;
    }
    // Made here, so that whatever happens next, the person who sent the command knows it.
    let command_id = args.command_id.unwrap_or_else(CommandId::generate);
    let mut metadata = args.caller.metadata();
    metadata.command_id = Some(command_id.clone());
    metadata.causation_id = args.causation_id;
    let request = CommandRequest {
        aggregate,
        command: args.command.to_string(),
        payload: payload.bytes,
        expected_revision: args.expected_revision,
        return_mode: if args.no_state { ReturnMode::Revision } else { ReturnMode::Entity },
        metadata,
    };
    let called = Called { service: Some(&args.service), command_id: Some(&command_id) };
    let reply = client.command(request, &CallOptions::default()).await;
    told(&reply.map_err(|error| complaint(error, &called))?, world)?;
    Ok(Exit::Done)
}

fn told(reply: &CommandReply, world: &World) -> io::Result<()> {
    if world.is_json() {
        let mut told = json!({
            "aggregate": show::aggregate(&reply.aggregate),
            "revision": reply.revision,
            "sequence": reply.sequence,
            "events": reply.events,
            "commandId": reply.command_id,
            "replayed": reply.replayed,
        });
        if let Some(state) = &reply.state {
            told["state"] = show::value(state);
        }
        if let Some(id) = &reply.correlation_id {
            told["correlationId"] = json!(id);
        }
        return world.output.json(&told);
    }
    let events: Vec<_> = reply.events.iter().map(|event| event.name.as_str()).collect();
    let events = if events.is_empty() { "nothing had to happen".to_owned() } else { events.join(", ") };
    let again = if reply.replayed { " (answered from the first attempt)" } else { "" };
    world.output.line(format_args!("{}: {events}{again}", world.output.styled(Style::Good, "done")))?;
    let ids = format!("revision {}, sequence {}, command {}", reply.revision, reply.sequence, reply.command_id);
    world.output.line(world.output.styled(Style::Quiet, &plain(&ids)))?;
    match &reply.state {
        Some(state) => world.output.lines(show::pretty(state)),
        None => Ok(()),
    }
}
