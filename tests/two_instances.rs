//! Two instances in one queue group over JetStream: no command is lost or doubled, whoever of them or of the server is
//! killed, and leaving gently costs no caller anything.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::Duration;

use headwater::client::{ExecuteError, RetryPolicy};
use headwater::service::Stopped;
use headwater_testkit::NatsCluster;
use headwater_tests::load::{Book, Load, check_histories};
use headwater_tests::{Instance, Program, Site};
use sample_receipts::domain::{AddItem, AddItems, Finalize, ReceiptClient, ReceiptRejection, RemoveItem};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sample-receipts-under-test");

/// Longer than anything here takes, also on a machine that is busy otherwise.
const SOON: Duration = Duration::from_secs(30);

const HOT: [&str; 1] = ["hot"];
const SOME: [&str; 4] = ["a", "b", "c", "d"];

/// Callers who try again soon.
async fn patient(site: &Site, callers: usize) -> Vec<ReceiptClient> {
    let retry = RetryPolicy::default().attempts(4);
    let client = site.receipts_with(|client| client.retry(retry).timeout(Duration::from_secs(2))).await;
    vec![client; callers]
}

/// Callers who try once, so that nothing a service loses stays hidden.
async fn impatient(site: &Site, callers: usize) -> Vec<ReceiptClient> {
    let client = site.receipts_with(|client| client.retry(RetryPolicy::none()).timeout(SOON)).await;
    vec![client; callers]
}

async fn check(site: &Site, book: &Book) {
    assert!(book.given_up.is_empty(), "callers lost patience: {:#?}", book.failed_calls);
    book.check(&site.journal().await.all().await);
}

