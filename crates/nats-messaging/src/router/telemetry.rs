//! Spans of messages in their handlers: they know the span that the message was sent in.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use headwater_core::{Failure, FailureCode};
use headwater_nats::header;
use headwater_nats::telemetry::opentelemetry::metrics::Histogram;
use headwater_nats::telemetry::opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt as _};
use headwater_nats::telemetry::opentelemetry::{Context as Span, KeyValue};
use headwater_nats::telemetry::{
    LabelSets, ReaderSpans, Recorder, Telemetry, code, context, end, is_recorded, names, seconds, within,
};

use super::context::Context;
use super::handler::Outcome;
use crate::message::Headers;

/// What a router with telemetry records with.
#[derive(Debug)]
pub(super) struct RouterTelemetry {
    recorder: Recorder,
    service: Arc<str>,
    answers: Option<Histogram<f64>>,
}

impl RouterTelemetry {
    pub(super) fn new(telemetry: &Telemetry, service: &str) -> Self {
        let recorder = telemetry.recorder();
        let answers = recorder.seconds(names::SERVER_CALL_DURATION, "Requests as the service sees them");
        Self { recorder, service: service.into(), answers }
    }

    /// Begins to handle an event; none when spans are switched off.
    pub(super) fn event(&self, context: &Context, destination: &str) -> Option<Span> {
        let origin = sender(context.headers());
        let (parent, link) = match self.recorder.reader_spans() {
            ReaderSpans::Child => (origin.map(within).unwrap_or_default(), None),
            _ => (Span::new(), origin),
        };
        let span = self.recorder.begin_linked(format!("process {destination}"), SpanKind::Consumer, &parent, link)?;
        if is_recorded(&span) {
            let recorded = span.span();
            recorded.set_attributes([
                KeyValue::new(names::MESSAGING_SYSTEM, names::NATS),
                KeyValue::new(names::MESSAGING_OPERATION_NAME, "process"),
                KeyValue::new(names::MESSAGING_OPERATION_TYPE, "process"),
                KeyValue::new(names::MESSAGING_DESTINATION_TEMPLATE, destination.to_owned()),
                KeyValue::new(names::SERVICE, Arc::clone(&self.service)),
            ]);
            if let Some(delivery) = context.delivery() {
                recorded.set_attributes([
                    KeyValue::new(names::MESSAGING_DESTINATION_NAME, Arc::clone(&delivery.stream)),
                    KeyValue::new(names::MESSAGING_CONSUMER_GROUP_NAME, Arc::clone(&delivery.consumer)),
                    KeyValue::new(names::ATTEMPT, i64::try_from(delivery.deliveries).unwrap_or(i64::MAX)),
                ]);
            }
            if let Some(id) = context.message_id().filter(|_| self.recorder.shows_ids()) {
                recorded.set_attribute(KeyValue::new(names::MESSAGING_MESSAGE_ID, id.to_owned()));
            }
        }
        Some(span)
    }

    /// Begins to answer a request.
    pub(super) fn request(&self, context: &Context, destination: &str) -> Option<Span> {
        let parent = sender(context.headers()).map(within).unwrap_or_default();
        let span = self.recorder.begin(Cow::Owned(destination.to_owned()), SpanKind::Server, &parent)?;
        if is_recorded(&span) {
            span.span().set_attributes(self.common(destination));
        }
        Some(span)
    }

    /// Records how long a request took.
    pub(super) fn answered(&self, destination: &str, labels: &LabelSets, took: Duration, failure: Option<&Failure>) {
        let Some(answers) = &self.answers else { return };
        let said = failure.map_or(names::OK, |failure| code(&failure.code));
        let labels = labels.of(said, || {
            let error = failure.filter(|failure| failure.code.number() >= 500);
            let error = error.map(|_| KeyValue::new(names::ERROR_TYPE, said));
            self.common(destination).into_iter().chain([KeyValue::new(names::RPC_STATUS, said)]).chain(error).collect()
        });
        answers.record(seconds(took), &labels);
    }

    fn common(&self, destination: &str) -> [KeyValue; 3] {
        [
            KeyValue::new(names::RPC_SYSTEM_NAME, names::NATS),
            KeyValue::new(names::RPC_METHOD, destination.to_owned()),
            KeyValue::new(names::SERVICE, Arc::clone(&self.service)),
        ]
    }
}

/// Ends the span of an event.
pub(super) fn end_event(span: &Span, outcome: &Outcome) {
    let (outcome, error) = match outcome {
        Outcome::Done => (names::OK, None),
        Outcome::Retry { .. } => ("failed", Some("failed")),
        Outcome::Poison { .. } => ("poison", Some("poison")),
        Outcome::Postpone { .. } => ("postponed", None),
    };
    if is_recorded(span) {
        span.span().set_attribute(KeyValue::new(names::OUTCOME, outcome));
    }
    end(span, error);
}

/// Ends the span of a request.
pub(super) fn end_request(span: &Span, failure: Option<&Failure>) {
    let said = failure.map_or(names::OK, |failure| code(&failure.code));
    if is_recorded(span) {
        span.span().set_attribute(KeyValue::new(names::RPC_STATUS, said));
    }
    let is_error = failure.is_some_and(|failure| failure.code == FailureCode::Internal || failure.code.number() >= 500);
    end(span, is_error.then_some(said));
}

/// The span that a message was sent in.
fn sender(headers: &Headers) -> Option<SpanContext> {
    context::parse(headers.get(header::TRACEPARENT)?, headers.get(header::TRACESTATE))
}
