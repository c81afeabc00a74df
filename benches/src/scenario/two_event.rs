//! Two-event commands on distinct receipts: by hand each is an atomic batch of its own, which costs the server two disk
//! syncs and makes the others wait.

use super::commands::Contest;
use crate::Fallible;
use crate::arguments::Effort;
use crate::harness::world::{Sync, World};
use crate::receipts::Script;
use crate::report::{Bar, Case};

const IN_FLIGHT: [usize; 3] = [1, 64, 256];

pub(super) async fn run(effort: &Effort) -> Fallible<Vec<Case>> {
    let world = World::start(effort, Sync::Default).await?;
    let contest = Contest::new("two-event", Script::TwoEvents);
    let mut cases = Vec::new();
    for in_flight in effort.in_flight(&IN_FLIGHT) {
        cases.push(contest.case(&world, effort, in_flight, bar(in_flight)).await?);
    }
    Ok(cases)
}

fn bar(in_flight: usize) -> Option<Bar> {
    match in_flight {
        1 => Some(Bar::throughput(0.9)),
        64 => Some(Bar::throughput(12.0)),
        256 => Some(Bar::throughput(25.0)),
        _ => None,
    }
}
