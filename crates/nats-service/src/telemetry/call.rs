//! The span and the measurement of a call.

use async_nats::HeaderMap;
use headwater_core::call::RequestMetadata;
use headwater_core::{AggregateId, Failure};
use headwater_nats::telemetry::{Method, code, context, end, is_recorded, names, seconds, within};
use opentelemetry::trace::{SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use tokio::time::Instant;

use super::ServiceTelemetry;

impl ServiceTelemetry {
    /// Begins the span of a call that has arrived; none when spans are switched off.
    pub(crate) fn arrived(&self, method: &Method, headers: Option<&HeaderMap>) -> Option<Context> {
        if !self.recorder.traces() {
            return None;
        }
        let parent = headers.and_then(context::extract).map(within).unwrap_or_default();
        let call = self.recorder.begin(method.name().to_owned(), SpanKind::Server, &parent)?;
        if is_recorded(&call) {
            call.span().set_attributes(method.attributes());
        }
        Some(call)
    }

    /// Notes whose call it is, where ids are recorded.
    pub(crate) fn identify(&self, call: &Context, aggregate: &AggregateId, said: &RequestMetadata) {
        if !self.recorder.shows_ids() || !is_recorded(call) {
            return;
        }
        let ids = [
            (names::AGGREGATE_ID, Some(aggregate.id().to_owned())),
            (names::COMMAND_ID, said.command_id.as_ref().map(ToString::to_string)),
            (names::USER_ID, said.user_id.clone()),
            (names::TENANT_ID, said.tenant_id.clone()),
        ];
        let known = ids.into_iter().filter_map(|(name, id)| Some(KeyValue::new(name, id?)));
        call.span().set_attributes(known);
    }

    /// Ends a call.
    pub(crate) fn answered(
        &self,
        method: &Method,
        call: Option<&Context>,
        arrived: Instant,
        failure: Option<&Failure>,
    ) {
        let told = failure.map_or(names::OK, |failure| code(&failure.code));
        let is_error = failure.is_some_and(|failure| failure.code.number() >= 500);
        if let Some(calls) = &self.calls {
            calls.record(seconds(arrived.elapsed()), &method.labels(told, is_error));
        }
        if let Some(call) = call {
            if is_recorded(call) {
                call.span().set_attribute(KeyValue::new(names::RPC_STATUS, told));
            }
            end(call, is_error.then_some(told));
        }
    }
}

/// The call's span as what it leads to carries it on; none while there is nobody who records.
pub(crate) fn traceparent(call: &Context) -> Option<String> {
    let span = call.span();
    let span = span.span_context();
    span.is_valid().then(|| context::traceparent(span))
}
