//! Settings of telemetry, and what it is recorded with.

use std::fmt;
use std::sync::Arc;

use opentelemetry::InstrumentationScope;
use opentelemetry::global::{self, BoxedTracer, ObjectSafeTracerProvider};
use opentelemetry::metrics::{Meter, MeterProvider};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names;
use super::record::Recorder;

/// What is recorded for OpenTelemetry, and with what. It is handed to a service, a client or a durable reader; without it
/// nothing is recorded and nothing is spent.
///
/// By default everything goes to OpenTelemetry's global providers, those that are there when the service, client or reader
/// is made. A program sets them up itself, or with `headwater-telemetry`.
///
/// ```
/// use headwater_nats::telemetry::{ReaderSpans, Telemetry};
///
/// let in_code = Telemetry::default().reader_spans(ReaderSpans::Child);
/// let in_a_file: Telemetry = toml::from_str(r#"reader_spans = "child""#)?;
/// assert_eq!(format!("{in_code:?}"), format!("{in_a_file:?}"));
/// assert!(toml::from_str::<Telemetry>("payloads = true").is_err());
/// # Ok::<_, toml::de::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct Telemetry {
    /// Whether spans are recorded; true by default.
    traces: bool,
    /// Whether metrics are recorded; true by default.
    metrics: bool,
    /// Whether spans show the ids of aggregates, commands, users and tenants; false by default. Metrics never do.
    record_ids: bool,
    /// How the span of an event in a durable reader hangs together with the one that appended it.
    reader_spans: ReaderSpans,
    #[serde(skip)]
    providers: Providers,
}

/// How the span of an event in a durable reader hangs together with the one that appended it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ReaderSpans {
    /// It begins a trace of its own, with a link to the span that appended the event. The default, and the right one for
    /// readers that go through the whole journal: a projection that is built anew does not prolong the traces of years ago.
    #[default]
    Link,
    /// It is that span's child: one trace from the first command through the reader to whatever command that sends next.
    Child,
}

#[derive(Clone, Default)]
struct Providers {
    tracer: Option<Arc<dyn ObjectSafeTracerProvider + Send + Sync>>,
    meter: Option<Arc<dyn MeterProvider + Send + Sync>>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            traces: true,
            metrics: true,
            record_ids: false,
            reader_spans: ReaderSpans::default(),
            providers: Providers::default(),
        }
    }
}

impl Telemetry {
    /// Whether spans are recorded; they are by default.
    pub fn traces(self, traces: bool) -> Self {
        Self { traces, ..self }
    }

    /// Whether metrics are recorded; they are by default.
    pub fn metrics(self, metrics: bool) -> Self {
        Self { metrics, ..self }
    }

    /// Whether spans show the ids of aggregates, commands, events, users and tenants; they do not by default, because an id
    /// may be somebody's name. Metrics never show them, and payloads are never recorded at all.
    pub fn record_ids(self, record_ids: bool) -> Self {
        Self { record_ids, ..self }
    }

    /// How the span of an event in a durable reader hangs together with the one that appended it; by a link by default.
    pub fn reader_spans(self, reader_spans: ReaderSpans) -> Self {
        Self { reader_spans, ..self }
    }

    /// Records spans with this provider instead of the global one.
    pub fn tracer_provider(mut self, provider: impl ObjectSafeTracerProvider + Send + Sync + 'static) -> Self {
        self.providers.tracer = Some(Arc::new(provider));
        self
    }

    /// Records metrics with this provider instead of the global one.
    pub fn meter_provider(mut self, provider: impl MeterProvider + Send + Sync + 'static) -> Self {
        self.providers.meter = Some(Arc::new(provider));
        self
    }

    /// What to record with, from the providers that are there now.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        let scope = || InstrumentationScope::builder(names::SCOPE).with_version(env!("CARGO_PKG_VERSION")).build();
        let tracer = || match &self.providers.tracer {
            Some(provider) => BoxedTracer::new(provider.boxed_tracer(scope())),
            None => global::tracer_with_scope(scope()),
        };
        let meter = || -> Meter {
            match &self.providers.meter {
                Some(provider) => provider.meter_with_scope(scope()),
                None => global::meter_with_scope(scope()),
            }
        };
        Recorder::new(self.traces.then(tracer), self.metrics.then(meter), self.record_ids, self.reader_spans)
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |own: bool| if own { "its own" } else { "the global one" };
        f.debug_struct("Telemetry")
            .field("traces", &self.traces)
            .field("metrics", &self.metrics)
            .field("record_ids", &self.record_ids)
            .field("reader_spans", &self.reader_spans)
            .field("tracer_provider", &word(self.providers.tracer.is_some()))
            .field("meter_provider", &word(self.providers.meter.is_some()))
            .finish()
    }
}
