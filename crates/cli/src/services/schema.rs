//! `headwater services schema`: the contract of a service, or a part of it.

use headwater_core::Name;
use headwater_nats_client::Discovery;

use crate::call::{Called, complaint, name};
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::world::World;

/// Show the contract of a service: what it can be asked, with the JSON Schema of everything
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater services schema receipts
  headwater services schema receipts /aggregates/receipt/commands/add-item/request")]
pub(super) struct Args {
    /// The service, such as receipts
    #[arg(value_parser = name)]
    service: Name,

    /// Only the part that this JSON Pointer names
    #[arg(default_value = "", hide_default_value = true)]
    pointer: String,
}

pub(super) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    let (connection, limit) = world.connect().await?;
    let schema = Discovery::new(connection).answer_within(limit).schema(args.service.as_str(), &args.pointer).await;
    let schema =
        schema.map_err(|error| complaint(error, &Called { service: Some(&args.service), command_id: None }))?;
    match world.is_json() {
        true => world.output.json(&schema)?,
        false => world.output.line(serde_json::to_string_pretty(&schema).unwrap_or_else(|_| schema.to_string()))?,
    }
    Ok(Exit::Done)
}
