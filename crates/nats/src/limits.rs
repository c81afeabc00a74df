//! What a service accepts before it looks any closer at a request.

mod depth;

use async_nats::HeaderMap;
use headwater_core::Failure;

pub use depth::{DepthError, check_depth};

/// What a service accepts before it looks any closer at a request.
///
/// ```
/// use headwater_nats::limits::Limits;
///
/// let limits = Limits::default().allow_replies_under("_INBOX_till")?;
/// assert!(limits.allows_reply("_INBOX.abc.1"));
/// assert!(limits.allows_reply("_INBOX_till.abc"));
/// assert!(!limits.allows_reply("$JS.API.STREAM.DELETE.RECEIPTS_JOURNAL"));
/// # Ok::<(), headwater_nats::limits::InvalidReplyPrefix>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Limits {
    /// The largest body of a request, in bytes; 64 KiB by default.
    pub max_body: usize,
    /// The most header lines; 64 by default.
    pub max_header_lines: usize,
    /// The most bytes of headers; 8 KiB by default.
    pub max_header_bytes: usize,
    /// The deepest nesting of JSON objects and arrays; 32 by default.
    pub max_json_depth: usize,
    reply_prefixes: Vec<String>,
}

/// A reply prefix that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{prefix:?} cannot be a prefix of reply subjects: plain tokens joined by dots, not starting with `$`, at most 128 bytes"
)]
pub struct InvalidReplyPrefix {
    prefix: String,
}

/// Where callers wait for replies without being told otherwise, and where the server sends those
/// of other accounts.
const USUAL_REPLY_PREFIXES: [&str; 2] = ["_INBOX.", "_R_."];

/// The longest reply subject that gets an answer, in bytes.
const MAX_REPLY_SUBJECT: usize = 512;

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: 64 * 1024,
            max_header_lines: 64,
            max_header_bytes: 8 * 1024,
            max_json_depth: 32,
            reply_prefixes: USUAL_REPLY_PREFIXES.map(str::to_owned).to_vec(),
        }
    }
}

impl Limits {
    /// Also answers to reply subjects under `prefix`, for callers with an inbox prefix of their
    /// own: `_INBOX_till` allows `_INBOX_till.x` and not `_INBOX_tillage.x`.
    ///
    /// # Errors
    /// [`InvalidReplyPrefix`] when it holds wildcards, spaces, control characters or empty tokens,
    /// or starts with `$`, where the server's own APIs are.
    pub fn allow_replies_under(mut self, prefix: &str) -> Result<Self, InvalidReplyPrefix> {
        let tokens = prefix.strip_suffix('.').unwrap_or(prefix);
        if prefix.len() > 128 || tokens.starts_with('$') || !is_literal(tokens) {
            return Err(InvalidReplyPrefix { prefix: prefix.chars().take(80).collect() });
        }
        self.reply_prefixes.push(format!("{tokens}."));
        Ok(self)
    }

    /// Whether an answer may be sent to this reply subject. An answer elsewhere could be stored as
    /// an event or reach an API.
    #[must_use]
    pub fn allows_reply(&self, subject: &str) -> bool {
        subject.len() <= MAX_REPLY_SUBJECT
            && self.reply_prefixes.iter().any(|prefix| subject.starts_with(prefix.as_str()))
            && is_literal(subject)
    }

    /// Checks the size of a request's body.
    ///
    /// # Errors
    /// 413 `payload-too-large` with the size and the limit.
    pub fn check_body(&self, body: &[u8]) -> Result<(), Failure> {
        if body.len() <= self.max_body {
            return Ok(());
        }
        let (size, limit) = (body.len(), self.max_body);
        Err(Failure::payload_too_large(format!("the request body has {size} bytes; at most {limit} are accepted"))
            .detail("limit", limit))
    }

