//! A command takes effect once, however often it is sent: a repeated command id is answered with what the first attempt
//! did, whoever is asked, whatever was restarted in between and whatever was lost on the way.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream;
use headwater::CommandId;
use headwater::client::{ExecuteError, Executed, RetryPolicy};
use headwater_testkit::wait_until;
use headwater_tests::load::Load;
use headwater_tests::plain::{add_item, add_items};
use headwater_tests::{Answer, Plain, Program, Site};
use sample_receipts::domain::{AddItem, AddItems, Receipt, ReceiptClient};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sample-receipts-under-test");

const SOON: Duration = Duration::from_secs(15);

/// How JetStream's acknowledgement of an append begins.
const ACKNOWLEDGEMENT: &[u8] = br#"{"stream":"RECEIPTS_JOURNAL""#;

fn item(name: &str) -> AddItem {
    AddItem { name: name.to_owned(), price: "2.50".parse().unwrap(), quantity: 2 }
}

fn two() -> AddItems {
    AddItems { items: vec![item("Cake"), item("Jam")] }
}

fn with_id(mut body: Value, id: &str) -> Value {
    body["metadata"] = json!({ "commandId": id });
    body
}

/// What two answers to one command must have in common: everything that was done.
#[track_caller]
fn check_replay(first: &Executed<Receipt>, again: &Executed<Receipt>) {
    assert!(!first.replayed && again.replayed);
    assert_eq!((first.revision, first.sequence), (again.revision, again.sequence));
    assert_eq!((&first.events, &first.state), (&again.events, &again.state));
    assert_eq!(first.command_id, again.command_id);
}

/// A first attempt at two commands, one event and several, and then something else on the same receipt.
struct Attempts {
    one: Executed<Receipt>,
    several: Executed<Receipt>,
}

impl Attempts {
    async fn make(receipts: &ReceiptClient) -> Self {
        let one = receipts.add_item("order-1", item("Tea")).await.unwrap();
        let several = receipts.add_items("order-1", two()).await.unwrap();
        receipts.add_item("order-1", item("Bread")).await.unwrap();
        Self { one, several }
    }

    /// Both are sent again, and answered as they were.
    async fn check(&self, site: &Site, receipts: &ReceiptClient) {
        let before = site.journal().await.count().await;
        let one = receipts.add_item("order-1", item("Tea")).command_id(self.one.command_id.clone()).await;
        check_replay(&self.one, &one.unwrap());
        let several = receipts.add_items("order-1", two()).command_id(self.several.command_id.clone()).await;
        check_replay(&self.several, &several.unwrap());
        assert_eq!(site.journal().await.count().await, before, "nothing more is stored");
        self.refuse_others(receipts).await;
        assert_eq!(site.journal().await.count().await, before, "nothing more is stored");
    }

    /// The same ids with another payload, and with another command, are a conflict.
    async fn refuse_others(&self, receipts: &ReceiptClient) {
        let id = &self.one.command_id;
        let other_payload = receipts.add_item("order-1", item("Coffee")).command_id(id.clone()).await.unwrap_err();
        check_reused(other_payload);
        let other_command = receipts.add_items("order-1", two()).command_id(id.clone()).await.unwrap_err();
        check_reused(other_command);
        let fewer = AddItems { items: vec![item("Cake")] };
        let fewer = receipts.add_items("order-1", fewer).command_id(self.several.command_id.clone()).await.unwrap_err();
        check_reused(fewer);
    }
}

#[track_caller]
fn check_reused<R: std::fmt::Debug>(error: ExecuteError<R>) {
    let ExecuteError::Call(error) = error else { panic!("{error:?}") };
    let failure = error.failure().unwrap();
    assert_eq!((failure.code.number(), failure.reason()), (409, Some("command-id-reused")), "{failure}");
}

#[tokio::test]
async fn asked_again_the_same_instance_answers_as_before() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let receipts = site.receipts().await;
    Attempts::make(&receipts).await.check(&site, &receipts).await;
}

