//! The state of a receipt that is not in memory, right after a restart of the server, where snapshots are kept: the
//! size of the journal must not show.

use std::collections::HashSet;

use async_nats::jetstream::Context;
use bytes::Bytes;
use futures_util::future::try_join_all;

use super::cold_load::{
    AFTER_RESTART, DIRECT_GET, EVENTS_EACH, HEADWATER, RESTARTS, SERVICE, SNAPSHOTS, loads, ours, restarted,
};
use crate::Fallible;
use crate::arguments::Effort;
use crate::harness::fill::{Spread, fill};
use crate::harness::load::{self, Caller as _};
use crate::harness::process::Program;
use crate::harness::world::{Sync, World};
use crate::report::{self, Bar, Case};

const JOURNALS: [usize; 3] = [1_000, 100_000, 3_000_000];

const QUICK_JOURNALS: [usize; 2] = [1_000, 100_000];

const PROGRAMS: [&str; 3] = [SNAPSHOTS, HEADWATER, DIRECT_GET];

/// The key-value bucket of the snapshots, as a stream.
const BUCKET: &str = "KV_RECEIPTS_SNAPSHOTS";

/// How many snapshots are stored at once.
const AT_ONCE: usize = 512;

/// At three million events.
const BAR: Bar = Bar { throughput: None, p99: None, p50_micros: Some(500.0) };

pub(super) async fn run(effort: &Effort) -> Fallible<Vec<Case>> {
    let journals: &[usize] = if effort.quick { &QUICK_JOURNALS } else { &JOURNALS };
    let mut cases: Vec<Case> = Vec::new();
    for events_each in EVENTS_EACH {
        let mut in_the_smallest = None;
        for events in journals {
            let spread = Spread::of(*events, events_each);
            let mut world = World::start(effort, Sync::Default).await?;
            fill(&world, SERVICE, spread).await?;
            let about = format!("{events_each} of {events} events");
            let kept = keep_snapshots(&world, spread, effort.pairs.min(RESTARTS) as usize).await?;
            report::tell(&format!("  {about}: filled, with {kept} snapshots"));
            let mut case = restarted(&mut world, effort, spread, &about, &PROGRAMS).await?;
            let p50 = case.contenders[0].median(|reading| reading.p50);
            let times = p50 / *in_the_smallest.get_or_insert(p50);
            let sentence =
                format!("p50 with snapshots is {times:.2} times that in a journal of {} events", journals[0]);
            case.scenario = "snapshot-load";
            case.note = Some(case.note.map_or(sentence.clone(), |note| format!("{note}; {sentence}")));
            case.bar = (*events == 3_000_000).then_some(BAR);
            cases.push(case);
        }
    }
    Ok(cases)
}

/// Has the service write a snapshot of every receipt that will be loaded, and adds so many copies under other names that
/// there are as many snapshots as receipts. Tells how many there are.
async fn keep_snapshots(world: &World, spread: Spread, rounds: usize) -> Fallible<u64> {
    let running = Program::start(&ours(world.url(), true, true)).await?;
    let each = AFTER_RESTART.min(spread.receipts);
    let mut needed = HashSet::new();
    for round in 0..rounds {
        let mut same = loads(spread, round);
        needed.extend((0..each).map(|_| same.request().body));
        load::prime(world.client(), vec![loads(spread, round)], each).await?;
    }
    // It writes what is missing on its way out.
    running.stop().await?;
    let jetstream = async_nats::jetstream::new(world.client().clone());
    let mut bucket = jetstream.get_stream(BUCKET).await?;
    let written = usize::try_from(bucket.info().await?.state.messages)?;
    if written != needed.len() {
        return Err(format!("{written} snapshots were written, and {} are needed", needed.len()).into());
    }
    let pattern = format!("$KV.RECEIPTS_SNAPSHOTS.receipt.{}", Spread::id(0));
    let pattern = bucket.get_last_raw_message_by_subject(&pattern).await?.payload;
    let copies: Vec<usize> = (written..spread.receipts).collect();
    for numbers in copies.chunks(AT_ONCE) {
        try_join_all(numbers.iter().map(|number| copy(&jetstream, *number, &pattern))).await?;
    }
    Ok(bucket.info().await?.state.messages)
}

async fn copy(jetstream: &Context, number: usize, snapshot: &Bytes) -> Fallible<()> {
    let subject = format!("$KV.RECEIPTS_SNAPSHOTS.receipt.copy-{number:07}");
    jetstream.publish(subject, snapshot.clone()).await?.await?;
    Ok(())
}
