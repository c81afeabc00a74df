//! `headwater services ls`: one line for each service, however many instances it has.

use std::collections::BTreeMap;

use headwater_nats::discovery::{Info, metadata};
use serde_json::{Value, json};

use super::{Asked, WaitArguments, enough, gather};
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::output::{Cell, Style, Table};
use crate::world::World;

/// List the services that are there
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater services ls
  headwater services ls --wait 5s --json")]
pub(super) struct Args {
    #[command(flatten)]
    wait: WaitArguments,
}

pub(super) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    let asked = Asked::default();
    let infos = gather(world, &asked, args.wait, |discovery| discovery.info()).await?.answers;
    let mut services: BTreeMap<&str, Vec<&Info>> = BTreeMap::new();
    for info in &infos {
        services.entry(&info.identity.name).or_default().push(info);
    }
    if world.is_json() {
        let services: Vec<_> = services.iter().map(|(name, instances)| as_json(name, instances)).collect();
        world.output.json(&services)?;
    } else {
        let mut table = Table::new(["service", "version", ">instances", ">endpoints", "contract", "description"]);
        for (name, instances) in &services {
            table.row(row(name, instances));
        }
        world.output.table(&table)?;
    }
    enough(infos.len(), args.wait)
}

fn row(name: &str, instances: &[&Info]) -> [Cell; 6] {
    let (versions, contracts) = (versions(instances), contracts(instances));
    // Several at once are a deployment half done, or one that went wrong.
    let mixed = |several: bool, text: String| {
        if several { Cell::styled(Style::Warning, text) } else { text.into() }
    };
    let short = |contract: &String| contract.chars().take(8).collect::<String>();
    [
        Cell::styled(Style::Heading, name),
        mixed(versions.len() > 1, versions.join(", ")),
        instances.len().to_string().into(),
        endpoints(instances).to_string().into(),
        mixed(contracts.len() > 1, contracts.iter().map(short).collect::<Vec<_>>().join(", ")),
        description(instances).into(),
    ]
}

fn as_json(name: &str, instances: &[&Info]) -> Value {
    let ids = instances.iter().map(|info| json!({ "id": info.identity.id, "version": info.identity.version }));
    let ids: Vec<_> = ids.collect();
    json!({
        "name": name,
        "versions": versions(instances),
        "contracts": contracts(instances),
        "description": description(instances),
        "endpoints": endpoints(instances),
        "instances": ids,
    })
}

fn endpoints(instances: &[&Info]) -> usize {
    instances.iter().map(|info| info.endpoints.len()).max().unwrap_or_default()
}

fn description(instances: &[&Info]) -> String {
    instances.first().map(|info| info.description.clone()).unwrap_or_default()
}

fn versions(instances: &[&Info]) -> Vec<String> {
    different(instances.iter().map(|info| info.identity.version.clone()))
}

/// Services of other kinds have none.
pub(super) fn contracts(instances: &[&Info]) -> Vec<String> {
    different(instances.iter().filter_map(|info| info.identity.metadata.get(metadata::CONTRACT).cloned()))
}

fn different(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<_> = texts.collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}
