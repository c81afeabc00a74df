//! `headwater services info`: what a service can be asked, and who serves it.

use headwater_nats::discovery::{EndpointInfo, Info, metadata};
use serde_json::json;

use super::{Asked, WaitArguments, enough, gather, ls};
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::output::{Output, Style, Table, plain};
use crate::world::World;

/// Show what a service can be asked, and which instances it has
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater services info receipts
  headwater services info receipts --instance UbpEzHRqcVj3K4lDyqGQ3p --json")]
pub(super) struct Args {
    /// The service, such as receipts
    service: String,

    /// Only this instance, by its id
    #[arg(long, value_name = "ID")]
    instance: Option<String>,

    #[command(flatten)]
    wait: WaitArguments,
}

pub(super) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    let asked = Asked { service: Some(args.service), instance: args.instance };
    let mut infos = gather(world, &asked, args.wait, |discovery| discovery.info()).await?.answers;
    infos.sort_by(|one, other| one.identity.id.cmp(&other.identity.id));
    match world.is_json() {
        true => world.output.json(&json!(infos))?,
        false => shown(&infos, &world.output)?,
    }
    enough(infos.len(), args.wait)
}

fn shown(infos: &[Info], output: &Output) -> std::io::Result<()> {
    let Some(first) = infos.first() else { return Ok(()) };
    let title = output.styled(Style::Heading, &plain(&first.identity.name));
    output.line(format_args!("{title}  {}", plain(&first.description)).to_string().trim_end())?;
    let all: Vec<_> = infos.iter().collect();
    let contracts = ls::contracts(&all);
    if let Some(contract) = contracts.first() {
        output.line(format_args!("contract   {}", plain(contract)))?;
    }
    if contracts.len() > 1 {
        output.line(output.styled(Style::Warning, "its instances have different contracts: see below"))?;
    }
    if let Some(features) = first.identity.metadata.get(metadata::FEATURES).filter(|features| !features.is_empty()) {
        output.line(format_args!("features   {}", plain(features)))?;
    }
    if let Some(library) = first.identity.metadata.get(metadata::HEADWATER) {
        output.line(format_args!("headwater  {}", plain(library)))?;
    }
    output.line("")?;

    let mut instances = Table::new(["instance", "version", "contract"]);
    for info in infos {
        let contract: String = info
            .identity
            .metadata
            .get(metadata::CONTRACT)
            .map(|text| text.chars().take(8).collect())
            .unwrap_or_default();
        instances.row([info.identity.id.as_str().into(), info.identity.version.as_str().into(), contract.into()]);
    }
    output.table(&instances)?;
    output.line("")?;

    let mut endpoints = Table::new(["endpoint", "kind", "subject", "queue group"]);
    for endpoint in different(infos) {
        let kind = endpoint.metadata.get(metadata::KIND).map_or("", String::as_str);
        let EndpointInfo { name, subject, queue_group, .. } = endpoint;
        endpoints.row([name.as_str().into(), kind.into(), subject.as_str().into(), queue_group.as_str().into()]);
    }
    output.table(&endpoints)
}

/// The endpoints of all instances, each once.
fn different(infos: &[Info]) -> Vec<&EndpointInfo> {
    let mut endpoints: Vec<_> = infos.iter().flat_map(|info| &info.endpoints).collect();
    endpoints.sort_by(|one, other| (&one.subject, &one.queue_group).cmp(&(&other.subject, &other.queue_group)));
    endpoints.dedup_by(|one, other| (&one.subject, &one.queue_group) == (&other.subject, &other.queue_group));
    endpoints
}
