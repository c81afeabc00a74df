//! Media types, as far as codecs are chosen by them.

use std::borrow::Cow;

/// The longest media type that an error shows, in characters.
const LONGEST: usize = 80;

/// The media type without parameters, in lower case; JSON when there is none.
pub(crate) fn essence(content_type: &str) -> Cow<'_, str> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.is_empty() {
        Cow::Borrowed(headwater_core::JSON)
    } else if essence.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(essence.to_ascii_lowercase())
    } else {
        Cow::Borrowed(essence)
    }
}

/// Whether data of this media type is JSON, as CloudEvents tells it: subtype `json`, or one ending in `+json`.
pub(crate) fn is_json(content_type: &str) -> bool {
    if content_type == headwater_core::JSON {
        return true;
    }
    essence(content_type).split_once('/').is_some_and(|(_, subtype)| subtype == "json" || subtype.ends_with("+json"))
}

/// What an error shows of a media type, which may be anything that somebody wrote into a header.
pub(crate) fn short(content_type: &str) -> String {
    content_type.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_make_no_other_media_type() {
        assert_eq!(essence(" Application/JSON ; charset=utf-8"), "application/json");
        assert_eq!(essence(""), "application/json");
        assert_eq!(essence("text/plain"), "text/plain");
    }

    #[test]
    fn json_is_told_by_its_subtype() {
        for json in ["application/json", "text/JSON;q=1", "application/vnd.orders+json", ""] {
            assert!(is_json(json), "{json}");
        }
        for other in ["json", "application/jsonlines", "application/msgpack", "application/json+xml"] {
            assert!(!is_json(other), "{other}");
        }
    }
}
