//! Properties of id tokens and subjects that hold for every id.

use headwater_core::{AggregateId, Name};
use headwater_nats::subject::Subjects;
use headwater_nats::{limits, token};
use proptest::prelude::*;

/// Ids as callers may make them, those with awkward characters more often than chance has them.
fn id() -> impl Strategy<Value = String> {
    let awkward = proptest::sample::select(vec!['.', '*', '>', ' ', '%', '=', '/', 'é', '🧾', '\u{a0}', '~', '2', 'E']);
    let any = any::<char>().prop_filter("ids hold no control characters", |c| !c.is_control());
    proptest::collection::vec(prop_oneof![awkward, any], 1..20)
        .prop_map(|characters| characters.into_iter().collect::<String>())
        .prop_filter("ids have at most 128 bytes", |id| id.len() <= 128)
}

fn aggregate() -> impl Strategy<Value = AggregateId> {
    (id(), proptest::option::of(id())).prop_map(|(id, tenant)| {
        let alone = AggregateId::new("receipt", id).expect("the strategy makes ids");
        match tenant {
            Some(tenant) => alone.in_tenant(tenant).expect("the strategy makes ids"),
            None => alone,
        }
    })
}

proptest! {
    #[test]
    fn an_id_is_one_token_and_comes_back(id in any::<String>().prop_filter("not empty", |id| !id.is_empty())) {
        let token = token::encode(&id);
        let in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~%".contains(&byte);
        prop_assert!(token.bytes().all(in_token), "{}", token);
        prop_assert_eq!(token::decode(&token).unwrap(), id);
    }

    #[test]
    fn two_aggregates_never_share_a_token(one in aggregate(), other in aggregate()) {
        prop_assert_eq!(one == other, token::encode_aggregate(&one) == token::encode_aggregate(&other));
    }

    #[test]
    fn a_token_that_can_be_read_is_the_one_that_would_be_written(token in "[A-Za-z0-9~_%=.-]{0,12}|(%[0-9A-Fa-f]{2}){0,6}") {
        if let Ok(id) = token::decode(&token) {
            prop_assert_eq!(token::encode(&id), token.clone());
        }
        if let Ok(aggregate) = token::decode_aggregate(Name::new("receipt").unwrap(), &token) {
            prop_assert_eq!(token::encode_aggregate(&aggregate), token);
        }
    }

    #[test]
    fn a_journal_subject_comes_apart_as_it_was_made(aggregate in aggregate()) {
        let subjects = Subjects::new(Name::new("receipts").unwrap());
        let event = Name::new("item-added").unwrap();
        let subject = subjects.journal(&aggregate, &event);
        prop_assert_eq!(subject.split('.').count(), 5);
        let parsed = subjects.parse_journal(&subject).unwrap();
        prop_assert_eq!(parsed.aggregate, aggregate);
        prop_assert_eq!(parsed.event, event);
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in any::<String>()) {
        let subjects = Subjects::new(Name::new("receipts").unwrap());
        _ = token::decode(&text);
        for subject in [text.clone(), format!("receipts.journal.{text}"), format!("receipts.journal.receipt.{text}.a")] {
            _ = subjects.parse_journal(&subject);
            _ = subjects.parse_events(&subject);
            _ = subjects.parse_call(&subject);
        }
    }

    #[test]
    fn valid_json_is_nested_as_deep_as_the_scanner_says(json in json()) {
        let text = serde_json::to_string(&json).unwrap();
        let depth = depth_of(&json);
        prop_assert!(limits::check_depth(text.as_bytes(), depth).is_ok());
        if depth > 0 {
            prop_assert!(limits::check_depth(text.as_bytes(), depth - 1).is_err());
        }
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<i64>().prop_map(serde_json::Value::from),
        r#"[\[\]{}"\\a-c]{0,8}"#.prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::btree_map(r#"[\[{"\\a-c]{0,3}"#, inner, 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn depth_of(json: &serde_json::Value) -> usize {
    match json {
        serde_json::Value::Array(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
        serde_json::Value::Object(members) => 1 + members.values().map(depth_of).max().unwrap_or(0),
        _ => 0,
    }
}
