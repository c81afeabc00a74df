//! Sections 3 and 4: what a command request may say, and what comes back.

use chrono::{DateTime, Utc};
use headwater::store::CommitMode;
use headwater_tests::Site;
use headwater_tests::plain::{add_item, add_items};
use serde_json::{Value, json};

/// The names of an object's members, in order.
pub(crate) fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn time(value: &Value) -> DateTime<Utc> {
    let text = value.as_str().unwrap();
    assert!(text.ends_with('Z'), "{text} is not in UTC");
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

#[tokio::test]
async fn a_reply_has_the_members_of_the_page_and_no_others() {
    let site = Site::open().await;
    let instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    let before = Utc::now();
    let mut body = add_item("order-12345", "Coffee");
    body["metadata"] = json!({ "commandId": "c-1", "correlationId": "k-1" });
    let answer = plain.command("add-item", &body).await;
    let after = Utc::now();

    assert_eq!(members(&answer.body), ["metadata", "result", "success"]);
    let result = answer.result();
    assert_eq!(members(result), ["aggregate", "events", "revision", "sequence", "state"]);
    assert_eq!(result["aggregate"], json!({ "type": "receipt", "id": "order-12345" }));
    assert_eq!(result["revision"], 1);
    let items = json!([{ "name": "Coffee", "price": "5.99", "quantity": 2 }]);
    assert_eq!(result["state"], json!({ "id": "order-12345", "status": "open", "items": items, "total": "11.98" }));
    let stored = journal.all().await;
    assert_eq!(result["sequence"], stored[0].sequence);
    assert_eq!(result["events"], json!([{ "id": stored[0].text("id"), "type": "item-added", "revision": 1 }]));

    let metadata = &answer.body["metadata"];
    assert_eq!(members(metadata), ["commandId", "correlationId", "duration", "instance", "replayed", "timestamp"]);
    assert_eq!(metadata["commandId"], "c-1");
    assert_eq!(metadata["correlationId"], "k-1");
    assert_eq!(metadata["instance"], instance.id());
    assert_eq!(metadata["replayed"], false);
    let milliseconds = metadata["duration"].as_f64().unwrap();
    assert!(milliseconds > 0.0 && milliseconds < 10_000.0, "{milliseconds}");
    assert!((before..=after).contains(&time(&metadata["timestamp"])), "{metadata}");
}

#[tokio::test]
async fn everything_but_id_and_command_is_optional_and_what_is_unknown_is_passed_over() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    let all_null = json!({ "commandId": null, "correlationId": null, "causationId": null, "timestamp": null,
        "userId": null, "tenantId": null });
    for (revision, further) in [
        json!({}),
        json!({ "expectedRevision": null, "return": null, "metadata": null }),
        json!({ "metadata": all_null }),
        json!({ "metadata": {} }),
        json!({ "priority": "high", "metadata": { "mood": ["good"] } }),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = add_item("order-1", "Tea");
        body.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        let answer = plain.command("add-item", &body).await;
        assert_eq!(answer.result()["revision"], revision + 1, "{further}");
        assert!(answer.body["metadata"].get("correlationId").is_none(), "{further}");
    }
}

#[tokio::test]
async fn without_a_command_id_the_service_makes_one_and_every_request_is_a_command_of_its_own() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    let mut made = Vec::new();
    for revision in 1..=2 {
        let answer = plain.add("order-1", "Tea").await;
        assert_eq!(answer.result()["revision"], revision);
        made.push(answer.body["metadata"]["commandId"].as_str().unwrap().to_owned());
    }
    assert!(made.iter().all(|id| uuid::Uuid::parse_str(id).is_ok()), "{made:?}");
    let stored: Vec<_> = journal.all().await.iter().map(|stored| stored.text("commandid").to_owned()).collect();
    assert_eq!(stored, made);
    assert_ne!(made[0], made[1]);
}

#[tokio::test]
async fn a_repeated_command_id_is_answered_with_what_the_first_attempt_did() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    let mut body = add_item("order-1", "Tea");
    body["metadata"] = json!({ "commandId": "c-1", "correlationId": "k" });
    let first = plain.command("add-item", &body).await;
    plain.add("order-1", "Coffee").await.result();
    let again = plain.command("add-item", &body).await;
    assert_eq!(again.result(), first.result());
    assert_eq!(again.body["metadata"]["replayed"], true);
    assert_eq!(again.body["metadata"]["commandId"], "c-1");
    assert_eq!(journal.count().await, 2);
}

#[tokio::test]
async fn an_expected_revision_only_makes_the_check_stricter() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    let send = async |expected: u64| {
        let mut body = add_item("order-1", "Tea");
        body["expectedRevision"] = json!(expected);
        plain.command("add-item", &body).await
    };
    assert_eq!(send(1).await.error(409, "conflict")["details"]["actualRevision"], 0);
    assert_eq!(send(0).await.result()["revision"], 1, "0 means: must not exist yet");
    assert_eq!(send(0).await.error(409, "conflict")["details"]["actualRevision"], 1);
    assert_eq!(send(2).await.error(409, "conflict")["details"]["actualRevision"], 1);
    assert_eq!(send(1).await.result()["revision"], 2);
}

