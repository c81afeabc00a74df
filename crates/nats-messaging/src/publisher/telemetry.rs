//! Traces and metrics of a publisher: a span for each message, and how many went how.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use headwater_nats::telemetry::{LabelSets, Recorder, Telemetry, end, is_recorded, names, seconds};
use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::trace::{SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use super::PublisherError;
use super::parcel::Parcel;
use super::report::Outcome;
use crate::envelope::Attributes;
use crate::publish::Published;

/// As many streams have labels of their own; the others share one.
const MOST_STREAMS: usize = 64;

/// What a publisher with telemetry records with.
pub(super) struct PublisherTelemetry {
    recorder: Recorder,
    durations: Option<Histogram<f64>>,
    sent: Option<Counter<u64>>,
    repeated: Option<Counter<u64>>,
    source: Arc<str>,
    /// Of messages of which no stream is known.
    labels: LabelSets,
    streams: RwLock<Vec<(Arc<str>, Arc<LabelSets>)>>,
}

impl PublisherTelemetry {
    pub(super) fn new(telemetry: &Telemetry, source: &str) -> Self {
        let recorder = telemetry.recorder();
        let counter = |name: &'static str, description: &'static str| {
            let meter = recorder.meter()?;
            Some(meter.u64_counter(name).with_unit("{message}").with_description(description).build())
        };
        Self {
            durations: recorder.seconds(names::OPERATION_DURATION, "Messages published, with all attempts"),
            sent: counter(names::SENT_MESSAGES, "Messages stored"),
            repeated: counter(names::PUBLISHER_REPEATED, "Messages handed over once more"),
            recorder,
            source: source.into(),
            labels: LabelSets::default(),
            streams: RwLock::default(),
        }
    }

    /// Makes the instrument that tells how many messages are under way, for as long as the number lives.
    pub(super) fn observe(&self, in_flight: &Arc<AtomicU64>) {
        let Some(meter) = self.recorder.meter() else { return };
        let (in_flight, label): (Weak<AtomicU64>, _) = (Arc::downgrade(in_flight), [self.publisher()]);
        let gauge = meter.u64_observable_gauge(names::PUBLISHER_IN_FLIGHT).with_unit("{message}");
        let described = gauge.with_description("Messages of the window that no stream has acknowledged yet");
        let _instrument = described
            .with_callback(move |instrument| {
                if let Some(in_flight) = in_flight.upgrade() {
                    instrument.observe(in_flight.load(Ordering::Relaxed), &label);
                }
            })
            .build();
    }

    /// Begins a message's span.
    pub(super) fn begin(&self, subject: &str, attributes: &Attributes, parent: Option<&Context>) -> Option<Context> {
        if !self.recorder.traces() {
            return None;
        }
        let template = self.template(subject, attributes);
        let parent = parent.cloned().unwrap_or_default();
        let span = self.recorder.begin(format!("publish {template}"), SpanKind::Producer, &parent)?;
        if is_recorded(&span) {
            let recorded = span.span();
            recorded.set_attributes(self.common());
            recorded.set_attribute(KeyValue::new(names::MESSAGING_DESTINATION_TEMPLATE, template));
            if !attributes.event_type.is_empty() {
                recorded.set_attribute(KeyValue::new(names::EVENT, attributes.event_type.clone()));
            }
            if self.recorder.shows_ids() {
                recorded.set_attribute(KeyValue::new(names::MESSAGING_MESSAGE_ID, attributes.id.clone()));
            }
        }
        Some(span)
    }

    /// What stands for the subject, which may have ids in it: the event's type where the program names one, else the subject's
    /// first token, and the subject itself where ids may be shown.
    fn template(&self, subject: &str, attributes: &Attributes) -> String {
        if self.recorder.shows_ids() {
            return subject.to_owned();
        }
        if !attributes.event_type.is_empty() {
            return attributes.event_type.clone();
        }
        match subject.split_once('.') {
            Some((first, _)) => format!("{first}.>"),
            None => subject.to_owned(),
        }
    }

    pub(super) fn repeated(&self) {
        if let Some(repeated) = &self.repeated {
            repeated.add(1, &[self.publisher()]);
        }
    }

    /// Records what became of a message, and ends its span.
    pub(super) fn ended(
        &self,
        parcel: &Parcel,
        outcome: Outcome,
        took: Duration,
        result: &Result<Published, PublisherError>,
    ) {
        let stream = result.as_ref().ok().map(|published| published.stream.as_str());
        let (word, error) = match (outcome, result) {
            (Outcome::Duplicate, _) => ("duplicate", None),
            (_, Ok(_)) => (names::OK, None),
            (_, Err(error)) => (error.word(), Some(error.word())),
        };
        if self.durations.is_some() || self.sent.is_some() {
            let labels = self.labels(stream, word, error);
            if let Some(durations) = &self.durations {
                durations.record(seconds(took), &labels);
            }
            if let (Some(sent), Outcome::Stored) = (&self.sent, outcome) {
                sent.add(1, &labels);
            }
        }
        if let Some(span) = &parcel.span {
            if is_recorded(span) {
                let recorded = span.span();
                recorded.set_attribute(KeyValue::new(names::OUTCOME, word));
                recorded.set_attribute(KeyValue::new(names::ATTEMPT, i64::from(parcel.attempts)));
                if let Some(stream) = stream {
                    recorded.set_attribute(KeyValue::new(names::MESSAGING_DESTINATION_NAME, stream.to_owned()));
                }
            }
            end(span, error);
        }
    }

    fn labels(&self, stream: Option<&str>, word: &'static str, error: Option<&'static str>) -> Arc<[KeyValue]> {
        let sets = stream.map(|stream| self.sets_of(stream));
        let (stream, sets) = match &sets {
            Some((stream, sets)) => (Some(stream), &**sets),
            None => (None, &self.labels),
        };
        sets.of(word, || {
            let stream = stream.map(|stream| KeyValue::new(names::MESSAGING_DESTINATION_NAME, Arc::clone(stream)));
            let error = error.map(|error| KeyValue::new(names::ERROR_TYPE, error));
            let outcome = KeyValue::new(names::OUTCOME, word);
            self.common().into_iter().chain([outcome]).chain(stream).chain(error).collect()
        })
    }

    fn sets_of(&self, stream: &str) -> (Arc<str>, Arc<LabelSets>) {
        let find = |streams: &[(Arc<str>, Arc<LabelSets>)], name: &str| {
            streams.iter().find(|(known, _)| &**known == name).cloned()
        };
        let known = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = find(&known, stream) {
            return found;
        }
        let name = if known.len() < MOST_STREAMS { stream } else { names::OTHER };
        drop(known);
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        find(&streams, name).unwrap_or_else(|| {
            let made: (Arc<str>, Arc<LabelSets>) = (name.into(), Arc::default());
            streams.push(made.clone());
            made
        })
    }

    fn common(&self) -> [KeyValue; 4] {
        [
            KeyValue::new(names::MESSAGING_SYSTEM, names::NATS),
            KeyValue::new(names::MESSAGING_OPERATION_NAME, "publish"),
            KeyValue::new(names::MESSAGING_OPERATION_TYPE, "send"),
            self.publisher(),
        ]
    }

    fn publisher(&self) -> KeyValue {
        KeyValue::new(names::PUBLISHER, Arc::clone(&self.source))
    }
}

impl fmt::Debug for PublisherTelemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublisherTelemetry").field("recorder", &self.recorder).finish_non_exhaustive()
    }
}
