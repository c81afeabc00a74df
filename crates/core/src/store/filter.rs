//! Which events a subscription shows, and from where.

use chrono::{DateTime, Utc};

use crate::{AggregateId, Name, RecordedEvent, Sequence};

/// Which events to show. Everything by default; each call narrows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct EventFilter {
    /// Only this aggregate type.
    pub kind: Option<Name>,
    /// Only this aggregate.
    pub aggregate: Option<AggregateId>,
    /// Only events with one of these names; all when empty.
    pub events: Vec<Name>,
}

impl EventFilter {
    /// Every event of the service.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only aggregates of this type.
    pub fn kind(self, kind: Name) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// Only this aggregate.
    pub fn aggregate(self, aggregate: AggregateId) -> Self {
        Self { aggregate: Some(aggregate), ..self }
    }

    /// Also events with this name; without any such call, all names.
    pub fn event(mut self, name: Name) -> Self {
        self.events.push(name);
        self
    }

    /// Whether it shows `event`.
    #[must_use]
    pub fn shows(&self, event: &RecordedEvent) -> bool {
        self.kind.as_ref().is_none_or(|kind| kind == event.aggregate.kind())
            && self.aggregate.as_ref().is_none_or(|aggregate| *aggregate == event.aggregate)
            && (self.events.is_empty() || self.events.contains(&event.event.name))
    }
}

/// Where in the journal a subscription starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartFrom {
    /// At the journal's first event.
    #[default]
    Beginning,
    /// Right after this place.
    After(Sequence),
    /// At the first event stored at or after this time.
    Time(DateTime<Utc>),
    /// With the next event that is stored.
    Now,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{CommandId, EventId, JSON, Metadata, NewEvent, Revision};

    fn event(aggregate: &AggregateId, name: &'static str) -> RecordedEvent {
        let command = CommandId::new("c-1").unwrap();
        RecordedEvent {
            aggregate: aggregate.clone(),
            revision: Revision::new(1),
            sequence: Sequence::new(1),
            event: NewEvent {
                id: EventId::derive(&command, aggregate, 0),
                name: Name::new(name).unwrap(),
                schema_version: 1,
                time: Utc::now(),
                content_type: JSON.into(),
                data: "null".into(),
                metadata: Arc::new(Metadata::new(command)),
            },
        }
    }

    #[test]
    fn each_call_narrows_what_is_shown_and_names_add_up() {
        let name = |name: &'static str| Name::new(name).unwrap();
        let one = AggregateId::new("receipt", "1").unwrap();
        let in_tenant = one.clone().in_tenant("acme").unwrap();
        let invoice = AggregateId::new("invoice", "1").unwrap();
        let events =
            [event(&one, "opened"), event(&one, "closed"), event(&in_tenant, "opened"), event(&invoice, "opened")];
        let shown = |filter: &EventFilter| events.each_ref().map(|event| filter.shows(event));
        assert_eq!(shown(&EventFilter::all()), [true, true, true, true]);
        let receipts = EventFilter::all().kind(name("receipt"));
        assert_eq!(shown(&receipts), [true, true, true, false]);
        assert_eq!(shown(&receipts.clone().event(name("opened"))), [true, false, true, false]);
        assert_eq!(shown(&receipts.clone().event(name("opened")).event(name("closed"))), [true, true, true, false]);
        assert_eq!(shown(&EventFilter::all().aggregate(one.clone())), [true, true, false, false]);
        assert_eq!(shown(&EventFilter::all().aggregate(in_tenant)), [false, false, true, false]);
        assert_eq!(shown(&receipts.aggregate(invoice)), [false, false, false, false]);
    }
}
