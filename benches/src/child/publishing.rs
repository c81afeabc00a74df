//! Publishing so many messages to a stream as fast as their acknowledgements allow, and then ending: by a publisher, or by a
//! loop over a window of acknowledgements.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, context::PublishAckFuture};
use bytes::Bytes;
use chrono::{SecondsFormat, Utc};
use headwater::nats::connect::{Connection, NatsConfig};
use headwater_nats_messaging::envelope::Envelope;
use headwater_nats_messaging::jetstream::JetStream;
use headwater_nats_messaging::publisher::Publisher;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use uuid::Uuid;

use crate::Fallible;
use crate::harness::meter::{Mark, Meter};
use crate::harness::world::connect;

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(120);

const SOURCE: &str = "/benches";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Publishing {
    pub(crate) url: String,
    pub(crate) subject: String,
    pub(crate) messages: u64,
    /// How many may be without an acknowledgement.
    pub(crate) window: usize,
    /// As an event of CloudEvents, with the attributes of the publisher's default; otherwise the data alone.
    pub(crate) enveloped: bool,
    /// By a publisher; otherwise by hand.
    pub(crate) ours: bool,
}

/// What a publishing program says at its end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PublishingSaid {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
}

/// 200 bytes of JSON.
#[derive(Debug, Serialize)]
struct Note {
    order: u64,
    text: &'static str,
}

const TEXT: &str = "The beans are to be ground for one filter, the milk is to be warm and not hot, and the receipt goes to \
                    the address that was given with the order; nothing else is to be sent.";

impl Note {
    fn numbered(number: u64) -> Self {
        Self { order: 1_000_000 + number, text: TEXT }
    }
}

/// The same event as the publisher makes, by hand.
#[derive(Serialize)]
struct Event<'a> {
    specversion: &'a str,
    id: &'a str,
    source: &'a str,
    r#type: &'a str,
    time: Cow<'a, str>,
    datacontenttype: &'a str,
    correlationid: &'a str,
    data: &'a Note,
}

impl Publishing {
    pub(super) async fn run(self) -> Fallible<PublishingSaid> {
        let meter = Meter::new(vec![std::process::id()], Vec::new());
        let publishing = async { if self.ours { self.by_publisher(&meter).await } else { self.by_hand(&meter).await } };
        let first = timeout(LIMIT, publishing).await.map_err(|_| "the messages were not stored in time")??;
        let last = meter.mark()?;
        let seconds = (last.at() - first.at()).as_secs_f64();
        Ok(PublishingSaid { seconds, cpu_seconds: last.since(&first).programs.as_secs_f64() })
    }

    async fn by_publisher(&self, meter: &Meter) -> Fallible<Mark> {
        let connection = Connection::connect(&NatsConfig::new(&self.url).name("publisher")).await?;
        let envelope = if self.enveloped { Envelope::CloudEvents } else { Envelope::Bare };
        let builder = Publisher::builder(Arc::new(JetStream::new(connection)), SOURCE).envelope(envelope);
        let publisher = builder.window(self.window).build()?;
        let first = meter.mark()?;
        for number in 0..self.messages {
            drop(publisher.enqueue(&self.subject, &Note::numbered(number)).await?);
        }
        publisher.close().await?;
        Ok(first)
    }

    async fn by_hand(&self, meter: &Meter) -> Fallible<Mark> {
        let context = jetstream::new(connect(&self.url).await?);
        let first = meter.mark()?;
        let mut under_way: VecDeque<PublishAckFuture> = VecDeque::with_capacity(self.window);
        for number in 0..self.messages {
            if under_way.len() == self.window
                && let Some(oldest) = under_way.pop_front()
            {
                oldest.await?;
            }
            let (headers, body) = self.message(number)?;
            under_way.push_back(context.publish_with_headers(self.subject.clone(), headers, body).await?);
        }
        for acknowledgement in under_way {
            acknowledgement.await?;
        }
        Ok(first)
    }

    fn message(&self, number: u64) -> Fallible<(HeaderMap, Bytes)> {
        let (id, data) = (Uuid::now_v7().to_string(), Note::numbered(number));
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id.as_str());
        if !self.enveloped {
            headers.insert("Content-Type", "application/json");
            return Ok((headers, serde_json::to_vec(&data)?.into()));
        }
        headers.insert("Content-Type", "application/cloudevents+json");
        let event = Event {
            specversion: "1.0",
            id: &id,
            source: SOURCE,
            r#type: &self.subject,
            time: Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true).into(),
            datacontenttype: "application/json",
            correlationid: &id,
            data: &data,
        };
        Ok((headers, serde_json::to_vec(&event)?.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_two_hundred_bytes_of_data() {
        assert_eq!(serde_json::to_vec(&Note::numbered(7)).unwrap().len(), 200);
    }
}
