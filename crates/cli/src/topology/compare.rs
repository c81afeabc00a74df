//! `headwater topology plan` and `verify`: what a server has otherwise.

use std::path::PathBuf;

use headwater_nats_messaging::topology::Leave;

use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::world::World;

use super::told;

/// Show what a server has otherwise than the file says; nothing is changed
///
/// Exit status 0 when there is nothing to do, 3 when there is. What is extra counts only with --prune.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater topology plan topology.toml
  headwater topology plan topology.toml --prune --json")]
pub(crate) struct PlanArgs {
    /// The topology: TOML, YAML (.yaml, .yml) or JSON (.json)
    file: PathBuf,

    /// Count what is on the server and not in the file
    #[arg(long)]
    prune: bool,
}

/// Hold a server to the file, for CI: exit status 3 when something is otherwise
///
/// It shows exactly what is otherwise. What is on the server and not in the file counts only with --prune.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater topology verify topology.toml
  headwater topology verify topology.toml --prune --json")]
pub(crate) struct VerifyArgs {
    /// The topology: TOML, YAML (.yaml, .yml) or JSON (.json)
    file: PathBuf,

    /// Count what is on the server and not in the file
    #[arg(long)]
    prune: bool,
}

pub(crate) async fn plan(args: PlanArgs, world: &World) -> Result<Exit, Complaint> {
    compare(args.file, args.prune, world).await
}

pub(crate) async fn verify(args: VerifyArgs, world: &World) -> Result<Exit, Complaint> {
    compare(args.file, args.prune, world).await
}

async fn compare(file: PathBuf, prune: bool, world: &World) -> Result<Exit, Complaint> {
    let topology = told::load(&file)?;
    let (connection, _) = world.connect().await?;
    let plan = topology.plan(&connection).await.map_err(|error| told::complaint(&error))?;
    let leave = Leave::none().prune(prune);
    told::plan(world, &plan, leave)?;
    Ok(if plan.is_done(leave) { Exit::Done } else { Exit::Drift })
}
