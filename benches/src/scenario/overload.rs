//! Ten times the load that the service sustains, from callers who do not wait: whoever is admitted is to be served about as
//! fast as ever, and the memory of the service is to stay bounded.
//!
//! What it sustains is measured first: as many callers as it has places, each waiting for its answer. On a server that syncs
//! every write the disk is what limits it, and there is a bar. On one that does not it is the processor, which servers and
//! callers share here: then ten times as much is more than can even be refused, and the figures say what becomes of that.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::Fallible;
use crate::arguments::Effort;
use crate::child::{Ours, Role};
use crate::harness::journal::{self, Promised};
use crate::harness::load;
use crate::harness::machine::load_average;
use crate::harness::meter::{Meter, Spent, resident};
use crate::harness::open_loop::{Pace, offer};
use crate::harness::process::Program;
use crate::harness::reading::Reading;
use crate::harness::world::{Sync, World};
use crate::receipts::{Commands, Script, add_in_turn};
use crate::report::{self, Bar, Case, Contender};

/// How many commands may be under way.
const PLACES: usize = 16;

/// How many receipts there are for each place, so that few commands meet at the same one.
const RECEIPTS_EACH: usize = 64;

/// How many times the load it sustains.
const TIMES: f64 = 10.0;

/// How much more memory the service may take than before, in MiB: what it has not read yet of callers' requests included.
const MOST_GROWTH: u64 = 256;

const MIB: u64 = 1024 * 1024;

const BAR: Bar = Bar { throughput: None, p99: Some(3.0), p50_micros: None };

const RUNS: [&str; 2] = ["ten times as much", "what it sustains"];

/// What both runs of a round came to.
struct Round {
    overload: Reading,
    sustained: Reading,
    told: String,
}

pub(super) async fn run(effort: &Effort) -> Fallible<Vec<Case>> {
    let mut cases = Vec::new();
    for (name, sync, bar) in [("synced", Sync::Always, Some(BAR)), ("not synced", Sync::Default, None)] {
        let world = World::start(effort, sync).await?;
        let load_average = load_average();
        let (mut readings, mut told) = ([Vec::new(), Vec::new()], String::new());
        for number in 0..effort.pairs {
            let round = round(&world, effort, number).await.map_err(|error| format!("{name}: {error}"))?;
            report::tell(&format!("  {name}, round {}: {}", number + 1, round.told));
            readings[0].push(round.overload);
            readings[1].push(round.sustained);
            told = round.told;
        }
        cases.push(Case {
            scenario: "overload",
            case: format!("{name}, {PLACES} places"),
            unit: "commands",
            server: world.version(),
            load_average,
            contenders: Contender::all(&RUNS, readings.into()),
            bar,
            note: Some(format!("the last round: {told}")),
        });
    }
    Ok(cases)
}

async fn round(world: &World, effort: &Effort, number: u32) -> Fallible<Round> {
    let service = format!("overload-{number}");
    journal::prepare(world, &service).await?;
    let running = Program::start(&role(world, &service)).await?;
    let meter = world.meter(vec![running.pid()]);
    let callers = (0..PLACES).map(|caller| Commands::own(&service, caller, RECEIPTS_EACH, Script::Adding)).collect();
    let callers = load::prime(world.client(), callers, RECEIPTS_EACH).await?;
    let (callers, sustained) = load::run(world.client(), callers, effort, &meter).await?;

    let pace = Pace { per_second: TIMES * sustained.per_second, warm_up: effort.warm_up, measured: effort.measured };
    let (first_id, of) = (Uuid::now_v7().as_u128(), service.clone());
    let id = move |number: u64| Uuid::from_u128(first_id.wrapping_add(number.into()));
    let before = resident(running.pid())?;
    let watching = watch(&meter, running.pid(), pace);
    let adding = move |number| add_in_turn(&of, PLACES, RECEIPTS_EACH, number, id(number));
    let (answers, (spent, most)) = tokio::try_join!(offer(world.client(), pace, adding), watching)?;
    running.stop().await?;

    let mut promised = Promised::default();
    callers.iter().for_each(|caller| caller.promise(&mut promised));
    answers.done.iter().for_each(|number| promised.add(id(*number), 1));
    journal::verify(world.client(), &service, promised).await?;
    journal::delete(world.client(), &service).await?;
    let growth = most.saturating_sub(before) / MIB;
    if growth > MOST_GROWTH {
        return Err(format!("the service took {growth} MiB more than before").into());
    }
    let (refused, unanswered, offered) = (answers.refused, answers.unanswered, answers.per_second);
    let overload = Reading::of(answers.admitted, effort.measured, &spent);
    let told = format!(
        "sustains {:.0}/s at a p99 of {:.1} ms; of {offered:.0}/s it served {:.0}/s at a p99 of {:.1} ms and in all \
         refused {refused} and left {unanswered} without an answer; memory {} MiB before and {} MiB at most",
        sustained.per_second,
        sustained.p99 / 1000.0,
        overload.per_second,
        overload.p99 / 1000.0,
        before / MIB,
        most / MIB,
    );
    Ok(Round { overload, sustained, told })
}

fn role(world: &World, service: &str) -> Role {
    Role::Ours(Ours {
        url: world.url(),
        service: service.to_owned(),
        replicas: world.replicas(),
        cache: true,
        staleness: 0,
        snapshots: false,
        in_flight: Some(PLACES),
        features: None,
    })
}

/// What was spent in the measured time, and the most memory that the service took.
async fn watch(meter: &Meter, pid: u32, pace: Pace) -> Fallible<(Spent, u64)> {
    sleep(pace.warm_up).await;
    let first = meter.mark()?;
    let end = Instant::now() + pace.measured;
    let mut most = 0;
    while Instant::now() < end {
        most = most.max(resident(pid)?);
        sleep_until(end.min(Instant::now() + Duration::from_millis(50))).await;
    }
    Ok((meter.mark()?.since(&first), most))
}
