//! What is loaded and decided: a span beneath the call's, and measurements.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use headwater_core::dispatch::{ObservedDecision, ObservedLoad, Observer};
use headwater_core::{AggregateType, Name};
use headwater_nats::telemetry::{LabelSets, code, context, end, names, seconds, within};
use opentelemetry::metrics::Histogram;
use opentelemetry::trace::{SpanBuilder, SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use super::ServiceTelemetry;

/// Is told what is loaded and decided.
#[derive(Debug)]
pub(crate) struct Watcher {
    telemetry: Arc<ServiceTelemetry>,
    loads: Option<Histogram<f64>>,
    snapshot_ages: Option<Histogram<u64>>,
    /// By aggregate type.
    labels: HashMap<Name, LabelSets>,
}

impl Watcher {
    pub(super) fn new<'a>(telemetry: Arc<ServiceTelemetry>, types: impl Iterator<Item = &'a AggregateType>) -> Self {
        let recorder = &telemetry.recorder;
        Self {
            loads: recorder.seconds(names::LOAD_DURATION, "Aggregates loaded into memory"),
            snapshot_ages: recorder.counts(
                names::SNAPSHOT_AGE,
                "{event}",
                "How many events the snapshot was behind that a load started from",
            ),
            labels: types.map(|described| (described.kind().clone(), LabelSets::default())).collect(),
            telemetry,
        }
    }

    /// Records a span of something that has just ended.
    fn record(&self, name: String, took: Duration, parent: &Context) -> Option<Context> {
        let now = SystemTime::now();
        let began = now.checked_sub(took).unwrap_or(now);
        let span = SpanBuilder::from_name(name).with_kind(SpanKind::Internal).with_start_time(began);
        self.telemetry.recorder.begin_built(span, parent)
    }

    fn load_labels(&self, kind: &Name, how: &'static str) -> Arc<[KeyValue]> {
        let service = self.telemetry.service();
        let make = || {
            let mut labels = vec![
                KeyValue::new(names::SERVICE, service.to_string()),
                KeyValue::new(names::AGGREGATE_TYPE, kind.to_string()),
            ];
            match how {
                SNAPSHOT => labels.push(KeyValue::new(names::FROM_SNAPSHOT, true)),
                JOURNAL => labels.push(KeyValue::new(names::FROM_SNAPSHOT, false)),
                error => labels.push(KeyValue::new(names::ERROR_TYPE, error)),
            }
            labels
        };
        // Only what the service has can be loaded.
        self.labels.get(kind).map_or_else(|| make().into(), |sets| sets.of(how, make))
    }
}

const SNAPSHOT: &str = "snapshot";
const JOURNAL: &str = "journal";

impl Observer for Watcher {
    fn loaded(&self, load: &ObservedLoad<'_>) {
        let how = match load.outcome {
            Ok(to) if to.snapshot.is_some() => SNAPSHOT,
            Ok(_) => JOURNAL,
            Err(failure) => code(&failure.code),
        };
        let kind = load.aggregate.kind();
        let behind = load.outcome.ok().and_then(|to| Some(to.revision.get().saturating_sub(to.snapshot?.get())));
        if let Some(loads) = &self.loads {
            let labels = self.load_labels(kind, how);
            loads.record(seconds(load.took), &labels);
            if let (Some(ages), Some(behind)) = (&self.snapshot_ages, behind) {
                ages.record(behind, &labels);
            }
        }
        let call = Context::current();
        if !call.span().span_context().is_sampled() {
            return;
        }
        let Some(span) = self.record(format!("load {kind}"), load.took, &call) else { return };
        let recorded = span.span();
        recorded.set_attribute(KeyValue::new(names::AGGREGATE_TYPE, kind.to_string()));
        if let Ok(to) = load.outcome {
            let from = to.snapshot.map_or(0, |snapshot| snapshot.get());
            let events = i64::try_from(to.revision.get().saturating_sub(from)).unwrap_or(i64::MAX);
            recorded.set_attribute(KeyValue::new(names::FROM_SNAPSHOT, to.snapshot.is_some()));
            recorded.set_attribute(KeyValue::new(names::EVENT_COUNT, events));
        }
        end(&span, load.outcome.err().map(|failure| code(&failure.code)));
    }

    fn decided(&self, decision: &ObservedDecision<'_>) {
        let Some(call) = call_of(decision.metadata.traceparent.as_deref()) else { return };
        let (kind, command) = (decision.aggregate.kind(), decision.command);
        let Some(span) = self.record(format!("decide {kind}/{command}"), decision.took, &call) else { return };
        let recorded = span.span();
        recorded.set_attribute(KeyValue::new(names::AGGREGATE_TYPE, kind.to_string()));
        recorded.set_attribute(KeyValue::new(names::COMMAND, command.to_string()));
        let mut error = None;
        match &decision.outcome {
            Ok(events) => {
                recorded.set_attribute(KeyValue::new(names::DECISION, "events"));
                recorded.set_attribute(KeyValue::new(names::EVENT_COUNT, i64::try_from(*events).unwrap_or(i64::MAX)));
            }
            Err(failed) => {
                recorded.set_attribute(KeyValue::new(names::DECISION, code(failed)));
                error = (failed.number() >= 500).then(|| code(failed));
            }
        }
        end(&span, error);
    }
}

/// The span of the call that a command belongs to; none when it is not recorded. It is the current one, or that of a command
/// which was taken along.
pub(super) fn call_of(traceparent: Option<&str>) -> Option<Context> {
    let current = Context::current();
    let Some(traceparent) = traceparent else {
        return current.span().span_context().is_sampled().then_some(current);
    };
    let named = context::is_sampled(traceparent).then(|| context::parse(traceparent, None)).flatten()?;
    let is_current = current.span().span_context().span_id() == named.span_id();
    Some(if is_current { current } else { within(named) })
}
