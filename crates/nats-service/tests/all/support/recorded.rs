//! What telemetry has recorded, kept in memory: providers of a test's own, and questions to what they have.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "tests use their own parts of this; a panic is the report"
)]

use std::collections::BTreeMap;

use headwater_nats::telemetry::Telemetry;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData};

/// Providers of a test's own, and what they have recorded.
pub struct Recorded {
    spans: InMemorySpanExporter,
    measurements: InMemoryMetricExporter,
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

/// One measurement with its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// The number, or the sum of a histogram.
    pub value: f64,
    /// How many a histogram has; 1 for a number.
    pub count: u64,
}

impl Measured {
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

impl Recorded {
    pub fn new() -> Self {
        Self::sampled(Sampler::AlwaysOn)
    }

    /// Traces begin as `root` says, and go on as they began.
    pub fn sampled(root: Sampler) -> Self {
        let (spans, measurements) = (InMemorySpanExporter::default(), InMemoryMetricExporter::default());
        let traces = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(root)))
            .with_simple_exporter(spans.clone())
            .build();
        let reader = PeriodicReader::builder(measurements.clone()).build();
        let metrics = SdkMeterProvider::builder().with_reader(reader).build();
        Self { spans, measurements, traces, metrics }
    }

    pub fn settings(&self) -> Telemetry {
        Telemetry::default().tracer_provider(self.traces.clone()).meter_provider(self.metrics.clone())
    }

    /// The spans that have ended.
    pub fn spans(&self) -> Vec<SpanData> {
        self.spans.get_finished_spans().unwrap()
    }

    /// The spans of this name.
    pub fn named(&self, name: &str) -> Vec<SpanData> {
        self.spans().into_iter().filter(|span| span.name == name).collect()
    }

    /// The only span of this name.
    #[track_caller]
    pub fn span(&self, name: &str) -> SpanData {
        let mut named = self.named(name);
        let names: Vec<_> = self.spans().iter().map(|span| span.name.to_string()).collect();
        assert_eq!(named.len(), 1, "{name} in {names:?}");
        named.remove(0)
    }

    pub fn forget_spans(&self) {
        self.spans.reset();
    }

    /// All measurements as they are now.
    pub fn measured(&self) -> Vec<Measured> {
        self.measurements.reset();
        self.metrics.force_flush().unwrap();
        let mut measured = Vec::new();
        for resource in self.measurements.get_finished_metrics().unwrap() {
            for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
                match metric.data() {
                    AggregatedMetrics::F64(data) => points(metric.name(), data, |value| value, &mut measured),
                    AggregatedMetrics::U64(data) => points(metric.name(), data, |value| value as f64, &mut measured),
                    AggregatedMetrics::I64(data) => points(metric.name(), data, |value| value as f64, &mut measured),
                }
            }
        }
        measured
    }

    /// The measurement of this name with this label; 0 of it when there is none.
    pub fn measurement(&self, name: &str, label: (&str, &str)) -> Measured {
        let found =
            self.measured().into_iter().find(|measured| measured.name == name && measured.label(label.0) == label.1);
        found.unwrap_or(Measured { name: name.to_owned(), labels: BTreeMap::new(), value: 0.0, count: 0 })
    }
}

fn points<T: Copy>(name: &str, data: &MetricData<T>, number: impl Fn(T) -> f64, into: &mut Vec<Measured>) {
    let mut add = |labels: Vec<&KeyValue>, value: f64, count: u64| {
        let labels = labels.into_iter().map(|label| (label.key.to_string(), label.value.to_string())).collect();
        into.push(Measured { name: name.to_owned(), labels, value, count });
    };
    match data {
        MetricData::Gauge(gauge) => {
            gauge.data_points().for_each(|point| add(point.attributes().collect(), number(point.value()), 1));
        }
        MetricData::Sum(sum) => {
            sum.data_points().for_each(|point| add(point.attributes().collect(), number(point.value()), 1));
        }
        MetricData::Histogram(histogram) => {
            let points = histogram.data_points();
            points.for_each(|point| add(point.attributes().collect(), number(point.sum()), point.count()));
        }
        MetricData::ExponentialHistogram(_) => panic!("nobody asked for one"),
    }
}

/// An attribute of a span, as text; empty when it has none of this name.
pub fn attribute(span: &SpanData, name: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == name);
    found.map(|attribute| attribute.value.to_string()).unwrap_or_default()
}

/// Checks that `child` hangs beneath `parent`.
#[track_caller]
pub fn assert_beneath(child: &SpanData, parent: &SpanData) {
    assert_eq!(child.parent_span_id, parent.span_context.span_id(), "{} is not beneath {}", child.name, parent.name);
    assert_eq!(child.span_context.trace_id(), parent.span_context.trace_id());
}

/// Whether `span` has a link to `other`.
pub fn is_linked(span: &SpanData, other: &SpanData) -> bool {
    span.links.iter().any(|link| link.span_context.span_id() == other.span_context.span_id())
}

#[track_caller]
pub fn assert_kind(span: &SpanData, kind: &SpanKind) {
    assert_eq!(span.span_kind, *kind, "{}", span.name);
}

pub fn is_error(span: &SpanData) -> bool {
    matches!(span.status, Status::Error { .. })
}
