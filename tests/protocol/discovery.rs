//! Section 6: NATS micro discovery (ADR-32) in full, and what one instance says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_nats::Client;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use headwater_tests::plain::add_items;
use headwater_tests::{Instance, Site};
use sample_receipts::VERSION;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::commands::members;

const COMMANDS: [&str; 5] = ["add-item", "add-items", "finalize", "remove-item", "void"];
const QUERIES: [&str; 3] = ["get", "history", "summary"];

/// Everything that answers at `subject`. It stops when `expected` have answered, and then makes sure that no more do.
async fn gather(client: &Client, subject: &str, expected: usize) -> Vec<Value> {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    client.publish_with_reply(subject.to_owned(), inbox, "".into()).await.unwrap();
    let mut gathered = Vec::new();
    loop {
        let patience = if gathered.len() < expected { Duration::from_secs(5) } else { Duration::from_millis(50) };
        match timeout(patience, answers.next()).await {
            Ok(Some(answer)) if answer.status.is_some() => break,
            Ok(Some(answer)) => {
                assert!(answer.headers.is_none(), "{answer:?}");
                gathered.push(serde_json::from_slice(&answer.payload).unwrap());
            }
            Ok(None) | Err(_) => break,
        }
    }
    assert_eq!(gathered.len(), expected, "{subject}: {gathered:#?}");
    gathered
}

/// The three forms of a discovery subject, each with how many of two instances answer.
fn forms(verb: &str, id: &str) -> [(String, usize); 3] {
    [(format!("$SRV.{verb}"), 2), (format!("$SRV.{verb}.receipts"), 2), (format!("$SRV.{verb}.receipts.{id}"), 1)]
}

/// What all three answers share.
fn check_identity(answer: &Value, kind: &str, instances: [&Instance; 2]) {
    assert_eq!(answer["type"], format!("io.nats.micro.v1.{kind}_response"));
    assert_eq!(answer["name"], "receipts");
    assert_eq!(answer["version"], VERSION);
    assert!(instances.iter().any(|instance| answer["id"] == instance.id()), "{answer:#}");
    let metadata = &answer["metadata"];
    assert_eq!(members(metadata), ["contract", "features", "headwater"]);
    assert_eq!(metadata["contract"], instances[0].service.contract().fingerprint());
    assert_eq!(metadata["features"], "limits,queue-group,snapshots");
    assert!(metadata["headwater"].as_str().unwrap().split('.').count() == 3, "{metadata}");
}

