//! `headwater services stats`: what instances, or their endpoints, have done since they started.

use std::time::Duration;

use chrono::Utc;
use headwater_nats::discovery::{EndpointStats, Stats};
use serde_json::json;

use super::{Asked, WaitArguments, enough, gather};
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::output::{Cell, Style, Table, rough};
use crate::world::World;

/// Show what services have done since their instances started
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater services stats
  headwater services stats receipts --endpoints
  headwater services stats receipts --json")]
pub(super) struct Args {
    /// Only this service
    service: Option<String>,

    /// Only this instance of the service, by its id
    #[arg(long, value_name = "ID", requires = "service")]
    instance: Option<String>,

    /// A line for each endpoint, all instances together, instead of one for each instance
    #[arg(long)]
    endpoints: bool,

    #[command(flatten)]
    wait: WaitArguments,
}

pub(super) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    let asked = Asked { service: args.service, instance: args.instance };
    let mut stats = gather(world, &asked, args.wait, |discovery| discovery.stats()).await?.answers;
    let place = |stats: &Stats| (stats.identity.name.clone(), stats.identity.id.clone());
    stats.sort_by_cached_key(place);
    match (world.is_json(), args.endpoints) {
        (true, _) => world.output.json(&json!(stats))?,
        (false, true) => world.output.table(&by_endpoint(&stats))?,
        (false, false) => world.output.table(&by_instance(&stats))?,
    }
    enough(stats.len(), args.wait)
}

/// Requests, errors, and the time they took.
#[derive(Debug, Default)]
struct Sum {
    requests: u64,
    errors: u64,
    nanoseconds: u64,
    last_error: String,
}

impl Sum {
    fn add(&mut self, endpoint: &EndpointStats) {
        self.requests = self.requests.saturating_add(endpoint.num_requests);
        self.errors = self.errors.saturating_add(endpoint.num_errors);
        self.nanoseconds = self.nanoseconds.saturating_add(endpoint.processing_time);
        if !endpoint.last_error.is_empty() {
            self.last_error.clone_from(&endpoint.last_error);
        }
    }

    fn of<'a>(endpoints: impl IntoIterator<Item = &'a EndpointStats>) -> Self {
        endpoints.into_iter().fold(Self::default(), |mut sum, endpoint| {
            sum.add(endpoint);
            sum
        })
    }

    /// Requests, errors, the average time, and the last error.
    fn cells(self) -> [Cell; 4] {
        let average = self.nanoseconds.checked_div(self.requests).map(Duration::from_nanos);
        let errors = self.errors.to_string();
        [
            self.requests.to_string().into(),
            if self.errors > 0 { Cell::styled(Style::Bad, errors) } else { errors.into() },
            average.map_or_else(|| "-".to_owned(), rough).into(),
            self.last_error.into(),
        ]
    }
}

fn by_instance(stats: &[Stats]) -> Table {
    let mut table =
        Table::new(["service", "instance", "version", ">up", ">requests", ">errors", ">average", "last error"]);
    for instance in stats {
        let identity = &instance.identity;
        let up = (Utc::now() - instance.started).to_std().unwrap_or_default();
        let [requests, errors, average, last_error] = Sum::of(&instance.endpoints).cells();
        table.row([
            identity.name.as_str().into(),
            identity.id.as_str().into(),
            identity.version.as_str().into(),
            rough(up).into(),
            requests,
            errors,
            average,
            last_error,
        ]);
    }
    table
}

fn by_endpoint(stats: &[Stats]) -> Table {
    let mut table = Table::new(["service", "endpoint", ">requests", ">errors", ">average", "last error"]);
    let mut endpoints: Vec<_> = stats
        .iter()
        .flat_map(|stats| stats.endpoints.iter().map(|endpoint| (stats.identity.name.as_str(), endpoint)))
        .collect();
    endpoints.sort_by_key(|(service, endpoint)| (*service, endpoint.name.as_str()));
    for same in endpoints.chunk_by(|(service, one), (other, two)| service == other && one.name == two.name) {
        let (service, first) = same[0];
        let [requests, errors, average, last_error] = Sum::of(same.iter().map(|(_, endpoint)| *endpoint)).cells();
        table.row([service.into(), first.name.as_str().into(), requests, errors, average, last_error]);
    }
    table
}
