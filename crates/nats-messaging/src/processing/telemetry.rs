//! Messages in their handlers, as metrics.

use std::sync::Arc;
use std::time::Duration;

use headwater_nats::telemetry::opentelemetry::KeyValue;
use headwater_nats::telemetry::opentelemetry::metrics::{AsyncInstrument, Histogram};
use headwater_nats::telemetry::{LabelSets, Recorder, names, seconds};

use super::stats::Counters;
use crate::router::handler::Outcome;

pub(super) struct ProcessTelemetry {
    durations: Histogram<f64>,
    labels: LabelSets,
    common: Vec<KeyValue>,
}

impl ProcessTelemetry {
    pub(super) fn new(
        recorder: &Recorder,
        stream: &Arc<str>,
        consumer: &Arc<str>,
        counters: &Arc<Counters>,
    ) -> Option<Self> {
        let common = vec![
            KeyValue::new(names::MESSAGING_SYSTEM, names::NATS),
            KeyValue::new(names::MESSAGING_OPERATION_NAME, "process"),
            KeyValue::new(names::MESSAGING_OPERATION_TYPE, "process"),
            KeyValue::new(names::MESSAGING_DESTINATION_NAME, Arc::clone(stream)),
            KeyValue::new(names::MESSAGING_CONSUMER_GROUP_NAME, Arc::clone(consumer)),
        ];
        let meter = recorder.meter()?;
        let (counters, labels) = (Arc::downgrade(counters), common.clone());
        let callback = move |instrument: &dyn AsyncInstrument<u64>| {
            if let Some(counters) = counters.upgrade() {
                instrument.observe(counters.snapshot().deliveries, &labels);
            }
        };
        let consumed = meter.u64_observable_counter(names::CONSUMED_MESSAGES).with_unit("{message}");
        let _instrument = consumed.with_description("Messages delivered").with_callback(callback).build();
        let durations = recorder.seconds(names::PROCESS_DURATION, "Messages in their handlers")?;
        Some(Self { durations, labels: LabelSets::default(), common })
    }

    pub(super) fn handled(&self, took: Duration, outcome: &Outcome) {
        let (word, is_error) = match outcome {
            Outcome::Done => (names::OK, false),
            Outcome::Retry { .. } => ("failed", true),
            Outcome::Poison { .. } => ("given-up", true),
            Outcome::Postpone { .. } => ("postponed", false),
        };
        let labels = self.labels.of(word, || {
            let error = is_error.then(|| KeyValue::new(names::ERROR_TYPE, word));
            self.common.iter().cloned().chain([KeyValue::new(names::OUTCOME, word)]).chain(error).collect()
        });
        self.durations.record(seconds(took), &labels);
    }
}
