//! The keys of snapshots: `{aggregate type}.{id}`, written so that every key-value client takes them.
//!
//! Keys may hold `A-Z a-z 0-9 - _ / = .` and nothing else (ADR-8). The id tokens of the journal's subjects hold `%` and
//! `~` besides, and no `/`: so `%` becomes `/`, and `~` is escaped too. Two ids never share a key, since turning every
//! `/` back into `%` gives a percent-encoding of the token, which has one meaning.

use headwater_core::AggregateId;
use headwater_nats::token;

pub(super) fn of(aggregate: &AggregateId) -> String {
    let mut key = aggregate.kind().as_str().to_owned();
    key.push('.');
    push(&mut key, aggregate);
    key
}

/// Appends the id's part.
fn push(key: &mut String, aggregate: &AggregateId) {
    let token = token::encode_aggregate(aggregate);
    if !token.contains(['%', '~']) {
        key.push_str(&token);
        return;
    }
    for character in token.chars() {
        match character {
            '%' => key.push('/'),
            '~' => key.push_str("/7E"),
            other => key.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn key(id: &str) -> String {
        of(&AggregateId::new("receipt", id).unwrap())
    }

    #[test]
    fn a_key_holds_only_what_keys_may_hold() {
        assert_eq!(key("order-12345"), "receipt.order-12345");
        assert_eq!(key("a.b ~*"), "receipt.a/2Eb/20/7E/2A");
        let tenant = AggregateId::new("receipt", "1=2").unwrap().in_tenant("acme").unwrap();
        assert_eq!(of(&tenant), "receipt.acme=1/3D2");
        for id in ["é", "🧾", "..", "/", "%", "~", ">", "two words", "%2F", "/2F", "A_z-9"] {
            let key = key(id);
            assert!(key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-/_=.".contains(&byte)), "{key}");
            assert!(!key.ends_with('.'), "{key}");
        }
    }

    #[test]
    fn two_ids_never_share_a_key() {
        let parts = ["", "~", "%", "/", "7E", "2F", "25", "=", "a", ".", "é"];
        let mut keys = HashSet::new();
        let mut ids = HashSet::new();
        for one in parts {
            for two in parts {
                for three in parts {
                    let id = format!("{one}{two}{three}");
                    if !id.is_empty() && ids.insert(id.clone()) {
                        assert!(keys.insert(key(&id)), "{id}");
                    }
                }
            }
        }
        let tenant = AggregateId::new("receipt", "b").unwrap().in_tenant("a").unwrap();
        assert!(!keys.contains(&of(&tenant)));
    }
}
