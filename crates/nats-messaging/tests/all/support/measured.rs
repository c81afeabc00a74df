//! What is measured, kept in memory.

use headwater_nats::telemetry::{Telemetry, names};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

/// Keeps what is measured.
pub(crate) struct Meter {
    exporter: InMemoryMetricExporter,
    provider: SdkMeterProvider,
}

impl Meter {
    pub(crate) fn new() -> Self {
        let exporter = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(exporter.clone()).build();
        Self { exporter, provider: SdkMeterProvider::builder().with_reader(reader).build() }
    }

    /// Settings that measure with it, and make no spans.
    pub(crate) fn telemetry(&self) -> Telemetry {
        Telemetry::default().traces(false).meter_provider(self.provider.clone())
    }

    /// What was measured so far.
    pub(crate) fn read(&self) -> Measured {
        self.provider.force_flush().unwrap();
        Measured(self.exporter.get_finished_metrics().unwrap())
    }
}

/// What was measured.
pub(crate) struct Measured(Vec<ResourceMetrics>);

impl Measured {
    pub(crate) fn find(&self, name: &str) -> &AggregatedMetrics {
        let mut metrics = self.0.iter().flat_map(|told| told.scope_metrics()).flat_map(|scope| scope.metrics());
        metrics.find(|metric| metric.name() == name).unwrap_or_else(|| panic!("{name} was not measured")).data()
    }

    /// A counter's or a gauge's value, over all its labels.
    pub(crate) fn sum(&self, name: &str) -> u64 {
        match self.find(name) {
            AggregatedMetrics::U64(MetricData::Sum(sum)) => sum.data_points().map(|point| point.value()).sum(),
            AggregatedMetrics::U64(MetricData::Gauge(gauge)) => gauge.data_points().map(|point| point.value()).sum(),
            other => panic!("{other:?}"),
        }
    }

    /// How often a histogram of durations was told of each outcome; no label of it tells of a customer.
    pub(crate) fn outcomes(&self, name: &str) -> Vec<(String, u64)> {
        let AggregatedMetrics::F64(MetricData::Histogram(durations)) = self.find(name) else { panic!("{name}") };
        let mut outcomes: Vec<_> = durations
            .data_points()
            .map(|point| {
                assert!(point.attributes().all(|label| !label.value.as_str().contains("customer")));
                let outcome = point.attributes().find(|label| label.key.as_str() == names::OUTCOME).unwrap();
                (outcome.value.as_str().into_owned(), point.count())
            })
            .collect();
        outcomes.sort();
        outcomes
    }
}
