//! Taking one stream: the server sends its archive in chunks, and sends on as they are acknowledged.

use std::io::Write;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::api::{Api, ApiProblem};
use super::format::{Counts, Object, StreamEnd, StreamHeader, Writer, hex};
use crate::complaint::Complaint;
use crate::output::Progress;

/// How much the server sends in one message. It keeps at most 8 MiB on their way.
pub(crate) const CHUNK: usize = 128 << 10;

/// A stream that was taken, or that is in a file.
#[derive(Debug, Serialize)]
pub(crate) struct Taken {
    pub(crate) stream: String,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) consumers: u64,
    pub(crate) chunks: u64,
    /// Bytes of the server's archive, which is compressed.
    #[serde(rename = "archiveBytes")]
    pub(crate) archive_bytes: u64,
}

/// What the server says when it begins.
#[derive(Deserialize)]
struct Begun {
    config: Object,
    state: Object,
}

/// How a snapshot failed.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("no further part came within {0:?}")]
    Silent(Duration),
    #[error("the connection to the server was lost")]
    Lost,
    #[error("a part is missing: number {expected} was to come, and {found} came")]
    Gap { expected: u64, found: String },
    #[error("the server gave up: {0}")]
    GivenUp(String),
}

/// Writes the stream called `name` to the file.
pub(crate) async fn take<W: Write>(
    api: &Api,
    name: &str,
    chunk: usize,
    idle: Duration,
    writer: &mut Writer<W>,
    progress: &Progress,
) -> Result<Taken, Complaint> {
    let doing = format!("the stream {name} cannot be backed up");
    let fail = |problem: &ApiProblem| problem.complaint(&doing);
    // Before the snapshot: none of them is further in the file than in the archive.
    let consumers = api.consumer_records(name).await.map_err(|problem| fail(&problem))?;
    let client = api.connection.client();
    let inbox = client.new_inbox();
    let mut parts = client.subscribe(inbox.clone()).await.map_err(|error| Complaint::because(&doing, &error))?;
    let request = json!({ "deliver_subject": inbox, "chunk_size": chunk });
    let Begun { config, state } =
        api.ask(&format!("STREAM.SNAPSHOT.{name}"), &request).await.map_err(|problem| fail(&problem))?;
    let header = StreamHeader { name: name.to_owned(), config, state, consumers: consumers.len() as u64 };
    let written = |error| Complaint::because("the backup cannot be written", &error);
    writer.stream(&header).map_err(written)?;
    for consumer in &consumers {
        writer.consumer(consumer).map_err(written)?;
    }
    let (mut chunks, mut bytes, mut hash) = (0, 0, Sha256::new());
    while let Some(part) =
        next(api, &mut parts, chunks + 1, idle).await.map_err(|broken| Complaint::because(&doing, &broken))?
    {
        writer.data(&part.payload).map_err(written)?;
        hash.update(&part.payload);
        chunks += 1;
        bytes += part.payload.len() as u64;
        progress.advance(part.payload.len() as u64);
        if let Some(acknowledge) = part.reply {
            acknowledged(api, acknowledge.to_string()).await.map_err(|problem| fail(&problem))?;
        }
    }
    let end = StreamEnd { name: name.to_owned(), chunks, bytes, sha256: hex(&hash.finalize()) };
    writer.end_stream(&end).map_err(written)?;
    Ok(Taken { stream: end.name, counts: header.counts(), consumers: header.consumers, chunks, archive_bytes: bytes })
}

/// The next part; none when the server says that it was the last.
async fn next(api: &Api, parts: &mut Subscriber, number: u64, idle: Duration) -> Result<Option<Message>, Broken> {
    let part = match timeout(idle, api.connection.guard(parts.next())).await {
        Ok(Ok(Some(part))) => part,
        Ok(Ok(None) | Err(_)) => return Err(Broken::Lost),
        Err(_) => return Err(Broken::Silent(idle)),
    };
    // The end is a message without a body; its status is left out when all went well and little was sent.
    if part.payload.is_empty() {
        return match part.status.map(|status| status.as_u16()) {
            None | Some(204) => Ok(None),
            Some(status) => Err(Broken::GivenUp(part.description.map_or_else(|| status.to_string(), Into::into))),
        };
    }
    // `$JS.SNAPSHOT.ACK.{stream}.{id}.{bytes}.{number}`; the last part, when it is not full, has no such subject.
    let said = part.reply.as_ref().and_then(|reply| reply.rsplit('.').next().map(str::to_owned));
    match said {
        Some(said) if said.parse() != Ok(number) => Err(Broken::Gap { expected: number, found: said }),
        _ => Ok(Some(part)),
    }
}

/// Lets the server send one part more.
async fn acknowledged(api: &Api, subject: String) -> Result<(), ApiProblem> {
    let client = api.connection.client();
    let sending = api.connection.guard(client.publish(subject.clone(), Bytes::new()));
    match timeout(api.limit(), sending).await {
        Ok(Ok(Ok(()))) => Ok(()),
        _ => Err(ApiProblem::NoAnswer(format!("the acknowledgement could not be sent on {subject}"))),
    }
}
