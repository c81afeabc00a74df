//! Messages published with many under way at once: through a publisher, against a loop over a window of acknowledgements on
//! bare async-nats that writes the same bytes.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::Config;

use crate::Fallible;
use crate::arguments::Effort;
use crate::child::{Publishing, PublishingSaid, Role};
use crate::harness::machine::load_average;
use crate::harness::meter::Spent;
use crate::harness::pairs::alternate;
use crate::harness::process::Program;
use crate::harness::reading::Reading;
use crate::harness::world::{Sync, World};
use crate::report::{self, Bar, Case, Contender};

const MESSAGES: u64 = 300_000;

const QUICK_MESSAGES: u64 = 20_000;

/// How many may be without an acknowledgement, in both programs.
const WINDOW: usize = 1_000;

const PROGRAMS: [&str; 2] = ["headwater", "by hand"];

/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(150);

pub(super) async fn run(effort: &Effort) -> Fallible<Vec<Case>> {
    let world = World::start(effort, Sync::Default).await?;
    let mut cases = Vec::new();
    for (enveloped, case) in [(false, "200 bytes of JSON"), (true, "the same in CloudEvents")] {
        let load_average = load_average();
        let readings = alternate(effort.pairs, &PROGRAMS, async |round, program| {
            let messages = if effort.quick { QUICK_MESSAGES } else { MESSAGES };
            let ours = program == &PROGRAMS[0];
            let role = Publishing {
                url: world.url(),
                subject: "notes.written".to_owned(),
                messages,
                window: WINDOW,
                enveloped,
                ours,
            };
            let reading = measure(&world, role).await?;
            report::tell(&format!("  round {}: {program} {:.0}/s, {case}", round + 1, reading.per_second));
            Ok(reading)
        });
        cases.push(Case {
            scenario: "publish",
            case: format!("{case}, {WINDOW} under way"),
            unit: "messages",
            server: world.version(),
            load_average,
            contenders: Contender::all(&PROGRAMS, readings.await?),
            bar: Some(Bar::throughput(0.90)),
            note: None,
        });
    }
    Ok(cases)
}

/// One run, on a stream of its own.
async fn measure(world: &World, role: Publishing) -> Fallible<Reading> {
    const STREAM: &str = "NOTES";
    let (context, messages) = (jetstream::new(world.client().clone()), role.messages);
    let config = Config { name: STREAM.to_owned(), subjects: vec!["notes.>".to_owned()], ..Config::default() };
    let mut stream = context.create_stream(config).await?;
    let meter = world.meter(Vec::new());
    let first = meter.mark()?;
    let said = Program::run_to_end(&Role::Publishing(role), LIMIT).await?;
    let said: PublishingSaid = serde_json::from_value(said)?;
    let last = meter.mark()?;
    let stored = stream.info().await?.state.messages;
    context.delete_stream(STREAM).await?;
    if stored != messages {
        return Err(format!("{messages} messages were published, and {stored} are stored").into());
    }
    let programs = Duration::from_secs_f64(said.cpu_seconds);
    let spent = last.since(&first);
    let others = spent.others.saturating_sub(programs);
    let elapsed = Duration::from_secs_f64(said.seconds);
    Ok(Reading::without_latencies(messages, elapsed, &Spent { programs, others, ..spent }))
}
