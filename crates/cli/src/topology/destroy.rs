//! `headwater topology destroy`: the streams of a file deleted.

use std::path::PathBuf;

use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::output::plain;
use crate::world::World;

use super::told;

/// Delete the streams and buckets of the file, with all messages and consumers
///
/// What else is on the server stays. With --json each step is a line.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater topology destroy topology.toml
  headwater topology destroy topology.toml --yes")]
pub(crate) struct Args {
    /// The topology: TOML, YAML (.yaml, .yml) or JSON (.json)
    file: PathBuf,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    let topology = told::load(&args.file)?;
    let (connection, _) = world.connect().await?;
    let changes = topology.destroyed(&connection).await.map_err(|error| told::complaint(&error))?;
    if changes.is_empty() {
        if !world.is_json() {
            world.output.line("Nothing to do: none of it is there.")?;
        }
        return Ok(Exit::Done);
    }
    if !args.yes && !world.is_json() {
        let lines = changes.iter().flat_map(|change| change.to_string().lines().map(plain).collect::<Vec<_>>());
        world.output.lines(lines)?;
    }
    told::confirmed(args.yes, &format!("{} streams and all that is in them: delete them?", changes.len()))?;
    let done = topology.destroy(&connection).await.map_err(|error| told::complaint(&error))?;
    done.iter().try_for_each(|done| told::step(world, done))?;
    Ok(Exit::Done)
}
