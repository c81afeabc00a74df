//! `headwater topology import`: a file from what a server has.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use headwater_nats_messaging::topology::Topology;

use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::world::World;

use super::told;

/// Write a topology file from what a server has
///
/// Planned against the same server, the file has nothing to do. It is TOML, or JSON with --json.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater topology import --to topology.toml
  headwater topology import ORDERS KV_PRICES
  headwater topology import --json")]
pub(crate) struct Args {
    /// Only these streams; a bucket's stream is called KV_ and the bucket's name
    #[arg(value_name = "STREAM")]
    streams: Vec<String>,

    /// The file to write; standard output without it
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long, requires = "to")]
    force: bool,
}

pub(crate) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    let (connection, _) = world.connect().await?;
    let wanted = |name: &str| args.streams.is_empty() || args.streams.iter().any(|stream| stream == name);
    let topology = Topology::import(&connection, wanted).await.map_err(|error| told::complaint(&error))?;
    if let Some(missing) = args.streams.iter().find(|name| topology.stream_names().all(|found| found != *name)) {
        return Err(Complaint::refused("not-found", format!("there is no stream {missing}")));
    }
    let text = match world.is_json() {
        true => format!("{:#}\n", topology.to_json()),
        false => topology.to_toml(),
    };
    let Some(file) = &args.to else {
        world.output.bytes(text.as_bytes())?;
        return Ok(Exit::Done);
    };
    let mut open = OpenOptions::new();
    open.write(true).create_new(!args.force).create(args.force).truncate(args.force);
    match open.open(file).and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => Ok(Exit::Done),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Complaint::refused("exists", format!("{} exists", file.display())).note("--force replaces it."))
        }
        Err(error) => Err(Complaint::because(&format!("{} cannot be written", file.display()), &error)),
    }
}
