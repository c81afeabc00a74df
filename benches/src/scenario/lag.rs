//! The memory of a consumer that lags by a million messages: while they are published, while they wait, and until it has
//! caught up.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::Config;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::Fallible;
use crate::arguments::Effort;
use crate::child::{GO, LagSpread, Lagging, Note, Role, STAND, Stand};
use crate::harness::machine::load_average;
use crate::harness::meter::{most_resident, resident};
use crate::harness::process::Program;
use crate::harness::reading::Reading;
use crate::harness::world::{Sync, World};
use crate::report::{self, Case, Contender};

const MESSAGES: u64 = 1_000_000;

/// How many with `--quick`, for each second that is measured.
const QUICK_MESSAGES: f64 = 100_000.0;

/// How many keys the messages have, on each of the two halves of the subjects.
const KEYS: u64 = 1_000;

/// How much the reading process may grow, in bytes.
const MOST_GROWN: u64 = 32 * MIB;

const MIB: u64 = 1024 * 1024;

/// How long the messages may take to be stored, and to be handled once the handlers go on.
const LIMIT: Duration = Duration::from_secs(100);

/// How long the reader is watched while all messages wait.
const WATCHED: Duration = Duration::from_secs(2);

/// From one look at the memory to the next.
const LOOK: Duration = Duration::from_millis(50);

const STREAM: &str = "NOTES";

pub(super) async fn run(effort: &Effort) -> Fallible<Vec<Case>> {
    let messages = if effort.quick { (QUICK_MESSAGES * effort.measured.as_secs_f64()) as u64 } else { MESSAGES };
    let (mut cases, mut grown) = (Vec::new(), Vec::new());
    for (spread, case) in [
        (LagSpread::One, "one slow handler"),
        (LagSpread::InOrder, "in order by key"),
        (LagSpread::Beside, "a fast handler beside it"),
    ] {
        let world = World::start(effort, Sync::Default).await?;
        let load_average = load_average();
        let lag = Lag::start(&world, spread, messages).await?;
        let (reading, note, growth) = lag.watch(effort).await.map_err(|error| format!("{case}: {error}"))?;
        report::tell(&format!("  {case}: {note}"));
        if growth > MOST_GROWN {
            grown.push(format!("{case}: {note}"));
        }
        cases.push(Case {
            scenario: "lag",
            case: format!("{messages} messages of 200 bytes, {case}"),
            unit: "messages",
            server: world.version(),
            load_average,
            contenders: Contender::all(&["headwater"], vec![vec![reading]]),
            bar: None,
            note: Some(note),
        });
    }
    if grown.is_empty() {
        return Ok(cases);
    }
    Err(format!("the reader grew by more than {} MiB: {}", MOST_GROWN / MIB, grown.join("; ")).into())
}

/// A stream and a program that reads it.
struct Lag<'a> {
    world: &'a World,
    program: Program,
    messages: u64,
    /// How many of them are for the slow handler.
    slow: u64,
    seen: Vec<Seen>,
}

/// The most memory that was seen for a while, in bytes.
struct Seen {
    when: &'static str,
    reader: u64,
    server: u64,
}

impl<'a> Lag<'a> {
    async fn start(world: &'a World, spread: LagSpread, messages: u64) -> Fallible<Self> {
        let config = Config { name: STREAM.to_owned(), subjects: vec!["notes.>".to_owned()], ..Config::default() };
        jetstream::new(world.client().clone()).create_stream(config).await?;
        let role = Lagging { url: world.url(), stream: STREAM.to_owned(), spread };
        let program = Program::start(&Role::Lagging(role)).await?;
        let slow = if spread == LagSpread::Beside { messages / 2 } else { messages };
        Ok(Self { world, program, messages, slow, seen: Vec::new() })
    }

    /// Lets it lag and catch up. How fast it caught up, what was seen in words, and by how much it grew.
    async fn watch(mut self, effort: &Effort) -> Fallible<(Reading, String, u64)> {
        self.look("before", async |_| Ok(true)).await?;
        let mut publishing = self.publish();
        self.look("while they were published", async |_| Ok(publishing.is_finished())).await?;
        (&mut publishing).await??;

        let (slow, fast) = (self.slow, self.messages - self.slow);
        let until = Instant::now() + if effort.quick { LOOK } else { WATCHED };
        let mut lag = Vec::new();
        self.look("lagging", async |this| {
            lag = this.stands().await?;
            let (mut behind, mut all, mut kept_up) = (0, 0, 0);
            for stand in &lag {
                match is_fast(&stand.consumer) {
                    true => kept_up += stand.handled,
                    false => {
                        behind += stand.behind();
                        all += stand.behind() + stand.handled;
                    }
                }
            }
            // What the server says of it may be from before the last were published.
            Ok(behind >= slow / 10 * 9 && all >= slow && kept_up == fast && Instant::now() >= until)
        })
        .await?;

        let meter = self.world.meter(vec![self.program.pid()]);
        let (first, left) = (meter.mark()?, lag.iter().map(Stand::behind).sum());
        self.ask(GO).await?;
        let messages = self.messages;
        let all_done = |stands: &[Stand]| {
            let handled: u64 = stands.iter().map(|stand| stand.handled).sum();
            handled == messages && stands.iter().all(|stand| stand.behind() == 0)
        };
        self.look("catching up", async |this| Ok(all_done(&this.stands().await?))).await?;
        let last = meter.mark()?;
        self.look("at the end", async |_| Ok(true)).await?;

        let reading = Reading::without_latencies(left, last.at() - first.at(), &last.since(&first));
        let (note, growth) = self.told(&lag)?;
        self.program.stop().await?;
        Ok((reading, note, growth))
    }

