//! Recorded events with the aggregate's own event type.

use crate::description::EventCatalog;
use crate::{DecodeError, Event, RecordedEvent};

/// A recorded event and what it means to this program.
#[derive(Debug)]
pub struct TypedEvent<E> {
    /// The event as it is stored.
    pub recorded: RecordedEvent,
    /// What it means today: one event as a rule; after upcasting maybe several, or none. An event
    /// that this program does not know, or cannot read, is an error here and no reason to stop.
    pub decoded: Result<Vec<E>, DecodeError>,
}

impl<E: Event> TypedEvent<E> {
    pub(super) fn new(catalog: &EventCatalog, recorded: RecordedEvent) -> Self {
        let mut events = Vec::with_capacity(1);
        let decoded = catalog.decode::<E>(&recorded, |event| events.push(event.clone())).map(|()| events);
        Self { recorded, decoded }
    }

    /// The event, when it is exactly one that this program knows.
    #[must_use]
    pub fn event(&self) -> Option<&E> {
        match self.decoded.as_deref() {
            Ok([event]) => Some(event),
            _ => None,
        }
    }
}
