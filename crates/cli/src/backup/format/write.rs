//! Writing a backup, record by record.

use std::io::{self, Write};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{ConsumerRecord, FileEnd, FileHeader, LONGEST_RECORD, MAGIC, StreamEnd, StreamHeader, VERSION, kind};

/// Writes the records of one file in the order in which they are handed over.
#[derive(Debug)]
pub(crate) struct Writer<W> {
    out: W,
    /// Of everything written so far.
    hash: Sha256,
}

impl<W: Write> Writer<W> {
    /// Starts a file.
    pub(crate) fn begin(out: W, header: &FileHeader) -> io::Result<Self> {
        let mut writer = Self { out, hash: Sha256::new() };
        writer.put(MAGIC)?;
        writer.put(&VERSION.to_be_bytes())?;
        writer.json(kind::FILE, header)?;
        Ok(writer)
    }

    /// Starts a stream; its consumers and its data follow.
    pub(crate) fn stream(&mut self, header: &StreamHeader) -> io::Result<()> {
        self.json(kind::STREAM, header)
    }

    pub(crate) fn consumer(&mut self, consumer: &ConsumerRecord) -> io::Result<()> {
        self.json(kind::CONSUMER, consumer)
    }

    /// A part of the server's archive of the stream.
    pub(crate) fn data(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.record(kind::DATA, chunk)
    }

    pub(crate) fn end_stream(&mut self, end: &StreamEnd) -> io::Result<()> {
        self.json(kind::STREAM_END, end)
    }

    /// Ends the file. It is still to be synced.
    pub(crate) fn finish(mut self, end: &FileEnd) -> io::Result<W> {
        self.json(kind::FILE_END, end)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn json(&mut self, kind: u8, value: &impl Serialize) -> io::Result<()> {
        self.record(kind, &serde_json::to_vec(value)?)
    }

    fn record(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len()).ok().filter(|length| *length <= LONGEST_RECORD);
        let length = length.ok_or_else(|| io::Error::other("a record would be longer than the format allows"))?;
        self.put(&[kind])?;
        self.put(&length.to_be_bytes())?;
        self.put(body)?;
        let checksum = self.hash.clone().finalize();
        self.put(&checksum)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.hash.update(bytes);
        Ok(())
    }
}
