//! Reading a whole backup to see whether it is whole, before anything is done with it.

use std::io::{BufReader, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::read::{Mark, Reader, Record};
use super::{ConsumerRecord, FileHeader, FileProblem, StreamEnd, StreamHeader, hex};

/// What is in a backup; the data itself stays in the file.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) header: FileHeader,
    pub(crate) streams: Vec<StreamContents>,
    /// How long the file is.
    pub(crate) length: u64,
}

/// One stream of a backup.
#[derive(Debug)]
pub(crate) struct StreamContents {
    pub(crate) header: StreamHeader,
    pub(crate) consumers: Vec<ConsumerRecord>,
    pub(crate) end: StreamEnd,
    /// Where its data starts.
    pub(crate) data: Mark,
}

/// Reads the file at `path` from start to end, and checks every checksum and every count in it. Only one record at a time
/// is in memory.
pub(crate) fn inspect(path: &Path, mut progress: impl FnMut(u64)) -> Result<Contents, FileProblem> {
    let mut reader = Reader::open(path)?;
    whole(&mut reader, &mut progress)
}

fn whole<R: Read>(reader: &mut Reader<R>, progress: &mut impl FnMut(u64)) -> Result<Contents, FileProblem> {
    let Record::File(header) = reader.next()? else { return Err(misplaced(reader, "it does not begin with its head")) };
    let mut streams: Vec<StreamContents> = Vec::new();
    loop {
        match reader.next()? {
            Record::Stream(header) => streams.push(stream(reader, header, progress)?),
            Record::FileEnd(end) => {
                let bytes: u64 = streams.iter().map(|stream| stream.end.bytes).sum();
                let names = streams.iter().map(|stream| &stream.header.name);
                if end.streams != streams.len() as u64 || end.bytes != bytes || !names.eq(header.streams.iter()) {
                    return Err(misplaced(reader, "its end does not match what came before"));
                }
                if !reader.at_end()? {
                    return Err(misplaced(reader, "something follows its end"));
                }
                return Ok(Contents { header, streams, length: reader.place() });
            }
            _ => return Err(misplaced(reader, "a record stands where no stream can have it")),
        }
    }
}

fn stream<R: Read>(
    reader: &mut Reader<R>,
    header: StreamHeader,
    progress: &mut impl FnMut(u64),
) -> Result<StreamContents, FileProblem> {
    let mut consumers = Vec::new();
    let (mut chunks, mut bytes, mut hash) = (0, 0, Sha256::new());
    let mut data = reader.mark();
    loop {
        match reader.next()? {
            Record::Consumer(consumer) if chunks == 0 => {
                consumers.push(*consumer);
                data = reader.mark();
            }
            Record::Data(chunk) => {
                chunks += 1;
                bytes += chunk.len() as u64;
                hash.update(&chunk);
            }
            Record::StreamEnd(end) => {
                let counted = (chunks, bytes, hex(&hash.finalize()), header.consumers, &header.name);
                if counted != (end.chunks, end.bytes, end.sha256.clone(), consumers.len() as u64, &end.name) {
                    return Err(misplaced(reader, "the end of a stream does not match what came before"));
                }
                return Ok(StreamContents { header, consumers, end, data });
            }
            _ => return Err(misplaced(reader, "a record stands inside a stream that cannot be there")),
        }
        progress(reader.place());
    }
}

fn misplaced<R: Read>(reader: &Reader<R>, what: &str) -> FileProblem {
    FileProblem::Unexpected { at: reader.place(), what: what.to_owned() }
}

/// The data of one stream, checked once more while it is read.
#[derive(Debug)]
pub(crate) struct Data {
    reader: Reader<BufReader<std::fs::File>>,
}

impl StreamContents {
    /// Opens the data of this stream in the file it was found in.
    pub(crate) fn open(&self, path: &Path) -> Result<Data, FileProblem> {
        Ok(Data { reader: Reader::resume(path, self.data.clone())? })
    }
}

impl Data {
    /// The next part; none at the end of the stream.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, FileProblem> {
        match self.reader.next()? {
            Record::Data(chunk) => Ok(Some(chunk)),
            Record::StreamEnd(_) => Ok(None),
            _ => Err(misplaced(&self.reader, "the file was changed while it was read")),
        }
    }
}
