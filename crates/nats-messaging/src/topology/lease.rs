//! One at a time for those who delete: whoever is about to holds a lease, which is a message in a small stream of its own. It is
//! taken by an append that expects none to be there, and runs out by itself when its holder dies.
//!
//! Creating and updating need none: there the server itself has the last word.

use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use serde_json::{Value, json};

use super::error::TopologyError;
use super::server::{Server, pause};

/// The stream in which those who delete streams and consumers hold a lease, so that they do it one at a time. It is made when
/// one is taken for the first time, stays, and is empty most of the time.
pub const STREAM: &str = "HEADWATER_TOPOLOGY_LEASE";
const SUBJECT: &str = "$HEADWATER.TOPOLOGY.LEASE";
/// How long it lasts when it is not renewed.
const LASTS: Duration = Duration::from_secs(30);
/// How long somebody waits for it: long enough to outlast a holder who died.
const WAITED: Duration = Duration::from_secs(45);

/// Leave to delete, for a while.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    server: &'a Server<'a>,
    sequence: u64,
    since: Instant,
}

impl<'a> Lease<'a> {
    /// Waits for it.
    pub(super) async fn take(server: &'a Server<'a>) -> Result<Self, TopologyError> {
        let config = json!({
            "subjects": [SUBJECT], "storage": "memory", "max_msgs_per_subject": 1,
            "max_age": nanoseconds(LASTS), "duplicate_window": nanoseconds(LASTS),
            "description": "who may delete streams and consumers at this moment",
        });
        let config = config.as_object().cloned().unwrap_or_default();
        server.create_stream(STREAM, config).await?;
        let begun = Instant::now();
        let mut attempt = 0;
        loop {
            let since = Instant::now();
            if let Some(sequence) = append(server, 0).await? {
                return Ok(Self { server, sequence, since });
            }
            if begun.elapsed() > WAITED {
                return Err(TopologyError::Contended { target: "the topology".to_owned(), attempts: attempt });
            }
            pause(attempt).await;
            attempt += 1;
        }
    }

    /// Makes sure that it lasts for another while.
    ///
    /// # Errors
    /// When it is no longer ours.
    pub(super) async fn renew(&mut self) -> Result<(), TopologyError> {
        if self.since.elapsed() < LASTS / 3 {
            return Ok(());
        }
        let since = Instant::now();
        match append(self.server, self.sequence).await? {
            Some(sequence) => {
                (self.sequence, self.since) = (sequence, since);
                Ok(())
            }
            None => Err(TopologyError::Contended { target: "the topology".to_owned(), attempts: 1 }),
        }
    }

    /// Gives it back. When that fails it runs out.
    pub(super) async fn give_back(self) {
        if let Err(error) = self.server.delete_message(STREAM, self.sequence).await {
            tracing::debug!(%error, "the lease of the topology runs out by itself");
        }
    }
}

/// Takes the lease if its last holder left it at `expected`; none when somebody else has it.
async fn append(server: &Server<'_>, expected: u64) -> Result<Option<u64>, TopologyError> {
    const WRONG_LAST_SEQUENCE: [u64; 2] = [10_071, 10_164];
    let mut headers = HeaderMap::new();
    headers.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
    match server.publish(SUBJECT, headers, "take the lease of the topology").await {
        Ok(answer) => Ok(answer.get("seq").and_then(Value::as_u64)),
        Err(TopologyError::Server { code, .. }) if WRONG_LAST_SEQUENCE.contains(&code) => Ok(None),
        Err(error) => Err(error),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
