//! A NATS client that sends whatever bytes it is told to, for frames that a decent client refuses to send.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::frames::{Frames, Piece};

/// How long a read may take before it fails.
const READ_WITHIN: Duration = Duration::from_secs(5);

const READ_BYTES: usize = 16 * 1024;

/// Messages kept while something else is waited for; more is an error.
const MOST_WAITING: usize = 10_000;

/// A message as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMessage {
    /// The subject it was sent to.
    pub subject: String,
    /// The subscription it is for.
    pub sid: String,
    /// Where an answer goes.
    pub reply: Option<String>,
    /// The header block, from `NATS/1.0` to the empty line; empty for a message without headers.
    pub headers: Bytes,
    /// The body.
    pub body: Bytes,
}

/// A raw TCP connection to a server, past the greeting. Every read has a deadline of five seconds.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use headwater_testkit::{RawClient, TestServer, header_block};
///
/// let server = TestServer::start().await;
/// let mut hostile = RawClient::connect(server.address()).await?;
/// // A carriage return inside a value, which no client library would send.
/// hostile.hpub("orders.new", None, &header_block(b"Name: a\rb"), b"{}").await?;
/// hostile.ping().await?; // the server has taken it
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RawClient {
    reader: OwnedReadHalf,
    frames: Frames,
    writer: OwnedWriteHalf,
    info: Value,
    waiting: VecDeque<RawMessage>,
}

/// What the server may say.
enum Frame {
    Message(RawMessage),
    Pong,
    Error(String),
    Other,
}

impl RawClient {
    /// Connects without credentials and waits until the server has accepted it.
    ///
    /// # Errors
    ///
    /// When the server is not there, does not greet, or refuses.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::connect_with(address, json!({})).await
    }

    /// Connects as a user and waits until the server has accepted it.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); wrong credentials come back with the server's words.
    pub async fn connect_as(address: SocketAddr, user: &str, password: &str) -> io::Result<Self> {
        Self::connect_with(address, json!({ "user": user, "pass": password })).await
    }

    async fn connect_with(address: SocketAddr, credentials: Value) -> io::Result<Self> {
        let mut client = Self::greet(address).await?;
        let mut options = json!({
            "verbose": false, "pedantic": false, "headers": true, "no_responders": true, "echo": true,
            "protocol": 1, "lang": "raw", "version": "0", "name": "headwater raw client",
        });
        if let (Some(options), Value::Object(credentials)) = (options.as_object_mut(), credentials) {
            options.extend(credentials);
        }
        client.send(format!("CONNECT {options}\r\n").as_bytes()).await?;
        client.ping().await?;
        Ok(client)
    }

    /// Connects and reads the server's `INFO`, and says nothing: the `CONNECT` is up to the caller.
    ///
    /// # Errors
    ///
    /// When the server is not there or does not greet.
    pub async fn greet(address: SocketAddr) -> io::Result<Self> {
        let stream = within_deadline("connection", TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let mut client =
            Self { reader, frames: Frames::default(), writer, info: Value::Null, waiting: VecDeque::new() };
        let line = client.line().await?;
        let info = line.strip_prefix("INFO ").ok_or_else(|| broken(format!("a greeting expected, not `{line}`")))?;
        client.info = serde_json::from_str(info)?;
        Ok(client)
    }

    /// What the server said about itself in its greeting.
    #[must_use]
    pub fn info(&self) -> &Value {
        &self.info
    }

    /// Sends exactly these bytes.
    ///
    /// # Errors
    ///
    /// When the connection is closed, or the server takes nothing for five seconds.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        within_deadline("room to send", self.writer.write_all(bytes)).await
    }

    /// Publishes a message without headers.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). What the server thinks of it comes with the next [`ping`](Self::ping).
    pub async fn publish(&mut self, subject: &str, reply: Option<&str>, body: &[u8]) -> io::Result<()> {
        let reply = reply.map(|reply| format!(" {reply}")).unwrap_or_default();
        self.frame(&format!("PUB {subject}{reply} {}", body.len()), &[body]).await
    }

    /// Publishes a message with this header block, byte for byte, well-formed or not; only the two lengths in front
    /// are computed. See [`header_block`] for one that is whole but for the lines in it.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub async fn hpub(
        &mut self,
        subject: &str,
        reply: Option<&str>,
        header_block: &[u8],
        body: &[u8],
    ) -> io::Result<()> {
        let reply = reply.map(|reply| format!(" {reply}")).unwrap_or_default();
        let (head, total) = (header_block.len(), header_block.len() + body.len());
        self.frame(&format!("HPUB {subject}{reply} {head} {total}"), &[header_block, body]).await
    }

    /// Subscribes; `sid` comes back with every message.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn subscribe(&mut self, subject: &str, sid: &str) -> io::Result<()> {
        self.send(format!("SUB {subject} {sid}\r\n").as_bytes()).await
    }

    /// Sends `PING` and waits for `PONG`: whatever was sent before has been taken. Messages that come in between are
    /// kept for [`message`](Self::message).
    ///
    /// # Errors
    ///
    /// With the server's words when it complains, and when it does not answer in time or closes the connection.
    pub async fn ping(&mut self) -> io::Result<()> {
        self.send(b"PING\r\n").await?;
        let answer = async {
            loop {
                match self.next_frame().await? {
                    Frame::Pong => return Ok(()),
                    Frame::Message(message) if self.waiting.len() < MOST_WAITING => self.waiting.push_back(message),
                    Frame::Message(_) => return Err(broken("too many messages that nobody reads")),
                    Frame::Error(text) => return Err(io::Error::other(text)),
                    Frame::Other => {}
                }
            }
        };
        within_deadline("answer to a ping", answer).await
    }

    /// The next message, from those kept or from the wire. The server's pings are answered on the way. A cancelled
    /// call loses nothing.
    ///
    /// # Errors
    ///
    /// When none comes within five seconds, with the server's words when it complains, and when it closes.
    pub async fn message(&mut self) -> io::Result<RawMessage> {
        if let Some(message) = self.waiting.pop_front() {
            return Ok(message);
        }
        let next = async {
            loop {
                match self.next_frame().await? {
                    Frame::Message(message) => return Ok(message),
                    Frame::Error(text) => return Err(io::Error::other(text)),
                    Frame::Pong | Frame::Other => {}
                }
            }
        };
        within_deadline("message", next).await
    }

    /// The next line as it is, without its end; bytes that are not UTF-8 are replaced. A cancelled call loses
    /// nothing. It takes the body of a message for lines too: see [`message`](Self::message).
    ///
    /// # Errors
    ///
    /// When none comes within five seconds, or the server closes the connection.
    pub async fn line(&mut self) -> io::Result<String> {
        let next = async {
            loop {
                match self.frames.next_line() {
                    Some(line) => return Ok(text(&line)),
                    None => self.read_more().await?,
                }
            }
        };
        within_deadline("line", next).await
    }

    async fn frame(&mut self, line: &str, parts: &[&[u8]]) -> io::Result<()> {
        let mut frame = Vec::from(line);
        frame.extend_from_slice(b"\r\n");
        for part in parts {
            frame.extend_from_slice(part);
        }
        frame.extend_from_slice(b"\r\n");
        self.send(&frame).await
    }

    async fn next_frame(&mut self) -> io::Result<Frame> {
        loop {
            match self.frames.next() {
                _ if self.frames.is_unreadable() => return Err(broken("what the server sent is not NATS")),
                Some(Piece::Message(frame)) => return read_message(frame).map(Frame::Message),
                Some(Piece::Other(line)) => return self.take_line(&text(&line)).await,
                None => self.read_more().await?,
            }
        }
    }

    async fn take_line(&mut self, line: &str) -> io::Result<Frame> {
        match line.split(' ').next() {
            Some("PONG") => Ok(Frame::Pong),
            Some("-ERR") => Ok(Frame::Error(line.to_owned())),
            Some("PING") => self.send(b"PONG\r\n").await.map(|()| Frame::Other),
            _ => Ok(Frame::Other),
        }
    }

    /// One read; what it brings stays in `frames`, so that a call cancelled anywhere loses nothing.
    async fn read_more(&mut self) -> io::Result<()> {
        match self.reader.read_buf(self.frames.room(READ_BYTES)).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            _ => Ok(()),
        }
    }
}

