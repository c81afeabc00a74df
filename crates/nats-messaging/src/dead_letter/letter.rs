//! A message that could not be handled, with all that is known of it, and how it travels.

use chrono::{DateTime, SecondsFormat, Utc};

use super::left_out::LeftOut;
use crate::message::{MESSAGE_ID, Message};

/// What all headers of dead letters begin with.
const PREFIX: &str = "Headwater-Dead-";

/// The longest reason, in bytes.
const MAX_REASON: usize = 512;

/// The headers by which a dead letter tells what it is.
pub mod header {
    /// The subject the message came by.
    pub const SUBJECT: &str = "Headwater-Dead-Subject";
    /// The stream it is from.
    pub const STREAM: &str = "Headwater-Dead-Stream";
    /// The consumer that could not handle it.
    pub const CONSUMER: &str = "Headwater-Dead-Consumer";
    /// Its place in the stream.
    pub const SEQUENCE: &str = "Headwater-Dead-Sequence";
    /// Its first place in the stream, before it was redriven for the first time.
    pub const ORIGIN: &str = "Headwater-Dead-Origin";
    /// When it was stored in the stream, RFC 3339.
    pub const STORED: &str = "Headwater-Dead-Stored";
    /// How often it was delivered.
    pub const DELIVERIES: &str = "Headwater-Dead-Deliveries";
    /// `failed`, `poison`, `unanswered` or `parked`.
    pub const CAUSE: &str = "Headwater-Dead-Cause";
    /// What its handler said last, one line.
    pub const REASON: &str = "Headwater-Dead-Reason";
    /// Its key, when it has one, percent-encoded.
    pub const KEY: &str = "Headwater-Dead-Key";
    /// When it failed for the first time, as far as the process knew that wrote the dead letter, RFC 3339.
    pub const FIRST_FAILED: &str = "Headwater-Dead-First-Failed";
    /// When it failed last, RFC 3339.
    pub const LAST_FAILED: &str = "Headwater-Dead-Last-Failed";
    /// How often it was redriven.
    pub const TIMES_REDRIVEN: &str = "Headwater-Dead-Redriven";
    /// The body is not here, because the letter was too large with it: its size in bytes. It is in the message's own stream, at
    /// its place there, for as long as that stream keeps it.
    pub const BODY_LEFT_OUT: &str = "Headwater-Dead-Body-Left-Out";
    /// How many of the message's own headers are not here either.
    pub const HEADERS_LEFT_OUT: &str = "Headwater-Dead-Headers-Left-Out";

    /// On a redriven message: how often it was redriven, this time included.
    pub const REDRIVEN: &str = "Headwater-Redriven";
    /// On a redriven message: the stream and consumer it is meant for, `{stream}/{consumer}`; left out when it is for all.
    pub const REDRIVEN_FOR: &str = "Headwater-Redriven-For";
    /// On a redriven message: its first place in the stream.
    pub const REDRIVEN_ORIGIN: &str = "Headwater-Redriven-Origin";
    /// On a redriven message: the id that it was published with, since it needs another one.
    pub const REDRIVEN_ID: &str = "Headwater-Redriven-Id";
}

/// Why a message is among the dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Its handler failed as often as the retries allow.
    Failed,
    /// Its handler said that no further try can help.
    Poison,
    /// It was delivered far more often than the retries allow, and nobody lived to answer for it.
    Unanswered,
    /// Nothing is wrong with it: it waits behind another one of the same key.
    Parked,
}

impl Cause {
    const ALL: [Self; 4] = [Self::Failed, Self::Poison, Self::Unanswered, Self::Parked];

    /// As the header has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Poison => "poison",
            Self::Unanswered => "unanswered",
            Self::Parked => "parked",
        }
    }
}

/// A message that could not be handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The message as it was, without headers that would act on whatever stream it is published to next: of those that begin
    /// with `Nats-` only the message id is kept.
    pub message: Message,
    /// The stream it is from.
    pub stream: String,
    /// The consumer that could not handle it.
    pub consumer: String,
    /// Its place in the stream.
    pub sequence: u64,
    /// Its place in the stream before it was redriven for the first time: the order among messages of a key.
    pub origin: u64,
    /// When it was stored in the stream.
    pub stored: DateTime<Utc>,
    /// How often it was delivered.
    pub deliveries: u64,
    /// Why it is here.
    pub cause: Cause,
    /// What its handler said last, one line.
    pub reason: String,
    /// Its key, when its consumer keeps order.
    pub key: Option<String>,
    /// When it failed for the first time, as far as is known.
    pub first_failed: DateTime<Utc>,
    /// When it failed last.
    pub last_failed: DateTime<Utc>,
    /// How often it was redriven before it came here.
    pub redriven: u32,
    /// What the letter lacks of its message, because it was too large with it; [`DeadLetters::whole`](super::DeadLetters::whole)
    /// finds it.
    pub left_out: Option<LeftOut>,
}

