//! Replies as the protocol shows them, written and read.

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use headwater_core::call::{CommandReply, EntityReply, EventSummary, HistoryReply, QueryReply, RequestMetadata};
use headwater_core::{
    AggregateId, CommandId, EventId, Failure, FailureCode, JSON, Metadata, Name, NewEvent, RecordedEvent, Revision,
    Sequence,
};
use headwater_nats::header;
use headwater_nats::reply::{self, ReplyError, Served};
use serde_json::{Value, json};

fn aggregate() -> AggregateId {
    AggregateId::new("receipt", "order-12345").expect("it is valid")
}

fn command_id() -> CommandId {
    CommandId::new("c-1").expect("it is valid")
}

fn time() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-11-20T12:00:00.123456Z").expect("it is valid").to_utc()
}

fn served() -> Served<'static> {
    Served { timestamp: time(), ..Served::now("i-1") }.took(Duration::from_nanos(1_834_999))
}

fn command_reply(state: Option<&'static str>) -> CommandReply {
    let event = EventSummary {
        id: EventId::derive(&command_id(), &aggregate(), 0),
        name: Name::new("item-added").expect("it is valid"),
        revision: Revision::new(4),
    };
    CommandReply {
        aggregate: aggregate(),
        revision: Revision::new(4),
        sequence: Sequence::new(1041),
        events: vec![event],
        state: state.map(|state| Bytes::from_static(state.as_bytes())),
        command_id: command_id(),
        correlation_id: Some("k-1".into()),
        replayed: false,
    }
}

fn recorded(revision: u64, data: &str) -> RecordedEvent {
    let metadata = Metadata::new(command_id());
    let event = NewEvent {
        id: EventId::derive(&command_id(), &aggregate(), revision as usize),
        name: Name::new("item-added").expect("it is valid"),
        schema_version: 1,
        time: time(),
        content_type: JSON.into(),
        data: Bytes::from(data.to_owned()),
        metadata: Arc::new(metadata),
    };
    RecordedEvent {
        aggregate: aggregate(),
        revision: Revision::new(revision),
        sequence: Sequence::new(1000 + revision),
        event,
    }
}

fn history(events: Vec<RecordedEvent>, next: Option<Revision>) -> HistoryReply {
    HistoryReply { aggregate: aggregate(), revision: Revision::new(9), events, next }
}

fn parse(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("it is valid")
}

