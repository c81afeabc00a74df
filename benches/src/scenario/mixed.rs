//! One-event and two-event commands together: the batches of the ones must not hold up the others.

use super::commands::Contest;
use crate::Fallible;
use crate::arguments::Effort;
use crate::harness::world::{Sync, World};
use crate::receipts::Script;
use crate::report::{Bar, Case};

const IN_FLIGHT: [usize; 2] = [64, 256];

/// How many of ten commands have two events.
const SHARES: [u32; 2] = [1, 5];

pub(super) async fn run(effort: &Effort) -> Fallible<Vec<Case>> {
    let world = World::start(effort, Sync::Default).await?;
    let mut cases = Vec::new();
    for share in SHARES {
        let contest = Contest::new("mixed", Script::Mixed(share));
        for in_flight in effort.in_flight(&IN_FLIGHT) {
            cases.push(contest.case(&world, effort, in_flight, bar(in_flight)).await?);
        }
    }
    Ok(cases)
}

fn bar(in_flight: usize) -> Option<Bar> {
    match in_flight {
        64 => Some(Bar::throughput(2.5)),
        256 => Some(Bar::throughput(4.0)),
        _ => None,
    }
}
