//! The event store with somebody before it who looks on: each append measured, and a span for each recorded command that it
//! serves. That span is what the stored events name as their origin.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use headwater_core::store::{
    Append, AppendError, Appended, EventFilter, EventStore, EventStream, Freshness, Head, History, ReadError,
    ReadOptions, StartFrom, StoreError,
};
use headwater_core::{AggregateId, Metadata, NewEvent};
use headwater_nats::telemetry::{LabelSets, context, end, names, seconds};
use opentelemetry::metrics::Histogram;
use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use super::ServiceTelemetry;
use super::observer::call_of;

/// The most links of one span. A batch may serve hundreds of commands.
const MOST_LINKS: usize = 32;

/// The store, watched.
#[derive(Debug)]
pub(super) struct WatchedStore {
    store: Arc<dyn EventStore>,
    telemetry: Arc<ServiceTelemetry>,
    stream: Arc<str>,
    durations: Option<Histogram<f64>>,
    group_sizes: Option<Histogram<u64>>,
    labels: LabelSets,
    group_labels: [KeyValue; 1],
}

impl WatchedStore {
    pub(super) fn new(store: Arc<dyn EventStore>, telemetry: Arc<ServiceTelemetry>) -> Self {
        let recorder = &telemetry.recorder;
        Self {
            store,
            stream: telemetry.subjects.journal_stream().into(),
            durations: recorder.seconds(names::OPERATION_DURATION, "Appends to the journal"),
            group_sizes: recorder.counts(
                names::APPEND_GROUP_SIZE,
                "{command}",
                "Commands whose events were stored together, told for each append",
            ),
            labels: LabelSets::default(),
            group_labels: [KeyValue::new(names::SERVICE, telemetry.service().to_string())],
            telemetry,
        }
    }

    /// Begins a span for each recorded command of the append, and makes it the origin of the command's events.
    fn begin(&self, append: &mut Append) -> Vec<Context> {
        let mut spans = Vec::new();
        if !self.telemetry.recorder.traces() {
            return spans;
        }
        let (kind, subject) = (append.aggregate.kind().clone(), append.aggregate.clone());
        for events in append.events.chunk_by_mut(same_command) {
            let Some(parent) = call_of(events[0].metadata.traceparent.as_deref()) else { continue };
            let template = template(&self.telemetry, kind.as_str(), events);
            let span = self.telemetry.recorder.begin(format!("publish {template}"), SpanKind::Producer, &parent);
            let Some(span) = span else { return spans };
            let recorded = span.span();
            recorded.set_attributes([
                KeyValue::new(names::MESSAGING_SYSTEM, self.telemetry.messaging_system()),
                KeyValue::new(names::MESSAGING_OPERATION_NAME, "publish"),
                KeyValue::new(names::MESSAGING_OPERATION_TYPE, "send"),
                KeyValue::new(names::MESSAGING_DESTINATION_NAME, Arc::clone(&self.stream)),
                KeyValue::new(names::MESSAGING_DESTINATION_TEMPLATE, template),
                KeyValue::new(names::AGGREGATE_TYPE, kind.to_string()),
            ]);
            if events.len() > 1 {
                recorded.set_attribute(KeyValue::new(names::MESSAGING_BATCH_MESSAGE_COUNT, count(events.len())));
            }
            if self.telemetry.recorder.shows_ids() {
                recorded.set_attribute(KeyValue::new(names::AGGREGATE_ID, subject.id().to_owned()));
                if let [only] = &*events {
                    recorded.set_attribute(KeyValue::new(names::MESSAGING_MESSAGE_ID, only.id.to_string()));
                }
            }
            let origin = Some(context::traceparent(recorded.span_context()));
            let metadata = Arc::new(Metadata { traceparent: origin, ..Metadata::clone(&events[0].metadata) });
            events.iter_mut().for_each(|event| event.metadata = Arc::clone(&metadata));
            spans.push(span);
        }
        spans
    }

