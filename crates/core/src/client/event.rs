//! Recorded events with the aggregate's own event type.

use std::marker::PhantomData;
use std::sync::Arc;

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

/// Reads recorded events as events of type `E`, older schema versions brought up to date: for readers that get their
/// events from a store or a consumer rather than from a typed client. Clones are cheap.
pub struct EventDecoder<E> {
    catalog: Arc<EventCatalog>,
    event: PhantomData<fn() -> E>,
}

impl<E: Event> EventDecoder<E> {
    /// A decoder of the events of `E`.
    #[must_use]
    pub fn new() -> Self {
        // What is wrong with an event enum is told where the service is built; here such an event just cannot be read.
        Self { catalog: Arc::new(EventCatalog::of::<E>(&mut Vec::new())), event: PhantomData }
    }

    /// The event with what it means to this program.
    #[must_use]
    pub fn decode(&self, recorded: RecordedEvent) -> TypedEvent<E> {
        TypedEvent::new(&self.catalog, recorded)
    }
}

impl<E: Event> Default for EventDecoder<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Clone for EventDecoder<E> {
    fn clone(&self) -> Self {
        Self { catalog: Arc::clone(&self.catalog), event: PhantomData }
    }
}

impl<E> std::fmt::Debug for EventDecoder<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventDecoder").finish_non_exhaustive()
    }
}
