//! `headwater topology apply`: a server brought in line with the file.

use std::path::PathBuf;

use headwater_nats_messaging::topology::{Action, Leave};

use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::world::World;

use super::told;

/// Make a server have what the file says
///
/// Creates what is missing and updates what the server updates in place. Doing it again does nothing, and two may do it at
/// once. With --json each step is a line when it is done.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater topology apply topology.toml
  headwater topology apply topology.toml --yes --json
  headwater topology apply topology.toml --prune --allow-replace --yes")]
pub(crate) struct Args {
    /// The topology: TOML, YAML (.yaml, .yml) or JSON (.json)
    file: PathBuf,

    /// Delete streams and durable consumers that are not in the file, unless it ignores them
    #[arg(long)]
    prune: bool,

    /// Delete and make anew what the server refuses to change; what it has is lost
    #[arg(long)]
    allow_replace: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    let topology = told::load(&args.file)?;
    let (connection, _) = world.connect().await?;
    let leave = Leave::none().prune(args.prune).replace(args.allow_replace);
    let plan = topology.plan(&connection).await.map_err(|error| told::complaint(&error))?;
    if plan.is_done(leave) {
        if !world.is_json() {
            world.output.line(plan.summary())?;
        }
        return Ok(Exit::Done);
    }
    if !args.yes && !world.is_json() {
        told::plan(world, &plan, leave)?;
    }
    // What needs leave is refused by the library, in its own words.
    let lost = plan.pending(leave).filter(|change| matches!(change.action, Action::Replace | Action::Extra)).count();
    let question = match lost {
        0 => format!("{} changes: apply them?", plan.pending(leave).count()),
        _ => format!("{} changes, of which {lost} delete something: apply them?", plan.pending(leave).count()),
    };
    told::confirmed(args.yes, &question)?;
    let mut unwritten = None;
    let mut tell = |done: &_| unwritten = told::step(world, done).err().or(unwritten.take());
    let applied = topology.apply_and_tell(&connection, leave, &mut tell).await;
    applied.map_err(|error| told::complaint(&error))?;
    match unwritten {
        Some(error) => Err(error.into()),
        None => Ok(Exit::Done),
    }
}
