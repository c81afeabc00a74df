//! Three instances in one queue group, each replaced in turn under load: no call fails, be it of the typed client or of a caller
//! who knows nothing but NATS, and the journal holds exactly what was acknowledged.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use headwater_testkit::NatsCluster;
use headwater_tests::load::{Load, check_histories};
use headwater_tests::plain::{add_item, command_subject, query_subject};
use headwater_tests::{Plain, Program, Site, Stored};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sample-receipts-under-test");

/// Longer than anything here takes, also on a machine that is busy otherwise.
const SOON: Duration = Duration::from_secs(30);

/// Aggregates of the typed callers, and the beginning of those of the others.
const TYPED: [&str; 6] = ["a", "b", "c", "d", "e", "hot"];
const PLAIN: &str = "plain-";

/// Commands that must be acknowledged, of either kind of caller, between two steps of the restart.
const BETWEEN: usize = 30;

/// Callers who send each request once, by plain NATS, and write down every answer.
struct PlainLoad {
    callers: JoinSet<PlainBook>,
    stop: Arc<AtomicBool>,
    /// Commands that were answered or failed.
    done: Arc<AtomicUsize>,
}

#[derive(Default)]
struct PlainBook {
    /// Aggregate and revision of each acknowledged event, by the event's id.
    acknowledged: BTreeMap<String, (String, u64)>,
    failures: Vec<String>,
}

impl PlainLoad {
    async fn start(site: &Site, callers: usize) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut running = JoinSet::new();
        for number in 0..callers {
            let (plain, stop, done) = (site.plain().await, Arc::clone(&stop), Arc::clone(&done));
            running.spawn(async move {
                let mut book = PlainBook::default();
                while !stop.load(Ordering::Relaxed) {
                    book.add(&plain, &format!("{PLAIN}{number}")).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                book
            });
        }
        Self { callers: running, stop, done }
    }

    async fn finish(mut self) -> PlainBook {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = PlainBook::default();
        while let Some(book) = self.callers.join_next().await {
            let book = book.unwrap();
            all.acknowledged.extend(book.acknowledged);
            all.failures.extend(book.failures);
        }
        all
    }
}

impl PlainBook {
    /// A command, and a query that must know what it did.
    async fn add(&mut self, plain: &Plain, id: &str) {
        let command = add_item(id, "Coffee");
        let Some(done) = self.ask(plain, &command_subject("add-item"), &command).await else { return };
        let revision = done["revision"].as_u64().unwrap();
        for event in done["events"].as_array().unwrap() {
            let event = event["id"].as_str().unwrap().to_owned();
            self.acknowledged.insert(event, (id.to_owned(), revision));
        }
        let question = json!({ "aggregateId": id, "minRevision": revision });
        if let Some(found) = self.ask(plain, &query_subject("get"), &question).await {
            assert_eq!(found["revision"], revision, "nobody else writes {id}");
        }
    }

    async fn ask(&mut self, plain: &Plain, subject: &str, body: &Value) -> Option<Value> {
        match plain.try_ask(subject, async_nats::HeaderMap::new(), body.to_string()).await {
            Ok(answer) if answer.body["success"] == true => return Some(answer.body["result"].clone()),
            Ok(answer) => self.failures.push(format!("{subject}: {}", answer.body["error"])),
            Err(error) => self.failures.push(format!("{subject}: {error}")),
        }
        None
    }

    /// Exactly the acknowledged events are stored, each once.
    fn check(&self, stored: &[Stored]) {
        let found: BTreeMap<_, _> = stored
            .iter()
            .map(|event| (event.text("id").to_owned(), (event.token().to_owned(), event.revision())))
            .collect();
        assert_eq!(found.len(), stored.len(), "an event is stored twice");
        assert_eq!(found, self.acknowledged);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_instances_replaced_in_turn_under_load_fail_no_call() {
    replace_in_turn(Site::open().await, 3).await;
}

/// Instances and callers are spread over the nodes, so an instance leaves while requests for it are between two of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_replaced_on_a_cluster_fails_no_call_either() {
    replace_in_turn(Site::on_cluster(NatsCluster::start().await.unwrap()), 1).await;
}

async fn replace_in_turn(site: Site, replaced: usize) {
    // Each at a node of its own, where there are several.
    let urls: Vec<_> = site.url().split(',').map(str::to_owned).collect();
    let mut instances = Vec::new();
    for url in urls.iter().cycle().take(3) {
        instances.push(Program::serve(PROGRAM, url).await);
    }
    // With the retries that every client has; the others have none.
    let typed = Load::start(vec![site.receipts().await; 4], &TYPED);
    let plain = PlainLoad::start(&site, 8).await;
    let progress = async || {
        let goal = plain.done.load(Ordering::Relaxed) + BETWEEN;
        let done = async || (plain.done.load(Ordering::Relaxed) >= goal).then_some(());
        tokio::join!(typed.progress(BETWEEN, SOON), headwater_testkit::wait_until(SOON, "plain commands", done));
    };
    for (turn, url) in urls.iter().cycle().take(replaced).enumerate() {
        progress().await;
        // Two must do while the third is away, as where there is no room for a fourth.
        let leaving = instances.remove(0);
        leaving.terminate();
        let ended = leaving.ended().await;
        assert_eq!(ended.status.code(), Some(0), "instance {turn}: {}", ended.errors);
        progress().await;
        instances.push(Program::serve(PROGRAM, url).await);
    }
    progress().await;
    let (typed, plain) = (typed.finish().await, plain.finish().await);

    assert_eq!(plain.failures, Vec::<String>::new());
    assert_eq!(typed.failed_calls, Vec::<String>::new());
    assert!(typed.given_up.is_empty());
    let stored = site.journal().await.all().await;
    check_histories(&stored);
    let (of_plain, of_typed): (Vec<_>, Vec<_>) = stored.into_iter().partition(|event| event.token().starts_with(PLAIN));
    plain.check(&of_plain);
    typed.check(&of_typed);
}
