//! `headwater topology schema`: what a topology file may have.

use headwater_nats_messaging::topology::Topology;

use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::world::World;

/// Print the JSON Schema of topology files, for editors
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater topology schema > topology.schema.json")]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, world: &World) -> Result<Exit, Complaint> {
    match world.is_json() {
        true => world.output.json(&Topology::schema())?,
        false => world.output.line(format!("{:#}", Topology::schema()))?,
    }
    Ok(Exit::Done)
}
