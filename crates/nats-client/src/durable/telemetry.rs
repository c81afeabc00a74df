//! Traces and metrics of a durable reader: each event in its handler a span, which knows the span that appended it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use headwater_core::{Name, RecordedEvent};
use headwater_nats::subject::Subjects;
use headwater_nats::telemetry::{
    LabelSets, ReaderSpans, Recorder, Telemetry, context, end, is_recorded, names, seconds, within,
};
use opentelemetry::metrics::{AsyncInstrument, Histogram};
use opentelemetry::trace::{SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use tokio::time::Instant;

use super::handler::Verdict;
use super::stats::{Counters, ReaderStats};

/// What a reader with telemetry records with.
#[derive(Debug)]
pub(super) struct ReaderTelemetry {
    recorder: Recorder,
    durations: Option<Histogram<f64>>,
    labels: LabelSets,
    service: Name,
    stream: Arc<str>,
    reader: Arc<str>,
}

/// An event in its handler.
pub(super) struct Processing {
    telemetry: Arc<ReaderTelemetry>,
    /// In which the handler runs; none when spans are switched off.
    pub(super) span: Option<Context>,
    began: Instant,
}

impl ReaderTelemetry {
    pub(super) fn new(
        telemetry: &Telemetry,
        subjects: &Subjects,
        reader: &Name,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        let recorder = telemetry.recorder();
        let told = Self {
            durations: recorder.seconds(names::PROCESS_DURATION, "Events in their handlers"),
            recorder,
            labels: LabelSets::default(),
            service: subjects.service().clone(),
            stream: subjects.journal_stream().into(),
            reader: reader.as_str().into(),
        };
        told.observe(&Arc::downgrade(counters));
        Arc::new(told)
    }

    /// Begins to handle an event.
    pub(super) fn begin(self: &Arc<Self>, event: &RecordedEvent, attempt: u32) -> Processing {
        let began = Instant::now();
        let span = self.recorder.traces().then(|| self.span(event, attempt)).flatten();
        Processing { telemetry: Arc::clone(self), span, began }
    }

    fn span(&self, event: &RecordedEvent, attempt: u32) -> Option<Context> {
        let (kind, name) = (event.aggregate.kind(), &event.event.name);
        let template = format!("{}.journal.{kind}.{{id}}.{name}", self.service);
        let origin = event.event.metadata.traceparent.as_deref().and_then(|origin| context::parse(origin, None));
        let (parent, links) = match self.recorder.reader_spans() {
            ReaderSpans::Child => (origin.map(within).unwrap_or_default(), None),
            _ => (Context::new(), origin),
        };
        let span = self.recorder.begin_linked(format!("process {template}"), SpanKind::Consumer, &parent, links)?;
        if is_recorded(&span) {
            let recorded = span.span();
            recorded.set_attributes(self.common());
            recorded.set_attributes([
                KeyValue::new(names::MESSAGING_DESTINATION_TEMPLATE, template),
                KeyValue::new(names::AGGREGATE_TYPE, kind.to_string()),
                KeyValue::new(names::EVENT, name.to_string()),
                KeyValue::new(names::ATTEMPT, i64::from(attempt)),
            ]);
            if self.recorder.shows_ids() {
                recorded.set_attribute(KeyValue::new(names::AGGREGATE_ID, event.aggregate.id().to_owned()));
                recorded.set_attribute(KeyValue::new(names::MESSAGING_MESSAGE_ID, event.event.id.to_string()));
            }
        }
        Some(span)
    }

    fn common(&self) -> [KeyValue; 6] {
        [
            KeyValue::new(names::MESSAGING_SYSTEM, names::NATS),
            KeyValue::new(names::MESSAGING_OPERATION_NAME, "process"),
            KeyValue::new(names::MESSAGING_OPERATION_TYPE, "process"),
            KeyValue::new(names::MESSAGING_DESTINATION_NAME, Arc::clone(&self.stream)),
            KeyValue::new(names::MESSAGING_CONSUMER_GROUP_NAME, Arc::clone(&self.reader)),
            KeyValue::new(names::SERVICE, self.service.to_string()),
        ]
    }

    /// Makes the instruments that read the reader's numbers, for as long as it lives.
    fn observe(&self, counters: &Weak<Counters>) {
        let Some(meter) = self.recorder.meter() else { return };
        let labels = [
            KeyValue::new(names::SERVICE, self.service.to_string()),
            KeyValue::new(names::READER, Arc::clone(&self.reader)),
        ];
        let gauge = |name: &'static str, description: &'static str, read: fn(&ReaderStats) -> u64| {
            let (counters, labels) = (counters.clone(), labels.clone());
            let callback = move |instrument: &dyn AsyncInstrument<u64>| {
                if let Some(counters) = counters.upgrade() {
                    instrument.observe(read(&counters.snapshot()), &labels);
                }
            };
            let gauge = meter.u64_observable_gauge(name).with_unit("{event}").with_description(description);
            let _instrument = gauge.with_callback(callback).build();
        };
        let description = "Events that are not handled yet, as far as the server has told";
        gauge(names::READER_LAG, description, |stats| stats.unread + stats.in_hand);
        gauge(names::READER_IN_HAND, "Events in the reader's hands", |stats| stats.in_hand);
        let (counters, delivered) = (counters.clone(), self.common());
        let callback = move |instrument: &dyn AsyncInstrument<u64>| {
            if let Some(counters) = counters.upgrade() {
                instrument.observe(counters.snapshot().deliveries, &delivered);
            }
        };
        let consumed = meter.u64_observable_counter(names::CONSUMED_MESSAGES).with_unit("{message}");
        let _instrument = consumed.with_description("Events delivered").with_callback(callback).build();
    }

    fn record(&self, took: Duration, outcome: &'static str, is_error: bool) {
        let Some(durations) = &self.durations else { return };
        let labels = self.labels.of(outcome, || {
            let error = is_error.then(|| KeyValue::new(names::ERROR_TYPE, outcome));
            self.common().into_iter().chain([KeyValue::new(names::OUTCOME, outcome)]).chain(error).collect()
        });
        durations.record(seconds(took), &labels);
    }
}

impl Processing {
    /// Ends it with what the handler said.
    pub(super) fn ended(self, said: &Result<Verdict, String>) {
        let (outcome, is_error) = match said {
            Ok(Verdict::Ack) => (names::OK, false),
            Ok(Verdict::Nak(_)) => ("deferred", false),
            Ok(Verdict::Term(_)) => ("given-up", true),
            Err(_) => ("failed", true),
        };
        self.telemetry.record(self.began.elapsed(), outcome, is_error);
        if let Some(span) = &self.span {
            if is_recorded(span) {
                span.span().set_attribute(KeyValue::new(names::OUTCOME, outcome));
            }
            end(span, is_error.then_some(outcome));
        }
    }
}