    fn ended(&self, began: Instant, commands: usize, spans: &[Context], outcome: &Result<Appended, AppendError>) {
        let (word, is_error) = judge(outcome);
        let labels = self.labels.of(word, || self.make_labels(word, is_error));
        if let Some(durations) = &self.durations {
            durations.record(seconds(began.elapsed()), &labels);
        }
        let together = outcome.as_ref().ok().and_then(|appended| appended.together.as_deref());
        let group = together.map_or(1, |together| together.appends) + commands - 1;
        if let (Some(sizes), Ok(Appended { duplicate: false, .. })) = (&self.group_sizes, outcome) {
            sizes.record(group as u64, &self.group_labels);
        }
        if spans.is_empty() {
            return;
        }
        link_in_append(spans);
        let company = together.map(|together| together.traced.as_slice()).unwrap_or_default();
        for span in spans {
            let recorded = span.span();
            recorded.set_attribute(KeyValue::new(names::OUTCOME, word));
            if group > 1 {
                recorded.set_attribute(KeyValue::new(names::GROUP_SIZE, count(group)));
            }
            if let Ok(appended) = outcome {
                let revision = i64::try_from(appended.head.revision().get()).unwrap_or(i64::MAX);
                recorded.set_attribute(KeyValue::new(names::REVISION, revision));
            }
            link_in_batch(spans, span, company);
            end(span, is_error.then_some(word));
        }
    }

    fn make_labels(&self, word: &'static str, is_error: bool) -> Vec<KeyValue> {
        let error = is_error.then(|| KeyValue::new(names::ERROR_TYPE, word));
        let labels = [
            KeyValue::new(names::MESSAGING_SYSTEM, self.telemetry.messaging_system()),
            KeyValue::new(names::MESSAGING_OPERATION_NAME, "publish"),
            KeyValue::new(names::MESSAGING_OPERATION_TYPE, "send"),
            KeyValue::new(names::MESSAGING_DESTINATION_NAME, Arc::clone(&self.stream)),
            KeyValue::new(names::SERVICE, self.telemetry.service().to_string()),
            KeyValue::new(names::OUTCOME, word),
        ];
        labels.into_iter().chain(error).collect()
    }
}

/// Commands that share an append know of each other: the first of all the others, each of the others of the first.
fn link_in_append(spans: &[Context]) {
    let Some((first, others)) = spans.split_first() else { return };
    for other in others.iter().take(MOST_LINKS) {
        first.span().add_link(other.span().span_context().clone(), Vec::new());
        other.span().add_link(first.span().span_context().clone(), Vec::new());
    }
}

/// Appends that share a batch know of each other.
fn link_in_batch(own: &[Context], span: &Context, company: &[Arc<Metadata>]) {
    let others = company.iter().filter_map(|metadata| context::parse(metadata.traceparent.as_deref()?, None));
    let is_own = |other: &SpanContext| own.iter().any(|own| own.span().span_context().span_id() == other.span_id());
    for other in others.filter(|other| !is_own(other)).take(MOST_LINKS) {
        span.span().add_link(other, Vec::new());
    }
}

fn same_command(one: &NewEvent, next: &NewEvent) -> bool {
    Arc::ptr_eq(&one.metadata, &next.metadata) || one.metadata.command_id == next.metadata.command_id
}

/// The subject of the events, with `{id}` for the aggregate.
fn template(telemetry: &ServiceTelemetry, kind: &str, events: &[NewEvent]) -> String {
    let service = telemetry.service();
    let first = events[0].name.as_str();
    let name = if events.iter().all(|event| event.name.as_str() == first) { first } else { "*" };
    format!("{service}.journal.{kind}.{{id}}.{name}")
}

/// What became of an append in a word, and whether that was nothing to be expected.
fn judge(outcome: &Result<Appended, AppendError>) -> (&'static str, bool) {
    match outcome {
        Ok(Appended { duplicate: false, .. }) => (names::OK, false),
        Ok(_) => ("duplicate", false),
        Err(AppendError::Conflict { .. }) => ("conflict", false),
        Err(AppendError::TooLarge { .. }) => ("too-large", false),
        Err(AppendError::OutcomeUnknown { .. }) => ("outcome-unknown", true),
        Err(_) => ("unavailable", true),
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[async_trait]
impl EventStore for WatchedStore {
    fn name(&self) -> &'static str {
        self.store.name()
    }

    async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
        let began = Instant::now();
        let spans = self.begin(&mut append);
        let commands = append.events.chunk_by(same_command).count();
        let outcome = self.store.append(append).await;
        self.ended(began, commands.max(1), &spans, &outcome);
        outcome
    }

    fn prefers_one_append(&self, waiting: usize) -> bool {
        self.store.prefers_one_append(waiting)
    }

    fn stats(&self) -> serde_json::Value {
        self.store.stats()
    }

    async fn read(&self, aggregate: &AggregateId, read: ReadOptions) -> Result<History, ReadError> {
        self.store.read(aggregate, read).await
    }

    async fn head(&self, aggregate: &AggregateId, freshness: Freshness) -> Result<Head, ReadError> {
        self.store.head(aggregate, freshness).await
    }

    async fn subscribe(&self, filter: EventFilter, from: StartFrom) -> Result<EventStream, ReadError> {
        self.store.subscribe(filter, from).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }
}
