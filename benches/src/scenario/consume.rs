//! Messages of a stream read through a durable consumer, each decoded and acknowledged by itself: by a subscription, or by a
//! router's handler, against a bare pull consumer that does the same.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::Config;

use crate::Fallible;
use crate::arguments::Effort;
use crate::child::{By, Consuming, ConsumingSaid, Note, Role};
use crate::harness::machine::load_average;
use crate::harness::meter::Spent;
use crate::harness::pairs::alternate;
use crate::harness::process::Program;
use crate::harness::reading::Reading;
use crate::harness::world::{Sync, World};
use crate::report::{self, Bar, Case, Contender};

const MESSAGES: u64 = 200_000;

const QUICK_MESSAGES: u64 = 20_000;

/// A multiple of both numbers, so large that all messages have one size: 200 bytes.
const FIRST_ORDER: u64 = 10_000_000;

/// How many messages are fetched ahead, in both programs: as many as async-nats does by itself.
const BUFFER: u32 = 200;

/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(150);

const STREAM: &str = "NOTES";

/// A subscription against the bare consumer.
pub(super) async fn by_subscription(effort: &Effort) -> Fallible<Vec<Case>> {
    let programs = [("headwater", By::Subscription), ("by hand", By::Hand)];
    compare(effort, "consume", &programs, Some(Bar::throughput(0.85))).await
}

/// A router against the bare consumer, and against the subscription that is beneath it.
pub(super) async fn by_router(effort: &Effort) -> Fallible<Vec<Case>> {
    let programs = [("headwater", By::Router), ("by hand", By::Hand), ("subscription", By::Subscription)];
    compare(effort, "process", &programs, None).await
}

async fn compare(
    effort: &Effort,
    scenario: &'static str,
    programs: &[(&'static str, By)],
    bar: Option<Bar>,
) -> Fallible<Vec<Case>> {
    let world = World::start(effort, Sync::Default).await?;
    let messages = if effort.quick { QUICK_MESSAGES } else { MESSAGES };
    fill(&world, messages).await?;
    let load_average = load_average();
    let readings = alternate(effort.pairs, programs, async |round, (program, by)| {
        let durable = format!("reader-{round}-{}", program.replace(' ', "-"));
        let role = Consuming {
            url: world.url(),
            stream: STREAM.to_owned(),
            durable: durable.clone(),
            messages,
            buffer: BUFFER,
            by: *by,
        };
        let reading = measure(&world, role).await?;
        jetstream::new(world.client().clone()).get_stream(STREAM).await?.delete_consumer(&durable).await?;
        report::tell(&format!("  round {}: {program} {:.0}/s", round + 1, reading.per_second));
        Ok(reading)
    });
    let names: Vec<_> = programs.iter().map(|(name, _)| *name).collect();
    Ok(vec![Case {
        scenario,
        case: format!("200 bytes of JSON, acknowledged one by one, {BUFFER} fetched ahead"),
        unit: "messages",
        server: world.version(),
        load_average,
        contenders: Contender::all(&names, readings.await?),
        bar,
        note: None,
    }])
}

/// Stores the messages that are read in every round.
async fn fill(world: &World, messages: u64) -> Fallible<()> {
    let context = jetstream::new(world.client().clone());
    let config = Config { name: STREAM.to_owned(), subjects: vec!["notes.>".to_owned()], ..Config::default() };
    context.create_stream(config).await?;
    let mut under_way = VecDeque::new();
    for number in 0..messages {
        let text = format!("{:.172}", "the milk is to be warm and not hot; ".repeat(5));
        let note = Note { order: FIRST_ORDER + number, text };
        let body = serde_json::to_vec(&note)?;
        under_way.push_back(context.publish("notes.written", body.into()).await?);
        if under_way.len() == 1_000
            && let Some(oldest) = under_way.pop_front()
        {
            oldest.await?;
        }
    }
    for acknowledgement in under_way {
        acknowledgement.await?;
    }
    Ok(())
}

/// One run, by a consumer of its own.
async fn measure(world: &World, role: Consuming) -> Fallible<Reading> {
    let messages = role.messages;
    let meter = world.meter(Vec::new());
    let first = meter.mark()?;
    let said = Program::run_to_end(&Role::Consuming(role), LIMIT).await?;
    let said: ConsumingSaid = serde_json::from_value(said)?;
    let last = meter.mark()?;
    let programs = Duration::from_secs_f64(said.cpu_seconds);
    let spent = last.since(&first);
    let others = spent.others.saturating_sub(programs);
    let elapsed = Duration::from_secs_f64(said.seconds);
    Ok(Reading::without_latencies(messages, elapsed, &Spent { programs, others, ..spent }))
}
