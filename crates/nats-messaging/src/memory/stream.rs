//! A stream: what it holds, and the consumers that read it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::consumer::Consumer;
use super::log::{Added, Log};
use super::settings::MemoryStream;
use crate::message::Message;

/// A stream in memory.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) settings: MemoryStream,
    pub(super) created: DateTime<Utc>,
    pub(super) log: Log,
    pub(super) consumers: BTreeMap<String, Consumer>,
}

impl Stream {
    pub(super) fn new(settings: MemoryStream, created: DateTime<Utc>) -> Self {
        Self { settings, created, log: Log::default(), consumers: BTreeMap::new() }
    }

    /// Stores a message and hands it to those who wait for it.
    pub(super) fn add(&mut self, message: Message, now: Instant) -> Added {
        self.forget_idle_consumers(now);
        let Self { settings, log, consumers, .. } = self;
        let added = log.add(message, now, settings, |gone| {
            consumers.values_mut().for_each(|consumer| consumer.lost(&gone));
        });
        if let Added::Stored(sequence) = added
            && let Some(stored) = log.get(sequence)
        {
            for consumer in consumers.values_mut() {
                consumer.stored(stored);
                consumer.pump(log, now);
            }
        }
        added
    }

    /// Takes all messages away, also those that were delivered and not acknowledged.
    pub(super) fn purge(&mut self) {
        self.log.purge();
        for consumer in self.consumers.values_mut() {
            consumer.purged(&self.log);
        }
    }

    /// Takes one message away; whether it was there.
    pub(super) fn remove(&mut self, sequence: u64) -> bool {
        let Some(gone) = self.log.remove(sequence) else { return false };
        self.consumers.values_mut().for_each(|consumer| consumer.lost(&gone));
        true
    }

    /// Consumers that nobody has read for long enough go.
    pub(super) fn forget_idle_consumers(&mut self, now: Instant) {
        self.consumers.retain(|_, consumer| !consumer.has_expired(now));
    }
}
