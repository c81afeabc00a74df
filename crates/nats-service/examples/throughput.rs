//! Commands per second through a service on a server of its own, with the events kept in memory, so that it is the service
//! and the wire that are measured. Run it in release:
//!
//! `cargo run --release -p headwater-nats-service --example throughput`
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headwater_core::store::MemoryStore;
use headwater_core::{
    Aggregate, AggregateId, Command, CommandContext, Decide, DecodeError, Describe, Event, EventType, NeverRejected,
};
use headwater_nats::connect::{Connection, NatsConfig};
use headwater_nats_service::Service;
use headwater_testkit::NatsServer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(3);
const RUNS: usize = 3;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Counter {
    count: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Increment {
    by: u64,
}

impl Command for Increment {
    const NAME: &'static str = "increment";
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Incremented {
    by: u64,
}

impl Event for Incremented {
    fn types() -> Vec<EventType> {
        vec![EventType { name: "incremented", schema_version: 1, schema: |g| g.subschema_for::<Self>() }]
    }

    fn name(&self) -> &'static str {
        "incremented"
    }

    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    fn decode(name: &str, data: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(data).map_err(|source| DecodeError::Data { name: name.to_owned(), source })
    }
}

impl Aggregate for Counter {
    const TYPE: &'static str = "counter";
    type Event = Incremented;
    type Rejection = NeverRejected;

    fn init(_: &AggregateId) -> Self {
        Self { count: 0 }
    }

    fn evolve(&mut self, event: &Incremented) {
        self.count += event.by;
    }
}

impl Decide<Increment> for Counter {
    fn decide(&self, command: Increment, _: &CommandContext) -> Result<Vec<Incremented>, NeverRejected> {
        Ok(vec![Incremented { by: command.by }])
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = NatsServer::start().await?;
    println!("nats-server {}, median of {RUNS} runs", server.version());
    for in_flight in [1, 16, 64, 256] {
        let mut rates = Vec::new();
        for _ in 0..RUNS {
            rates.push(run(&server, in_flight).await?);
        }
        rates.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (rate, p50, p99) = rates[RUNS / 2];
        println!("{in_flight:>4} in flight: {rate:>8.0} commands/s, p50 {p50:?}, p99 {p99:?}");
    }
    Ok(())
}

/// Commands per second, and the middle and the slow latency.
async fn run(server: &NatsServer, in_flight: usize) -> Result<(f64, Duration, Duration), Box<dyn std::error::Error>> {
    let counter = Describe::<Counter>::new().command::<Increment>().build()?;
    let service = Service::builder("counters", "1.0.0").aggregate_type(counter).store(MemoryStore::new());
    let service = service.start(Connection::connect(&NatsConfig::new(server.url().as_str())).await?).await?;
    let client = async_nats::connect(server.url()).await?;

    let (start, done) = (Instant::now() + WARM_UP, Arc::new(AtomicU64::new(0)));
    let mut callers = JoinSet::new();
    for caller in 0..in_flight {
        callers.spawn(call(client.clone(), caller, start, Arc::clone(&done)));
    }
    sleep(WARM_UP + MEASURED).await;
    let rate = done.load(Ordering::Relaxed) as f64 / MEASURED.as_secs_f64();
    let mut latencies: Vec<Duration> = callers.join_all().await.into_iter().flatten().collect();
    latencies.sort_unstable();
    service.drain().await;
    let at = |part: f64| latencies.get((latencies.len() as f64 * part) as usize).copied().unwrap_or_default();
    Ok((rate, at(0.5), at(0.99)))
}

/// One caller: 64 aggregates in turn, one command after the other.
async fn call(client: async_nats::Client, caller: usize, start: Instant, done: Arc<AtomicU64>) -> Vec<Duration> {
    let mut latencies = Vec::new();
    for turn in 0.. {
        let body = format!(r#"{{"aggregateId":"c{caller}-{}","command":{{"by":1}},"return":"entity"}}"#, turn % 64);
        let sent = Instant::now();
        if sent >= start + MEASURED {
            break;
        }
        let reply = client.request("counters.command.counter.increment", body.into()).await;
        assert!(reply.is_ok_and(|reply| reply.headers.is_none()), "the command failed");
        if sent >= start && Instant::now() < start + MEASURED {
            done.fetch_add(1, Ordering::Relaxed);
            latencies.push(sent.elapsed());
        }
    }
    latencies
}