#[tokio::test]
async fn asked_again_any_instance_answers_as_before() {
    let site = Site::open().await;
    let instances = [site.instance().await, site.instance().await];
    let (plain, journal) = (site.plain().await, site.journal().await);
    let body = with_id(add_item("order-1", "Tea"), "c-1");
    let first = plain.command("add-item", &body).await;
    let expected: BTreeSet<_> = instances.iter().map(|instance| instance.id().to_owned()).collect();
    let mut answered = BTreeSet::new();
    let deadline = tokio::time::Instant::now() + SOON;
    while answered != expected {
        assert!(tokio::time::Instant::now() < deadline, "only {answered:?} answered");
        let again = plain.command("add-item", &body).await;
        assert_eq!(again.result(), first.result());
        assert_eq!(again.body["metadata"]["replayed"], true);
        answered.insert(again.body["metadata"]["instance"].as_str().unwrap().to_owned());
        let other = plain.command("add-item", &with_id(add_item("order-1", "Coffee"), "c-1")).await;
        assert_eq!(other.error(409, "conflict")["details"]["reason"], "command-id-reused");
    }
    assert_eq!(journal.count().await, 1);
}

#[tokio::test]
async fn a_service_started_anew_answers_as_the_one_before() {
    let site = Site::open().await;
    let receipts = site.receipts().await;
    let first = site.instance().await;
    let attempts = Attempts::make(&receipts).await;
    first.service.drain().await;
    drop(first);
    let _second = site.instance().await;
    attempts.check(&site, &receipts).await;
}

#[tokio::test]
async fn a_server_killed_and_started_anew_changes_nothing_about_it() {
    let site = Site::alone().await;
    let receipts = site.receipts().await;
    let instance = site.instance().await;
    let attempts = Attempts::make(&receipts).await;
    site.server().kill();
    site.server().restart().await.unwrap();
    attempts.check(&site, &receipts).await;
    drop(instance);
    site.server().kill();
    site.server().restart().await.unwrap();
    let _anew = site.instance().await;
    attempts.check(&site, &receipts).await;
}

#[tokio::test]
async fn beyond_the_duplicate_window_the_history_still_knows() {
    let site = Site::open().await;
    let start = async || site.starting().store(|store| store.duplicate_window(Duration::from_secs(1))).start().await;
    let first = start().await;
    let receipts = site.receipts().await;
    let attempts = Attempts::make(&receipts).await;
    // The window has passed when JetStream takes a message again that was sent after all of these.
    let streams = jetstream::new(site.client().await);
    let publish = async || {
        let probe = jetstream::message::PublishMessage::build().payload("probe".into()).message_id("probe");
        streams.send_publish("receipts.journal.probe.probe.probe", probe).await.unwrap().await.unwrap()
    };
    assert!(!publish().await.duplicate);
    let forgotten = || async { (!publish().await.duplicate).then_some(()) };
    wait_until(SOON, "the duplicate window to pass", forgotten).await;
    attempts.check(&site, &receipts).await;
    drop(first);
    let _second = start().await;
    attempts.check(&site, &receipts).await;
}

