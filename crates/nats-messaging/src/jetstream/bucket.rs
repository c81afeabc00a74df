//! A bucket on JetStream: a stream as key-value clients know it (ADR-8), made when it is missing.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use headwater_nats::header::EXPECTED_LAST_SUBJECT_SEQUENCE;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::{ApiError, Trouble, code, nanoseconds, persist};
use super::replies::{NotSent, Outgoing, Replies};
use super::{JetStream, OPEN_WITHIN, archive};
use crate::bucket::{Bucket, BucketError, BucketLimits, Entry};

/// How long one write may take.
const WRITE_WITHIN: Duration = Duration::from_secs(5);

/// What a write says that takes a value away.
const OPERATION: &str = "KV-Operation";
const DELETE: &str = "DEL";

/// Somebody else has made the stream meanwhile, a little otherwise.
const STREAM_NAME_TAKEN: u32 = 10058;

/// The value is not of the revision that was expected; the second code comes while another write is under way.
const WRONG_LAST_SEQUENCE: [u32; 2] = [10071, 10164];

/// A bucket on JetStream. Clones are the same bucket. Its values are read from the leader of its stream, which is never
/// behind.
///
/// ```no_run
/// use std::time::Duration;
///
/// use headwater_nats::connect::{Connection, NatsConfig};
/// use headwater_nats_messaging::bucket::{BucketLimits, JetStreamBucket};
/// use headwater_nats_messaging::inbox::Inbox;
/// use headwater_nats_messaging::jetstream::JetStream;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let jetstream = JetStream::new(Connection::connect(&NatsConfig::new("nats://localhost:4222")).await?);
/// let a_day = BucketLimits::default().max_age(Duration::from_secs(24 * 3600));
/// let inbox = Inbox::new(JetStreamBucket::open(&jetstream, "MAILER_INBOX", a_day).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct JetStreamBucket {
    replies: Arc<Replies>,
    name: Arc<str>,
}

