//! The few lines of HTTP that the server's monitoring port needs.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A monitoring page larger than this is not one that a test server has.
const LARGEST_ANSWER: u64 = 16 * 1024 * 1024;

/// Asks for one page; the status code and the body. A status other than 200 is an answer, not an error.
pub(crate) async fn get(port: u16, path: &str, within: Duration) -> io::Result<(u16, String)> {
    let exchange = async {
        let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        // Version 1.0: the answer ends with the connection and is never chunked.
        let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LARGEST_ANSWER).read_to_end(&mut answer).await?;
        io::Result::Ok(answer)
    };
    let answer = timeout(within, exchange)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer to {path} within {within:?}")))??;
    parse(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("the answer to {path} is not HTTP")))
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn status_and_body_are_taken_apart() {
        assert_eq!(
            parse("HTTP/1.0 503 Service Unavailable\r\nA: b\r\n\r\n{}\r\n\r\n"),
            Some((503, "{}\r\n\r\n".to_owned()))
        );
        assert_eq!(parse("INFO {}\r\n"), None);
    }
}
