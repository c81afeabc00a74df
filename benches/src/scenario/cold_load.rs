//! The state of a receipt that is not in memory: read from the journal by what its newest event names, against reading
//! it by a filter, which is what the JetStream API offers.
//!
//! Every receipt's events are spread evenly over the whole journal, which is the hardest case. `warm` is a server that
//! has read the journal before; `restarted` one that has just been started on it: its own memory is empty, while the
//! operating system may still have the files in its own.

use std::time::Duration;

use tokio::time::Instant;

use crate::Fallible;
use crate::arguments::Effort;
use crate::child::{ByHand, Loading, Ours, Role};
use crate::harness::fill::{Spread, fill};
use crate::harness::load;
use crate::harness::machine::load_average;
use crate::harness::pairs::alternate;
use crate::harness::process::Program;
use crate::harness::reading::Reading;
use crate::harness::world::{Sync, World};
use crate::receipts::Gets;
use crate::report::{self, Bar, Case, Contender};

const JOURNALS: [usize; 3] = [1_000, 100_000, 1_000_000];

const QUICK_JOURNALS: [usize; 2] = [1_000, 100_000];

pub(super) const EVENTS_EACH: [usize; 2] = [10, 100];

const PROGRAMS: [&str; 3] = [HEADWATER, ORDERED_CONSUMER, DIRECT_GET];

pub(super) const HEADWATER: &str = "headwater";
pub(super) const ORDERED_CONSUMER: &str = "ordered consumer";
pub(super) const DIRECT_GET: &str = "direct get";
/// Headwater, and it keeps snapshots.
pub(super) const SNAPSHOTS: &str = "with snapshots";

pub(super) const SERVICE: &str = "receipts";

/// How many loads are timed after a restart, one after the other, each of another receipt.
pub(super) const AFTER_RESTART: usize = 20;

/// How many restarts there are at the most.
pub(super) const RESTARTS: u32 = 5;

/// Ten events out of a million, without snapshots.
const BAR: Bar = Bar { throughput: None, p99: None, p50_micros: Some(1500.0) };

pub(super) async fn run(effort: &Effort) -> Fallible<Vec<Case>> {
    let journals: &[usize] = if effort.quick { &QUICK_JOURNALS } else { &JOURNALS };
    let mut cases = Vec::new();
    for events in journals {
        for events_each in EVENTS_EACH {
            let spread = Spread::of(*events, events_each);
            let mut world = World::start(effort, Sync::Default).await?;
            let began = Instant::now();
            fill(&world, SERVICE, spread).await?;
            let about = format!("{events_each} of {events} events");
            report::tell(&format!("  {about}: filled in {:.1} s", began.elapsed().as_secs_f64()));
            for in_flight in effort.in_flight(&[1, 16]) {
                cases.push(warm(&world, effort, spread, &about, in_flight).await?);
            }
            cases.push(restarted(&mut world, effort, spread, &about, &PROGRAMS).await?);
        }
    }
    Ok(cases)
}

async fn warm(world: &World, effort: &Effort, spread: Spread, about: &str, in_flight: usize) -> Fallible<Case> {
    let load_average = load_average();
    let readings = alternate(effort.pairs, &PROGRAMS, async |round, program| {
        let running = Program::start(&role(world, program)).await?;
        let meter = world.meter(vec![running.pid()]);
        let callers = (0..in_flight).map(|caller| Gets::new(SERVICE, spread, caller, in_flight)).collect();
        let (_, reading) = load::run(world.client(), callers, effort, &meter).await?;
        running.stop().await?;
        report::tell(&format!(
            "  {about}, warm, {in_flight} in flight, round {}: {program} p50 {:.0} µs",
            round + 1,
            reading.p50
        ));
        Ok(reading)
    });
    let is_barred = spread.events_each == 10 && spread.events() == 1_000_000 && in_flight == 1;
    Ok(Case {
        scenario: "cold-load",
        case: format!("{about}, warm, {in_flight} in flight"),
        unit: "loads",
        server: world.version(),
        load_average,
        contenders: Contender::all(&PROGRAMS, readings.await?),
        bar: is_barred.then_some(BAR),
        note: None,
    })
}

/// Every load after a restart of the server.
pub(super) async fn restarted(
    world: &mut World,
    effort: &Effort,
    spread: Spread,
    about: &str,
    programs: &'static [&'static str],
) -> Fallible<Case> {
    let load_average = load_average();
    let readings = alternate(effort.pairs.min(RESTARTS), programs, async |round, program| {
        world.restart().await?;
        let running = Program::start(&role(world, program)).await?;
        let reading = first_loads(world, &running, spread, round as usize).await?;
        running.stop().await?;
        report::tell(&format!(
            "  {about}, restarted, round {}: {program} first {:.0} µs, then p50 {:.0} µs",
            round + 1,
            reading.first.unwrap_or_default(),
            reading.p50
        ));
        Ok(reading)
    });
    let contenders = Contender::all(programs, readings.await?);
    let first = |contender: &Contender| {
        format!("{} {:.2} ms", contender.name, contender.median(|reading| reading.first.unwrap_or_default()) / 1000.0)
    };
    let firsts: Vec<String> = contenders.iter().map(first).collect();
    Ok(Case {
        scenario: "cold-load",
        case: format!("{about}, restarted"),
        unit: "loads",
        server: world.version(),
        load_average,
        note: Some(format!("the very first load after the restart: {}", firsts.join(", "))),
        contenders,
        bar: None,
    })
}

/// The receipts that are loaded after the restart of this round.
pub(super) fn loads(spread: Spread, round: usize) -> Gets {
    Gets::new(SERVICE, spread, 0, 1).beginning_at(round)
}

/// Loads one receipt after the other and times each.
async fn first_loads(world: &World, running: &Program, spread: Spread, round: usize) -> Fallible<Reading> {
    let meter = world.meter(vec![running.pid()]);
    let mut callers = vec![loads(spread, round)];
    let first_mark = meter.mark()?;
    let mut times = Vec::with_capacity(AFTER_RESTART);
    for _ in 0..AFTER_RESTART.min(spread.receipts) {
        let sent = Instant::now();
        callers = load::prime(world.client(), callers, 1).await?;
        times.push(sent.elapsed());
    }
    let last_mark = meter.mark()?;
    let first: Option<&Duration> = times.first();
    let first = first.map(|time| time.as_secs_f64() * 1e6);
    let elapsed = last_mark.at() - first_mark.at();
    Ok(Reading { first, ..Reading::of(times, elapsed, &last_mark.since(&first_mark)) })
}

fn role(world: &World, program: &str) -> Role {
    let url = world.url();
    let by_hand = |loading| {
        Role::ByHand(ByHand { url: world.url(), service: SERVICE.to_owned(), loading, cache: false, in_turn: true })
    };
    match program {
        ORDERED_CONSUMER => by_hand(Loading::OrderedConsumer),
        DIRECT_GET => by_hand(Loading::DirectGet),
        _ => ours(url, program == SNAPSHOTS, false),
    }
}

/// The service on Headwater, with or without snapshots and a memory.
pub(super) fn ours(url: String, snapshots: bool, cache: bool) -> Role {
    Role::Ours(Ours {
        url,
        service: SERVICE.to_owned(),
        replicas: 1,
        cache,
        staleness: 0,
        snapshots,
        in_flight: None,
        features: None,
    })
}
