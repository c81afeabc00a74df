//! Discovery answers as ADR-32 has them, ours and those of others.

use std::collections::BTreeMap;

use chrono::DateTime;
use headwater_nats::discovery::{
    Check, Contract, EndpointInfo, EndpointStats, Health, HealthStatus, Identity, Info, Ping, SchemaRequest, Stats,
};
use serde_json::{Value, json};

fn identity() -> Identity {
    Identity {
        name: "receipts".into(),
        id: "i-1".into(),
        version: "1.2.3".into(),
        metadata: BTreeMap::from([("contract".into(), "abc".into())]),
    }
}

#[test]
fn a_ping_has_the_five_fields() {
    let ping = Ping::new(identity());
    let written = serde_json::to_value(&ping).unwrap();
    assert_eq!(
        written,
        json!({
            "type": "io.nats.micro.v1.ping_response",
            "name": "receipts", "id": "i-1", "version": "1.2.3", "metadata": { "contract": "abc" },
        })
    );
    assert_eq!(serde_json::from_value::<Ping>(written).unwrap(), ping);
}

#[test]
fn an_info_lists_endpoints_with_every_field() {
    let endpoint = EndpointInfo {
        name: "command-receipt-add-item".into(),
        subject: "receipts.command.receipt.add-item".into(),
        queue_group: "q".into(),
        metadata: BTreeMap::from([("kind".into(), "command".into())]),
    };
    let info = Info::new(identity(), "Receipts of a till", vec![endpoint]);
    let written = serde_json::to_value(&info).unwrap();
    assert_eq!(
        written,
        json!({
            "type": "io.nats.micro.v1.info_response",
            "name": "receipts", "id": "i-1", "version": "1.2.3", "metadata": { "contract": "abc" },
            "description": "Receipts of a till",
            "endpoints": [{
                "name": "command-receipt-add-item", "subject": "receipts.command.receipt.add-item",
                "queue_group": "q", "metadata": { "kind": "command" },
            }],
        })
    );
    assert_eq!(serde_json::from_value::<Info>(written).unwrap(), info);
}

#[test]
fn stats_count_in_nanoseconds_with_every_field() {
    let endpoint = EndpointStats {
        name: "query-receipt-get".into(),
        subject: "receipts.query.receipt.get".into(),
        queue_group: "q".into(),
        num_requests: 4,
        num_errors: 1,
        last_error: "500:broken".into(),
        processing_time: 4000,
        average_processing_time: 1000,
        data: Some(json!({ "not-found": 2 })),
    };
    let started = DateTime::parse_from_rfc3339("2026-11-20T12:00:00Z").unwrap().to_utc();
    let stats = Stats::new(identity(), started, vec![endpoint]);
    let written = serde_json::to_value(&stats).unwrap();
    assert_eq!(
        written,
        json!({
            "type": "io.nats.micro.v1.stats_response",
            "name": "receipts", "id": "i-1", "version": "1.2.3", "metadata": { "contract": "abc" },
            "started": "2026-11-20T12:00:00Z",
            "endpoints": [{
                "name": "query-receipt-get", "subject": "receipts.query.receipt.get", "queue_group": "q",
                "num_requests": 4, "num_errors": 1, "last_error": "500:broken",
                "processing_time": 4000, "average_processing_time": 1000, "data": { "not-found": 2 },
            }],
        })
    );
    assert_eq!(serde_json::from_value::<Stats>(written).unwrap(), stats);
}

#[test]
fn answers_of_other_libraries_are_read() {
    let info: Info = serde_json::from_value(json!({
        "type": "io.nats.micro.v1.info_response", "name": "Orders_1", "id": "VMKS", "version": "0.1.0",
        "metadata": null, "endpoints": null, "new": true,
    }))
    .unwrap();
    assert!(info.identity.metadata.is_empty() && info.endpoints.is_empty());
    let stats: Stats = serde_json::from_value(json!({
        "type": "io.nats.micro.v1.stats_response", "name": "Orders_1", "id": "VMKS", "version": "0.1.0",
        "started": "2026-11-20T12:00:00.123456789Z",
        "endpoints": [{ "name": "default", "subject": "orders", "num_requests": 3 }],
    }))
    .unwrap();
    assert_eq!(stats.endpoints[0].num_requests, 3);
    assert_eq!(stats.endpoints[0].data, None);
}

#[test]
fn an_answer_of_another_type_is_refused() {
    let ping = json!({ "type": "io.nats.micro.v1.info_response", "name": "a", "id": "b", "version": "1.0.0" });
    assert!(serde_json::from_value::<Ping>(ping.clone()).is_err());
    assert!(serde_json::from_value::<Info>(ping).is_ok());
}

#[test]
fn health_is_ok_when_every_check_is() {
    let checks = |store: Check| BTreeMap::from([("nats".to_owned(), Check::ok()), ("store".to_owned(), store)]);
    let health = Health::of_checks("i-1".into(), "1.2.3".into(), checks(Check::ok()));
    assert_eq!(
        serde_json::to_value(&health).unwrap(),
        json!({
            "status": "ok", "instance": "i-1", "version": "1.2.3",
            "checks": { "nats": { "ok": true }, "store": { "ok": true } },
        })
    );
    let health = Health::of_checks("i-1".into(), "1.2.3".into(), checks(Check::failed("not reachable")));
    assert_eq!(health.status, HealthStatus::Degraded);
    let written = serde_json::to_value(&health).unwrap();
    assert_eq!(written["checks"]["store"], json!({ "ok": false, "detail": "not reachable" }));
    assert_eq!(serde_json::from_value::<Health>(written).unwrap(), health);
    let newer = json!({ "status": "sleepy", "instance": "i", "version": "1.0.0" });
    assert_eq!(serde_json::from_value::<Health>(newer).unwrap().status, HealthStatus::Unknown);
    for (word, status) in
        [("ok", HealthStatus::Ok), ("degraded", HealthStatus::Degraded), ("draining", HealthStatus::Draining)]
    {
        assert_eq!(serde_json::from_value::<HealthStatus>(json!(word)).unwrap(), status);
    }
}

#[test]
fn a_schema_request_is_empty_or_a_pointer() {
    for (body, pointer) in [
        ("", None),
        ("{}", None),
        (r#"{"pointer":null}"#, None),
        (r#"{"pointer":""}"#, Some("")),
        (r#" {"pointer":"/aggregates/receipt","new":1}"#, Some("/aggregates/receipt")),
    ] {
        assert_eq!(SchemaRequest::read(body.as_bytes()).unwrap().pointer.as_deref(), pointer, "{body}");
    }
    for (body, message) in [
        ("[]", "the body must be empty or a JSON object"),
        ("{", "the body is not JSON"),
        (r#"{"pointer":5}"#, "`pointer` must be a string, and there once"),
        (r#"{"pointer":"aggregates"}"#, "`pointer` must be a JSON Pointer: empty, or starting with `/`"),
    ] {
        assert_eq!(SchemaRequest::read(body.as_bytes()).unwrap_err().message, message, "{body}");
    }
}

#[test]
fn a_contract_reads_as_it_was_written() {
    let contract = Contract {
        service: "receipts".into(),
        version: "1.2.3".into(),
        contract: "abc".into(),
        aggregates: json!({ "receipt": {} }),
    };
    let written: Value = serde_json::to_value(&contract).unwrap();
    assert_eq!(serde_json::from_value::<Contract>(written).unwrap(), contract);
}