#[tokio::test]
async fn the_state_can_be_left_out_of_the_reply() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    let send = async |returned: &str| {
        let mut body = add_item("order-1", "Tea");
        body["return"] = json!(returned);
        plain.command("add-item", &body).await
    };
    let without = send("revision").await;
    assert_eq!(members(without.result()), ["aggregate", "events", "revision", "sequence"]);
    let with = send("entity").await;
    assert_eq!(members(with.result()), ["aggregate", "events", "revision", "sequence", "state"]);
}

#[tokio::test]
async fn what_a_caller_says_of_itself_is_stored_and_the_time_is_the_services_own() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    let mut body = add_item("order-1", "Tea");
    body["metadata"] = json!({
        "commandId": "c-1", "correlationId": "k", "causationId": "e", "userId": "u", "tenantId": "t",
        "timestamp": "2001-01-01T00:00:00Z",
    });
    let before = Utc::now();
    let answer = plain.command("add-item", &body).await;
    assert_eq!(answer.result()["revision"], 1);
    let stored = journal.all().await.remove(0);
    let members = ["commandid", "correlationid", "causationid", "userid", "tenantid"];
    assert_eq!(members.map(|member| stored.text(member)), ["c-1", "k", "e", "u", "t"]);
    assert!(time(&stored.body["time"]) >= before, "{:#}", stored.body);
    assert_eq!(stored.subject, "receipts.journal.receipt.order-1.item-added", "a claimed tenant is no part of the id");
}

#[tokio::test]
async fn several_events_of_one_command_are_told_in_order() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    plain.add("order-1", "Tea").await.result();
    let answer = plain.command("add-items", &add_items("order-1", &["Cake", "Bread", "Jam"])).await;
    let result = answer.result();
    assert_eq!((result["revision"].as_u64(), result["sequence"].as_u64()), (Some(4), Some(4)));
    let told: Vec<_> = result["events"].as_array().unwrap().iter().map(|event| &event["revision"]).collect();
    assert_eq!(told, [2, 3, 4]);
    assert_eq!(result["state"]["items"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn every_command_of_the_receipt_does_what_it_is_for() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    let send = async |name: &str, command: Value| {
        plain.command(name, &json!({ "aggregateId": "order-1", "command": command })).await
    };
    let state = |answer: &headwater_tests::Answer| {
        let state = &answer.result()["state"];
        (state["status"].as_str().unwrap().to_owned(), state["total"].as_str().unwrap().to_owned())
    };
    let tea = json!({ "name": "Tea", "price": "2.50", "quantity": 3 });
    let added = send("add-item", tea.clone()).await;
    assert_eq!(state(&added), ("open".to_owned(), "7.50".to_owned()));
    let added = send("add-items", json!({ "items": [tea, { "name": "Cake", "price": "4", "quantity": 1 }] })).await;
    assert_eq!(state(&added), ("open".to_owned(), "19.00".to_owned()));
    let removed = send("remove-item", json!({ "name": "Tea" })).await;
    assert_eq!(state(&removed), ("open".to_owned(), "4.00".to_owned()));
    assert_eq!(removed.result()["events"][0]["type"], "item-removed");
    let finalized = send("finalize", json!({})).await;
    assert_eq!(state(&finalized), ("closed".to_owned(), "4.00".to_owned()));
    assert_eq!(finalized.result()["events"][0]["type"], "receipt-finalized");
    let voided = send("void", json!({ "reason": "a mistake" })).await;
    assert_eq!(state(&voided), ("voided".to_owned(), "4.00".to_owned()));
    assert_eq!(voided.result()["events"][0]["type"], "receipt-voided");
    assert_eq!(voided.result()["revision"], 6);
}

/// Commands that wait together for one receipt are stored together; what becomes of one is no matter of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_share_an_append_each_get_an_answer_of_their_own() {
    let site = Site::open().await;
    let instance = site.starting().store(|store| store.commit(CommitMode::Grouped)).start().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    plain.add("order-1", "Tea").await.result();
    let calls = (0..80).map(|number| {
        let plain = plain.clone();
        async move {
            let answer = match number % 4 {
                0 => plain.add("order-1", &format!("Item {number}")).await,
                1 => plain.command("add-items", &add_items("order-1", &["Cake", "Jam"])).await,
                2 => {
                    let nothing = json!({ "aggregateId": "order-1", "command": { "name": "Nobody's" } });
                    plain.command("remove-item", &nothing).await
                }
                _ => {
                    let mut body = add_item("order-1", "Never");
                    body["expectedRevision"] = json!(1_000_000);
                    plain.command("add-item", &body).await
                }
            };
            (number, answer)
        }
    });
    let mut told = Vec::new();
    for (number, answer) in futures_util::future::join_all(calls).await {
        match number % 4 {
            2 => _ = answer.error(422, "command-rejected"),
            3 => _ = answer.error(409, "conflict"),
            _ => {
                let result = answer.result();
                let events = result["events"].as_array().unwrap();
                assert_eq!(events.len(), 1 + number % 2);
                assert_eq!(events.last().unwrap()["revision"], result["revision"]);
                told.extend(events.iter().map(|event| (event["revision"].as_u64().unwrap(), event["id"].clone())));
            }
        }
    }
    told.sort_by_key(|(revision, _)| *revision);
    let stored = journal.of("order-1").await;
    let stored: Vec<_> = stored[1..].iter().map(|event| (event.revision(), event.body["id"].clone())).collect();
    assert_eq!(told, stored, "every event is told to its own caller, and no other event is there");
    let dispatch = instance.service.stats().dispatch;
    assert!(dispatch.joint_appends > 0, "they did share: {dispatch:?}");
}
