//! The memory that a receipt takes while it is kept: what the process holds after so many were asked for, less what it
//! held before.

use crate::Fallible;
use crate::arguments::Effort;
use crate::child::{ByHand, Loading, Ours, Role};
use crate::harness::fill::{Order, Spread, fill};
use crate::harness::load;
use crate::harness::machine::load_average;
use crate::harness::meter::resident;
use crate::harness::process::Program;
use crate::harness::world::{Sync, World};
use crate::receipts::Gets;
use crate::report::{self, Case};

const RECEIPTS: usize = 100_000;

const QUICK_RECEIPTS: usize = 10_000;

const LINES_EACH: usize = 5;

const IN_FLIGHT: usize = 16;

const SERVICE: &str = "receipts";

pub(super) async fn run(effort: &Effort) -> Fallible<Vec<Case>> {
    let world = World::start(effort, Sync::Default).await?;
    let receipts = if effort.quick { QUICK_RECEIPTS } else { RECEIPTS };
    let spread = Spread { receipts, events_each: LINES_EACH, order: Order::OneByOne };
    fill(&world, SERVICE, spread).await?;
    let load_average = load_average();
    let (url, service) = (world.url(), SERVICE.to_owned());
    let ours = Role::Ours(Ours {
        url: url.clone(),
        service: service.clone(),
        replicas: 1,
        cache: true,
        staleness: 0,
        snapshots: false,
        in_flight: None,
        features: None,
    });
    let by_hand = ByHand { url, service, loading: Loading::DirectGet, cache: true, in_turn: true };
    let (ours, by_hand) =
        (measure(&world, &ours, spread).await?, measure(&world, &Role::ByHand(by_hand), spread).await?);
    let note = format!("bytes of resident memory for each: headwater {ours}, by hand {by_hand}");
    report::tell(&format!("  {note}"));
    Ok(vec![Case {
        scenario: "memory",
        case: format!("{receipts} receipts of {LINES_EACH} lines"),
        unit: "receipts",
        server: world.version(),
        load_average,
        contenders: Vec::new(),
        bar: None,
        note: Some(note),
    }])
}

/// The bytes that each receipt takes.
async fn measure(world: &World, role: &Role, spread: Spread) -> Fallible<u64> {
    let running = Program::start(role).await?;
    let before = resident(running.pid())?;
    let callers = (0..IN_FLIGHT).map(|caller| Gets::new(SERVICE, spread, caller, IN_FLIGHT)).collect();
    load::prime(world.client(), callers, spread.receipts.div_ceil(IN_FLIGHT)).await?;
    let after = resident(running.pid())?;
    running.stop().await?;
    Ok(after.saturating_sub(before) / spread.receipts as u64)
}