/// Takes a whole `MSG` or `HMSG` frame apart.
fn read_message(mut frame: Bytes) -> io::Result<RawMessage> {
    let end = frame.windows(2).position(|end| end == b"\r\n").ok_or_else(|| broken("a message without its line"))?;
    let line = text(&frame.split_to(end + 2));
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (names, head) = match words.as_slice() {
        ["MSG", names @ .., _total] => (names, 0),
        ["HMSG", names @ .., head, _total] => (names, head.parse().unwrap_or(usize::MAX)),
        _ => return Err(broken("a message without lengths")),
    };
    let (subject, sid, reply) = match *names {
        [subject, sid] => (subject, sid, None),
        [subject, sid, reply] => (subject, sid, Some(reply.to_owned())),
        _ => return Err(broken("a message without subject and subscription")),
    };
    // The two bytes that end every body.
    frame.truncate(frame.len() - 2);
    if head > frame.len() {
        return Err(broken("a message with more headers than bytes"));
    }
    let body = frame.split_off(head);
    Ok(RawMessage { subject: subject.into(), sid: sid.into(), reply, headers: frame, body })
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches(['\r', '\n']).to_owned()
}

/// A header block that is whole but for the lines in it, which are taken as they are, good or bad.
#[must_use]
pub fn header_block(lines: &[u8]) -> Vec<u8> {
    [b"NATS/1.0\r\n", lines, b"\r\n\r\n"].concat()
}

async fn within_deadline<T>(what: &str, act: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no {what} within {READ_WITHIN:?}"));
    timeout(READ_WITHIN, act).await.map_err(|_| late())?
}

fn broken(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}
