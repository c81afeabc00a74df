//! The file that a backup is kept in. `docs/features/operations.md` describes it for readers in other languages.
//!
//! It is a row of records after a short head. Each record ends with the SHA-256 of everything before it in the file, so a
//! record that was changed, left out, doubled or moved shows at its own place, and a file without its last record was cut
//! off.

mod inspect;
mod read;
#[cfg(test)]
mod tests;
mod write;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use inspect::{Contents, StreamContents, inspect};

pub(crate) use write::Writer;

/// What every backup starts with.
pub(crate) const MAGIC: &[u8; 16] = b"headwater-backup";

/// The version of the format, which follows the magic as two bytes, the higher one first.
pub(crate) const VERSION: u16 = 1;

/// The longest body of a record; a longer one is damage.
pub(crate) const LONGEST_RECORD: u32 = 16 << 20;

/// The kinds of records, as the byte each starts with.
pub(crate) mod kind {
    pub(crate) const FILE: u8 = b'F';
    pub(crate) const STREAM: u8 = b'S';
    pub(crate) const CONSUMER: u8 = b'K';
    pub(crate) const DATA: u8 = b'D';
    pub(crate) const STREAM_END: u8 = b'E';
    pub(crate) const FILE_END: u8 = b'Z';
}

/// An object as JetStream writes it: configurations and states are kept whole, whatever a later server adds.
pub(crate) type Object = Map<String, Value>;

/// Where and when the backup was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileHeader {
    /// RFC 3339.
    pub(crate) created: String,
    /// The program, with its version.
    pub(crate) tool: String,
    pub(crate) server: String,
    pub(crate) server_version: String,
    /// The streams that follow, in this order.
    pub(crate) streams: Vec<String>,
}

/// A stream as it was when its snapshot began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StreamHeader {
    pub(crate) name: String,
    pub(crate) config: Object,
    pub(crate) state: Object,
    /// How many records of consumers follow.
    pub(crate) consumers: u64,
}

/// A consumer as it was right before the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConsumerRecord {
    pub(crate) name: String,
    pub(crate) config: Object,
    #[serde(default)]
    pub(crate) delivered: Progress,
    #[serde(default)]
    pub(crate) ack_floor: Progress,
    #[serde(default)]
    pub(crate) num_ack_pending: u64,
    #[serde(default)]
    pub(crate) num_pending: u64,
}

/// How far a consumer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    #[serde(default)]
    pub(crate) consumer_seq: u64,
    #[serde(default)]
    pub(crate) stream_seq: u64,
}

/// What has been said of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StreamEnd {
    pub(crate) name: String,
    /// How many records of data there were.
    pub(crate) chunks: u64,
    /// How many bytes of data.
    pub(crate) bytes: u64,
    /// SHA-256 of all data, in hex: the server's archive.
    pub(crate) sha256: String,
}

/// The last record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileEnd {
    pub(crate) streams: u64,
    /// Bytes of data of all streams.
    pub(crate) bytes: u64,
}

/// How full a stream is, as far as a restore can check it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    #[serde(default)]
    pub(crate) messages: u64,
    #[serde(default)]
    pub(crate) bytes: u64,
    #[serde(default)]
    pub(crate) first_seq: u64,
    #[serde(default)]
    pub(crate) last_seq: u64,
}

impl StreamHeader {
    pub(crate) fn counts(&self) -> Counts {
        counts(&self.state)
    }
}

/// The counts in a stream's state; what is missing is nothing.
pub(crate) fn counts(state: &Object) -> Counts {
    let number = |field: &str| state.get(field).and_then(Value::as_u64).unwrap_or(0);
    Counts {
        messages: number("messages"),
        bytes: number("bytes"),
        first_seq: number("first_seq"),
        last_seq: number("last_seq"),
    }
}

/// Why a file is no whole backup. Places are in bytes from the start of the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileProblem {
    #[error("it is no backup made by headwater")]
    NotABackup,
    #[error("it is of version {found} of the format, and this program reads version {VERSION}")]
    Version { found: u16 },
    #[error("it was cut off: it ends at byte {at}, inside or before a record that is missing")]
    Truncated { at: u64 },
    #[error("it is damaged: the record at byte {at} does not match its checksum")]
    Damaged { at: u64 },
    #[error("it is damaged at byte {at}: {what}")]
    Unexpected { at: u64, what: String },
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
}

/// Bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
