//! Section 6: the contract: what the service can be asked, with the schema of everything, and its fingerprint.

use headwater::service::Limits;
use headwater_tests::plain::add_item;
use headwater_tests::{Answer, Site};
use sample_receipts::VERSION;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::commands::members;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

async fn schema(site: &Site, body: impl Into<bytes::Bytes>) -> Answer {
    site.plain().await.ask("receipts.schema", body).await
}

#[tokio::test]
async fn the_contract_has_the_members_of_the_page() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let contract = schema(&site, "").await;
    assert!(contract.headers.is_empty());
    let contract = contract.body;
    assert_eq!(members(&contract), ["aggregates", "contract", "service", "version"]);
    assert_eq!((&contract["service"], &contract["version"]), (&json!("receipts"), &json!(VERSION)));
    assert_eq!(members(&contract["aggregates"]), ["receipt"]);
    let receipt = &contract["aggregates"]["receipt"];
    for member in ["commands", "events", "queries", "rejections", "state"] {
        assert!(receipt.get(member).is_some(), "{member}");
    }
    assert_eq!(members(&receipt["commands"]), ["add-item", "add-items", "finalize", "remove-item", "void"]);
    assert_eq!(members(&receipt["events"]), ["item-added", "item-removed", "receipt-finalized", "receipt-voided"]);
    let rejections = ["already-voided", "item-not-found", "receipt-empty", "receipt-not-open"];
    assert_eq!(members(&receipt["rejections"]), rejections);
    assert_eq!(members(&receipt["queries"]), ["get", "history", "summary"]);
    for (name, command) in receipt["commands"].as_object().unwrap() {
        assert_eq!(members(command), ["events", "rejections", "request"], "{name}");
    }
    assert_eq!(receipt["commands"]["add-item"]["events"], json!(["item-added"]));
    for (name, event) in receipt["events"].as_object().unwrap() {
        assert_eq!((members(event), &event["version"]), (vec!["data", "version"], &json!(1)), "{name}");
    }
    for (name, query) in receipt["queries"].as_object().unwrap() {
        assert_eq!(members(query), ["request", "response"], "{name}");
    }
}

#[tokio::test]
async fn every_schema_is_whole_and_of_the_draft_of_the_page() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let contract = schema(&site, "").await.body;
    let receipt = &contract["aggregates"]["receipt"];
    let mut pointers = vec!["/state".to_owned()];
    for (part, schemas) in
        [("commands", &["request"][..]), ("events", &["data"]), ("queries", &["request", "response"])]
    {
        for name in members(&receipt[part]) {
            pointers.extend(schemas.iter().map(|schema| format!("/{part}/{name}/{schema}")));
        }
    }
    pointers.extend(members(&receipt["rejections"]).into_iter().map(|name| format!("/rejections/{name}")));
    for pointer in pointers {
        let schema = receipt.pointer(&pointer).unwrap();
        assert_eq!(schema["$schema"], DRAFT, "{pointer}");
        // Cut out by its pointer, it can be used: no reference leads out of it.
        jsonschema::draft202012::new(schema).unwrap_or_else(|error| panic!("{pointer}: {error}"));
    }
}

#[tokio::test]
async fn the_fingerprint_is_the_sha_256_of_the_canonical_aggregates() {
    let site = Site::open().await;
    let instance = site.instance().await;
    let contract = schema(&site, "").await.body;
    let canonical = serde_json_canonicalizer::to_vec(&contract["aggregates"]).unwrap();
    let hash: String = Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(contract["contract"], hash);
    assert_eq!(instance.service.contract().fingerprint(), hash);
    // Another instance, and another version of the service, can be asked the same.
    let other = site.instance().await;
    assert_eq!(other.service.contract().fingerprint(), hash);
}

#[tokio::test]
async fn a_pointer_cuts_a_part_out_of_the_contract() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let whole = schema(&site, "").await.body;
    assert_eq!(schema(&site, "{}").await.body, whole);
    assert_eq!(schema(&site, json!({ "pointer": "" }).to_string()).await.body, whole);
    for pointer in ["/aggregates/receipt", "/contract", "/aggregates/receipt/commands/add-item/request"] {
        let part = schema(&site, json!({ "pointer": pointer }).to_string()).await.body;
        assert_eq!(Some(&part), whole.pointer(pointer), "{pointer}");
    }
    let nowhere = schema(&site, json!({ "pointer": "/aggregates/invoice" }).to_string()).await;
    nowhere.error(404, "not-found");
    for bad in ["[]", "x", "{\"pointer\":1}", "{\"pointer\":\"aggregates\"}"] {
        schema(&site, bad).await.error(400, "invalid-request");
    }
}

#[tokio::test]
async fn a_contract_that_is_larger_than_a_message_is_read_in_parts() {
    let site = Site::open().await;
    let limits = Limits::default().max_reply(2048);
    let _instance = site.starting().service(|service| service.limits(limits)).start().await;
    let whole = schema(&site, "").await;
    assert!(whole.message(413, "payload-too-large").contains("`pointer`"));
    let part = json!({ "pointer": "/aggregates/receipt/commands/finalize/request" }).to_string();
    assert_eq!(schema(&site, part).await.body["$schema"], DRAFT);
}

/// The schema that an endpoint's metadata names.
async fn named_schema(site: &Site, endpoint: &str, which: &str) -> Value {
    let info = site.plain().await.ask("receipts.info", "").await.body;
    let endpoints = info["endpoints"].as_array().unwrap();
    let endpoint = endpoints.iter().find(|found| found["name"] == endpoint).unwrap();
    let named = endpoint["metadata"][which].as_str().unwrap();
    let pointer = named.strip_prefix("receipts.schema#").unwrap_or_else(|| panic!("{named}"));
    schema(site, json!({ "pointer": pointer }).to_string()).await.body
}

#[track_caller]
fn check(schema: &Value, value: &Value) {
    let validator = jsonschema::draft202012::new(schema).unwrap();
    let problems: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "{problems:#?}\n{value:#}");
}

#[tokio::test]
async fn requests_and_results_are_what_the_endpoints_schemas_say() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    let request = add_item("order-1", "Tea");
    let added = plain.command("add-item", &request).await;
    check(&named_schema(&site, "command-receipt-add-item", "request-schema").await, &request["command"]);
    check(&named_schema(&site, "command-receipt-add-item", "response-schema").await, added.result());
    for (query, request) in [
        ("get", json!({ "aggregateId": "order-1", "minRevision": 1 })),
        ("history", json!({ "aggregateId": "order-1", "limit": 10 })),
        ("summary", json!({ "aggregateId": "order-1", "query": {} })),
    ] {
        let endpoint = format!("query-receipt-{query}");
        let answer = plain.query(query, &request).await;
        check(&named_schema(&site, &endpoint, "request-schema").await, &request);
        check(&named_schema(&site, &endpoint, "response-schema").await, answer.result());
    }
    // And they are more than `true`.
    let schema = named_schema(&site, "command-receipt-add-item", "request-schema").await;
    assert!(!jsonschema::draft202012::is_valid(&schema, &json!({ "name": "Tea" })));
}
