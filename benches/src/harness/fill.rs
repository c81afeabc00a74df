//! Filling a journal fast with real events, as the service would have stored them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, HeaderMap, Message};
use chrono::Utc;
use futures_util::StreamExt;
use headwater::nats::event::{self, Previous};
use headwater::nats::header;
use headwater::nats::subject::Subjects;
use headwater::store::MAX_PREVIOUS;
use headwater::{AggregateId, CommandId, Event, EventId, JSON, Metadata, Name, NewEvent, Revision, Sequence};
use sample_receipts::domain::{ItemAdded, ReceiptEvent};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::journal;
use super::world::World;
use crate::Fallible;
use crate::receipts;

/// How many events may be on their way without an acknowledgement: enough to keep the server busy, and well below what
/// it buffers.
const UNACKNOWLEDGED: usize = 4096;

/// How long the server may take for one acknowledgement.
const SILENCE: Duration = Duration::from_secs(20);

/// Receipts of equal length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) receipts: usize,
    pub(crate) events_each: usize,
    pub(crate) order: Order,
}

/// In which order their events are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The first event of each receipt, then the second of each, and so on. Each receipt is spread over the whole
    /// journal, which is the hardest case for loading one.
    InRounds,
    /// One receipt after the other.
    OneByOne,
}

impl Spread {
    /// A journal of `events` in all.
    pub(crate) fn of(events: usize, events_each: usize) -> Self {
        Self { receipts: events / events_each, events_each, order: Order::InRounds }
    }

    /// How many events there are in all.
    pub(crate) fn events(self) -> usize {
        self.receipts * self.events_each
    }

    /// Where the event of this round (from 0) of this receipt is stored.
    fn sequence(self, receipt: usize, round: usize) -> u64 {
        let place = match self.order {
            Order::InRounds => round * self.receipts + receipt,
            Order::OneByOne => receipt * self.events_each + round,
        };
        place as u64 + 1
    }

    /// Whose event is stored at this place (from 0), and in which round.
    fn at(self, place: usize) -> (usize, usize) {
        match self.order {
            Order::InRounds => (place % self.receipts, place / self.receipts),
            Order::OneByOne => (place / self.events_each, place % self.events_each),
        }
    }

    /// The places of the events before that of this round, newest first.
    fn previous(self, receipt: usize, round: usize) -> Vec<Previous> {
        let earlier = (0..round).rev().take(MAX_PREVIOUS);
        earlier.map(|round| Previous::At(Sequence::new(self.sequence(receipt, round)))).collect()
    }

    /// The id of a receipt.
    pub(crate) fn id(receipt: usize) -> String {
        format!("filled-{receipt:07}")
    }
}

/// Makes the journal of `service` and fills it.
pub(crate) async fn fill(world: &World, service: &str, spread: Spread) -> Fallible<()> {
    journal::prepare(world, service).await?;
    let client = super::world::connect(&world.url()).await?;
    let inbox = client.new_inbox();
    let mut acks = client.subscribe(inbox.clone()).await?;
    super::world::settled(&client).await?;
    let room = Arc::new(Semaphore::new(UNACKNOWLEDGED));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let expected = spread.events() as u64;
    let reading = {
        let (room, acknowledged) = (Arc::clone(&room), Arc::clone(&acknowledged));
        tokio::spawn(async move {
            while acknowledged.load(Ordering::Relaxed) < expected {
                let ack = tokio::time::timeout(SILENCE, acks.next()).await;
                let ack = ack.map_err(|_| "the server stopped storing")?.ok_or("the connection was closed")?;
                if let Err(refused) = stored(&ack) {
                    room.close();
                    return Err(refused);
                }
                acknowledged.fetch_add(1, Ordering::Relaxed);
                room.add_permits(1);
            }
            Fallible::Ok(())
        })
    };
    let writing = publish(&client, service, spread, &inbox, &room).await;
    // What the server said explains what became of the writing.
    reading.await??;
    writing
}

async fn publish(client: &Client, service: &str, spread: Spread, inbox: &str, room: &Semaphore) -> Fallible<()> {
    let name = Name::new(service.to_owned())?;
    let subjects = Subjects::new(name.clone());
    let added = line();
    let event_name = Name::new(added.name())?;
    let data = bytes::Bytes::from(added.encode()?);
    let time = Utc::now();
    for place in 0..spread.events() {
        let (receipt, round) = spread.at(place);
        let aggregate = AggregateId::new("receipt", Spread::id(receipt))?;
        let command = CommandId::generate();
        let event = NewEvent {
            id: EventId::derive(&command, &aggregate, 0),
            name: event_name.clone(),
            schema_version: 1,
            time,
            content_type: JSON.into(),
            data: data.clone(),
            metadata: Arc::new(Metadata::new(command)),
        };
        let revision = Revision::new(round as u64 + 1);
        let body = event::encode(&name, &aggregate, revision, &event, &spread.previous(receipt, round));
        let mut headers = HeaderMap::new();
        headers.insert(header::MSG_ID, event.id.to_string());
        room.acquire().await?.forget();
        let subject = subjects.journal(&aggregate, &event_name);
        client.publish_with_reply_and_headers(subject, inbox.to_owned(), headers, body).await?;
    }
    client.flush().await?;
    Ok(())
}

/// One line of a receipt, as an event.
fn line() -> ReceiptEvent {
    let item = receipts::item();
    let line_total = item.price.times(item.quantity);
    ReceiptEvent::ItemAdded(ItemAdded { name: item.name, price: item.price, quantity: item.quantity, line_total })
}

fn stored(ack: &Message) -> Fallible<()> {
    #[derive(Deserialize)]
    struct Ack {
        seq: Option<u64>,
    }
    let seq = serde_json::from_slice::<Ack>(&ack.payload).ok().and_then(|ack| ack.seq).filter(|seq| *seq > 0);
    seq.map(drop).ok_or_else(|| format!("an event was refused: {}", String::from_utf8_lossy(&ack.payload)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_names_those_before_it_newest_first() {
        let spread = Spread::of(300, 100);
        assert_eq!((spread.receipts, spread.sequence(0, 0), spread.sequence(2, 99)), (3, 1, 300));
        let at = |sequence| Previous::At(Sequence::new(sequence));
        assert_eq!(spread.previous(1, 0), []);
        assert_eq!(spread.previous(1, 3), [at(8), at(5), at(2)]);
        assert_eq!(spread.previous(1, 99).len(), MAX_PREVIOUS);
    }

    #[test]
    fn events_are_stored_where_the_others_say_they_are() {
        for order in [Order::InRounds, Order::OneByOne] {
            let spread = Spread { order, ..Spread::of(30, 10) };
            for place in 0..spread.events() {
                let (receipt, round) = spread.at(place);
                assert_eq!(spread.sequence(receipt, round), place as u64 + 1, "{order:?}");
            }
        }
    }
}
