//! Aggregate ids as subject tokens: any id becomes one token, and comes back the same.
//!
//! Bytes of `A-Z a-z 0-9 - _ ~` stand for themselves; every other byte is `%XX` with upper-case
//! hex. Where a service keeps its tenants apart the token is `{tenant}={id}`, both encoded; `=`
//! occurs in neither, so the parts cannot run together.
//!
//! ```
//! use headwater_nats::token;
//!
//! assert_eq!(token::encode("order 1.2"), "order%201%2E2");
//! assert_eq!(token::decode("order%201%2E2")?, "order 1.2");
//! assert!(token::decode("order%201%2e2").is_err(), "the encoder writes upper-case hex");
//! # Ok::<(), token::TokenError>(())
//! ```

use headwater_core::{AggregateId, IdError, Name};

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// A token that no id is encoded as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is nothing in it.
    #[error("the id token is empty")]
    Empty,
    /// A byte stands for itself that the encoder would have escaped.
    #[error("the id token holds an unescaped byte at {at}")]
    Unescaped {
        /// Where, in bytes.
        at: usize,
    },
    /// A `%` is not followed by two upper-case hex digits, or they stand for a byte that needs no
    /// escape.
    #[error("the id token has an escape at {at} that the encoder would not have written")]
    Escape {
        /// Where the `%` is, in bytes.
        at: usize,
    },
    /// The bytes are not UTF-8.
    #[error("the id token is not UTF-8")]
    NotUtf8,
    /// What it decodes to is no id.
    #[error(transparent)]
    Id(#[from] IdError),
}

/// Whether the byte stands for itself.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~')
}

/// The id as one subject token.
#[must_use]
pub fn encode(id: &str) -> String {
    let mut token = String::with_capacity(id.len());
    push(&mut token, id);
    token
}

/// Appends the token of `id` to `to`.
pub fn push(to: &mut String, id: &str) {
    for byte in id.bytes() {
        if is_plain(byte) {
            to.push(char::from(byte));
        } else {
            to.push('%');
            to.push(char::from(HEX[usize::from(byte >> 4)]));
            to.push(char::from(HEX[usize::from(byte & 0xf)]));
        }
    }
}

/// Appends the token of an aggregate's id, and its tenant when it has one, to `to`.
pub fn push_aggregate(to: &mut String, aggregate: &AggregateId) {
    if let Some(tenant) = aggregate.tenant() {
        push(to, tenant);
        to.push('=');
    }
    push(to, aggregate.id());
}

/// The token of an aggregate's id, `{tenant}={id}` when it has a tenant.
#[must_use]
pub fn encode_aggregate(aggregate: &AggregateId) -> String {
    let mut token = String::with_capacity(aggregate.id().len() + 16);
    push_aggregate(&mut token, aggregate);
    token
}

/// The id that a token stands for.
///
/// # Errors
/// [`TokenError`] for anything that [`encode`] would not have written.
pub fn decode(token: &str) -> Result<String, TokenError> {
    if token.is_empty() {
        return Err(TokenError::Empty);
    }
    let bytes = token.as_bytes();
    let mut id = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            plain if is_plain(plain) => {
                id.push(plain);
                at += 1;
            }
            b'%' => {
                let escaped = escaped(&bytes[at + 1..]).filter(|byte| !is_plain(*byte));
                id.push(escaped.ok_or(TokenError::Escape { at })?);
                at += 3;
            }
            _ => return Err(TokenError::Unescaped { at }),
        }
    }
    String::from_utf8(id).map_err(|_| TokenError::NotUtf8)
}

/// The byte that the first two characters stand for.
fn escaped(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| match digits.get(at)? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    Some(digit(0)? << 4 | digit(1)?)
}

/// The aggregate of type `kind` that a token stands for, with its tenant when the token names one.
///
/// # Errors
/// [`TokenError`] for anything that [`encode_aggregate`] would not have written.
pub fn decode_aggregate(kind: Name, token: &str) -> Result<AggregateId, TokenError> {
    match token.split_once('=') {
        Some((tenant, id)) => Ok(AggregateId::of(kind, decode(id)?)?.in_tenant(decode(tenant)?)?),
        None => Ok(AggregateId::of(kind, decode(token)?)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_the_plain_bytes_is_escaped() {
        for (id, token) in [
            ("order-12345", "order-12345"),
            ("A_z~9", "A_z~9"),
            ("a.b", "a%2Eb"),
            ("*", "%2A"),
            (">", "%3E"),
            ("two words", "two%20words"),
            ("50%", "50%25"),
            ("a=b", "a%3Db"),
            ("é", "%C3%A9"),
            ("🧾", "%F0%9F%A7%BE"),
        ] {
            assert_eq!(encode(id), token);
            assert_eq!(decode(token).unwrap(), id);
        }
    }

    #[test]
    fn what_the_encoder_would_not_write_is_refused() {
        for (token, error) in [
            ("", TokenError::Empty),
            ("a.b", TokenError::Unescaped { at: 1 }),
            ("*", TokenError::Unescaped { at: 0 }),
            ("a b", TokenError::Unescaped { at: 1 }),
            ("é", TokenError::Unescaped { at: 0 }),
            ("%2e", TokenError::Escape { at: 0 }),
            ("%41", TokenError::Escape { at: 0 }),
            ("a%2", TokenError::Escape { at: 1 }),
            ("a%", TokenError::Escape { at: 1 }),
            ("%GG", TokenError::Escape { at: 0 }),
            ("%FF", TokenError::NotUtf8),
        ] {
            assert_eq!(decode(token).unwrap_err(), error, "{token}");
        }
    }

    #[test]
    fn the_same_id_in_two_tenants_is_two_tokens() {
        let kind = Name::new("receipt").unwrap();
        let alone = AggregateId::of(kind.clone(), "a=b").unwrap();
        let acme = alone.clone().in_tenant("acme").unwrap();
        assert_eq!(encode_aggregate(&alone), "a%3Db");
        assert_eq!(encode_aggregate(&acme), "acme=a%3Db");
        for aggregate in [alone, acme] {
            assert_eq!(decode_aggregate(kind.clone(), &encode_aggregate(&aggregate)).unwrap(), aggregate);
        }
    }

    #[test]
    fn a_token_of_no_id_is_refused() {
        let kind = Name::new("receipt").unwrap();
        for token in ["%0A", "=a", "a=", "a=b=c", "", &"x".repeat(129)] {
            assert!(decode_aggregate(kind.clone(), token).is_err(), "{token}");
        }
    }
}
