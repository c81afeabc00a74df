//! A consumer's health as metrics. Their labels are stream, consumer and what happened: as many as the program has consumers.

use std::sync::{Arc, PoisonError};

use headwater_nats::telemetry::opentelemetry::KeyValue;
use headwater_nats::telemetry::opentelemetry::metrics::{AsyncInstrument, Counter};
use headwater_nats::telemetry::{LabelSets, Recorder, names};

use super::monitor::Shown;
use super::{ConsumerHealth, HealthState};

pub(super) struct HealthTelemetry {
    changes: Counter<u64>,
    labels: LabelSets,
    common: [KeyValue; 2],
}

impl HealthTelemetry {
    pub(super) fn new(recorder: &Recorder, stream: &Arc<str>, consumer: &Arc<str>) -> Option<Self> {
        let changes = recorder.meter()?.u64_counter(names::CONSUMER_INCIDENTS).with_unit("{incident}");
        let changes =
            changes.with_description("What happened to consumers: stalled, recovered, lost, recreated").build();
        Some(Self { changes, labels: LabelSets::default(), common: common(stream, consumer) })
    }

    pub(super) fn changed(&self, what: &'static str) {
        let make = || self.common.iter().cloned().chain([KeyValue::new(names::OUTCOME, what)]).collect();
        self.changes.add(1, &self.labels.of(what, make));
    }

    /// Makes the instruments that read a consumer's health, for as long as somebody watches it.
    pub(super) fn observe(recorder: &Recorder, shown: &Shown) {
        let Some(meter) = recorder.meter() else { return };
        let gauge = |name: &'static str, description: &'static str, read: fn(&ConsumerHealth) -> u64| {
            let shown = Arc::downgrade(shown);
            let callback = move |instrument: &dyn AsyncInstrument<u64>| {
                let Some(shown) = shown.upgrade() else { return };
                let health = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if health.state != HealthState::Unknown {
                    instrument.observe(read(&health), &common(&health.stream, &health.consumer));
                }
            };
            let gauge = meter.u64_observable_gauge(name).with_unit("{message}").with_description(description);
            let _instrument = gauge.with_callback(callback).build();
        };
        gauge(names::CONSUMER_PENDING, "Messages that were never delivered", |health| health.pending);
        gauge(names::CONSUMER_ACK_PENDING, "Messages delivered and not acknowledged", |health| health.ack_pending);
        gauge(names::CONSUMER_REDELIVERED, "Of those, how many were delivered more than once", |health| {
            health.redelivered
        });
        gauge(names::CONSUMER_STALLED, "1 while messages wait and none is brought to its end", |health| {
            u64::from(health.state == HealthState::Stalled)
        });
    }
}

fn common(stream: &Arc<str>, consumer: &Arc<str>) -> [KeyValue; 2] {
    [
        KeyValue::new(names::MESSAGING_DESTINATION_NAME, Arc::clone(stream)),
        KeyValue::new(names::MESSAGING_CONSUMER_GROUP_NAME, Arc::clone(consumer)),
    ]
}
