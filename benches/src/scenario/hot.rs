//! All commands on one receipt: by hand they race for the end of its history, and all but one of them lose each time.

use super::commands::{Contest, Receipts};
use crate::Fallible;
use crate::arguments::Effort;
use crate::harness::world::{Sync, World};
use crate::receipts::Script;
use crate::report::{Bar, Case};

const IN_FLIGHT: [usize; 1] = [64];

/// One process of each program.
pub(super) async fn one_instance(effort: &Effort) -> Fallible<Vec<Case>> {
    run(effort, "hot", 1, Bar::throughput(15.0)).await
}

/// Two processes of each program share the requests, so that ours race too.
pub(super) async fn two_instances(effort: &Effort) -> Fallible<Vec<Case>> {
    run(effort, "two-instances", 2, Bar::throughput(3.0)).await
}

async fn run(effort: &Effort, scenario: &'static str, instances: usize, bar: Bar) -> Fallible<Vec<Case>> {
    let world = World::start(effort, Sync::Default).await?;
    let contest =
        Contest { scenario, script: Script::Adding, receipts: Receipts::OneForAll, instances, features: None };
    let mut cases = Vec::new();
    for in_flight in effort.in_flight(&IN_FLIGHT) {
        cases.push(contest.case(&world, effort, in_flight, (in_flight == 64).then_some(bar)).await?);
    }
    Ok(cases)
}