fn served(instance: &Instance) -> u64 {
    instance.endpoint("command-receipt-add-item").num_requests
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_aggregate_written_by_both_loses_and_doubles_nothing() {
    let site = Site::open().await;
    let instances = [site.instance().await, site.instance().await];
    let load = Load::start(patient(&site, 16).await, &HOT);
    load.progress(400, SOON).await;
    check(&site, &load.finish().await).await;
    assert!(instances.iter().all(|instance| served(instance) > 0), "both took part");
    let conflicts: u64 = instances.iter().map(|instance| instance.service.stats().dispatch.conflicts).sum();
    assert!(conflicts > 0, "they got in each other's way, or nothing was shown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_both_answer_is_the_same() {
    let site = Site::open().await;
    let instances = [site.instance().await, site.instance().await];
    let load = Load::start(patient(&site, 8).await, &SOME);
    load.progress(200, SOON).await;
    check(&site, &load.finish().await).await;
    for id in SOME {
        let states: Vec<_> = futures_util::future::join_all(instances.iter().map(async |instance| {
            let receipts = ReceiptClient::new(instance.service.dispatcher().clone());
            let entity = receipts.get(id).await.unwrap();
            (entity.revision, entity.sequence, entity.state)
        }))
        .await;
        assert_eq!(states[0], states[1], "{id}");
    }
}

/// Each instance keeps receipts in memory, and the other's writes make what it keeps old.
#[tokio::test]
async fn an_instance_that_is_behind_never_says_no_because_of_it() {
    let site = Site::open().await;
    let instances = [site.instance().await, site.instance().await];
    // Asked directly, since the queue group would choose.
    let [one, other] = instances.each_ref().map(|instance| ReceiptClient::new(instance.service.dispatcher().clone()));
    let item = |name: &str| AddItem { name: name.to_owned(), price: "1".parse().unwrap(), quantity: 1 };
    let remove = |name: &str| RemoveItem { name: name.to_owned() };

    one.add_item("order-1", item("Tea")).await.unwrap();
    other.add_item("order-1", item("Cake")).await.unwrap();
    // `one` has not seen the cake.
    let removed = one.remove_item("order-1", remove("Cake")).await.unwrap();
    assert_eq!(removed.revision.get(), 3);
    // `other` still has it.
    let refused = other.remove_item("order-1", remove("Cake")).await.unwrap_err();
    assert!(matches!(refused.rejection(), Some(ReceiptRejection::ItemNotFound { .. })), "{refused}");
    other.add_item("order-1", item("Jam")).await.unwrap();
    // `one` is at 3 and the receipt at 4: what holds is the receipt's.
    let stale = one.add_item("order-1", item("Bread")).expected_revision(3).await.unwrap_err();
    assert!(matches!(stale, ExecuteError::Conflict { actual: Some(actual) } if actual.get() == 4), "{stale}");
    other.add_item("order-1", item("Bread")).await.unwrap();
    one.add_item("order-1", item("Milk")).expected_revision(5).await.unwrap();
    // `other` is at 5, and a query shows what any instance has committed.
    assert_eq!(other.get("order-1").await.unwrap().revision.get(), 6);
    other.finalize("order-1", Finalize {}).await.unwrap();
    let closed = one.add_item("order-1", item("Tea")).await.unwrap_err();
    assert!(matches!(closed.rejection(), Some(ReceiptRejection::ReceiptNotOpen { .. })), "{closed}");
    check_histories(&site.journal().await.all().await);
}

/// As many events as one command of the receipt may have, several times at once and among small ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_commands_side_by_side_are_each_stored_whole() {
    let site = Site::open().await;
    let _instances = [site.instance().await, site.instance().await];
    let client = site.receipts_with(|client| client.timeout(SOON)).await;
    let load = Load::start(vec![client.clone(); 4], &["small", "hot"]);
    let large = ["a", "b", "hot", "c", "hot", "d"].map(|id| {
        let client = client.clone();
        let items = (0..500).map(|_| AddItem { name: "Tea".to_owned(), price: "1".parse().unwrap(), quantity: 1 });
        let command = AddItems { items: items.collect() };
        async move { (id, client.add_items(id, command).without_state().await.unwrap()) }
    });
    let done = futures_util::future::join_all(large).await;
    let book = load.finish().await;
    assert!(book.given_up.is_empty(), "{:#?}", book.failed_calls);
    let stored = site.journal().await.all().await;
    check_histories(&stored);
    for (id, told) in done {
        let command = told.command_id.as_str();
        let found: Vec<_> = stored.iter().filter(|event| event.text("commandid") == command).collect();
        assert!(found.iter().all(|event| event.token() == id));
        let revisions: Vec<_> = found.iter().map(|event| event.revision()).collect();
        let last = told.revision.get();
        assert_eq!(revisions, (last - 499..=last).collect::<Vec<_>>(), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_killed_takes_no_acknowledged_command_with_it() {
    let site = Site::open().await;
    let url = site.url();
    let [mut first, mut second] = [Program::serve(PROGRAM, &url).await, Program::serve(PROGRAM, &url).await];
    let load = Load::start(patient(&site, 8).await, &["hot", "a", "b", "c"]);
    load.progress(100, SOON).await;
    for _ in 0..2 {
        first.kill().await;
        load.progress(100, SOON).await;
        first = second;
        second = Program::serve(PROGRAM, &url).await;
        load.progress(50, SOON).await;
    }
    check(&site, &load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_takes_no_acknowledged_command_with_it() {
    let site = Site::alone().await;
    let instances = [site.instance().await, site.instance().await];
    let load = Load::start(patient(&site, 8).await, &["hot", "a", "b", "c"]);
    for _ in 0..3 {
        load.progress(100, SOON).await;
        site.server().kill();
        site.server().restart().await.unwrap();
    }
    load.progress(100, SOON).await;
    check(&site, &load.finish().await).await;
    for Instance { connections, .. } in &instances {
        assert_eq!((connections.callers.stats().disconnects, connections.jetstream.stats().disconnects), (3, 3));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replicated_journal_whose_leader_is_killed_keeps_every_acknowledged_command() {
    let site = Site::on_cluster(NatsCluster::start().await.unwrap());
    let start = async || site.starting().store(|store| store.replicas(3)).start().await;
    let _instances = [start().await, start().await];
    let load = Load::start(patient(&site, 8).await, &["hot", "a", "b", "c"]);
    load.progress(50, SOON).await;
    let leader = site.journal().await.info().await["cluster"]["leader"].as_str().unwrap().to_owned();
    site.node(&leader).kill();
    load.progress(50, SOON).await;
    site.node(&leader).restart().await.unwrap();
    load.progress(50, SOON).await;
    check(&site, &load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_replaced_one_by_one_under_load_fail_no_call() {
    let site = Site::open().await;
    let aggregates: Vec<_> = (0..64).map(|number| format!("order-{number}")).collect();
    let aggregates: Vec<_> = aggregates.iter().map(String::as_str).collect();
    let [mut first, mut second] = [site.instance().await, site.instance().await];
    let load = Load::start(impatient(&site, 16).await, &aggregates);
    for _ in 0..3 {
        load.progress(200, SOON).await;
        let Stopped::Drained(report) = first.service.drain().await else { panic!("it was not drained") };
        assert_eq!((report.abandoned, report.flushed), (0, true), "{report:?}");
        first = second;
        second = site.instance().await;
    }
    load.progress(100, SOON).await;
    let book = load.finish().await;
    assert_eq!(book.failed_calls, Vec::<String>::new());
    check(&site, &book).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_asked_to_stop_under_load_ends_well_and_fails_no_call() {
    let site = Site::open().await;
    let url = site.url();
    let [first, _second] = [Program::serve(PROGRAM, &url).await, Program::serve(PROGRAM, &url).await];
    let aggregates: Vec<_> = (0..32).map(|number| format!("order-{number}")).collect();
    let aggregates: Vec<_> = aggregates.iter().map(String::as_str).collect();
    let load = Load::start(impatient(&site, 8).await, &aggregates);
    load.progress(100, SOON).await;
    first.terminate();
    let ended = first.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.errors);
    load.progress(100, SOON).await;
    let book = load.finish().await;
    assert_eq!(book.failed_calls, Vec::<String>::new());
    check(&site, &book).await;
}

/// An instance that hangs has its requests still, and carries them out when it goes on, if their time lasts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_may_still_be_carried_out_is_not_called_rejected() {
    let site = Site::open().await;
    let url = site.url();
    let _other = Program::serve(PROGRAM, &url).await;
    // Half a second for the first try, and plenty of time for the instance that hangs.
    let retry = RetryPolicy::default().attempts(60);
    let receipts = site.receipts_with(|client| client.retry(retry).timeout(SOON)).await;
    let item = |name: &str| AddItem { name: name.to_owned(), price: "1".parse().unwrap(), quantity: 1 };
    for number in 0.. {
        assert!(number < 20, "the instance that hangs never got the first try");
        let id = format!("order-{number}");
        let hanging = Program::serve(PROGRAM, &url).await;
        receipts.add_item(&id, item("Cake")).await.unwrap();
        hanging.pause();
        let refused = receipts.remove_item(&id, RemoveItem { name: "Tea".to_owned() }).await.unwrap_err();
        receipts.add_item(&id, item("Tea")).await.unwrap();
        hanging.resume();
        hanging.terminate();
        let ended = hanging.ended().await;
        assert_eq!(ended.status.code(), Some(0), "{}", ended.errors);
        // The tea was removed after all.
        if receipts.get(&id).await.unwrap().revision.get() == 3 {
            assert!(matches!(refused, ExecuteError::OutcomeUnknown { .. }), "{refused:?}");
            break;
        }
    }
}
