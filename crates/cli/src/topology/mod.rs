//! `headwater topology`: streams, consumers and buckets as a file says they are to be.

mod apply;
mod compare;
mod destroy;
mod import;
mod schema;
mod told;

use clap::Subcommand;

use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::world::World;

/// Streams, consumers and buckets as a file says they are to be
///
/// The file is TOML, YAML or JSON. `plan` shows what a server has otherwise, `apply` changes it, `verify` is for CI.
/// Nothing is deleted without --prune, nothing is replaced without --allow-replace.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater topology plan topology.toml
  headwater topology apply topology.toml --yes
  headwater topology verify topology.toml --json
  headwater topology import --to topology.toml")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Plan(compare::PlanArgs),
    Apply(apply::Args),
    Verify(compare::VerifyArgs),
    Import(import::Args),
    Destroy(destroy::Args),
    Schema(schema::Args),
}

pub(crate) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    match args.verb {
        Verb::Plan(args) => compare::plan(args, world).await,
        Verb::Apply(args) => apply::run(args, world).await,
        Verb::Verify(args) => compare::verify(args, world).await,
        Verb::Import(args) => import::run(args, world).await,
        Verb::Destroy(args) => destroy::run(args, world).await,
        Verb::Schema(args) => schema::run(&args, world),
    }
}