#[tokio::test]
async fn every_instance_answers_every_form_of_every_question() {
    let site = Site::open().await;
    let instances = [site.instance().await, site.instance().await];
    let both = [&instances[0], &instances[1]];
    let client = site.client().await;
    let own = ["id", "metadata", "name", "type", "version"].map(str::to_owned);
    for (verb, kind, further) in [
        ("PING", "ping", vec![]),
        ("INFO", "info", vec!["description", "endpoints"]),
        ("STATS", "stats", vec!["data", "endpoints", "started"]),
    ] {
        let expected: BTreeSet<_> = own.iter().cloned().chain(further.into_iter().map(str::to_owned)).collect();
        for (subject, count) in forms(verb, instances[1].id()) {
            let answers = gather(&client, &subject, count).await;
            for answer in &answers {
                check_identity(answer, kind, both);
                assert_eq!(members(answer).into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
            }
            let ids: BTreeSet<_> = answers.iter().map(|answer| answer["id"].as_str().unwrap()).collect();
            assert_eq!(ids.len(), count, "{subject}");
            assert!(count == 2 || ids.contains(instances[1].id()), "{subject}");
        }
        for elsewhere in [format!("$SRV.{verb}.invoices"), format!("$SRV.{verb}.receipts.nobody")] {
            gather(&client, &elsewhere, 0).await;
        }
    }
}

#[tokio::test]
async fn info_lists_an_endpoint_for_every_command_and_query() {
    let site = Site::open().await;
    let instance = site.instance().await;
    let client = site.client().await;
    let info = gather(&client, "$SRV.INFO.receipts", 1).await.remove(0);
    assert!(!info["description"].as_str().unwrap().is_empty());
    let endpoints = info["endpoints"].as_array().unwrap();
    let mut listed: BTreeMap<&str, &Value> = BTreeMap::new();
    for endpoint in endpoints {
        assert_eq!(members(endpoint), ["metadata", "name", "queue_group", "subject"]);
        assert_eq!(endpoint["queue_group"], "q");
        assert!(listed.insert(endpoint["name"].as_str().unwrap(), endpoint).is_none());
    }
    let asks = COMMANDS.map(|name| ("command", name)).into_iter().chain(QUERIES.map(|name| ("query", name)));
    for (kind, name) in asks {
        let endpoint = listed.remove(format!("{kind}-receipt-{name}").as_str()).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(endpoint["subject"], format!("receipts.{kind}.receipt.{name}"));
        let metadata = &endpoint["metadata"];
        assert_eq!(members(metadata), ["aggregate", "contract", "kind", "request-schema", "response-schema"]);
        assert_eq!((&metadata["kind"], &metadata["aggregate"]), (&json!(kind), &json!("receipt")));
        assert_eq!(metadata["contract"], instance.service.contract().fingerprint());
    }
    assert!(listed.is_empty(), "{listed:#?}");
}

#[tokio::test]
async fn stats_count_what_each_endpoint_has_done() {
    let site = Site::open().await;
    let before = Utc::now();
    let _instance = site.instance().await;
    let (plain, client) = (site.plain().await, site.client().await);
    for _ in 0..3 {
        plain.add("order-1", "Tea").await.result();
    }
    plain
        .command("remove-item", &json!({ "aggregateId": "order-1", "command": { "name": "Jam" } }))
        .await
        .error(422, "command-rejected");
    let stats = gather(&client, "$SRV.STATS.receipts", 1).await.remove(0);
    let started = DateTime::parse_from_rfc3339(stats["started"].as_str().unwrap()).unwrap();
    assert!(started >= before - Duration::from_millis(1) && started <= Utc::now(), "{started}");
    let endpoints = stats["endpoints"].as_array().unwrap();
    assert_eq!(endpoints.len(), COMMANDS.len() + QUERIES.len());
    for endpoint in endpoints {
        let expected = [
            "average_processing_time",
            "data",
            "last_error",
            "name",
            "num_errors",
            "num_requests",
            "processing_time",
            "queue_group",
            "subject",
        ];
        assert_eq!(members(endpoint), expected);
        assert!(endpoint["data"]["in_flight"].is_u64() && endpoint["data"]["codes"].is_object(), "{endpoint:#}");
    }
    let of = |name: &str| endpoints.iter().find(|endpoint| endpoint["name"] == name).unwrap();
    let added = of("command-receipt-add-item");
    assert_eq!(
        (&added["num_requests"], &added["num_errors"], &added["last_error"]),
        (&json!(3), &json!(0), &json!(""))
    );
    assert!(added["processing_time"].as_u64().unwrap() > 0);
    assert_eq!(added["data"]["codes"], json!({ "ok": 3 }));
    let removed = of("command-receipt-remove-item");
    assert_eq!((&removed["num_requests"], &removed["num_errors"]), (&json!(1), &json!(0)));
    assert_eq!(removed["data"]["codes"]["command-rejected"], 1);
}

/// What the dispatcher and the store have done stands beside the members of ADR-32, which other programs pass over.
#[tokio::test]
async fn stats_tell_of_the_cache_the_snapshots_and_how_appends_are_grouped() {
    let site = Site::open().await;
    if site.server().is_older_than((2, 14, 4)) {
        return;
    }
    let _instance = site.instance().await;
    let (plain, client) = (site.plain().await, site.client().await);
    let data = async || gather(&client, "$SRV.STATS.receipts", 1).await.remove(0)["data"].take();
    let before = data().await;
    assert_eq!(before["dispatch"]["cacheHitPercent"], Value::Null, "{before:#}");
    assert_eq!(before["store"]["group"]["batchMicros"], Value::Null, "{before:#}");
    for _ in 0..3 {
        plain.add("order-1", "Tea").await.result();
    }
    plain.command("add-items", &add_items("order-1", &["Cake", "Jam"])).await.result();
    let data = data().await;
    let dispatch = &data["dispatch"];
    let numbers = [
        ("cacheHits", 3),
        ("cacheMisses", 1),
        ("cacheHitPercent", 75),
        ("cachedAggregates", 1),
        ("appends", 4),
        ("eventsAppended", 5),
        ("conflicts", 0),
        ("replays", 0),
        ("unknownOutcomes", 0),
        ("snapshotsUsed", 0),
        ("snapshotsWritten", 0),
    ];
    for (name, number) in numbers {
        assert_eq!(dispatch[name], number, "{name}: {dispatch:#}");
    }
    let store = &data["store"];
    assert_eq!(
        (&store["appends"], &store["events"], &store["batches"]),
        (&json!(4), &json!(5), &json!(1)),
        "{store:#}"
    );
    let group = &store["group"];
    assert_eq!((&group["mode"], &group["groupingSingles"]), (&json!("auto"), &json!(false)), "{group:#}");
    assert!(group["batchMicros"].is_u64() && group["roundTripMicros"].is_u64(), "measured: {group:#}");
    assert_eq!(group["singleMicros"], Value::Null, "which shows only under load");
}

#[tokio::test]
async fn one_instance_of_the_group_answers_for_health_info_and_statistics() {
    let site = Site::open().await;
    let instances = [site.instance().await, site.instance().await];
    let both = [&instances[0], &instances[1]];
    let client = site.client().await;
    let info = gather(&client, "receipts.info", 1).await.remove(0);
    check_identity(&info, "info", both);
    assert_eq!(members(&info), ["description", "endpoints", "id", "metadata", "name", "type", "version"]);
    let stats = gather(&client, "receipts.stats", 1).await.remove(0);
    check_identity(&stats, "stats", both);
    assert_eq!(members(&stats), ["data", "endpoints", "id", "metadata", "name", "started", "type", "version"]);

    let health = gather(&client, "receipts.health", 1).await.remove(0);
    assert_eq!(members(&health), ["checks", "instance", "status", "version"]);
    assert_eq!((&health["status"], &health["version"]), (&json!("ok"), &json!(VERSION)));
    assert!(both.iter().any(|instance| health["instance"] == instance.id()));
    for check in ["nats", "store"] {
        assert_eq!(health["checks"][check]["ok"], true, "{health:#}");
    }
}

#[tokio::test]
async fn instances_without_a_queue_group_answer_every_one() {
    let site = Site::open().await;
    let start = async || site.starting().service(headwater::service::Service::no_queue_group).start().await;
    let _instances = [start().await, start().await];
    let client = site.client().await;
    let info = gather(&client, "receipts.info", 2).await;
    assert!(info.iter().all(|info| info["metadata"]["features"] == "limits,snapshots"));
    assert!(info.iter().all(|info| info["endpoints"][0]["queue_group"] == ""));
}

#[tokio::test]
async fn a_queue_group_of_ones_own_is_shown_and_shares_the_work() {
    let site = Site::open().await;
    let start = async || site.starting().service(|service| service.queue_group("tills")).start().await;
    let _instances = [start().await, start().await];
    let client = site.client().await;
    let info = gather(&client, "receipts.info", 1).await.remove(0);
    assert!(info["endpoints"].as_array().unwrap().iter().all(|endpoint| endpoint["queue_group"] == "tills"));
    site.plain().await.add("order-1", "Tea").await.result();
    assert_eq!(site.journal().await.count().await, 1, "one of the two took it");
}
