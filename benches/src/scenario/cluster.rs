//! One-event commands on a journal with three replicas, in a cluster of three servers on this machine. Both programs are
//! connected to the server that leads the journal.

use super::commands::Contest;
use crate::Fallible;
use crate::arguments::Effort;
use crate::harness::world::World;
use crate::receipts::Script;
use crate::report::{Bar, Case};

const IN_FLIGHT: [usize; 1] = [64];

pub(super) async fn run(effort: &Effort) -> Fallible<Vec<Case>> {
    let world = World::start_cluster().await?;
    let contest = Contest::new("cluster", Script::OneEvent);
    let mut cases = Vec::new();
    for in_flight in effort.in_flight(&IN_FLIGHT) {
        let bar = (in_flight == 64).then_some(Bar::throughput(0.90));
        cases.push(contest.case(&world, effort, in_flight, bar).await?);
    }
    Ok(cases)
}
