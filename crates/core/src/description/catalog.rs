//! The events of one aggregate type: encoded for the journal, decoded and upcast from it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::EventInfo;
use super::command::EncodedEvent;
use crate::schema::schema_from;
use crate::{DecodeError, Event, Name, RecordedEvent, Upcasters};

/// Names, versions and upcasters of one aggregate type's events.
pub(crate) struct EventCatalog {
    events: BTreeMap<Name, EventInfo>,
    upcasters: Upcasters,
}

impl EventCatalog {
    /// The catalog of `E`; problems with it go to `problems`.
    pub(crate) fn of<E: Event>(problems: &mut Vec<String>) -> Self {
        let mut events = BTreeMap::new();
        for event in E::types() {
            let name = match Name::new(event.name) {
                Ok(name) => name,
                Err(error) => {
                    problems.push(format!("event: {error}"));
                    continue;
                }
            };
            if event.schema_version == 0 {
                problems.push(format!("event `{name}`: schema versions count from 1"));
            }
            let info = EventInfo {
                name: name.clone(),
                schema_version: event.schema_version,
                schema: schema_from(event.schema),
            };
            if events.insert(name.clone(), info).is_some() {
                problems.push(format!("event `{name}` is there twice"));
            }
        }
        if events.is_empty() {
            problems.push("there are no events".to_owned());
        }
        Self { events, upcasters: E::upcasters() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &EventInfo> {
        self.events.values()
    }

    pub(super) fn upcasters(&self) -> &Upcasters {
        &self.upcasters
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.events.contains_key(name)
    }

    /// The event as the journal takes it.
    pub(super) fn encode<E: Event>(&self, event: &E) -> Result<EncodedEvent, EncodeError> {
        let name = event.name();
        let info = self.events.get(name).ok_or(EncodeError::NotListed { name })?;
        let data = event.encode().map_err(|source| EncodeError::Data { name, source })?;
        Ok(EncodedEvent { name: info.name.clone(), schema_version: info.schema_version, data: Bytes::from(data) })
    }

    /// What a stored event means today: usually one event, after upcasting maybe several or none.
    /// Each is handed to `take` in order.
    pub(crate) fn decode<E: Event>(&self, stored: &RecordedEvent, mut take: impl FnMut(&E)) -> Result<(), DecodeError> {
        let (name, version) = (stored.event.name.as_str(), stored.event.schema_version);
        if self.upcasters.has(name, version) {
            for event in self.upcasters.upcast(name, version, &stored.event.data)? {
                self.check_version(&event.name, event.version)?;
                let data = serde_json::to_vec(&event.data)
                    .map_err(|source| DecodeError::Data { name: event.name.clone(), source })?;
                take(&E::decode(&event.name, &data)?);
            }
            return Ok(());
        }
        self.check_version(name, version)?;
        take(&E::decode(name, &stored.event.data)?);
        Ok(())
    }

    fn check_version(&self, name: &str, version: u32) -> Result<(), DecodeError> {
        let Some(info) = self.events.get(name) else {
            return Err(DecodeError::UnknownEvent { name: name.to_owned() });
        };
        match version.cmp(&info.schema_version) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => {
                Err(DecodeError::TooNew { name: name.to_owned(), found: version, known: info.schema_version })
            }
            std::cmp::Ordering::Less => Err(DecodeError::Upcast {
                name: name.to_owned(),
                version,
                reason: format!("no upcaster leads to version {}", info.schema_version),
            }),
        }
    }
}

/// An event of the domain that cannot be stored: a bug in the aggregate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncodeError {
    #[error("the event `{name}` is not among the aggregate's event types")]
    NotListed { name: &'static str },
    #[error("the data of the event `{name}` cannot be written as JSON")]
    Data { name: &'static str, source: serde_json::Error },
}
