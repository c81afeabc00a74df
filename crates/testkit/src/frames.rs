//! Taking the server's side of the NATS protocol apart into lines and whole messages.

use bytes::{Bytes, BytesMut};

/// Longer lines (`INFO` is the longest) are not NATS.
const LONGEST_LINE: usize = 256 * 1024;

/// Larger messages no server under test allows.
const LARGEST_MESSAGE: usize = 64 * 1024 * 1024;

/// One thing the server said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A whole `MSG` or `HMSG` with its body; on a stream that cannot be read, some bytes of it.
    Message(Bytes),
    /// Anything else.
    Other(Bytes),
}

/// Collects bytes and gives out whole frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    buffer: BytesMut,
    /// What came is no NATS (TLS, for instance), and what follows will not be either.
    unreadable: bool,
}

/// What the line at the front announces.
enum Front {
    Message { length: usize },
    Other { length: usize },
    Unfinished,
    Unreadable,
}

impl Frames {
    /// The buffer to read into, with room for at least `bytes` more.
    pub(crate) fn room(&mut self, bytes: usize) -> &mut BytesMut {
        self.buffer.reserve(bytes);
        &mut self.buffer
    }

    /// Whether something came that is no NATS. The stream goes on as bytes.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// The next line with its end, whatever it says; `None` until more bytes come.
    pub(crate) fn next_line(&mut self) -> Option<Bytes> {
        let end = self.buffer.iter().position(|byte| *byte == b'\n')?;
        Some(self.buffer.split_to(end + 1).freeze())
    }

    /// The next whole frame; `None` until more bytes come.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        if self.buffer.is_empty() {
            return None;
        }
        let front = if self.unreadable { Front::Unreadable } else { front(&self.buffer) };
        match front {
            Front::Message { length } if length <= self.buffer.len() => {
                Some(Piece::Message(self.buffer.split_to(length).freeze()))
            }
            Front::Other { length } => Some(Piece::Other(self.buffer.split_to(length).freeze())),
            Front::Message { .. } | Front::Unfinished => None,
            Front::Unreadable => {
                self.unreadable = true;
                Some(Piece::Message(self.buffer.split().freeze()))
            }
        }
    }
}

fn front(buffer: &[u8]) -> Front {
    let Some(line) = buffer.windows(2).take(LONGEST_LINE).position(|end| end == b"\r\n") else {
        return if buffer.len() > LONGEST_LINE { Front::Unreadable } else { Front::Unfinished };
    };
    let length = line + 2;
    let mut words = buffer[..line].split(|byte| byte.is_ascii_whitespace());
    match words.next() {
        Some(b"MSG" | b"HMSG") => match words.next_back().and_then(number) {
            Some(body) if body <= LARGEST_MESSAGE => Front::Message { length: length + body + 2 },
            _ => Front::Unreadable,
        },
        Some(b"INFO" | b"PING" | b"PONG" | b"+OK" | b"-ERR") => Front::Other { length },
        _ => Front::Unreadable,
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &'static [u8]) -> Option<Piece> {
        Some(Piece::Message(Bytes::from_static(bytes)))
    }

    fn other(bytes: &'static [u8]) -> Option<Piece> {
        Some(Piece::Other(Bytes::from_static(bytes)))
    }

    #[test]
    fn a_message_comes_out_whole_however_it_arrives() {
        let stream = b"INFO {}\r\nMSG a.b 1 4\r\n\r\n\r\n\r\nPONG\r\nHMSG a 1 r 12 13\r\nNATS/1.0\r\n\r\nx\r\n";
        for cut in 0..=stream.len() {
            let mut frames = Frames::default();
            let mut pieces = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                frames.room(part.len()).extend_from_slice(part);
                pieces.extend(std::iter::from_fn(|| frames.next()));
            }
            let expected = [
                other(b"INFO {}\r\n"),
                message(b"MSG a.b 1 4\r\n\r\n\r\n\r\n"),
                other(b"PONG\r\n"),
                message(b"HMSG a 1 r 12 13\r\nNATS/1.0\r\n\r\nx\r\n"),
            ];
            assert_eq!(pieces, expected.map(Option::unwrap), "cut at {cut}");
        }
    }

    #[test]
    fn a_stream_that_is_not_nats_passes_in_pieces() {
        let mut frames = Frames::default();
        frames.room(16).extend_from_slice(b"\x16\x03\x01..\r\n..");
        assert_eq!(frames.next(), message(b"\x16\x03\x01..\r\n.."));
        frames.room(16).extend_from_slice(b"PONG\r\n");
        assert_eq!(frames.next(), message(b"PONG\r\n"));
        assert_eq!(frames.next(), None);
    }
}
