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
