//! Stored events: CloudEvents in JSON, as the protocol has them.

use std::borrow::Cow;
use std::fmt::Write;

use sample_receipts::domain::{ItemAdded, ItemRemoved, ReceiptEvent, ReceiptFinalized, ReceiptVoided};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// How many earlier events an event names.
pub(super) const MAX_PREVIOUS: usize = 32;

#[derive(Serialize)]
pub(super) struct Body<'a> {
    pub(super) specversion: &'a str,
    pub(super) id: Uuid,
    pub(super) source: &'a str,
    pub(super) r#type: &'a str,
    pub(super) subject: &'a str,
    pub(super) time: &'a str,
    pub(super) datacontenttype: &'a str,
    pub(super) aggregatetype: &'a str,
    pub(super) revision: u64,
    pub(super) schemaversion: u32,
    pub(super) commandid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) correlationid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<String>,
    pub(super) data: Data<'a>,
}

/// The data of an event, written without its name.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Data<'a> {
    Added(&'a ItemAdded),
    Removed(&'a ItemRemoved),
    Finalized(&'a ReceiptFinalized),
    Voided(&'a ReceiptVoided),
}

pub(super) fn name_of(event: &ReceiptEvent) -> &'static str {
    match event {
        ReceiptEvent::ItemAdded(_) => "item-added",
        ReceiptEvent::ItemRemoved(_) => "item-removed",
        ReceiptEvent::ReceiptFinalized(_) => "receipt-finalized",
        ReceiptEvent::ReceiptVoided(_) => "receipt-voided",
    }
}

pub(super) fn data_of(event: &ReceiptEvent) -> Data<'_> {
    match event {
        ReceiptEvent::ItemAdded(data) => Data::Added(data),
        ReceiptEvent::ItemRemoved(data) => Data::Removed(data),
        ReceiptEvent::ReceiptFinalized(data) => Data::Finalized(data),
        ReceiptEvent::ReceiptVoided(data) => Data::Voided(data),
    }
}

/// The event's id, by which JetStream recognises a repeat.
pub(super) fn id_of(command: &str, receipt: &str, place: usize) -> Uuid {
    const NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_3d0e_9b52_4f5a_8a77_2d41_c0be_11d3);
    Uuid::new_v5(&NAMESPACE, format!("{command}\0receipt\0\0{receipt}\0{place}").as_bytes())
}

/// Where the events before this one are, newest first: those of the same batch, then the sequences in `recent`.
pub(super) fn previous(place: usize, recent: &[u64]) -> Option<String> {
    if place == 0 && recent.is_empty() {
        return None;
    }
    let mut text = String::with_capacity(8 * recent.len().min(MAX_PREVIOUS));
    let mut push = |sign: &str, number: u64| {
        let comma = if text.is_empty() { "" } else { "," };
        write!(text, "{comma}{sign}{number}").expect("a String takes all text");
    };
    (1..=place.min(MAX_PREVIOUS)).for_each(|back| push("-", back as u64));
    recent.iter().take(MAX_PREVIOUS.saturating_sub(place)).for_each(|sequence| push("", *sequence));
    Some(text)
}

#[derive(Deserialize)]
struct ReadBody<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    revision: u64,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The event in a stored body, and its revision.
pub(super) fn read(body: &[u8]) -> Result<(u64, ReceiptEvent), serde_json::Error> {
    let body: ReadBody<'_> = serde_json::from_slice(body)?;
    let data = body.data.get();
    let event = match &*body.r#type {
        "item-added" => ReceiptEvent::ItemAdded(serde_json::from_str(data)?),
        "item-removed" => ReceiptEvent::ItemRemoved(serde_json::from_str(data)?),
        "receipt-finalized" => ReceiptEvent::ReceiptFinalized(serde_json::from_str(data)?),
        "receipt-voided" => ReceiptEvent::ReceiptVoided(serde_json::from_str(data)?),
        other => return Err(serde::de::Error::custom(format!("there is no event called {other}"))),
    };
    Ok((body.revision, event))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::{DateTime, SecondsFormat, Utc};
    use headwater::nats::event::{self, Previous};
    use headwater::{AggregateId, CommandId, Event, EventId, JSON, Metadata, Name, NewEvent, Revision, Sequence};

    use super::*;

    fn added() -> ReceiptEvent {
        let item = crate::receipts::item();
        let line_total = item.price.times(item.quantity);
        ReceiptEvent::ItemAdded(ItemAdded { name: item.name, price: item.price, quantity: item.quantity, line_total })
    }

    #[test]
    fn the_bytes_are_those_that_the_service_under_test_writes() {
        let (event, time) = (added(), "2026-11-20T12:00:00.123456789Z".parse::<DateTime<Utc>>().unwrap());
        let aggregate = AggregateId::new("receipt", "order-1").unwrap();
        let command = CommandId::new("c-1").unwrap();
        let new = NewEvent {
            id: EventId::derive(&command, &aggregate, 1),
            name: Name::new(event.name()).unwrap(),
            schema_version: 1,
            time,
            content_type: JSON.into(),
            data: event.encode().unwrap().into(),
            metadata: Arc::new(Metadata::new(command)),
        };
        let recent: Vec<u64> = (1..=40).rev().collect();
        let mut places = vec![Previous::Back(1)];
        places.extend(recent.iter().map(|sequence| Previous::At(Sequence::new(*sequence))));
        let theirs = event::encode(&Name::new("receipts").unwrap(), &aggregate, Revision::new(42), &new, &places);
        let ours = serde_json::to_vec(&Body {
            specversion: "1.0",
            id: id_of("c-1", "order-1", 1),
            source: "/receipts",
            r#type: name_of(&event),
            subject: "order-1",
            time: &time.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            datacontenttype: "application/json",
            aggregatetype: "receipt",
            revision: 42,
            schemaversion: 1,
            commandid: "c-1",
            correlationid: None,
            previous: previous(1, &recent),
            data: data_of(&event),
        });
        assert_eq!(String::from_utf8(ours.unwrap()).unwrap(), String::from_utf8(theirs.to_vec()).unwrap());
        assert_eq!(read(&theirs).unwrap(), (42, event));
    }

    #[test]
    fn the_first_event_names_no_other() {
        assert_eq!(previous(0, &[]), None);
        assert_eq!(previous(0, &[9, 7]).as_deref(), Some("9,7"));
        assert_eq!(previous(2, &[9]).as_deref(), Some("-1,-2,9"));
    }
}
