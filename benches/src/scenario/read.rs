//! Reading a journal from its first event to its last: every event as a value of the domain, against counting the
//! messages of an ordered consumer.

use std::time::Duration;

use crate::Fallible;
use crate::arguments::Effort;
use crate::child::{Reader, ReaderSaid, Role};
use crate::harness::fill::{Spread, fill};
use crate::harness::machine::load_average;
use crate::harness::meter::Spent;
use crate::harness::pairs::alternate;
use crate::harness::process::Program;
use crate::harness::reading::Reading;
use crate::harness::world::{Sync, World};
use crate::receipts::item;
use crate::report::{self, Bar, Case, Contender};

const EVENTS: usize = 1_000_000;

const QUICK_EVENTS: usize = 100_000;

const PROGRAMS: [&str; 2] = ["headwater", "ordered consumer"];

const SERVICE: &str = "receipts";

/// How long one reading may take.
const LIMIT: Duration = Duration::from_secs(150);

pub(super) async fn run(effort: &Effort) -> Fallible<Vec<Case>> {
    let world = World::start(effort, Sync::Default).await?;
    let spread = Spread::of(if effort.quick { QUICK_EVENTS } else { EVENTS }, 10);
    fill(&world, SERVICE, spread).await?;
    let load_average = load_average();
    let readings = alternate(effort.pairs, &PROGRAMS, async |round, program| {
        let reading = measure(&world, program == &PROGRAMS[0], spread.events() as u64).await?;
        report::tell(&format!("  round {}: {program} {:.0}/s", round + 1, reading.per_second));
        Ok(reading)
    });
    Ok(vec![Case {
        scenario: "read",
        case: format!("{} events", spread.events()),
        unit: "events",
        server: world.version(),
        load_average,
        contenders: Contender::all(&PROGRAMS, readings.await?),
        bar: Some(Bar::throughput(0.80)),
        note: None,
    }])
}

async fn measure(world: &World, typed: bool, events: u64) -> Fallible<Reading> {
    let role = Role::Reader(Reader { url: world.url(), service: SERVICE.to_owned(), events, typed });
    let meter = world.meter(Vec::new());
    let first = meter.mark()?;
    let said: ReaderSaid = serde_json::from_value(Program::run_to_end(&role, LIMIT).await?)?;
    let last = meter.mark()?;
    let expected = if typed { events * u64::from(item().quantity) } else { 0 };
    if said.pieces != expected {
        return Err(format!("{} pieces were read, and there are {expected}", said.pieces).into());
    }
    let programs = Duration::from_secs_f64(said.cpu_seconds);
    let spent = last.since(&first);
    let others = spent.others.saturating_sub(programs);
    let elapsed = Duration::from_secs_f64(said.seconds);
    Ok(Reading::without_latencies(events, elapsed, &Spent { programs, others, ..spent }))
}
