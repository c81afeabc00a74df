//! What is sent: JSON from the command line, a file or standard input.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use serde_json::Value;

use crate::complaint::Complaint;

/// Far above what a service takes, and far below what would hurt.
const MOST_BYTES: u64 = 8 * 1024 * 1024;

/// Where the payload comes from. Standard input is read where that is asked for, and never by itself: in a loop of a
/// shell it is the loop's.
#[derive(Debug, Args)]
pub(crate) struct PayloadArguments {
    /// The payload, as JSON; - reads standard input [default: {}]
    #[arg(short, long, value_name = "JSON", conflicts_with = "data_file")]
    data: Option<String>,

    /// A file with the payload, as JSON; - reads standard input
    #[arg(long, value_name = "FILE")]
    data_file: Option<PathBuf>,
}

/// A payload, as it was written and as it reads.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) bytes: Bytes,
    pub(crate) value: Value,
}

impl PayloadArguments {
    /// Reads the payload.
    pub(crate) fn read(&self) -> Result<Payload, Complaint> {
        let is_stdin = |path: &Path| path == Path::new("-");
        match (self.data.as_deref(), &self.data_file) {
            (Some("-"), _) => Payload::from_input("standard input", io::stdin().lock()),
            (Some(text), _) => Payload::parse("--data", text.as_bytes().to_vec()),
            (None, Some(path)) if is_stdin(path) => Payload::from_input("standard input", io::stdin().lock()),
            (None, Some(path)) => {
                let name = path.display().to_string();
                let file = File::open(path);
                Payload::from_input(&name, file.map_err(|error| unreadable(&name, &error))?)
            }
            (None, None) => Payload::parse("the payload", b"{}".to_vec()),
        }
    }
}

impl Payload {
    fn from_input(name: &str, input: impl io::Read) -> Result<Self, Complaint> {
        let mut bytes = Vec::new();
        let read = input.take(MOST_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| unreadable(name, &error))?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(Complaint::usage(format!(
                "{name} holds more than {MOST_BYTES} bytes; no service takes as much"
            )));
        }
        Self::parse(name, bytes)
    }

    fn parse(name: &str, bytes: Vec<u8>) -> Result<Self, Complaint> {
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Self { bytes: bytes.into(), value }),
            // The error tells the place and never the text, which may be private.
            Err(error) => Err(Complaint::usage(format!("{name} is not JSON: {error}"))),
        }
    }
}

fn unreadable(name: &str, error: &io::Error) -> Complaint {
    Complaint::usage(format!("{name} cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: Option<&str>, file: Option<&Path>) -> Result<Payload, Complaint> {
        PayloadArguments { data: data.map(str::to_owned), data_file: file.map(Path::to_owned) }.read()
    }

    #[test]
    fn a_payload_goes_as_it_was_written() {
        assert_eq!(read(None, None).unwrap().bytes, "{}");
        let written = "{\"b\": 1.50, \"a\": 2}";
        let payload = read(Some(written), None).unwrap();
        assert_eq!((payload.bytes, &payload.value["a"]), (Bytes::from(written), &Value::from(2)));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), written).unwrap();
        assert_eq!(read(None, Some(file.path())).unwrap().bytes, written);
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place_and_without_its_text() {
        for complaint in [
            read(Some("{\"secret\": canary}"), None).unwrap_err(),
            read(None, Some(Path::new("/nonexistent/canary"))).unwrap_err(),
        ] {
            let told = format!("{complaint:?}");
            assert!(told.contains("Usage"), "{told}");
            assert!(told.contains("line 1 column 12") || told.contains("/nonexistent"), "{told}");
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