#[test]
fn a_command_reply_is_the_protocols() {
    let written = reply::write_command(&command_reply(Some(r#"{"status": "open"}"#)), &served());
    let expected = json!({
        "success": true,
        "result": {
            "aggregate": { "type": "receipt", "id": "order-12345" },
            "revision": 4,
            "sequence": 1041,
            "events": [{ "id": EventId::derive(&command_id(), &aggregate(), 0), "type": "item-added", "revision": 4 }],
            "state": { "status": "open" },
        },
        "metadata": {
            "commandId": "c-1", "correlationId": "k-1", "timestamp": "2026-11-20T12:00:00.123456Z",
            "duration": 1.83, "instance": "i-1", "replayed": false,
        },
    });
    assert_eq!(parse(&written), expected);
}

#[test]
fn a_command_reply_reads_as_it_was_written() {
    for state in [None, Some(r#"{"status": "open", "items": []}"#)] {
        let reply = CommandReply { replayed: true, ..command_reply(state) };
        let body = Bytes::from(reply::write_command(&reply, &served()));
        let read = reply::read_command(None, &body, &aggregate(), &command_id()).unwrap();
        assert_eq!(read.aggregate, reply.aggregate);
        assert_eq!((read.revision, read.sequence), (reply.revision, reply.sequence));
        assert_eq!((read.events, read.state), (reply.events, reply.state));
        assert_eq!((read.command_id, read.correlation_id), (reply.command_id, reply.correlation_id));
        assert!(read.replayed);
    }
}

#[test]
fn queries_answer_in_the_same_shape() {
    let entity = EntityReply {
        aggregate: aggregate(),
        revision: Revision::new(4),
        sequence: Sequence::new(1041),
        state: Bytes::from_static(b"{\"status\":\"open\"}"),
    };
    let asked = RequestMetadata { correlation_id: Some("k-1".into()), ..RequestMetadata::default() };
    let body = Bytes::from(reply::write_entity(&entity, &served().request(&asked)));
    assert_eq!(
        parse(&body),
        json!({
            "success": true,
            "result": {
                "aggregate": { "type": "receipt", "id": "order-12345" },
                "revision": 4, "sequence": 1041, "state": { "status": "open" },
            },
            "metadata": {
                "correlationId": "k-1", "timestamp": "2026-11-20T12:00:00.123456Z",
                "duration": 1.83, "instance": "i-1", "replayed": false,
            },
        })
    );
    let read = reply::read_entity(None, &body, &aggregate()).unwrap();
    assert_eq!((read.revision, read.sequence, read.state), (entity.revision, entity.sequence, entity.state));

    let answer = QueryReply {
        aggregate: aggregate(),
        revision: Revision::new(4),
        sequence: Sequence::new(1041),
        answer: Bytes::from_static(b"17"),
    };
    let body = Bytes::from(reply::write_query(&answer, &served()));
    assert_eq!(parse(&body)["result"]["answer"], json!(17));
    let read = reply::read_query(None, &body, &aggregate()).unwrap();
    assert_eq!((read.revision, read.sequence, read.answer), (answer.revision, answer.sequence, answer.answer));
}

#[test]
fn a_page_of_history_shows_the_stored_events_with_their_sequence() {
    let page =
        history(vec![recorded(1, r#"{"name":"Tea"}"#), recorded(2, r#"{"name":"Mug"}"#)], Some(Revision::new(2)));
    let service = Name::new("receipts").unwrap();
    let body = Bytes::from(reply::write_history(&page, &service, &served(), 1 << 20).unwrap());
    let result = &parse(&body)["result"];
    assert_eq!(result["aggregate"], json!({ "type": "receipt", "id": "order-12345" }));
    assert_eq!((&result["revision"], &result["next"]), (&json!(9), &json!(2)));
    let first = &result["events"][0];
    assert_eq!(first["specversion"], "1.0");
    assert_eq!(first["source"], "/receipts");
    assert_eq!((&first["type"], &first["subject"]), (&json!("item-added"), &json!("order-12345")));
    assert_eq!((&first["revision"], &first["sequence"]), (&json!(1), &json!(1001)));
    assert_eq!(first["data"], json!({ "name": "Tea" }));

    let read = reply::read_history(None, &body, &aggregate()).unwrap();
    assert_eq!((read.revision, read.next), (page.revision, page.next));
    let shown = |event: &RecordedEvent| (event.revision, event.sequence, event.event.id, event.event.data.clone());
    assert_eq!(read.events.iter().map(shown).collect::<Vec<_>>(), page.events.iter().map(shown).collect::<Vec<_>>());
}

#[test]
fn the_last_page_of_history_has_a_null_for_next() {
    let service = Name::new("receipts").unwrap();
    let body = Bytes::from(reply::write_history(&history(Vec::new(), None), &service, &served(), 1 << 20).unwrap());
    assert_eq!(parse(&body)["result"]["next"], Value::Null);
    assert_eq!(parse(&body)["result"]["events"], json!([]));
    assert_eq!(reply::read_history(None, &body, &aggregate()).unwrap().next, None);
}

#[test]
fn a_page_of_history_is_cut_where_it_would_pass_the_limit() {
    let service = Name::new("receipts").unwrap();
    let long = format!("\"{}\"", "x".repeat(1000));
    let page = history((1..=9).map(|revision| recorded(revision, &long)).collect(), None);
    for limit in (1500..16_000).step_by(97) {
        let Ok(body) = reply::write_history(&page, &service, &served(), limit) else {
            assert!(limit < 2000, "one event fits into {limit} bytes");
            continue;
        };
        assert!(body.len() <= limit, "{} > {limit}", body.len());
        let read = reply::read_history(None, &body.into(), &aggregate()).unwrap();
        let last = read.events.last().unwrap().revision;
        assert_eq!(last.get(), read.events.len() as u64);
        assert_eq!(read.next, (last.get() < 9).then_some(last));
    }
    let failure = reply::write_history(&page, &service, &served(), 500).unwrap_err();
    assert_eq!(failure.code, FailureCode::PayloadTooLarge);
    assert!(failure.message.contains("revision 1"), "{failure}");
}

#[test]
fn a_failure_is_the_protocols_and_every_code_comes_back() {
    let failure = Failure::conflict(Revision::new(3), Revision::new(5));
    let asked = RequestMetadata { command_id: Some(command_id()), ..RequestMetadata::default() };
    let body = reply::write_failure(&failure, &served().request(&asked));
    assert_eq!(
        parse(&body),
        json!({
            "success": false,
            "error": {
                "code": "conflict",
                "message": "revision 3 was expected and the aggregate is at 5",
                "retryable": false,
                "details": { "expectedRevision": 3, "actualRevision": 5 },
            },
            "metadata": {
                "commandId": "c-1", "timestamp": "2026-11-20T12:00:00.123456Z",
                "duration": 1.83, "instance": "i-1", "replayed": false,
            },
        })
    );
    let bare = reply::write_failure(&Failure::internal("a bug"), &served());
    assert_eq!(parse(&bare)["error"]["details"], json!({}));
    for code in FailureCode::ALL {
        let failure = Failure::new(code, "why").detail("reason", "that");
        let body = Bytes::from(reply::write_failure(&failure, &served()));
        let headers = header::of_failure(&failure);
        let read = reply::read_entity(Some(&headers), &body, &aggregate()).unwrap_err();
        assert_eq!(read, ReplyError::Failed(failure.clone()));
        assert_eq!(header::get(&headers, header::SERVICE_ERROR_CODE).unwrap(), failure.code.number().to_string());
    }
}

#[test]
fn a_failure_of_a_newer_service_is_still_a_failure() {
    let body = br#"{"success":false,"error":{"code":"teapot","more":1},"metadata":{"new":{}},"extra":[]}"#;
    let ReplyError::Failed(failure) = reply::read_entity(None, &Bytes::from_static(body), &aggregate()).unwrap_err()
    else {
        panic!("it is a failure");
    };
    assert_eq!(failure.code, FailureCode::Unknown("teapot".into()));
    assert!(!failure.retryable);
    let bare = br#"{"success":false,"error":{"code":"unavailable","details":null}}"#;
    let ReplyError::Failed(failure) = reply::read_entity(None, &Bytes::from_static(bare), &aggregate()).unwrap_err()
    else {
        panic!("it is a failure");
    };
    assert!(failure.retryable, "the code says so where the reply does not");
}

#[test]
fn error_headers_alone_make_a_failure() {
    assert_eq!(reply::read_failure(None, b"{\"service\":\"receipts\"}"), None);
    for (number, code) in [
        ("400", FailureCode::InvalidRequest),
        ("404", FailureCode::NotFound),
        ("503", FailureCode::OutcomeUnknown),
        ("418", FailureCode::Unknown("418".into())),
        ("not a number", FailureCode::Unknown("not a number".into())),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::SERVICE_ERROR_CODE, number);
        headers.insert(header::SERVICE_ERROR, "no luck");
        for body in ["", "not json", "{}", r#"{"success":false}"#] {
            let body = Bytes::from_static(body.as_bytes());
            assert_eq!(reply::read_failure(Some(&headers), &body).unwrap().code, code);
            let expected = ReplyError::Failed(Failure::new(code.clone(), "no luck"));
            assert_eq!(reply::read_entity(Some(&headers), &body, &aggregate()).unwrap_err(), expected);
        }
    }
}

#[test]
fn a_reply_with_unknown_members_is_read_and_one_without_known_ones_is_not() {
    let good = json!({
        "success": true, "new": 1,
        "result": {
            "aggregate": { "type": "receipt", "id": "order-12345", "new": 1 },
            "revision": 1, "sequence": 2, "state": null, "new": {},
        },
    });
    let read = |reply: &Value| {
        let body = Bytes::from(serde_json::to_vec(reply).unwrap());
        reply::read_entity(None, &body, &aggregate())
    };
    assert_eq!(read(&good).unwrap().state, "null");
    for (pointer, message) in [
        ("/result/aggregate", "it has no `aggregate`"),
        ("/result/revision", "it has no `revision`"),
        ("/result/state", "it has no `state`"),
        ("/result", "it has no `result`"),
        ("/success", "it has no `success`"),
    ] {
        let mut bad = good.clone();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(member);
        assert_eq!(read(&bad).unwrap_err(), ReplyError::Unreadable(message.into()));
    }
}

#[test]
fn a_reply_about_another_aggregate_is_not_taken_for_ours() {
    let body = Bytes::from(reply::write_command(&command_reply(None), &served()));
    for other in [AggregateId::new("receipt", "order-2").unwrap(), AggregateId::new("invoice", "order-12345").unwrap()]
    {
        let error = reply::read_command(None, &body, &other, &command_id()).unwrap_err();
        assert_eq!(error, ReplyError::Unreadable(format!("it is not about {other}")));
    }
}

#[test]
fn garbage_is_unreadable_and_its_text_stays_where_it_is() {
    for body in
        ["", "secret", "{", "[]", r#""secret""#, r#"{"success":"secret"}"#, r#"{"success":true,"result":"secret"}"#]
    {
        let body = Bytes::from_static(body.as_bytes());
        let error = reply::read_command(None, &body, &aggregate(), &command_id()).unwrap_err();
        assert!(matches!(&error, ReplyError::Unreadable(what) if !what.contains("secret")), "{error}");
    }
}