#[tokio::test]
async fn the_same_id_on_another_aggregate_is_another_command() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let receipts = site.receipts().await;
    let id = CommandId::generate();
    for order in ["order-1", "order-2"] {
        let added = receipts.add_item(order, item("Tea")).command_id(id.clone()).await.unwrap();
        assert_eq!((added.revision.get(), added.replayed), (1, false), "{order}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sent_many_times_at_once_it_takes_effect_once() {
    let site = Site::open().await;
    let _instances = [site.instance().await, site.instance().await];
    let (plain, journal) = (site.plain().await, site.journal().await);
    for (round, (name, body, events)) in [
        ("add-item", add_item("order-1", "Tea"), 1),
        ("add-items", add_items("order-1", &["Cake", "Jam", "Bread"]), 3),
        ("add-item", add_item("order-2", "Tea"), 1),
    ]
    .into_iter()
    .enumerate()
    {
        let before = journal.count().await;
        let body = with_id(body, &format!("c-{round}"));
        let sent = (0..32).map(|_| {
            let (plain, body): (Plain, Value) = (plain.clone(), body.clone());
            tokio::spawn(async move { plain.command(name, &body).await })
        });
        let answers: Vec<Answer> = futures_util::future::try_join_all(sent).await.unwrap();
        assert!(answers.iter().all(|answer| answer.result() == answers[0].result()), "{answers:#?}");
        let firsts = answers.iter().filter(|answer| answer.body["metadata"]["replayed"] == false).count();
        assert_eq!(firsts, 1, "one of them was the first");
        assert_eq!(journal.count().await, before + events);
    }
}

/// JetStream's acknowledgement is lost on its way to the service, which finds out what became of the append.
#[tokio::test]
async fn a_lost_acknowledgement_is_settled_before_the_caller_is_told() {
    let site = Site::open().await;
    let proxy = site.proxy().await;
    let starting = site.starting().jetstream_by(&proxy);
    let instance = starting.store(|store| store.ack_timeout(Duration::from_millis(200))).start().await;
    let receipts = site.receipts().await;
    for order in ["order-1", "order-2"] {
        // The look-up of the aggregate comes first, so that the next message is the acknowledgement.
        receipts.add_item(order, item("Tea")).await.unwrap();
        let lost = proxy.lost();
        proxy.lose_next(1);
        let one = receipts.add_item(order, item("Coffee")).await.unwrap();
        assert_eq!(one.revision.get(), 2);
        assert_eq!(proxy.lost(), lost + 1);
        proxy.lose_next(1);
        let several = receipts.add_items(order, two()).await.unwrap();
        assert_eq!((several.revision.get(), several.events.len()), (4, 2));
        assert_eq!(proxy.lost(), lost + 2);
        assert_eq!(site.journal().await.of(order).await.len(), 4, "each event is there once");
        let again = receipts.add_items(order, two()).command_id(several.command_id).await.unwrap();
        assert!(again.replayed && again.revision.get() == 4);
    }
    assert_eq!(instance.store.stats().unknowns, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losing_every_third_acknowledgement_loses_and_doubles_no_command() {
    let site = Site::open().await;
    let proxy = site.proxy().await;
    let starting = site.starting().jetstream_by(&proxy);
    let instance = starting.store(|store| store.ack_timeout(Duration::from_millis(50))).start().await;
    let client = site.receipts().await;
    let mut acknowledgements = 0;
    proxy.lose_where(move |frame| {
        let is_one = frame.windows(ACKNOWLEDGEMENT.len()).any(|part| part == ACKNOWLEDGEMENT);
        acknowledgements += usize::from(is_one);
        is_one && acknowledgements % 3 == 0
    });
    let load = Load::start(vec![client; 6], &["hot", "a", "b", "c"]);
    load.progress(150, Duration::from_secs(30)).await;
    proxy.lose_nothing();
    let book = load.finish().await;
    assert!(book.given_up.is_empty(), "{:#?}", book.failed_calls);
    assert!(proxy.lost() > 20, "{} were lost", proxy.lost());
    assert_eq!(instance.store.stats().unknowns, 0, "each was settled");
    book.check(&site.journal().await.all().await);
}

/// The instance is killed while it waits for the journal's acknowledgement: the event is stored, and nobody was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_append_and_reply_an_instance_leaves_the_answer_to_the_next() {
    let site = Site::open().await;
    let proxy = site.proxy().await;
    let first = Program::serve(PROGRAM, &site.url_by(proxy.address())).await;
    let receipts = site.receipts_with(|client| client.retry(RetryPolicy::none()).timeout(SOON)).await;
    receipts.add_item("order-1", item("Tea")).await.unwrap();
    receipts.add_item("order-2", item("Tea")).await.unwrap();
    proxy.lose_where(|frame| frame.windows(ACKNOWLEDGEMENT.len()).any(|part| part == ACKNOWLEDGEMENT));
    let (one, several) = (CommandId::generate(), CommandId::generate());
    let (journal, lost) = (site.journal().await, || async { (proxy.lost() >= 2).then_some(()) });
    let sent = async {
        let one = receipts.add_item("order-1", item("Coffee")).command_id(one.clone());
        let several = receipts.add_items("order-2", two()).command_id(several.clone());
        tokio::time::timeout(Duration::from_secs(3), async { tokio::join!(one, several) }).await
    };
    let (answered, ()) = tokio::join!(sent, async {
        wait_until(SOON, "both acknowledgements to be lost", lost).await;
        first.kill().await;
    });
    if let Ok((one, several)) = answered {
        assert!(one.is_err() && several.is_err(), "nobody can have been told");
    }
    assert_eq!(journal.count().await, 5, "both are stored, once and whole");

    let _second = Program::serve(PROGRAM, &site.url()).await;
    for _ in 0..2 {
        let one = receipts.add_item("order-1", item("Coffee")).command_id(one.clone()).await.unwrap();
        assert_eq!((one.revision.get(), one.events.len(), one.replayed), (2, 1, true));
        let several = receipts.add_items("order-2", two()).command_id(several.clone()).await.unwrap();
        assert_eq!((several.revision.get(), several.events.len(), several.replayed), (3, 2, true));
    }
    let reused = receipts.add_item("order-1", item("Jam")).command_id(one).await.unwrap_err();
    check_reused(reused);
    assert_eq!(journal.count().await, 5);
}

/// The service's reply is lost on its way to the caller, who sends the command again.
#[tokio::test]
async fn a_lost_reply_costs_a_retry_and_no_second_effect() {
    let site = Site::open().await;
    let proxy = site.proxy().await;
    let _instance = site.instance().await;
    let receipts = site.receipts_by(&proxy, |client| client.timeout(Duration::from_secs(2))).await;
    receipts.add_item("order-1", item("Tea")).await.unwrap();
    proxy.lose_next(1);
    let added = receipts.add_item("order-1", item("Coffee")).await.unwrap();
    assert_eq!(proxy.lost(), 1);
    assert_eq!((added.revision.get(), added.replayed), (2, true));
    assert_eq!(site.journal().await.count().await, 2);
}

/// The same, and the caller's patience ends: the outcome is unknown, never a failure, and the id settles it.
#[tokio::test]
async fn without_a_retry_a_lost_reply_is_an_unknown_outcome_that_the_id_settles() {
    let site = Site::open().await;
    let proxy = site.proxy().await;
    let _instance = site.instance().await;
    let once = |client: headwater::client::NatsClientBuilder| {
        client.retry(RetryPolicy::none()).timeout(Duration::from_millis(500))
    };
    let receipts = site.receipts_by(&proxy, once).await;
    receipts.add_item("order-1", item("Tea")).await.unwrap();
    proxy.lose_next(1);
    let unknown = receipts.add_item("order-1", item("Coffee")).await.unwrap_err();
    let ExecuteError::OutcomeUnknown { command_id, .. } = unknown else { panic!("{unknown}") };
    let settled = receipts.add_item("order-1", item("Coffee")).command_id(command_id).await.unwrap();
    assert_eq!((settled.revision.get(), settled.replayed), (2, true));
    assert_eq!(site.journal().await.count().await, 2);
}

/// The request itself is lost on its way to the service: the retry is the first attempt that arrives.
#[tokio::test]
async fn a_lost_request_is_sent_again_and_is_new() {
    let site = Site::open().await;
    let proxy = site.proxy().await;
    let _instance = site.starting().callers_by(&proxy).start().await;
    let receipts = site.receipts_with(|client| client.timeout(Duration::from_secs(2))).await;
    receipts.add_item("order-1", item("Tea")).await.unwrap();
    proxy.lose_next(1);
    let added = receipts.add_item("order-1", item("Coffee")).await.unwrap();
    assert_eq!(proxy.lost(), 1);
    assert_eq!((added.revision.get(), added.replayed), (2, false));
    assert_eq!(site.journal().await.count().await, 2);
}
