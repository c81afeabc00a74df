//! One-event commands on a server that syncs its files before it acknowledges: by hand each event waits for a sync of
//! its own.

use super::commands::Contest;
use crate::Fallible;
use crate::arguments::Effort;
use crate::harness::world::{Sync, World};
use crate::receipts::Script;
use crate::report::{Bar, Case};

const IN_FLIGHT: [usize; 4] = [1, 16, 64, 256];

pub(super) async fn run(effort: &Effort) -> Fallible<Vec<Case>> {
    let world = World::start(effort, Sync::Always).await?;
    let contest = Contest::new("sync-always", Script::OneEvent);
    let mut cases = Vec::new();
    for in_flight in effort.in_flight(&IN_FLIGHT) {
        cases.push(contest.case(&world, effort, in_flight, bar(in_flight)).await?);
    }
    Ok(cases)
}

fn bar(in_flight: usize) -> Option<Bar> {
    match in_flight {
        1 | 16 => Some(Bar::throughput(0.9)),
        64 => Some(Bar::throughput(1.3)),
        256 => Some(Bar::throughput(3.0)),
        _ => None,
    }
}
