//! Traces and metrics of a service: each call a span, with what was loaded, decided and appended beneath it.

mod call;
mod decisions;
mod observables;
mod observer;
mod store;

use std::sync::Arc;

use headwater_core::store::EventStore;
use headwater_core::{AggregateType, Name};
use headwater_nats::subject::Subjects;
use headwater_nats::telemetry::{Recorder, Telemetry, names};
use opentelemetry::metrics::Histogram;

pub(crate) use self::call::traceparent;
use self::observer::Watcher;
use self::store::WatchedStore;

/// What a service with telemetry records with.
#[derive(Debug)]
pub(crate) struct ServiceTelemetry {
    recorder: Recorder,
    calls: Option<Histogram<f64>>,
    subjects: Subjects,
    /// `jetstream`, or how else the store calls itself.
    store: &'static str,
}

impl ServiceTelemetry {
    pub(crate) fn new(telemetry: &Telemetry, service: Name, store: &'static str) -> Arc<Self> {
        let recorder = telemetry.recorder();
        let calls = recorder.seconds(names::SERVER_CALL_DURATION, "Calls, from arriving to being answered");
        Arc::new(Self { recorder, calls, subjects: Subjects::new(service), store })
    }

    /// The store with somebody before it who looks on.
    pub(crate) fn watch_store(self: &Arc<Self>, store: Arc<dyn EventStore>) -> Arc<dyn EventStore> {
        Arc::new(WatchedStore::new(store, Arc::clone(self)))
    }

    /// Somebody to tell what is loaded and decided.
    pub(crate) fn observer<'a>(self: &Arc<Self>, types: impl Iterator<Item = &'a AggregateType>) -> Watcher {
        Watcher::new(Arc::clone(self), types)
    }

    fn service(&self) -> &Name {
        self.subjects.service()
    }

    /// What carries the events.
    fn messaging_system(&self) -> &'static str {
        if self.store == "jetstream" { names::NATS } else { self.store }
    }
}
