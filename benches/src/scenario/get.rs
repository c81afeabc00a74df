//! The state of a receipt that is in memory, against an echo of the same bytes: what is left of a request's way when
//! nothing has to be stored.
//!
//! By default an instance asks the journal whether what it has in memory is the newest, which is one more round trip: that
//! is a case of its own. With a staleness that the service allows, it asks once in that time.

use std::path::Path;

use crate::Fallible;
use crate::arguments::Effort;
use crate::child::{Ours, Role};
use crate::harness::fill::{Order, Spread, fill};
use crate::harness::load::{self, Caller, Request};
use crate::harness::machine::load_average;
use crate::harness::pairs::alternate;
use crate::harness::process::Program;
use crate::harness::reading::Reading;
use crate::harness::world::{Sync, World};
use crate::receipts::Gets;
use crate::report::{self, Bar, Case, Contender};

const IN_FLIGHT: [usize; 4] = [1, 16, 64, 256];

const BAR: Bar = Bar::throughput(0.85);

/// For how long a receipt in memory is shown without asking, in milliseconds.
const STALENESS: u64 = 1000;

const PROGRAMS: [&str; 2] = ["headwater", "echo"];

const SERVICE: &str = "receipts";

/// Receipts of five lines.
const SPREAD: Spread = Spread { receipts: 1024, events_each: 5, order: Order::OneByOne };

pub(super) async fn run(effort: &Effort) -> Fallible<Vec<Case>> {
    let world = World::start(effort, Sync::Default).await?;
    fill(&world, SERVICE, SPREAD).await?;
    let folder = tempfile::tempdir()?;
    let reply = folder.path().join("reply.json");
    std::fs::write(&reply, one_reply(&world).await?)?;
    let mut cases = Vec::new();
    let of_memory = effort.in_flight(&IN_FLIGHT).into_iter().map(|in_flight| (in_flight, STALENESS));
    for (in_flight, staleness) in of_memory.chain([(64, 0)]) {
        let load_average = load_average();
        let readings = alternate(effort.pairs, &PROGRAMS, async |round, program| {
            let reading = measure(&world, effort, program, &reply, in_flight, staleness).await?;
            report::tell(&format!(
                "  {in_flight} in flight, round {}: {program} {:.0}/s",
                round + 1,
                reading.per_second
            ));
            Ok(reading)
        });
        cases.push(Case {
            scenario: "get",
            case: format!("{in_flight} in flight{}", if staleness > 0 { "" } else { ", asked" }),
            unit: "gets",
            server: world.version(),
            load_average,
            contenders: Contender::all(&PROGRAMS, readings.await?),
            bar: (staleness > 0).then_some(BAR),
            note: (staleness == 0).then(|| "the journal is asked each time, the default".to_owned()),
        });
    }
    Ok(cases)
}

fn ours(world: &World, staleness: u64) -> Role {
    Role::Ours(Ours {
        url: world.url(),
        service: SERVICE.to_owned(),
        replicas: 1,
        cache: true,
        staleness,
        snapshots: false,
        in_flight: None,
        features: None,
    })
}

/// A reply of the service under test, for the echo to repeat.
async fn one_reply(world: &World) -> Fallible<Vec<u8>> {
    let running = Program::start(&ours(world, STALENESS)).await?;
    let Request { subject, body, .. } = Gets::new(SERVICE, SPREAD, 0, 1).request();
    let reply = world.client().request(subject, body).await?;
    running.stop().await?;
    Ok(reply.payload.to_vec())
}

async fn measure(
    world: &World,
    effort: &Effort,
    program: &str,
    reply: &Path,
    in_flight: usize,
    staleness: u64,
) -> Fallible<Reading> {
    let role = if program == PROGRAMS[0] {
        ours(world, staleness)
    } else {
        Role::Echo { url: world.url(), service: SERVICE.to_owned(), reply: reply.to_owned() }
    };
    let running = Program::start(&role).await?;
    let meter = world.meter(vec![running.pid()]);
    let callers = (0..in_flight).map(|caller| Gets::new(SERVICE, SPREAD, caller, in_flight)).collect();
    // Every receipt once, so that all are in memory.
    let callers = load::prime(world.client(), callers, SPREAD.receipts.div_ceil(in_flight)).await?;
    let (_, reading) = load::run(world.client(), callers, effort, &meter).await?;
    running.stop().await?;
    Ok(reading)
}
