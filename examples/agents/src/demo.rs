//! The demo: both services on a server of its own, one of them killed in the middle.

use std::collections::BTreeSet;
use std::time::Duration;

use headwater::messaging::BoxError;
use headwater::messaging::jetstream::JetStream;
use headwater::messaging::router::ask;
use headwater::messaging::topology::{Format, Leave, Topology, Variables};
use headwater_testkit::NatsServer;
use tokio::time::Instant;

use crate::program::{connect, say};
use crate::runner::{Order, RUN, Told};
use crate::service::Service;
use crate::watcher::{HEALTH, Health, SUMMARY, Summary};

const TOPOLOGY: &str = include_str!("../topology.toml");

/// Plays it; what does not come out as it should is an error.
pub(crate) async fn run() -> Result<(), BoxError> {
    // The streams may grow to 16 GiB, which the server wants to know it has.
    let server = NatsServer::builder().jetstream_config("max_file_store: 64GB").start().await?;
    say(&format!("A nats-server {} at {}", server.version(), server.url()))?;
    let played = play(&server.url()).await;
    server.stop().await;
    played?;
    say("\nEvery step came out as it should; the services have ended, and the server is gone.")
}

async fn play(url: &str) -> Result<(), BoxError> {
    let connection = connect(url, "agents-demo").await?;
    say("\n1  Apply the topology: headwater topology apply examples/agents/topology.toml")?;
    let topology = Topology::parse(TOPOLOGY, "topology.toml", Format::Toml, &Variables::process())?;
    for done in topology.apply(&connection, Leave::none()).await? {
        say(&format!("   {} created", done.target))?;
    }

    say("\n2  Start both services: agents runner, agents watcher")?;
    let mut demo = Demo { asking: JetStream::new(connection), seen: BTreeSet::new(), again: 0 };
    let runner = Service::start("runner", url).await?;
    let mut watcher = Service::start("watcher", url).await?;

    say("\n3  Let an agent work: a request that is answered when its events are stored")?;
    let first = demo.order("report", "ada", &["read", "write", "fail"]).await?;
    demo.watch(&mut watcher, &first, true).await?;

    say("\n4  Kill the watcher, and let agents work meanwhile")?;
    watcher.kill().await?;
    let mut missed = demo.order("review", "bob", &["read"]).await?;
    missed.extend(demo.order("repair", "cleo", &["open", "mend", "close"]).await?);
    say(&format!("   {} events, and nobody watches", missed.len()))?;

    say("\n5  Start it again: its consumers go on where they stopped")?;
    let mut watcher = Service::start("watcher", url).await?;
    demo.watch(&mut watcher, &missed, false).await?;
    say(&format!("   all {} seen, {} of the earlier ones once more", missed.len(), demo.again))?;

    say("\n6  Ask what it has seen, and how it is")?;
    let summary: Summary = demo.ask(SUMMARY).await?;
    for (name, count) in &summary.events {
        say(&format!("   {count} x {name}"))?;
    }
    let health: Health = demo.ask(HEALTH).await?;
    say(&format!("   watcher is {}", health.status))?;
    if health.status != "up" || summary.events.get("task.done") != Some(&4) && demo.again == 0 {
        return Err(format!("the watcher is not what it should be: {summary:?}, {health:?}").into());
    }
    watcher.stop().await?;
    runner.stop().await
}

/// The one who asks, and remembers what was seen.
struct Demo {
    asking: JetStream,
    seen: BTreeSet<String>,
    /// Events that were seen a second time.
    again: usize,
}

impl Demo {
    async fn order(&self, workflow: &str, agent: &str, tasks: &[&str]) -> Result<BTreeSet<String>, BoxError> {
        let tasks = tasks.iter().map(|&task| task.to_owned()).collect();
        let order = Order { workflow: workflow.to_owned(), agent: agent.to_owned(), tasks };
        let told: Told = ask(&self.asking, RUN, &order, soon()).await?;
        Ok(told.events.into_iter().collect())
    }

    async fn ask<R: serde::de::DeserializeOwned>(&self, subject: &str) -> Result<R, BoxError> {
        Ok(ask(&self.asking, subject, &(), soon()).await?)
    }

    /// Reads the watcher's lines until it has seen all of these, and its alarm when one is expected.
    async fn watch(
        &mut self,
        watcher: &mut Service,
        events: &BTreeSet<String>,
        mut alarm: bool,
    ) -> Result<(), BoxError> {
        while alarm || !events.is_subset(&self.seen) {
            let line = watcher.line().await?;
            say(&format!("   {line}"))?;
            alarm &= !line.starts_with("alarm: ");
            let Some(id) = line.strip_prefix("saw ").and_then(|rest| rest.split(' ').next()) else { continue };
            if !self.seen.insert(id.to_owned()) {
                self.again += 1;
            }
        }
        Ok(())
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}
