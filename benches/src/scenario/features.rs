//! One-event commands with every feature on, against the same service with none: what features cost.

use std::path::Path;

use super::commands::Contest;
use crate::Fallible;
use crate::arguments::Effort;
use crate::child::{Features, SECRET};
use crate::harness::sink::Sink;
use crate::harness::world::{Sync, World};
use crate::report::{Bar, Case};

const IN_FLIGHT: [usize; 2] = [64, 256];

/// The most processor time that all features may add to a command, in microseconds.
const MOST_ADDED: f64 = 5.0;

pub(super) async fn run(effort: &Effort) -> Fallible<Vec<Case>> {
    let (world, sink) = (World::start(effort, Sync::Default).await?, Sink::start().await?);
    let folder = tempfile::tempdir()?;
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET)?;
    let contest = Contest::with_features(features(&secret, &sink));
    let mut cases = Vec::new();
    for in_flight in effort.in_flight(&IN_FLIGHT) {
        let mut case = contest.case(&world, effort, in_flight, Some(Bar::throughput(0.85))).await?;
        let [on, off] = [0, 1].map(|place| case.contenders[place].median(|reading| reading.program_cpu));
        let verdict = if on - off <= MOST_ADDED { "met" } else { "MISSED" };
        case.note = Some(format!(
            "the features add {:.1} µs of processor time to a command, at most {MOST_ADDED} are allowed: {verdict}; the collector \
             has got {} requests",
            on - off,
            sink.requests()
        ));
        cases.push(case);
    }
    if sink.requests() == 0 {
        return Err("no trace and no metric has reached the collector".into());
    }
    Ok(cases)
}

fn features(secret: &Path, sink: &Sink) -> Features {
    Features { secret: secret.to_owned(), collector: sink.url() }
}