    /// Checks the number and size of a request's headers.
    ///
    /// # Errors
    /// 413 `payload-too-large` with the limit.
    pub fn check_headers(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let (mut lines, mut bytes) = (0, 0);
        for (name, values) in headers.iter() {
            lines += values.len();
            // Each line also has `: ` or `:` and a line break.
            bytes +=
                values.iter().map(|value| AsRef::<str>::as_ref(name).len() + value.as_str().len() + 4).sum::<usize>();
        }
        if lines > self.max_header_lines {
            let limit = self.max_header_lines;
            return Err(
                Failure::payload_too_large(format!("there are more than {limit} header lines")).detail("limit", limit)
            );
        }
        if bytes > self.max_header_bytes {
            let limit = self.max_header_bytes;
            return Err(
                Failure::payload_too_large(format!("the headers have more than {limit} bytes")).detail("limit", limit)
            );
        }
        Ok(())
    }

    /// Checks how deep the JSON of a request is nested, without parsing it.
    ///
    /// # Errors
    /// 400 `invalid-request`.
    pub fn check_depth(&self, json: &[u8]) -> Result<(), Failure> {
        check_depth(json, self.max_json_depth).map_err(|error| Failure::invalid_request(error.to_string()))
    }
}

/// Whether it is a subject that can be published to: tokens without wildcards, spaces and control
/// characters, none of them empty.
fn is_literal(subject: &str) -> bool {
    let literal = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '*' | '>');
    subject.split('.').all(|token| !token.is_empty()) && subject.chars().all(literal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_core::FailureCode;

    #[test]
    fn answers_go_to_inboxes_and_nowhere_else() {
        let limits = Limits::default();
        for good in ["_INBOX.a", "_INBOX.abc.def", "_R_.xyz"] {
            assert!(limits.allows_reply(good), "{good}");
        }
        let long = format!("_INBOX.{}", "x".repeat(600));
        for bad in [
            "",
            "_INBOX",
            "_INBOX.",
            "_INBOX..a",
            "_INBOX.a.",
            "_INBOX.*",
            "_INBOX.>",
            "_INBOX.a b",
            "_INBOX.a\tb",
            "_INBOX.a\u{a0}b",
            "_INBOXES.a",
            "_INBOX_till.a",
            "_inbox.a",
            "_R_",
            "$JS.API.STREAM.PURGE.RECEIPTS_JOURNAL",
            "$JS.ACK.x",
            "$SRV.PING",
            "receipts.journal.receipt.a.item-added",
            "receipts.command.receipt.void",
            long.as_str(),
        ] {
            assert!(!limits.allows_reply(bad), "{bad}");
        }
    }

    #[test]
    fn a_reply_prefix_allows_what_is_under_it() {
        let limits = Limits::default().allow_replies_under("_INBOX_till").unwrap();
        let limits = limits.allow_replies_under("replies.till.").unwrap();
        assert!(limits.allows_reply("_INBOX_till.a") && limits.allows_reply("replies.till.a"));
        assert!(!limits.allows_reply("_INBOX_tillage.a") && !limits.allows_reply("replies.tillage"));
        for bad in ["", ".", "a.*", ">", "$JS", "$JS.API", "a b", "a..b", ".a", &"x".repeat(129)] {
            assert!(Limits::default().allow_replies_under(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_refused_above_the_limit_and_not_at_it() {
        let limits = Limits::default();
        assert!(limits.check_body(&vec![b' '; 64 * 1024]).is_ok());
        let failure = limits.check_body(&vec![b' '; 64 * 1024 + 1]).unwrap_err();
        assert_eq!(failure.code, FailureCode::PayloadTooLarge);
        assert_eq!(failure.message, "the request body has 65537 bytes; at most 65536 are accepted");

        let mut headers = HeaderMap::new();
        for line in 0..64 {
            headers.append("X-Line", line.to_string());
        }
        assert!(limits.check_headers(&headers).is_ok());
        headers.append("X-Line", "one more");
        assert_eq!(limits.check_headers(&headers).unwrap_err().code, FailureCode::PayloadTooLarge);
        let mut headers = HeaderMap::new();
        headers.insert("X-Long", "x".repeat(8 * 1024));
        assert_eq!(limits.check_headers(&headers).unwrap_err().code, FailureCode::PayloadTooLarge);
    }

    #[test]
    fn deep_nesting_is_an_invalid_request() {
        let bomb = "[".repeat(100_000);
        let failure = Limits::default().check_depth(bomb.as_bytes()).unwrap_err();
        assert_eq!(failure.code, FailureCode::InvalidRequest);
        assert_eq!(failure.message, "the JSON is nested more than 32 levels deep");
    }
}
