//! What goes in comes out: ids, names, metadata, times, data.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use headwater_core::store::Head;
use headwater_core::{AggregateId, CommandId, JSON, Metadata, NewEvent};

use super::trial::{Trial, events, name, ok, one};

/// Ids that mean something to somebody: to subjects, to paths, to terminals, to an encoding.
const DIFFICULT_IDS: [&str; 26] = [
    "a.b",
    ".",
    "..",
    "a.",
    "*",
    ">",
    "a.*.>",
    "two words",
    " ",
    "%",
    "%2E",
    "a%20b",
    "=",
    "acme=1",
    "a/b",
    "a\\b",
    "🧾",
    "naïve",
    "nai\u{308}ve",
    "\u{202e}rtl",
    "ABC",
    "abc",
    "_-~",
    "$SRV",
    "\"{}\"",
    "😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀",
];

pub(super) async fn ids_of_any_characters_name_aggregates_of_their_own(trial: Trial) {
    let longest = "x".repeat(128);
    let ids: Vec<_> = DIFFICULT_IDS.into_iter().chain([longest.as_str()]).map(|id| trial.aggregate(id)).collect();
    each_has_its_own_history(&trial, &ids).await;
}

pub(super) async fn an_id_that_begins_like_another_is_another_aggregate(trial: Trial) {
    let ids = ["order", "order-1", "order-10", "order-1.", "order-1.1", "order-1 ", "orde", "order-1>", "order-1*"];
    each_has_its_own_history(&trial, &ids.map(|id| trial.aggregate(id))).await;
}

pub(super) async fn the_same_id_in_two_tenants_is_two_aggregates(trial: Trial) {
    let plain = trial.aggregate("order-1");
    let tenants = ["acme", "ACME", "acme.eu", "a b", "*", "🏢", "order-1", "="];
    let mut ids: Vec<_> = tenants.into_iter().map(|tenant| ok(plain.clone().in_tenant(tenant))).collect();
    // Taken together, tenant and id read the same as others; taken apart they do not.
    ids.extend([plain, ok(trial.aggregate("b=c").in_tenant("a")), ok(trial.aggregate("c").in_tenant("a=b"))]);
    each_has_its_own_history(&trial, &ids).await;
}

pub(super) async fn the_same_id_in_two_aggregate_types_is_two_aggregates(trial: Trial) {
    let longer = format!("{}-x", trial.kind());
    let ids = [trial.aggregate("order-1"), ok(AggregateId::new(longer, "order-1"))];
    each_has_its_own_history(&trial, &ids).await;
}

/// Appends to all of them in turns, then expects each to have what it was given.
async fn each_has_its_own_history(trial: &Trial, ids: &[AggregateId]) {
    let mut written: Vec<(Head, Vec<NewEvent>)> = vec![(Head::EMPTY, Vec::new()); ids.len()];
    for size in [1, 2] {
        for (id, (head, stored)) in ids.iter().zip(&mut written) {
            let more = events(id, size);
            *head = trial.append(id, head, &more).await;
            stored.extend(more);
        }
    }
    for (id, (head, stored)) in ids.iter().zip(&written) {
        assert_eq!(trial.expect_history(id, stored).await, *head);
    }
}

pub(super) async fn event_names_and_schema_versions_come_back_as_written(trial: Trial) {
    let aggregate = trial.aggregate("names");
    let names = ["a", "item-added", "v2", "a-", "x0123456789-0123456789-0123456789-0123456789-01234"];
    let stored: Vec<_> = names
        .into_iter()
        .zip([1, 2, 7, 1000, u32::MAX])
        .map(|(called, schema_version)| NewEvent { name: name(called), schema_version, ..one(&aggregate) })
        .collect();
    store_and_compare(&trial, &aggregate, &stored).await;
}