impl Letter {
    /// The message that is stored, at this subject. Its id is the same whenever it is made of the same delivery.
    pub(super) fn to_message(&self, subject: String) -> Message {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut message = Message::new(subject, self.message.body.clone());
        for (name, value) in self.message.headers.iter() {
            // A value with a line break would be read as another header. A stream never holds one; whoever hands one in by
            // other ways goes without it.
            if travels(name) && !value.contains(['\r', '\n']) {
                message.headers.append(name, value);
            }
        }
        for (name, value) in [
            (header::SUBJECT, encode(&self.message.subject)),
            (header::STREAM, encode(&self.stream)),
            (header::CONSUMER, encode(&self.consumer)),
            (header::SEQUENCE, self.sequence.to_string()),
            (header::ORIGIN, self.origin.to_string()),
            (header::STORED, time(self.stored)),
            (header::DELIVERIES, self.deliveries.to_string()),
            (header::CAUSE, self.cause.as_str().to_owned()),
            (header::REASON, one_line(&self.reason)),
            (header::FIRST_FAILED, time(self.first_failed)),
            (header::LAST_FAILED, time(self.last_failed)),
            (header::TIMES_REDRIVEN, self.redriven.to_string()),
        ] {
            message.headers.set(name, value);
        }
        if let Some(key) = &self.key {
            message.headers.set(header::KEY, encode(key));
        }
        if let Some(left_out) = self.left_out {
            message.headers.set(header::BODY_LEFT_OUT, left_out.body.to_string());
            message.headers.set(header::HEADERS_LEFT_OUT, left_out.headers.to_string());
        }
        if let Some(id) = self.message.message_id() {
            message.headers.set(format!("{PREFIX}{MESSAGE_ID}"), one_line(id));
        }
        let stored = self.stored.timestamp_micros();
        message.id(format!("dead:{}:{}:{}:{stored}", self.stream, self.consumer, self.sequence))
    }

    /// Reads a stored message; none when it is no dead letter.
    pub(super) fn of_message(mut stored: Message) -> Option<Self> {
        let text = |name: &str| stored.headers.get(name).map(str::to_owned);
        let number = |name: &str| stored.headers.get(name)?.parse::<u64>().ok();
        let time = |name: &str| Some(DateTime::parse_from_rfc3339(stored.headers.get(name)?).ok()?.to_utc());
        let cause = text(header::CAUSE)?;
        let sequence = number(header::SEQUENCE)?;
        let last_failed = time(header::LAST_FAILED)?;
        let id = text(&format!("{PREFIX}{MESSAGE_ID}"));
        let mut letter = Self {
            message: Message::new(decode(&text(header::SUBJECT)?), std::mem::take(&mut stored.body)),
            stream: decode(&text(header::STREAM)?),
            consumer: decode(&text(header::CONSUMER)?),
            sequence,
            origin: number(header::ORIGIN).unwrap_or(sequence),
            stored: time(header::STORED)?,
            deliveries: number(header::DELIVERIES)?,
            cause: Cause::ALL.into_iter().find(|known| known.as_str() == cause)?,
            reason: text(header::REASON).unwrap_or_default(),
            key: text(header::KEY).map(|key| decode(&key)),
            first_failed: time(header::FIRST_FAILED).unwrap_or(last_failed),
            last_failed,
            redriven: number(header::TIMES_REDRIVEN).and_then(|times| times.try_into().ok()).unwrap_or(0),
            left_out: number(header::BODY_LEFT_OUT)
                .map(|body| LeftOut { body, headers: number(header::HEADERS_LEFT_OUT).unwrap_or(0) }),
        };
        let own = stored.headers.iter().filter(|(name, _)| travels(name));
        letter.message.headers = own.collect();
        if let Some(id) = id {
            letter.message.headers.set(MESSAGE_ID, id);
        }
        Some(letter)
    }

    /// The message that is published again. Its id is the same whenever it is made of the same letter.
    pub(super) fn again(&self, for_all: bool) -> Message {
        let mut message = self.message.clone();
        if let Some(id) = self.message.message_id() {
            message.headers.set(header::REDRIVEN_ID, id);
        }
        message.headers.set(header::REDRIVEN, (self.redriven + 1).to_string());
        message.headers.set(header::REDRIVEN_ORIGIN, self.origin.to_string());
        if !for_all {
            message.headers.set(header::REDRIVEN_FOR, format!("{}/{}", self.stream, self.consumer));
        }
        let stored = self.stored.timestamp_micros();
        message.id(format!("redriven:{}:{}:{}:{stored}", self.stream, self.consumer, self.sequence))
    }
}

