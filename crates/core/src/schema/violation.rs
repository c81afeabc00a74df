//! Violations: where a payload does not fit, in texts that stay short and keep its values out.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::Violation;

/// The longest path and the longest message, in bytes: both may hold names that a caller made up.
const MAX_TEXT: usize = 400;

/// A violation at `path`, a JSON Pointer, with both texts cut to a decent length.
pub(super) fn violation(path: &str, message: &str) -> Violation {
    Violation { path: enclosing(path).to_owned(), message: shortened(message) }
}

/// Why a payload that fits its schema does not fit its type: read once more, this time with the
/// place. Only refusals pay for it.
pub(crate) fn misfit<T: DeserializeOwned>(payload: &Value) -> Violation {
    match serde_path_to_error::deserialize::<_, T>(payload) {
        Ok(_) => violation("", "the value does not fit"),
        Err(error) => violation(&pointer(error.path()), &without_value(&error.inner().to_string())),
    }
}

/// A path of `serde_path_to_error` as a JSON Pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
        // The variant of an enum is a member only in some representations, and never one more level to the caller.
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}

/// The pointer, or where it is too long, the one to the closest value around that is not.
fn enclosing(pointer: &str) -> &str {
    if pointer.len() <= MAX_TEXT {
        return pointer;
    }
    let kept = &pointer.as_bytes()[..=MAX_TEXT];
    let end = kept.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    // A slash is one byte in UTF-8 and part of no other character.
    &pointer[..end]
}

/// The message, cut where it is too long.
fn shortened(message: &str) -> String {
    if message.len() <= MAX_TEXT {
        return message.to_owned();
    }
    let end = message.char_indices().map(|(at, _)| at).take_while(|at| *at <= MAX_TEXT).last().unwrap_or_default();
    format!("{}…", &message[..end])
}

/// A message of serde without the value it complains about: `invalid value: string "x", expected
/// a price` tells what was expected, and leaves out what was there.
fn without_value(message: &str) -> String {
    let kinds = ["invalid type", "invalid value", "unknown variant"];
    let Some(kind) = kinds.into_iter().find(|kind| message.starts_with(kind)) else {
        return message.to_owned();
    };
    match message.rfind(", expected ") {
        Some(at) => format!("{kind}{}", &message[at..]),
        None => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_misfit_says_where_and_what_was_expected_and_leaves_the_value_out() {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        enum Colour {
            Red,
        }

        fn price<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(|_| {
                let unexpected = serde::de::Unexpected::Str(&text);
                <D::Error as serde::de::Error>::invalid_value(unexpected, &"a price, expected in cents")
            })
        }

        #[derive(Deserialize)]
        #[allow(dead_code, reason = "only the way there matters")]
        struct Item {
            #[serde(rename = "a/b")]
            colour: Option<Colour>,
            #[serde(deserialize_with = "price")]
            price: u64,
        }

        for (payload, path, message) in [
            (json!([{ "price": 7 }]), "/0/price", "invalid type, expected a string"),
            (json!([{ "price": "secret, expected " }]), "/0/price", "invalid value, expected in cents"),
            (json!([{ "a/b": "secret", "price": "1" }]), "/0/a~1b", "unknown variant, expected `red`"),
            (json!([{ "a/b": ["secret"], "price": "1" }]), "/0/a~1b", "invalid type, expected string or map"),
            (json!([{ "price": "1" }, {}]), "/1", "missing field `price`"),
            (json!("secret"), "", "invalid type, expected a sequence"),
        ] {
            let found = misfit::<Vec<Item>>(&payload);
            assert_eq!((found.path.as_str(), found.message.as_str()), (path, message), "{payload}");
        }
        assert!(matches!(serde_json::from_value(json!("red")), Ok(Colour::Red)));
    }

    #[test]
    fn a_long_path_ends_at_a_value_around_and_is_still_a_pointer() {
        let deep = "/children/0".repeat(100);
        let cut = enclosing(&deep);
        assert!(cut.len() <= MAX_TEXT && cut.len() > MAX_TEXT - 10 && deep.starts_with(cut), "{cut}");
        assert_eq!(&deep[cut.len()..=cut.len()], "/");
        assert_eq!(enclosing(&format!("/items/{}", "🧾".repeat(1000))), "/items");
        assert_eq!(enclosing(&format!("/{}", "x".repeat(1000))), "");
        let just_fits = format!("/{}", "x".repeat(MAX_TEXT - 1));
        assert_eq!(enclosing(&just_fits), just_fits);
        assert_eq!(enclosing(&format!("{just_fits}/0")), just_fits);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        for filler in ["x", "é", "🧾"] {
            let cut = shortened(&format!("a{}", filler.repeat(1000)));
            assert!(cut.len() <= MAX_TEXT + '…'.len_utf8() && cut.ends_with('…'), "{cut}");
        }
    }
}