pub(super) async fn metadata_comes_back_as_written(trial: Trial) {
    let text = |value: &str| Some(value.to_owned());
    let full = Metadata {
        correlation_id: text("conversation 1"),
        causation_id: text("0197c2b4-0000-7000-8000-000000000001"),
        user_id: text("Zoë \"the\\user\" 🧑"),
        tenant_id: text("acme"),
        traceparent: text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ..Metadata::new(CommandId::generate())
    };
    let longest = Metadata { user_id: text(&"u".repeat(256)), ..Metadata::new(ok(CommandId::new("c".repeat(128)))) };
    let own_id = Metadata::new(ok(CommandId::new(format!("{} .*>% 🧾", trial.kind()))));
    let empty_text = Metadata { user_id: text(""), ..Metadata::new(CommandId::generate()) };
    // A tenant may be known to the caller and mean nothing to the id, and the other way round.
    let in_tenant = ok(trial.aggregate("metadata").in_tenant("acme"));
    for aggregate in [trial.aggregate("metadata"), in_tenant] {
        let stored: Vec<_> = [&full, &longest, &own_id, &empty_text]
            .into_iter()
            .map(|metadata| NewEvent { metadata: Arc::new(metadata.clone()), ..one(&aggregate) })
            .collect();
        store_and_compare(&trial, &aggregate, &stored).await;
    }
}

pub(super) async fn times_come_back_to_the_microsecond_and_in_any_order(trial: Trial) {
    let aggregate = trial.aggregate("times");
    let times = [
        "2026-11-20T12:00:00.123456Z",
        "2026-11-20T12:00:00.000001Z",
        "2026-11-20T12:00:00.5Z",
        "2026-11-20T12:00:00Z",
        "1970-01-01T00:00:00Z",
        "2000-02-29T23:59:59.999999Z",
        "2199-12-31T23:59:59.999999Z",
    ];
    let stored: Vec<_> =
        times.into_iter().map(|time| NewEvent { time: ok(time.parse::<DateTime<Utc>>()), ..one(&aggregate) }).collect();
    store_and_compare(&trial, &aggregate, &stored).await;
}

pub(super) async fn json_data_comes_back_as_written(trial: Trial) {
    let aggregate = trial.aggregate("json");
    let deep = format!("{}1{}", "[".repeat(60), "]".repeat(60));
    let texts = [
        "null",
        "true",
        "0",
        "-0.0",
        "\"\"",
        "[]",
        "{}",
        r#"{"price":"5.99","quantity":2}"#,
        r#"{"z":1,"a":2,"m":{"z":[],"a":null}}"#,
        r#"{"amount":"123456789012345678901234567890.123456789012345678901234567890"}"#,
        r#"{"large":18446744073709551615,"small":-9223372036854775808,"exact":0.1,"tiny":1e-7}"#,
        r#"{"larger":123456789012345678901234567890,"fine":1.00000000000000000000001}"#,
        r#"{"text":"naïve 🧾 \u0000 \n \t \"quoted\" \\ / \/ \ud83d\ude00"}"#,
        r#"{"":"no name","a b":1,"$.*>":2,"ключ":3}"#,
        r#"{"data":{"data":"data"},"type":"x","id":"y","previous":"1,2"}"#,
        deep.as_str(),
    ];
    let stored: Vec<_> = texts
        .into_iter()
        .map(|text| NewEvent { data: Bytes::copy_from_slice(text.as_bytes()), ..one(&aggregate) })
        .collect();
    assert!(stored.iter().all(|event| event.content_type == JSON), "JSON unless an event says otherwise");
    store_and_compare(&trial, &aggregate, &stored).await;
}

pub(super) async fn data_of_another_content_type_comes_back_as_written(trial: Trial) {
    let aggregate = trial.aggregate("bytes");
    let all_bytes: Vec<u8> = (0..=255).collect();
    let datas: [(&str, &[u8]); 6] = [
        ("application/octet-stream", &all_bytes),
        ("application/octet-stream", b""),
        ("text/plain; charset=utf-8", "naïve 🧾\r\n".as_bytes()),
        ("application/vnd.acme+json", b"{ \"a\" : 1 }\n"),
        ("application/protobuf", &[0, 0, 0, 0xff, 0xfe]),
        ("text/plain", b"{\"looks\":\"like JSON\"}"),
    ];
    let stored: Vec<_> = datas
        .into_iter()
        .map(|(content_type, data)| NewEvent {
            content_type: content_type.into(),
            data: Bytes::copy_from_slice(data),
            ..one(&aggregate)
        })
        .collect();
    store_and_compare(&trial, &aggregate, &stored).await;
}

/// Appends the first event alone and the others together, and compares what is read.
async fn store_and_compare(trial: &Trial, aggregate: &AggregateId, events: &[NewEvent]) {
    let (first, others) = events.split_at(1);
    let head = trial.append(aggregate, &Head::EMPTY, first).await;
    let head = trial.append(aggregate, &head, others).await;
    assert_eq!(trial.expect_history(aggregate, events).await, head);
}