    /// Looks at the memory until it is so.
    async fn look(
        &mut self,
        when: &'static str,
        mut is_over: impl AsyncFnMut(&Self) -> Fallible<bool>,
    ) -> Fallible<()> {
        let limit = Instant::now() + LIMIT;
        let mut seen = Seen { when, reader: 0, server: 0 };
        loop {
            let over = is_over(self).await?;
            seen.reader = seen.reader.max(resident(self.program.pid())?);
            seen.server = seen.server.max(self.world.servers_resident()?);
            if over {
                self.seen.push(seen);
                return Ok(());
            }
            if Instant::now() >= limit {
                let stands = self.stands().await?;
                return Err(format!("`{when}` did not end in time: {stands:?}").into());
            }
            sleep(LOOK).await;
        }
    }

    async fn stands(&self) -> Fallible<Vec<Stand>> {
        Ok(serde_json::from_slice(&self.ask(STAND).await?)?)
    }

    async fn ask(&self, what: &'static str) -> Fallible<bytes::Bytes> {
        let reply = self.world.client().request(what, bytes::Bytes::new()).await?;
        match reply.headers.as_ref().and_then(|headers| headers.get("Nats-Service-Error")) {
            None => Ok(reply.payload),
            Some(error) => Err(format!("`{what}` was refused: {error}").into()),
        }
    }

    /// Stores the messages, on half of the subjects and on the other in turn.
    fn publish(&self) -> JoinHandle<Fallible<()>> {
        let (client, messages) = (self.world.client().clone(), self.messages);
        tokio::spawn(async move {
            timeout(LIMIT, publish(client, messages)).await.map_err(|_| "they were not stored in time")?
        })
    }

    /// What was seen, in words, and by how much the reader grew.
    fn told(&self, lag: &[Stand]) -> Fallible<(String, u64)> {
        let before = self.seen.first().map_or(0, |seen| seen.reader);
        // The kernel counts the two by different means, so either may be the larger one.
        let seen = self.seen.iter().map(|seen| seen.reader).max().unwrap_or_default();
        let most = most_resident(self.program.pid())?.max(seen);
        let growth = most.saturating_sub(before);
        let memory = |of: fn(&Seen) -> u64| {
            let told = self.seen.iter().map(|seen| format!("{} {}", mebibytes(of(seen)), seen.when));
            told.collect::<Vec<_>>().join(", ")
        };
        let lag = lag.iter().map(|stand| {
            let Stand { consumer, handled, in_hand, pending, ack_pending } = stand;
            format!("{consumer}: {pending} pending, {ack_pending} delivered, {in_hand} in hand, {handled} handled")
        });
        let note = format!(
            "MiB of the reader: {}; {} at the most, grown by {} (at most {}). Lagging: {}. MiB of the server: {}",
            memory(|seen| seen.reader),
            mebibytes(most),
            mebibytes(growth),
            MOST_GROWN / MIB,
            lag.collect::<Vec<_>>().join("; "),
            memory(|seen| seen.server),
        );
        Ok((note, growth))
    }
}

/// By the pattern that consumers are named after.
fn is_fast(consumer: &str) -> bool {
    consumer.contains("fast")
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / MIB as f64)
}

async fn publish(client: async_nats::Client, messages: u64) -> Fallible<()> {
    let context = jetstream::new(client);
    let text = format!("{:.173}", "the milk is to be warm and not hot; ".repeat(5));
    let mut under_way = VecDeque::new();
    for number in 0..messages {
        let body = serde_json::to_vec(&Note { order: MESSAGES + number, text: text.clone() })?;
        let half = if number % 2 == 0 { "slow" } else { "fast" };
        let subject = format!("notes.{half}.k-{}", number / 2 % KEYS);
        under_way.push_back(context.publish(subject, body.into()).await?);
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
