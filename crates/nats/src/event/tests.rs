use chrono::{DateTime, TimeZone, Utc};
use proptest::prelude::*;

use super::*;

fn service() -> Name {
    Name::new("receipts").unwrap()
}

fn receipt() -> AggregateId {
    AggregateId::new("receipt", "order-1").unwrap()
}

fn item_added(data: &str) -> NewEvent {
    let command = CommandId::new("c-1").unwrap();
    NewEvent {
        id: EventId::derive(&command, &receipt(), 0),
        name: Name::new("item-added").unwrap(),
        schema_version: 1,
        time: Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap(),
        content_type: JSON.into(),
        data: Bytes::copy_from_slice(data.as_bytes()),
        metadata: Arc::new(Metadata::new(command)),
    }
}

fn at(places: &[u64]) -> Vec<Previous> {
    places.iter().map(|place| Previous::At(Sequence::new(*place))).collect()
}

fn stored(data: &str) -> String {
    let bytes = encode(&service(), &receipt(), Revision::new(3), &item_added(data), &at(&[17, 4]));
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn read(body: &str) -> Result<StoredEvent, EventError> {
    decode(&receipt(), Some("item-added"), body.as_bytes(), Sequence::new(20))
}

#[test]
fn a_stored_event_is_a_cloud_event_with_the_data_as_plain_json() {
    let id = item_added("").id;
    assert_eq!(
        stored(r#"{"name": "Coffee"}"#),
        format!(r#"{{"specversion":"1.0","id":"{id}","source":"/receipts","type":"item-added","subject":"order-1","#,)
            + r#""time":"2026-11-20T12:00:00Z","datacontenttype":"application/json","aggregatetype":"receipt","#
            + r#""revision":3,"schemaversion":1,"commandid":"c-1","previous":"17,4","data":{"name": "Coffee"}}"#
    );
}

#[test]
fn the_first_event_names_no_previous_ones() {
    let bytes = encode(&service(), &receipt(), Revision::new(1), &item_added("null"), &[]);
    assert!(!String::from_utf8_lossy(&bytes).contains("previous"));
    let read = decode(&receipt(), None, &bytes, Sequence::new(9)).unwrap();
    assert!(read.previous.is_empty());
    assert_eq!(&read.recorded.event.data[..], b"null");
}

#[test]
fn places_within_the_batch_are_counted_back_from_the_event_itself() {
    let previous = [Previous::Back(1), Previous::Back(2), Previous::At(Sequence::new(11))];
    let bytes = encode(&service(), &receipt(), Revision::new(9), &item_added("{}"), &previous);
    assert!(String::from_utf8_lossy(&bytes).contains(r#""previous":"-1,-2,11""#));
    let read = decode(&receipt(), None, &bytes, Sequence::new(50)).unwrap();
    assert_eq!(read.previous, [49, 48, 11].map(Sequence::new));
}

#[test]
fn no_more_than_32_previous_places_are_written() {
    let places: Vec<u64> = (1..=40).rev().collect();
    let bytes = encode(&service(), &receipt(), Revision::new(100), &item_added("{}"), &at(&places));
    let read = decode(&receipt(), None, &bytes, Sequence::new(50)).unwrap();
    assert_eq!(read.previous.len(), 32);
    assert_eq!(read.previous.last(), Some(&Sequence::new(9)));
}

#[test]
fn unknown_members_are_passed_over() {
    let body = stored("{}").replacen('{', r#"{"dataschema":"urn:x","vendor":{"a":[1,null]},"#, 1);
    assert_eq!(read(&body).unwrap().recorded.revision, Revision::new(3));
}

#[test]
fn data_deeper_than_any_parser_likes_comes_out_as_it_went_in() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_eq!(&read(&stored(&deep)).unwrap().recorded.event.data[..], deep.as_bytes());
}

#[test]
fn data_that_is_not_json_is_kept_as_bytes() {
    for data in ["{\"a\":", " {} ", "\u{7f}", ""] {
        let body = stored(data);
        assert!(body.contains("data_base64"), "{body}");
        assert_eq!(&read(&body).unwrap().recorded.event.data[..], data.as_bytes());
    }
    let image = NewEvent { content_type: "image/png".into(), ..item_added("{}") };
    let bytes = encode(&service(), &receipt(), Revision::new(1), &image, &[]);
    assert!(String::from_utf8_lossy(&bytes).contains(r#""data_base64":"e30=""#));
    let read = decode(&receipt(), None, &bytes, Sequence::new(9)).unwrap().recorded;
    assert_eq!((&*read.event.content_type, &read.event.data[..]), ("image/png", &b"{}"[..]));
}

#[test]
fn a_body_that_disagrees_with_its_subject_is_refused() {
    let body = stored("{}");
    let other = |kind: &str, id: &str| AggregateId::new(kind.to_owned(), id).unwrap();
    for (aggregate, name, member) in [
        (other("invoice", "order-1"), "item-added", "aggregatetype"),
        (other("receipt", "order-2"), "item-added", "subject"),
        (receipt(), "item-removed", "type"),
    ] {
        let refused = decode(&aggregate, Some(name), body.as_bytes(), Sequence::new(20)).unwrap_err();
        assert!(refused.to_string().contains(member), "{refused}");
    }
}

#[test]
fn the_tenant_of_a_command_and_that_of_an_id_are_two_things() {
    let aggregate = receipt().in_tenant("acme").unwrap();
    for tenant in [None, Some("acme"), Some("support")] {
        let mut event = item_added("{}");
        let metadata = Metadata { tenant_id: tenant.map(str::to_owned), ..Metadata::clone(&event.metadata) };
        event.metadata = Arc::new(metadata);
        let bytes = encode(&service(), &aggregate, Revision::new(1), &event, &[]);
        let read = decode(&aggregate, None, &bytes, Sequence::new(9)).unwrap().recorded;
        assert_eq!((&read.aggregate, read.event.metadata.tenant_id.as_deref()), (&aggregate, tenant));
    }
}

#[test]
fn each_wrong_member_is_named_without_its_value() {
    for (from, to, named) in [
        (r#""specversion":"1.0","#, "", "specversion"),
        (r#""specversion":"1.0""#, r#""specversion":"0.3""#, "specversion"),
        (r#""source":"/receipts","#, "", "source"),
        (r#""source":"/receipts""#, r#""source":"secret""#, "source"),
        (r#""type":"item-added""#, r#""type":"Secret""#, "type"),
        (r#""subject":"order-1","#, "", "subject"),
        (r#""time":"2026-11-20T12:00:00Z""#, r#""time":"secret""#, "time"),
        (r#""datacontenttype":"application/json","#, "", "datacontenttype"),
        (r#""revision":3"#, r#""revision":"secret""#, "revision"),
        (r#""revision":3"#, r#""revision":-3"#, "revision"),
        (r#""revision":3"#, r#""revision":0"#, "revision"),
        (r#""schemaversion":1"#, r#""schemaversion":0"#, "schemaversion"),
        (r#""schemaversion":1"#, r#""schemaversion":4294967296"#, "schemaversion"),
        (r#""commandid":"c-1""#, r#""commandid":"sec\nret""#, "commandid"),
        (r#""commandid":"c-1""#, r#""commandid":"c-1","commandid":"secret""#, "commandid"),
        (r#""previous":"17,4","#, "", "previous"),
        (r#""17,4""#, r#""17,secret""#, "previous"),
        (r#""17,4""#, r#""17,+4""#, "previous"),
        (r#""17,4""#, r#""17,17""#, "previous"),
        (r#""17,4""#, r#""17,0""#, "previous"),
        (r#""17,4""#, r#""20,4""#, "previous"),
        (r#""17,4""#, r#""17,4,3""#, "previous"),
        (r#""17,4""#, r#""-1,-99""#, "previous"),
        (r#""17,4""#, r#""""#, "previous"),
        (r#""revision":3"#, r#""revision":1"#, "previous"),
        (r#","data":{}"#, "", "data"),
        (r#""data":{}"#, r#""data":{},"data_base64":"e30=""#, "data_base64"),
        (r#""data":{}"#, r#""data_base64":"secret!""#, "data_base64"),
    ] {
        let body = stored("{}");
        assert!(body.contains(from), "{from} is not in {body}");
        let refused = read(&body.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(refused.contains(&format!("`{named}`")), "{to}: {refused}");
        assert!(!refused.to_lowercase().contains("secret"), "{refused}");
    }
}

#[test]
fn what_is_no_object_or_more_than_one_is_refused() {
    let twice = stored("{}").repeat(2);
    for body in ["", "{", "[]", "null", "\u{feff}{}", "\"secret\"", twice.as_str()] {
        let refused = read(body).unwrap_err().to_string();
        assert!(refused.starts_with("not a stored event") && !refused.contains("secret"), "{refused}");
    }
}

#[test]
fn an_event_of_a_history_reply_names_its_sequence() {
    let recorded = read(&stored(r#"{"a":1}"#)).unwrap().recorded;
    let json = to_history_json(&service(), &recorded);
    let text = String::from_utf8_lossy(&json);
    assert!(text.contains(r#""sequence":20"#) && !text.contains("previous"), "{text}");
    assert_same(&from_history_json(&receipt(), &json).unwrap(), &recorded);
    let without = text.replace(r#""sequence":20,"#, "");
    assert!(from_history_json(&receipt(), without.as_bytes()).unwrap_err().to_string().contains("sequence"));
}

fn assert_same(one: &RecordedEvent, other: &RecordedEvent) {
    assert_eq!((&one.aggregate, one.revision, one.sequence), (&other.aggregate, other.revision, other.sequence));
    let (one, other) = (&one.event, &other.event);
    assert_eq!((one.id, &one.name, one.schema_version), (other.id, &other.name, other.schema_version));
    assert_eq!((one.time, &one.content_type, &one.data), (other.time, &other.content_type, &other.data));
    assert_eq!(one.metadata, other.metadata);
}

fn any_text() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{1,30}"
}

fn any_json() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    prop_oneof![
        any::<Vec<u8>>().prop_map(|data| ("application/octet-stream", data)),
        any::<Vec<u8>>().prop_map(|data| (JSON, data)),
        ".{0,20}".prop_map(|text| (JSON, serde_json::to_vec(&text).unwrap())),
        any::<f64>().prop_map(|number| (JSON, number.to_string().into_bytes())),
        proptest::collection::hash_map(".{0,5}", any::<i64>(), 0..4)
            .prop_map(|map| ("application/vnd.x+json; v=1", serde_json::to_vec(&map).unwrap())),
    ]
}

prop_compose! {
    fn any_metadata()(
        command in any_text(),
        others in proptest::array::uniform5(proptest::option::of(any_text())),
    ) -> Metadata {
        let [correlation_id, causation_id, user_id, tenant_id, traceparent] = others;
        let command_id = CommandId::new(command).unwrap();
        Metadata { command_id, correlation_id, causation_id, user_id, tenant_id, traceparent }
    }
}

prop_compose! {
    fn any_event()(
        name in "[a-z][a-z0-9-]{0,49}",
        schema_version in 1..=u32::MAX,
        (seconds, nanos) in (0i64..=4_000_000_000, 0u32..1_000_000_000),
        (content_type, data) in any_json(),
        metadata in any_metadata(),
        id in any::<u128>(),
    ) -> NewEvent {
        NewEvent {
            id: EventId::from_uuid(uuid::Uuid::from_u128(id)),
            name: Name::new(name).unwrap(),
            schema_version,
            time: DateTime::from_timestamp(seconds, nanos).unwrap(),
            content_type: content_type.into(),
            data: data.into(),
            metadata: Arc::new(metadata),
        }
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read_again(
        event in any_event(),
        kind in "[a-z][a-z0-9-]{0,49}",
        id in any_text(),
        own in 100u64..u64::MAX,
        places in proptest::collection::btree_set(1u64..100, 0..33),
        more in 0u64..1000,
    ) {
        let aggregate = AggregateId::new(kind, &id).unwrap();
        let newest_first: Vec<u64> = places.iter().rev().copied().collect();
        let revision = Revision::new(places.len() as u64 + 1 + if places.is_empty() { 0 } else { more });
        let body = encode(&service(), &aggregate, revision, &event, &at(&newest_first));
        let sequence = Sequence::new(own);
        let read = decode(&aggregate, Some(event.name.as_str()), &body, sequence).unwrap();
        prop_assert_eq!(peek_id(&body), Some(event.id));
        assert_same(&read.recorded, &RecordedEvent { aggregate, revision, sequence, event });
        prop_assert_eq!(read.previous, newest_first.into_iter().map(Sequence::new).collect::<Vec<_>>());
        let again = from_history_json(&read.recorded.aggregate, &to_history_json(&service(), &read.recorded)).unwrap();
        assert_same(&again, &read.recorded);
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in any::<Vec<u8>>(),
        previous in "[0-9,+ -]{0,40}",
        cut in 0usize..400,
        own in any::<u64>(),
    ) {
        let _ = decode(&receipt(), None, &bytes, Sequence::new(own));
        let _ = from_history_json(&receipt(), &bytes);
        let _ = peek_id(&bytes);
        let changed = stored("{}").replace("17,4", &previous);
        let _ = decode(&receipt(), None, changed.as_bytes(), Sequence::new(own));
        let mut spoiled = changed.into_bytes();
        let at = cut.min(spoiled.len());
        spoiled.splice(at..at, bytes.iter().copied());
        let _ = decode(&receipt(), None, &spoiled, Sequence::new(own));
        spoiled.truncate(at);
        let _ = decode(&receipt(), None, &spoiled, Sequence::new(own));
    }
}
