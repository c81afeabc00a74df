//! Where a NATS server listens, kept apart from the credentials a URL may carry.

use std::borrow::Cow;
use std::fmt;

use async_nats::ServerAddr;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::secret::Secret;

/// The URL of one server as it was written: `nats://host:4222`, `tls://host:4222` or `host:4222`.
///
/// It may carry `user:password@` or `token@`; `Debug`, `Display` and serde show `***@` in their place. The text is
/// checked by [`NatsConfig::validate`](super::NatsConfig::validate), not when it is read, so that one message can
/// name every bad URL of a list.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

/// Credentials found inside a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UrlCredentials {
    Token(Secret),
    User { user: String, password: Secret },
}

impl ServerUrl {
    /// Takes the text as it is.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into().trim().to_owned())
    }

    /// The host and port this URL names, without credentials, or what is wrong with it.
    pub(crate) fn address(&self) -> Result<ServerAddr, String> {
        if self.0.is_empty() {
            return Err("is empty; write a URL such as \"nats://localhost:4222\"".into());
        }
        let text = self.without_credentials();
        if let Some(scheme @ ("ws" | "wss")) = text.split_once("://").map(|(scheme, _)| scheme) {
            return Err(format!(
                "the scheme {scheme}:// is not supported: WebSocket is left out here; use nats:// or tls://"
            ));
        }
        // The parser's own words name the cause (a bad port, a bad scheme) and do not quote the URL.
        let address: ServerAddr = text.parse().map_err(|error: std::io::Error| error.to_string())?;
        let url = address.clone().into_inner();
        if address.host().is_empty() {
            return Err("names no host".into());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("has something after host and port; a server URL ends there".into());
        }
        Ok(address)
    }

    pub(crate) fn credentials(&self) -> Option<UrlCredentials> {
        let (start, end) = self.userinfo()?;
        let userinfo = &self.0[start..end];
        Some(match userinfo.split_once(':') {
            Some((user, password)) => {
                UrlCredentials::User { user: percent_decode(user), password: Secret::new(percent_decode(password)) }
            }
            None => UrlCredentials::Token(Secret::new(percent_decode(userinfo))),
        })
    }

    /// The URL as it may be shown: user, password and token are left out.
    #[must_use]
    pub fn without_credentials(&self) -> String {
        match self.userinfo() {
            Some((start, end)) => format!("{}{}", &self.0[..start], &self.0[end + 1..]),
            None => self.0.clone(),
        }
    }

    /// Everything up to the last `@` is taken for credentials, also where the URL is malformed: a password
    /// with an unescaped `@` or `/` must not be shown either.
    fn userinfo(&self) -> Option<(usize, usize)> {
        let start = self.0.find("://").map_or(0, |at| at + 3);
        let end = start + self.0[start..].rfind('@')?;
        Some((start, end))
    }
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%').then(|| tail.get(..2)).flatten();
        let escaped = escaped.and_then(|hex| std::str::from_utf8(hex).ok());
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl From<&str> for ServerUrl {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<String> for ServerUrl {
    fn from(url: String) -> Self {
        Self::new(url)
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.userinfo() {
            Some((start, end)) => write!(f, "{}***{}", &self.0[..start], &self.0[end..]),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for ServerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ServerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl JsonSchema for ServerUrl {
    fn schema_name() -> Cow<'static, str> {
        "ServerUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "nats://host:4222, tls://host:4222 or host:4222; WebSocket URLs are refused.",
            "pattern": "^((nats|tls)://)?[^/]+/?$",
            "examples": ["nats://localhost:4222"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_out_of_a_url_and_never_shown() {
        let url = ServerUrl::new("nats://ann:p%40ss%3Aword@example.org:4333");
        assert_eq!(
            url.credentials(),
            Some(UrlCredentials::User { user: "ann".into(), password: Secret::new("p@ss:word") })
        );
        assert_eq!(url.to_string(), "nats://***@example.org:4333");
        assert_eq!(format!("{url:?}"), "\"nats://***@example.org:4333\"");
        let address = url.address().unwrap();
        assert_eq!((address.host(), address.port()), ("example.org", 4333));
        assert_eq!(address.as_url_str(), "nats://example.org:4333");
    }

    #[test]
    fn a_single_name_in_a_url_is_a_token() {
        let url = ServerUrl::new("nats://s3cr3t@localhost");
        assert_eq!(url.credentials(), Some(UrlCredentials::Token(Secret::new("s3cr3t"))));
        assert_eq!(url.address().unwrap().port(), 4222);
    }

    #[test]
    fn a_password_with_unescaped_signs_is_hidden_in_full() {
        for url in ["nats://ann:p@ss/wo:rd@host:1", "ann:p@ss/wo:rd@host:1", "http://ann:p@ss/wo:rd@"] {
            let shown = format!("{} {:?}", ServerUrl::new(url), ServerUrl::new(url).address());
            assert!(!shown.contains("rd@") && !shown.contains("ss/"), "{shown}");
        }
    }

    #[test]
    fn each_bad_url_says_what_is_wrong_with_it() {
        for (url, words) in [
            ("", "is empty"),
            ("ws://localhost:8080", "ws:// is not supported"),
            ("wss://localhost:8080", "wss:// is not supported"),
            ("http://localhost:4222", "invalid scheme"),
            ("nats://localhost:99999", "invalid port number"),
            ("nats://", "host"),
            ("nats://localhost:4222/path", "something after host and port"),
        ] {
            let error = ServerUrl::new(url).address().unwrap_err();
            assert!(error.contains(words), "{url}: {error}");
        }
    }
}
