//! Traces and metrics of a client: each call a span, whose trace the service goes on with.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use headwater_core::call::CallError;
use headwater_core::{FailureCode, Name};
use headwater_nats::connect::Connection;
use headwater_nats::telemetry::{Method, Recorder, Telemetry, code, context, end, is_recorded, names, seconds, within};
use opentelemetry::metrics::Histogram;
use opentelemetry::trace::{SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use tokio::time::Instant;

use crate::outgoing::Outgoing;

/// How many methods have a label of their own. A program calls those it has in its code; one that makes names up would
/// otherwise fill whatever collects the metrics.
const MOST_METHODS: usize = 256;

/// What a client with telemetry records with.
#[derive(Debug)]
pub(crate) struct ClientTelemetry {
    recorder: Recorder,
    durations: Option<Histogram<f64>>,
    service: Name,
    methods: RwLock<Methods>,
    other: Arc<Method>,
}

/// Methods by aggregate type and name.
#[derive(Debug, Default)]
struct Methods {
    known: HashMap<Box<str>, HashMap<Box<str>, Arc<Method>>>,
    count: usize,
}

/// A call under way.
pub(crate) struct Calling {
    method: Arc<Method>,
    span: Option<Context>,
    began: Instant,
}

impl ClientTelemetry {
    pub(crate) fn new(telemetry: &Telemetry, service: Name) -> Self {
        let recorder = telemetry.recorder();
        Self {
            durations: recorder.seconds(names::CLIENT_CALL_DURATION, "Calls, with all their tries"),
            recorder,
            methods: RwLock::default(),
            other: Arc::new(Method::other(service.as_str())),
            service,
        }
    }

    /// Begins a call, and has the request carry its span.
    pub(crate) fn begin(&self, outgoing: &mut Outgoing, connection: &Connection) -> Calling {
        let began = Instant::now();
        let method = self.method(&outgoing.subject);
        // A caller who names a trace wants that one; else it is the one that this code is running in.
        let parent = context::extract(&outgoing.headers).map_or_else(Context::current, within);
        let span = self.recorder.begin(method.name().to_owned(), SpanKind::Client, &parent);
        if let Some(span) = &span {
            context::inject(span.span().span_context(), &mut outgoing.headers);
            if is_recorded(span) {
                span.span().set_attributes(method.attributes().chain(server(connection)));
            }
        }
        Calling { method, span, began }
    }

    /// Ends a call.
    pub(crate) fn end(&self, calling: &Calling, error: Option<&CallError>) {
        let told = error.map_or(names::OK, told);
        let is_error = error.is_some_and(is_unexpected);
        if let Some(durations) = &self.durations {
            durations.record(seconds(calling.began.elapsed()), &calling.method.labels(told, is_error));
        }
        if let Some(span) = &calling.span {
            if is_recorded(span) {
                span.span().set_attribute(KeyValue::new(names::RPC_STATUS, told));
            }
            end(span, is_error.then_some(told));
        }
    }

    /// The method at `{service}.command|query.{aggregate}.{name}`.
    fn method(&self, subject: &str) -> Arc<Method> {
        let mut tokens = subject.rsplit('.');
        let (Some(name), Some(aggregate)) = (tokens.next(), tokens.next()) else { return Arc::clone(&self.other) };
        if let Some(method) = self.methods.read().unwrap_or_else(PoisonError::into_inner).find(aggregate, name) {
            return method;
        }
        let mut methods = self.methods.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(method) = methods.find(aggregate, name) {
            return method;
        }
        if methods.count >= MOST_METHODS {
            return Arc::clone(&self.other);
        }
        let method = Arc::new(Method::new(self.service.as_str(), aggregate, name));
        methods.known.entry(aggregate.into()).or_default().insert(name.into(), Arc::clone(&method));
        methods.count += 1;
        method
    }
}

impl Methods {
    fn find(&self, aggregate: &str, name: &str) -> Option<Arc<Method>> {
        self.known.get(aggregate)?.get(name).cloned()
    }
}

/// The server's own word for where it is; none while it listens everywhere.
fn server(connection: &Connection) -> impl Iterator<Item = KeyValue> {
    let info = connection.current().1.try_server_info();
    let known = info.filter(|info| !matches!(info.host.as_str(), "" | "0.0.0.0" | "::"));
    let [host, port] = known.map_or([None, None], |info| {
        [
            Some(KeyValue::new(names::SERVER_ADDRESS, info.host)),
            Some(KeyValue::new(names::SERVER_PORT, i64::from(info.port))),
        ]
    });
    host.into_iter().chain(port)
}

/// How a call ended, as a label.
fn told(error: &CallError) -> &'static str {
    match error {
        CallError::Failed(failure) => code(&failure.code),
        CallError::NotSent(_) => "not-sent",
        CallError::NoResponders { .. } => "no-responders",
        CallError::Disconnected(_) => "disconnected",
        CallError::OutcomeUnknown { .. } => "outcome-unknown",
        CallError::Unanswered(_) => "unanswered",
        CallError::Unreadable(_) => "unreadable",
        _ => names::OTHER,
    }
}

/// Whether it is more than an answer that callers have to reckon with.
fn is_unexpected(error: &CallError) -> bool {
    let CallError::Failed(failure) = error else { return true };
    !matches!(
        failure.code,
        FailureCode::CommandRejected | FailureCode::Conflict | FailureCode::NotFound | FailureCode::RateLimited
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_program_makes_up_have_one_label_together() {
        let telemetry = ClientTelemetry::new(&Telemetry::default(), Name::new("receipts").unwrap());
        let first = telemetry.method("receipts.command.receipt.add-item");
        assert_eq!(first.name(), "receipt/add-item");
        for number in 0..2 * MOST_METHODS {
            let _ = telemetry.method(&format!("receipts.command.receipt.made-up-{number}"));
        }
        assert_eq!(telemetry.method("receipts.command.receipt.one-more").name(), names::OTHER);
        assert!(Arc::ptr_eq(&first, &telemetry.method("receipts.command.receipt.add-item")));
    }
}
