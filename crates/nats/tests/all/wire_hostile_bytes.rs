//! No bytes make a decoder of the wire panic.

use bytes::Bytes;
use headwater_core::{AggregateId, CommandId, FailureCode, Name};
use headwater_nats::discovery::{Health, Info, Ping, SchemaRequest, Stats};
use headwater_nats::limits::check_depth;
use headwater_nats::reply::ReplyError;
use headwater_nats::{reply, request};
use proptest::prelude::*;

/// Bytes that nothing shaped, and texts that look like requests and replies until they do not.
fn hostile() -> impl Strategy<Value = Bytes> {
    let words = proptest::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "true",
        "false",
        "-1",
        "1e999",
        "18446744073709551616",
        "\"a\"",
        "\"\\ud800\"",
        "\"success\":",
        "\"result\":",
        "\"error\":",
        "\"code\":",
        "\"aggregateId\":",
        "\"command\":",
        "\"query\":",
        "\"metadata\":",
        "\"events\":",
        "\"state\":",
        "\"expectedRevision\":",
        "\"limit\":",
        "\"atTime\":",
        "\"type\":",
        "\"aggregate\":",
        "\"revision\":",
        "\"sequence\":",
        "\"pointer\":",
        " ",
        "\u{0}",
    ]);
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..64).prop_map(Bytes::from),
        proptest::collection::vec(words, 0..24).prop_map(|words| Bytes::from(words.concat())),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_is_a_request_or_a_400(body in hostile()) {
        let kind = || Name::new("receipt").unwrap();
        let refusals = [
            request::read_command(&body, kind(), "add-item").err(),
            request::read_get(&body, kind()).err(),
            request::read_history(&body, kind()).err(),
            request::read_query(&body, kind(), "count").err(),
            SchemaRequest::read(&body).err(),
        ];
        for failure in refusals.into_iter().flatten() {
            prop_assert_eq!(failure.code, FailureCode::InvalidRequest);
        }
        _ = check_depth(&body, 32);
    }

    #[test]
    fn whatever_comes_back_is_a_reply_or_an_error(body in hostile()) {
        let asked = AggregateId::new("receipt", "a").unwrap();
        let sent = CommandId::new("c").unwrap();
        for error in [
            reply::read_command(None, &body, &asked, &sent).err(),
            reply::read_entity(None, &body, &asked).err(),
            reply::read_history(None, &body, &asked).err(),
            reply::read_query(None, &body, &asked).err(),
        ] {
            prop_assert!(matches!(error, None | Some(ReplyError::Failed(_) | ReplyError::Unreadable(_))));
        }
        _ = serde_json::from_slice::<Ping>(&body);
        _ = serde_json::from_slice::<Info>(&body);
        _ = serde_json::from_slice::<Stats>(&body);
        _ = serde_json::from_slice::<Health>(&body);
    }
}
