//! A stream looked at from outside: could it be a service's journal?

use headwater_core::Name;
use headwater_nats::subject::Subjects;
use serde_json::{Map, Value};

use crate::config::{Manage, StoreConfig};
use crate::stream;

/// One field of a stream for which a store would refuse to be opened on it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalFault {
    /// The field, as JetStream calls it.
    pub field: &'static str,
    /// What it is, as JSON, or `absent`.
    pub found: String,
    /// What it must be, as JSON.
    pub wanted: String,
}

/// Every field of a stream's configuration with which events of `service` could be lost, changed, reordered or doubled. Empty
/// when [`JetStreamStore::open`](crate::JetStreamStore::open) would take the stream. Replicas and limits are the settings'
/// matter, and not looked at.
///
/// `config` is the stream's configuration as the server tells it.
///
/// ```
/// use headwater_core::Name;
/// use headwater_nats_store::inspect_journal;
///
/// let config = serde_json::json!({ "name": "RECEIPTS_JOURNAL", "subjects": ["receipts.journal.>"], "discard": "old" });
/// let faults = inspect_journal(&Name::new("receipts")?, config.as_object().unwrap());
/// assert!(faults.iter().any(|fault| fault.field == "discard" && fault.wanted == "\"new\""));
/// # Ok::<(), headwater_core::NameError>(())
/// ```
#[must_use]
pub fn inspect_journal(service: &Name, config: &Map<String, Value>) -> Vec<JournalFault> {
    let subjects = Subjects::new(service.clone());
    let drifts = stream::compare(config, &subjects, &StoreConfig::new(service.clone()));
    let harmful = drifts.into_iter().filter(|drift| drift.breaks_guarantees(Manage::Update));
    harmful.map(|stream::Drift { field, found, wanted, .. }| JournalFault { field, found, wanted }).collect()
}
