//! The server's monitoring pages, over plain HTTP.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A page larger than this is cut off, and then is no JSON.
const LARGEST_PAGE: u64 = 64 << 20;

/// Where the pages are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MonitorUrl {
    host: String,
    port: u16,
    /// What comes before the page's name, without a slash at its end.
    base: String,
}

/// The pages, each as JSON or with the reason why it is not there.
#[derive(Debug)]
pub(crate) struct Monitor {
    pub(crate) health: Result<Value, String>,
    pub(crate) server: Result<Value, String>,
    pub(crate) jetstream: Result<Value, String>,
    pub(crate) connections: Result<Value, String>,
}

impl std::str::FromStr for MonitorUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some((scheme, _)) => return Err(format!("monitoring is read over plain http, not {scheme}")),
            None => text,
        };
        let (authority, base) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if authority.contains('@') {
            return Err("monitoring pages have no sign-in".to_owned());
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or("the address misses its `]`")?;
                (host, after.strip_prefix(':'))
            }
            None => authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let port = port.unwrap_or("8222").parse().map_err(|_| "the port is no number from 0 to 65535")?;
        if host.is_empty()
            || host.contains(|c: char| c.is_whitespace() || c.is_control())
            || base.contains(char::is_whitespace)
        {
            return Err("it names no host".to_owned());
        }
        Ok(Self { host: host.to_owned(), port, base: base.trim_end_matches('/').to_owned() })
    }
}

impl Monitor {
    /// Reads all pages; each may take `limit`.
    pub(crate) async fn read(url: &MonitorUrl, limit: Duration) -> Self {
        let (health, server, jetstream, connections) = tokio::join!(
            url.page("/healthz", limit),
            url.page("/varz", limit),
            url.page("/jsz?config=1", limit),
            url.page("/connz?sort=pending&limit=100", limit),
        );
        Self { health, server, jetstream, connections }
    }
}

impl MonitorUrl {
    async fn page(&self, page: &str, limit: Duration) -> Result<Value, String> {
        let answer = timeout(limit, self.get(page)).await.map_err(|_| format!("no answer within {limit:?}"))?;
        let answer = answer.map_err(|error| error.to_string())?;
        let (status, body) = parse(&answer).ok_or("the answer is not HTTP")?;
        match serde_json::from_slice(body) {
            // `/healthz` answers 503 with a body that says why.
            Ok(page) => Ok(page),
            Err(_) => Err(format!("status {status}, and no JSON")),
        }
    }

    async fn get(&self, page: &str) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        // Version 1.0: the answer ends with the connection and is never chunked.
        let Self { host, port, base } = self;
        let request = format!("GET {base}{page} HTTP/1.0\r\nHost: {host}:{port}\r\nAccept: application/json\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LARGEST_PAGE).read_to_end(&mut answer).await?;
        Ok(answer)
    }
}

fn parse(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, &answer[end + 4..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_bad_ones_refused() {
        let url = |text: &str| text.parse::<MonitorUrl>();
        let is = |host: &str, port, base: &str| Ok(MonitorUrl { host: host.into(), port, base: base.into() });
        assert_eq!(url("http://localhost:8222"), is("localhost", 8222, ""));
        assert_eq!(url("n1.example"), is("n1.example", 8222, ""));
        assert_eq!(url("http://[::1]:9000/nats/"), is("::1", 9000, "/nats"));
        for bad in
            ["https://localhost:8222", "http://", "http://a:b", "http://me@host:1", "http://[::1", "http://a b:1"]
        {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = b"HTTP/1.0 503 Service Unavailable\r\nA: b\r\n\r\n{\"status\":\"unavailable\"}";
        assert_eq!(parse(answer).unwrap().0, 503);
        assert_eq!(parse(b"INFO {}\r\n\r\n"), None);
    }

    #[tokio::test]
    async fn a_page_that_is_not_there_says_why() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: MonitorUrl = listener.local_addr().unwrap().to_string().parse().unwrap();
        let silent = url.page("/varz", Duration::from_millis(50)).await.unwrap_err();
        assert!(silent.contains("within"), "{silent}");
        drop(listener);
        assert!(url.page("/varz", Duration::from_secs(5)).await.is_err());
    }
}
