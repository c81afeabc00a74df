//! `headwater services ping`: which instances are there, and how long their answers take.

use serde_json::json;

use super::{Asked, WaitArguments, enough, gather};
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::output::{Table, rough};
use crate::world::World;

/// Ask every instance whether it is there, and how long its answer takes
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater services ping
  headwater services ping receipts --expect 3 --wait 10s")]
pub(super) struct Args {
    /// Only this service
    service: Option<String>,

    #[command(flatten)]
    wait: WaitArguments,
}

pub(super) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    let asked = Asked { service: args.service, instance: None };
    let answers = gather(world, &asked, args.wait, |discovery| discovery.ping()).await?;
    let found = answers.answers.len();
    let answered = answers.answers.iter().zip(&answers.took);
    if world.is_json() {
        let pings: Vec<_> = answered
            .map(|(ping, took)| {
                let mut told = json!(ping);
                told["tookMs"] = json!(took.as_secs_f64() * 1000.0);
                told
            })
            .collect();
        world.output.json(&pings)?;
    } else {
        let mut table = Table::new(["service", "instance", "version", ">took"]);
        for (ping, took) in answered {
            let identity = &ping.identity;
            let (name, id, version) = (identity.name.as_str(), identity.id.as_str(), identity.version.as_str());
            table.row([name.into(), id.into(), version.into(), rough(*took).into()]);
        }
        world.output.table(&table)?;
    }
    enough(found, args.wait)
}
