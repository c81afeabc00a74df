//! One-event commands on distinct receipts that are in memory: the path that is walked most.

use super::commands::Contest;
use crate::Fallible;
use crate::arguments::Effort;
use crate::harness::world::{Sync, World};
use crate::receipts::Script;
use crate::report::{Bar, Case};

const IN_FLIGHT: [usize; 4] = [1, 16, 64, 256];

const BAR: Bar = Bar { p99: Some(1.3), ..Bar::throughput(0.90) };

pub(super) async fn run(effort: &Effort) -> Fallible<Vec<Case>> {
    let world = World::start(effort, Sync::Default).await?;
    let contest = Contest::new("one-event", Script::OneEvent);
    let mut cases = Vec::new();
    for in_flight in effort.in_flight(&IN_FLIGHT) {
        cases.push(contest.case(&world, effort, in_flight, Some(BAR)).await?);
    }
    Ok(cases)
}
