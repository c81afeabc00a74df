//! What stands around a value when it travels.

use chrono::DateTime;
use headwater_core::{AggregateId, CommandId, EventId, Metadata, Name, NewEvent, Revision};
use headwater_nats_messaging::codec::{Codecs, Json, MessagePack, Raw};
use headwater_nats_messaging::envelope::{Attributes, Envelope, Received};
use headwater_nats_messaging::message::Message;
use proptest::prelude::*;
use serde_json::{Value, json};

const ALL: [Envelope; 3] = [Envelope::CloudEvents, Envelope::CloudEventsBinary, Envelope::Flat];

fn full() -> Attributes {
    let text = |text: &str| Some(text.to_owned());
    Attributes {
        subject: text("order-7"),
        time: Some(DateTime::parse_from_rfc3339("2026-11-20T12:00:00.123456Z").unwrap().to_utc()),
        schema_version: text("2"),
        data_schema: text("https://example.com/order.json"),
        tenant_id: text("north"),
        correlation_id: text("c-1"),
        causation_id: text("e-0"),
        user_id: text("Zoë"),
        traceparent: text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        tracestate: text("vendor=1"),
        ..Attributes::new("e-1", "/shop", "order-placed").extension("till", "4").extension("weight", 12)
    }
}

fn message(headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Message {
    headers.iter().fold(Message::new("a", body.into()), |message, (name, value)| message.header(*name, *value))
}

#[track_caller]
fn refused(headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> String {
    let error = Received::read(&message(headers, body)).unwrap_err().to_string();
    assert!(!error.contains("SECRET"), "{error}");
    error
}

const STRUCTURED: &[(&str, &str)] = &[("Content-Type", "application/cloudevents+json; charset=utf-8")];

#[test]
fn a_structured_event_is_json_as_the_journal_has_it() {
    let message = Envelope::CloudEvents.write("a", &full(), &json!({"n": 1}), &Json).unwrap();
    let body: Value = serde_json::from_slice(&message.body).unwrap();
    let expected = json!({
        "specversion": "1.0", "id": "e-1", "source": "/shop", "type": "order-placed", "subject": "order-7",
        "time": "2026-11-20T12:00:00.123456Z", "datacontenttype": "application/json",
        "dataschema": "https://example.com/order.json", "schemaversion": 2,
        "correlationid": "c-1", "causationid": "e-0", "userid": "Zoë", "tenantid": "north",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "vendor=1",
        "till": "4", "weight": 12, "data": {"n": 1}
    });
    assert_eq!(body, expected);
    let headers: Vec<_> = message.headers.iter().collect();
    assert_eq!(
        headers,
        [
            ("Content-Type", "application/cloudevents+json"),
            ("Nats-Msg-Id", "e-1"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("tracestate", "vendor=1"),
        ]
    );
}

#[test]
fn a_binary_event_has_its_attributes_in_headers_and_nothing_but_data_in_its_body() {
    let message = Envelope::CloudEventsBinary.write("a", &full(), &json!({"n": 1}), &Json).unwrap();
    assert_eq!(message.body, r#"{"n":1}"#);
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", "e-1"),
        ("ce-time", "2026-11-20T12:00:00.123456Z"),
        ("ce-datacontenttype", "application/json"),
        ("Content-Type", "application/json"),
        ("ce-userid", "Zo%C3%AB"),
        ("ce-weight", "12"),
        ("Nats-Msg-Id", "e-1"),
    ] {
        assert_eq!(message.headers.get(name), Some(value), "{name}");
    }
}

#[test]
fn a_flat_event_is_plain_json() {
    let message = Envelope::Flat.write("a", &full(), &json!({"n": 1}), &Json).unwrap();
    let body: Value = serde_json::from_slice(&message.body).unwrap();
    let expected = json!({
        "event_id": "e-1", "event_type": "order-placed", "timestamp": "2026-11-20T12:00:00.123456Z",
        "source": "/shop", "version": "2", "data": {"n": 1},
        "metadata": {
            "subject": "order-7", "data_schema": "https://example.com/order.json", "correlation_id": "c-1",
            "causation_id": "e-0", "user_id": "Zoë", "tenant_id": "north",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "vendor=1",
            "till": "4", "weight": 12
        }
    });
    assert_eq!(body, expected);
    assert_eq!(message.headers.get("Content-Type"), Some("application/json"));
}

#[test]
fn data_that_is_not_json_comes_through_every_envelope() {
    let raw = Raw::of_type("image/png", vec![0, 159, 146, 150]);
    for envelope in ALL.into_iter().chain([Envelope::Bare]) {
        let message = envelope.write("a", &full(), &raw, &Json).unwrap();
        let received = Received::read(&message).unwrap();
        assert_eq!((received.envelope(), received.content_type()), (envelope, "image/png"));
        assert_eq!(received.payload::<Raw>(&Codecs::default()).unwrap(), raw);
        let packed = envelope.write("a", &full(), &[1_u8, 2], &MessagePack).unwrap();
        assert_eq!(Received::read(&packed).unwrap().payload::<Vec<u8>>(&Codecs::default()).unwrap(), [1, 2]);
    }
}

#[test]
fn a_message_without_an_envelope_is_its_data() {
    for (headers, body) in
        [(&[][..], r#"{"id":"e-1"}"#), (&[("Content-Type", "application/json")][..], "[1]"), (&[], "?")]
    {
        let received = Received::read(&message(headers, body)).unwrap();
        assert_eq!((received.envelope(), received.attributes()), (Envelope::Bare, None));
        assert_eq!(received.data().unwrap(), body);
    }
    let bare = Envelope::Bare.write("a", &full(), &[1], &Json).unwrap();
    let headers: Vec<_> = bare.headers.iter().map(|(name, _)| name).collect();
    assert_eq!(headers, ["Content-Type", "Nats-Msg-Id", "traceparent", "tracestate"]);
}

#[test]
fn the_journals_events_are_read_although_their_messages_say_nothing() {
    let aggregate = AggregateId::new("receipt", "order-7").unwrap();
    let event = NewEvent {
        id: EventId::from_uuid(uuid::Uuid::from_u128(7)),
        name: Name::new("item-added").unwrap(),
        schema_version: 1,
        time: DateTime::UNIX_EPOCH,
        content_type: "application/json".into(),
        data: r#"{"name":"tea"}"#.into(),
        metadata: std::sync::Arc::new(Metadata {
            tenant_id: Some("north".to_owned()),
            ..Metadata::new(CommandId::new("c-1").unwrap())
        }),
    };
    let service = Name::new("receipts").unwrap();
    let body = headwater_nats::event::encode(&service, &aggregate, Revision::new(1), &event, &[]);
    let received = Received::read(&message(&[], body)).unwrap();
    let attributes = received.attributes().unwrap();
    assert_eq!((&*attributes.source, &*attributes.event_type), ("/receipts", "item-added"));
    assert_eq!((attributes.subject.as_deref(), attributes.tenant_id.as_deref()), (Some("order-7"), Some("north")));
    assert_eq!(attributes.schema_version.as_deref(), Some("1"));
    assert_eq!((&attributes.extensions["revision"], &attributes.extensions["commandid"]), (&json!(1), &json!("c-1")));
    assert_eq!(received.payload::<Value>(&Codecs::default()).unwrap(), json!({"name": "tea"}));
}

#[test]
fn what_other_programs_write_is_read() {
    let headers = [
        ("CE-SpecVersion", "1.0"),
        ("Ce-Id", "1%202"),
        ("ce-source", "x"),
        ("ce-type", "t"),
        ("content-type", "text/csv"),
    ];
    let received = Received::read(&message(&headers, "a,b")).unwrap();
    assert_eq!((received.envelope(), received.content_type()), (Envelope::CloudEventsBinary, "text/csv"));
    assert_eq!(received.attributes().unwrap().id, "1 2");

    let body = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"text/plain","time":null,"data":"a\nb"}"#;
    let received = Received::read(&message(STRUCTURED, body)).unwrap();
    assert_eq!(received.data().unwrap(), "a\nb");
    assert_eq!(received.attributes().unwrap().time, None);

    let body = r#"{"event_id":"1","event_type":"t","source":"s","version":1.5,"data":{},"region":"eu","metadata":{"tags":["a"]}}"#;
    let received = Received::read(&message(&[], body)).unwrap();
    let attributes = received.attributes().unwrap();
    assert_eq!((received.envelope(), attributes.schema_version.as_deref()), (Envelope::Flat, Some("1.5")));
    assert_eq!((&attributes.extensions["region"], &attributes.extensions["tags"]), (&json!("eu"), &json!(["a"])));
}

#[test]
fn an_event_without_data_says_so_when_it_is_asked_for() {
    let body = r#"{"specversion":"1.0","id":"1","source":"s","type":"t"}"#;
    let received = Received::read(&message(STRUCTURED, body)).unwrap();
    let error = received.payload::<Value>(&Codecs::default()).unwrap_err();
    assert_eq!(error.to_string(), "data of type `application/json` cannot be read: the message has none");
    let null = Received::read(&message(STRUCTURED, body.replace('}', r#","data":null}"#))).unwrap();
    assert_eq!(null.payload::<Option<u8>>(&Codecs::default()).unwrap(), None);
}

#[test]
fn what_is_wrong_with_an_envelope_is_told_by_its_member() {
    let event = |members: &str| format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t"{members}}}"#);
    for (body, what) in [
        (event(r#","id":"SECRET""#), "`id` stands there twice"),
        (event(r#","time":"SECRET""#), "`time` is no RFC 3339 time"),
        (event(r#","subject":["SECRET"]"#), "`subject` is no text"),
        (event(r#","thing":{"a":"SECRET"}"#), "`thing` is no truth value, number or text"),
        (event(r#","data":1,"data_base64":"AA==""#), "`data_base64` stands beside `data`"),
        (event(r#","data_base64":"?SECRET?""#), "`data_base64` is not base64"),
        (event("").replace("1.0", "0.3"), "`specversion` is not 1.0"),
        (event("").replace(r#""id":"1","#, ""), "`id` is missing"),
        (event("").replace(r#""id":"1""#, r#""id":"""#), "`id` is empty"),
        ("SECRET".to_owned(), "the body is no JSON object"),
    ] {
        let told = refused(STRUCTURED, body.as_str());
        assert_eq!(told, format!("event of structured CloudEvents: {what}"), "{body}");
    }
    let batch = refused(&[("Content-Type", "application/cloudevents-batch+json")], "[]");
    assert!(batch.contains("`Content-Type` names a format"), "{batch}");
    let binary = refused(&[("ce-specversion", "1.0"), ("ce-id", "%FFSECRET")], "");
    assert_eq!(binary, "event of binary CloudEvents: `ce-id` is not percent-encoded UTF-8");
    for (body, what) in [
        (r#"{"event_id":"1","event_type":"t","data":{}}"#, "`source` is missing"),
        (r#"{"event_id":"1","event_type":"t","source":"s","timestamp":"SECRET"}"#, "`timestamp` is no RFC 3339 time"),
        (r#"{"event_id":"1","event_type":"t","source":"s","metadata":"SECRET"}"#, "`metadata` is no object"),
        (r#"{"event_id":"1","event_type":"t","source":"s","metadata":{"user_id":7}}"#, "`metadata.user_id` is no text"),
    ] {
        assert_eq!(refused(&[], body), format!("event in a flat envelope: {what}"), "{body}");
    }
}

#[test]
fn what_cannot_be_said_is_refused_before_it_is_sent() {
    let base = || Attributes::new("1", "/s", "t");
    let long = "x".repeat(257);
    let with = |change: fn(&mut Attributes, String), text: &str| {
        let mut attributes = base();
        change(&mut attributes, text.to_owned());
        attributes
    };
    for (attributes, what) in [
        (Attributes::new("", "/s", "t"), "`id` is empty"),
        (Attributes::new("1", "", "t"), "`source` is empty"),
        (Attributes::new("1", "a b", "t"), "`source` is no URI reference"),
        (Attributes::new("1", "/s", "a\nb"), "`type` holds a control character"),
        (with(|attributes, text| attributes.subject = Some(text), ""), "`subject` is empty"),
        (with(|attributes, text| attributes.data_schema = Some(text), "relative"), "`dataschema` is no absolute URI"),
        (with(|attributes, text| attributes.tenant_id = Some(text), &long), "`tenantid` is longer than 256 bytes"),
        (base().extension("Till", 1), "`Till` is no name of CloudEvents: 1 to 20 lower-case letters and digits"),
        (
            base().extension("a".repeat(21), 1),
            "`aaaaaaaaaaaaaaaaaaaaa` is no name of CloudEvents: 1 to 20 lower-case letters and digits",
        ),
        (base().extension("data", 1), "`data` is no extension but an attribute of its own"),
        (base().extension("big", 1_u64 << 31), "`big` is no truth value, integer of 32 bits or text"),
        (base().extension("list", json!([1])), "`list` is no truth value, integer of 32 bits or text"),
    ] {
        let told = attributes.check(Envelope::CloudEvents).unwrap_err().to_string();
        assert_eq!(told, format!("event of structured CloudEvents: {what}"));
    }
    assert!(base().extension("Any_Name", json!([1])).check(Envelope::Flat).is_ok());
    let told = base().extension("event_id", 1).check(Envelope::Flat).unwrap_err();
    assert_eq!(told.member(), Some("event_id"));
}

#[test]
fn a_media_type_that_could_end_a_header_is_refused_and_none_stands_for_json() {
    for envelope in ALL.into_iter().chain([Envelope::Bare]) {
        let smuggled = Raw::of_type("text/plain\r\nNats-Rollup: all", "SECRET");
        let error = envelope.write("a", &full(), &smuggled, &Json).unwrap_err().to_string();
        assert!(error.ends_with("`datacontenttype` holds a control character"), "{error}");
        let unsaid = envelope.write("a", &full(), &Raw::of_type("", "[1]"), &Json).unwrap();
        assert_eq!(Received::read(&unsaid).unwrap().payload::<Vec<u8>>(&Codecs::default()).unwrap(), [1]);
    }
}

/// What may be said of a value, without control characters and not empty.
fn text() -> impl Strategy<Value = String> {
    "\\P{C}{1,12}"
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let optional = || proptest::option::of(text());
    let extensions = proptest::collection::btree_map("x[a-z0-9]{1,8}", "\\P{C}{0,8}".prop_map(Value::from), 0..3);
    let version = prop_oneof![(1_i32..50).prop_map(|number| number.to_string()), text()];
    let times = (0_i64..4_000_000_000, 0_u32..1_000_000_000).prop_map(|(s, ns)| DateTime::from_timestamp(s, ns));
    let first = (text(), "[!#-;=?-\\[\\]_a-z~]{1,12}", text(), times, version, extensions);
    (first, proptest::array::uniform6(optional())).prop_map(
        |((id, source, event_type, time, version, extensions), texts)| {
            let [subject, tenant_id, correlation_id, causation_id, user_id, _] = texts;
            Attributes {
                subject,
                time,
                schema_version: Some(version),
                tenant_id,
                correlation_id,
                causation_id,
                user_id,
                extensions,
                ..Attributes::new(id, source, event_type)
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_and_the_data_come_back_from_every_envelope(
        attributes in attributes(),
        value in proptest::collection::vec("\\PC{0,8}", 0..4),
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        for envelope in ALL {
            let message = envelope.write("a", &attributes, &value, &Json).unwrap();
            prop_assert_eq!(message.flaw(), None);
            let received = Received::read(&message).unwrap();
            prop_assert_eq!(received.envelope(), envelope);
            prop_assert_eq!(received.attributes(), Some(&attributes));
            prop_assert_eq!(&received.payload::<Vec<String>>(&Codecs::default()).unwrap(), &value);

            let message = envelope.write("a", &attributes, &Raw::new(bytes.clone()), &Json).unwrap();
            let data = Received::read(&message).unwrap().data().cloned().unwrap_or_default();
            prop_assert_eq!(&data[..], &bytes[..]);
        }
    }

    #[test]
    fn no_bytes_are_too_strange_to_be_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..60)) {
        for envelope in ALL.into_iter().chain([Envelope::Bare]) {
            let _ = Received::read_as(envelope, &Message::new("a", body.clone()));
        }
        prop_assert!(Received::read(&Message::new("a", body)).is_ok());
    }
}

#[test]
fn names_written_with_escapes_are_the_same_names() {
    let events = [
        (Envelope::CloudEvents, r#"{"sp\u0065cversion":"1.0","id":"e-1","source":"/shop","type":"t","data":{}}"#),
        (Envelope::Flat, r#"{"event_id":"e-1","\u0065vent_type":"t","source":"/shop","data":{}}"#),
        (Envelope::Bare, r#"{"id":"e-1","source":"/shop","type":"\u0065vent_type","data":{}}"#),
    ];
    for (envelope, body) in events {
        assert_eq!(Received::read(&message(&[], body)).unwrap().envelope(), envelope, "{body}");
    }
}
