//! Reading a whole journal in order and then ending: as the domain's events, or only counting.

use std::time::Duration;

use async_nats::jetstream::consumer::push::OrderedConfig;
use futures_util::StreamExt;
use headwater::Event;
use headwater::Name;
use headwater::nats::connect::{Connection, NatsConfig};
use headwater::store::{EventFilter, EventStore, JetStreamStore, StartFrom, StoreConfig};
use sample_receipts::domain::ReceiptEvent;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::Fallible;
use crate::harness::journal;
use crate::harness::meter::{Mark, Meter};
use crate::harness::world::connect;

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reader {
    pub(crate) url: String,
    pub(crate) service: String,
    /// How many events there are.
    pub(crate) events: u64,
    /// Whether every event becomes a value of the domain, through the event store on Headwater; otherwise the messages of
    /// an ordered consumer are counted.
    pub(crate) typed: bool,
}

/// What a reader says at its end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReaderSaid {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    /// The pieces on all lines that were read; 0 where nothing was looked at.
    pub(crate) pieces: u64,
}

impl Reader {
    pub(super) async fn run(self) -> Fallible<ReaderSaid> {
        let meter = Meter::new(vec![std::process::id()], Vec::new());
        let reading = async { if self.typed { self.typed(&meter).await } else { self.counted(&meter).await } };
        // One deadline for all: a timer for each event would be counted as the reader's work.
        let (first, pieces) = timeout(LIMIT, reading).await.map_err(|_| "the journal was not read in time")??;
        let last = meter.mark()?;
        let seconds = (last.at() - first.at()).as_secs_f64();
        Ok(ReaderSaid { seconds, cpu_seconds: last.since(&first).programs.as_secs_f64(), pieces })
    }

    async fn typed(&self, meter: &Meter) -> Fallible<(Mark, u64)> {
        let connection = Connection::connect(&NatsConfig::new(&self.url).name("reader")).await?;
        let store = JetStreamStore::open(connection, StoreConfig::new(Name::new(self.service.clone())?)).await?;
        let first = meter.mark()?;
        let mut events = store.subscribe(EventFilter::all(), StartFrom::Beginning).await?;
        let mut pieces = 0;
        for _ in 0..self.events {
            let recorded = events.next().await.ok_or("the subscription ended")??;
            if let ReceiptEvent::ItemAdded(added) =
                ReceiptEvent::decode(recorded.event.name.as_str(), &recorded.event.data)?
            {
                pieces += u64::from(added.quantity);
            }
        }
        Ok((first, pieces))
    }

    async fn counted(&self, meter: &Meter) -> Fallible<(Mark, u64)> {
        let client = connect(&self.url).await?;
        let first = meter.mark()?;
        let jetstream = async_nats::jetstream::new(client.clone());
        let stream = jetstream.get_stream_no_info(journal::stream_of(&self.service)?).await?;
        let config = OrderedConfig { deliver_subject: client.new_inbox(), ..OrderedConfig::default() };
        let mut messages = stream.create_consumer(config).await?.messages().await?;
        for _ in 0..self.events {
            messages.next().await.ok_or("the consumer ended")??;
        }
        Ok((first, 0))
    }
}
