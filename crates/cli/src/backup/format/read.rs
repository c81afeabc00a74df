//! Reading a backup, record by record, each checked before it is handed out.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{
    ConsumerRecord, FileEnd, FileHeader, FileProblem, LONGEST_RECORD, MAGIC, StreamEnd, StreamHeader, VERSION, kind,
};

/// How much is read from the disk at once.
const BUFFER: usize = 256 << 10;

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    File(FileHeader),
    Stream(StreamHeader),
    Consumer(Box<ConsumerRecord>),
    Data(Vec<u8>),
    StreamEnd(StreamEnd),
    FileEnd(FileEnd),
}

/// A place between two records from which reading can go on later, checksums included.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    place: u64,
    hash: Sha256,
}

/// Reads the records of one file.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    from: R,
    /// Of everything read so far.
    hash: Sha256,
    place: u64,
}

impl Reader<BufReader<File>> {
    /// Opens a file at its start.
    pub(crate) fn open(path: &Path) -> Result<Self, FileProblem> {
        Self::start(BufReader::with_capacity(BUFFER, File::open(path)?))
    }

    /// Opens a file where an earlier reading stood.
    pub(crate) fn resume(path: &Path, mark: Mark) -> Result<Self, FileProblem> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(mark.place))?;
        Ok(Self { from: BufReader::with_capacity(BUFFER, file), hash: mark.hash, place: mark.place })
    }
}

impl<R: Read> Reader<R> {
    /// Checks the head of a file.
    pub(crate) fn start(from: R) -> Result<Self, FileProblem> {
        let mut reader = Self { from, hash: Sha256::new(), place: 0 };
        let mut magic = [0; MAGIC.len()];
        match reader.take(&mut magic) {
            Ok(()) if magic == *MAGIC => {}
            Ok(()) | Err(FileProblem::Truncated { .. }) => return Err(FileProblem::NotABackup),
            Err(problem) => return Err(problem),
        }
        let mut version = [0; 2];
        reader.take(&mut version)?;
        match u16::from_be_bytes(version) {
            VERSION => Ok(reader),
            found => Err(FileProblem::Version { found }),
        }
    }

    /// Where the next record starts.
    pub(crate) fn place(&self) -> u64 {
        self.place
    }

    /// The place between the last record and the next.
    pub(crate) fn mark(&self) -> Mark {
        Mark { place: self.place, hash: self.hash.clone() }
    }

    /// The next record.
    pub(crate) fn next(&mut self) -> Result<Record, FileProblem> {
        let at = self.place;
        let mut head = [0; 5];
        self.take(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length);
        if length > LONGEST_RECORD {
            return Err(FileProblem::Unexpected { at, what: format!("a record says that it has {length} bytes") });
        }
        let mut body = vec![0; length as usize];
        self.take(&mut body)?;
        let expected = self.hash.clone().finalize();
        let mut checksum = [0; 32];
        self.take(&mut checksum)?;
        if checksum[..] != expected[..] {
            return Err(FileProblem::Damaged { at });
        }
        parse(at, kind, body)
    }

    /// Whether nothing follows.
    pub(crate) fn at_end(&mut self) -> Result<bool, FileProblem> {
        Ok(self.from.read(&mut [0])? == 0)
    }

    fn take(&mut self, bytes: &mut [u8]) -> Result<(), FileProblem> {
        match self.from.read_exact(bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(FileProblem::Truncated { at: self.place });
            }
            Err(error) => return Err(error.into()),
        }
        self.hash.update(&*bytes);
        self.place += bytes.len() as u64;
        Ok(())
    }
}

fn parse(at: u64, kind: u8, body: Vec<u8>) -> Result<Record, FileProblem> {
    fn json<T: DeserializeOwned>(at: u64, body: &[u8]) -> Result<T, FileProblem> {
        serde_json::from_slice(body)
            .map_err(|error| FileProblem::Unexpected { at, what: format!("a record cannot be understood: {error}") })
    }
    Ok(match kind {
        kind::FILE => Record::File(json(at, &body)?),
        kind::STREAM => Record::Stream(json(at, &body)?),
        kind::CONSUMER => Record::Consumer(json(at, &body)?),
        kind::DATA => Record::Data(body),
        kind::STREAM_END => Record::StreamEnd(json(at, &body)?),
        kind::FILE_END => Record::FileEnd(json(at, &body)?),
        other => {
            return Err(FileProblem::Unexpected {
                at,
                what: format!("there is no kind of record called {other:#04x}"),
            });
        }
    })
}