/// What a message tells of having been redriven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redriven {
    /// How often, this time included.
    pub times: u32,
    /// Its first place in the stream.
    pub origin: u64,
    meant_for: Option<String>,
}

impl Redriven {
    /// What a message tells; none when it was not redriven.
    #[must_use]
    pub fn of(message: &Message) -> Option<Self> {
        let headers = &message.headers;
        let times = headers.get(header::REDRIVEN)?.parse().ok()?;
        let origin = headers.get(header::REDRIVEN_ORIGIN)?.parse().ok()?;
        Some(Self { times, origin, meant_for: headers.get(header::REDRIVEN_FOR).map(str::to_owned) })
    }

    /// Whether it is meant for this consumer: for it, or for all.
    #[must_use]
    pub fn is_for(&self, stream: &str, consumer: &str) -> bool {
        let Some(meant_for) = &self.meant_for else { return true };
        meant_for.split_once('/') == Some((stream, consumer))
    }
}

/// Whether a header goes with its message into the letter and back: it is neither ours nor one that NATS acts on.
pub(super) fn travels(name: &str) -> bool {
    !starts_with(name, PREFIX) && !starts_with(name, header::REDRIVEN) && !starts_with(name, "Nats-")
}

fn starts_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// A reason as a header takes it: one line, without control characters, and not too long.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if line.len() + character.len_utf8() > MAX_REASON {
            break;
        }
        line.push(character);
    }
    line.trim().to_owned()
}

/// Printable ASCII without spaces, and everything else by its bytes.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = hex.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        let time = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
        Letter {
            message: Message::new("orders.ü.placed", "body").header("Trace", "1").id("order-7"),
            stream: "ORDERS".to_owned(),
            consumer: "mailer".to_owned(),
            sequence: 42,
            origin: 40,
            stored: time("2026-11-20T12:00:00.123456Z"),
            deliveries: 5,
            cause: Cause::Poison,
            reason: "no address".to_owned(),
            key: Some("a b%\r\n".to_owned()),
            first_failed: time("2026-11-20T12:00:01Z"),
            last_failed: time("2026-11-20T12:00:09Z"),
            redriven: 1,
            left_out: None,
        }
    }

    #[test]
    fn a_letter_is_read_as_it_was_written() {
        let stored = letter().to_message("dead.ORDERS.mailer".to_owned());
        assert_eq!(stored.flaw(), None);
        assert_eq!(stored.message_id(), Some("dead:ORDERS:mailer:42:1795176000123456"));
        assert_eq!(stored.headers.get("Trace"), Some("1"));
        assert_eq!(Letter::of_message(stored), Some(letter()));
        assert_eq!(Letter::of_message(Message::new("a", "")), None);
    }

    #[test]
    fn headers_that_would_act_on_the_next_stream_and_those_that_would_smuggle_others_stay_behind() {
        let mut broken = letter();
        broken.reason = format!("line\r\nNats-Rollup: all {}", "x".repeat(1000));
        broken.message =
            broken.message.header("Nats-Rollup", "all").header("nats-ttl", "1s").header("Bad", "a\r\nB: c");
        let stored = broken.to_message("dead.ORDERS.mailer".to_owned());
        assert_eq!(stored.flaw(), None);
        for name in ["Nats-Rollup", "Nats-TTL", "Bad"] {
            assert_eq!(stored.headers.get(name), None, "{name}");
        }
        assert!(stored.headers.get(header::REASON).unwrap().len() <= MAX_REASON);
    }

    #[test]
    fn a_redriven_message_is_known_and_meant_for_one_consumer() {
        let again = letter().again(false);
        assert_eq!(
            (again.subject.as_str(), again.headers.get(header::REDRIVEN_ID)),
            ("orders.ü.placed", Some("order-7"))
        );
        assert_eq!(again.message_id(), letter().again(true).message_id());
        let redriven = Redriven::of(&again).unwrap();
        assert_eq!((redriven.times, redriven.origin), (2, 40));
        assert!(redriven.is_for("ORDERS", "mailer") && !redriven.is_for("ORDERS", "billing"));
        assert!(Redriven::of(&letter().again(true)).unwrap().is_for("ORDERS", "billing"));
        assert_eq!(Redriven::of(&letter().message), None);
    }

    #[test]
    fn what_is_encoded_is_decoded_and_nonsense_stays_as_it_is() {
        for text in ["", "plain.7", "ü %41 \r\n", "%"] {
            assert!(encode(text).bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
            assert_eq!(decode(&encode(text)), text);
        }
        assert_eq!(decode("%zz%4"), "%zz%4");
    }
}