impl JetStreamBucket {
    /// Opens a bucket, and makes it when it is missing. One that is there keeps its limits.
    ///
    /// # Errors
    ///
    /// When the name is none, there is something else under it, or JetStream cannot be asked.
    pub async fn open(jetstream: &JetStream, name: &str, limits: BucketLimits) -> Result<Self, BucketError> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(BucketError::Refused(format!("{name:?} is no name: letters, digits, - and _")));
        }
        let bucket = Self { replies: Arc::clone(&jetstream.replies), name: name.into() };
        let ensured = persist(Instant::now() + OPEN_WITHIN, || bucket.ensure(limits)).await;
        ensured.map_err(failed).map(|()| bucket)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn stream(&self) -> String {
        format!("KV_{}", self.name)
    }

    fn subject(&self, key: &str) -> String {
        format!("$KV.{}.{key}", self.name)
    }

    async fn ensure(&self, limits: BucketLimits) -> Result<(), Trouble> {
        #[derive(Deserialize)]
        struct Info {
            config: Value,
        }
        let stream = self.stream();
        let info: Info = match self.replies.ask(&format!("STREAM.INFO.{stream}"), None).await {
            Err(Trouble::Refused(ApiError { err_code: code::STREAM_NOT_FOUND, .. })) => {
                let wanted = self.wanted(limits);
                match self.replies.ask(&format!("STREAM.CREATE.{stream}"), Some(&wanted)).await {
                    // Somebody else was faster; what it made is looked at the next time.
                    Err(Trouble::Refused(error)) if error.err_code == STREAM_NAME_TAKEN => {
                        return Err(Trouble::ForNow(error.into()));
                    }
                    made => made?,
                }
            }
            found => found?,
        };
        // With others, a key would have several values, or none of it would be found.
        let unfit = [("subjects", json!([self.subject(">")])), ("max_msgs_per_subject", json!(1))]
            .into_iter()
            .find(|(field, wanted)| info.config[field] != *wanted);
        match unfit {
            None => Ok(()),
            Some((field, wanted)) => {
                let found = &info.config[field];
                Err(Trouble::ForGood(format!(
                    "the stream {stream} is no such bucket: {field} is {found}, not {wanted}"
                )))
            }
        }
    }

    fn wanted(&self, limits: BucketLimits) -> Value {
        let two_minutes = Duration::from_secs(120);
        let age = limits.max_age.map_or(0, nanoseconds);
        json!({
            "name": self.stream(),
            "subjects": [self.subject(">")],
            "retention": "limits",
            "storage": "file",
            "max_msgs_per_subject": 1,
            "max_age": age,
            "duplicate_window": nanoseconds(limits.max_age.map_or(two_minutes, |age| age.min(two_minutes))),
            "max_bytes": limits.max_bytes.map_or(json!(-1), Value::from),
            // What must not go by itself has no limit of bytes either, so that only the server's own limits refuse it.
            "discard": if limits.max_bytes.is_some() { "old" } else { "new" },
            "num_replicas": limits.replicas,
            "allow_rollup_hdrs": true,
        })
    }

    async fn last(&self, key: &str) -> Result<Option<(Option<Entry>, u64)>, BucketError> {
        let which = json!({ "last_by_subj": self.subject(key) });
        let found = archive::get(&self.replies, &self.stream(), &which).await.map_err(failed)?;
        Ok(found.map(|found| {
            let revision = found.sequence;
            let is_value = found.message.headers.get(OPERATION).is_none();
            (is_value.then_some(Entry { value: found.message.body, revision }), revision)
        }))
    }

    /// Writes after `revision`, 0 for a key that has none.
    async fn write(&self, key: &str, value: Bytes, revision: u64, operation: Option<&str>) -> Result<u64, BucketError> {
        #[derive(Deserialize)]
        struct Ack {
            #[serde(default)]
            seq: u64,
            error: Option<ApiError>,
        }
        let mut headers = HeaderMap::new();
        headers.insert(EXPECTED_LAST_SUBJECT_SEQUENCE, revision.to_string());
        if let Some(operation) = operation {
            headers.insert(OPERATION, operation);
        }
        let subject = Subject::from(self.subject(key));
        let deadline = Instant::now() + WRITE_WITHIN;
        let outgoing = Outgoing { subject, headers: Some(headers), payload: value };
        let sent = self.replies.send(outgoing, deadline).await.map_err(|not_sent| match not_sent {
            NotSent::Refused(reason) => BucketError::Refused(reason),
            NotSent::Unavailable(source) => BucketError::Unavailable(source),
        })?;
        let answer = sent.answer(deadline).await.map_err(|none| BucketError::Unavailable(none.into()))?;
        let unreadable = |error: serde_json::Error| BucketError::Unavailable(error.into());
        match serde_json::from_slice(&answer.payload).map_err(unreadable)? {
            Ack { error: Some(error), .. } if WRONG_LAST_SEQUENCE.contains(&error.err_code) => {
                Err(BucketError::Conflict)
            }
            Ack { error: Some(error), .. } => Err(BucketError::Unavailable(error.into())),
            Ack { seq, .. } => Ok(seq),
        }
    }
}

impl Bucket for JetStreamBucket {
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<Entry>, BucketError>> {
        async move { Ok(self.last(&key).await?.and_then(|(entry, _)| entry)) }.boxed()
    }

    fn create(&self, key: String, value: Bytes) -> BoxFuture<'_, Result<u64, BucketError>> {
        async move {
            let first = self.write(&key, value.clone(), 0, None).await;
            if !matches!(first, Err(BucketError::Conflict)) {
                return first;
            }
            // The key may have had a value that was taken away.
            match self.last(&key).await? {
                Some((None, revision)) => self.write(&key, value, revision, None).await,
                Some((Some(_), _)) | None => Err(BucketError::Conflict),
            }
        }
        .boxed()
    }

    fn update(&self, key: String, value: Bytes, revision: u64) -> BoxFuture<'_, Result<u64, BucketError>> {
        async move { self.write(&key, value, revision, None).await }.boxed()
    }

    fn delete(&self, key: String, revision: u64) -> BoxFuture<'_, Result<(), BucketError>> {
        async move { self.write(&key, Bytes::new(), revision, Some(DELETE)).await.map(drop) }.boxed()
    }
}

fn failed(trouble: Trouble) -> BucketError {
    match trouble {
        Trouble::ForNow(source) => BucketError::Unavailable(source),
        Trouble::Refused(error) => BucketError::Refused(error.to_string()),
        Trouble::ForGood(reason) => BucketError::Refused(reason),
    }
}
