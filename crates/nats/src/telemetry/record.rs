//! What spans and metrics are recorded with.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use opentelemetry::global::BoxedTracer;
use opentelemetry::metrics::{Histogram, Meter};
use opentelemetry::trace::{Link, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use super::{ReaderSpans, names};

/// Records spans and metrics, whichever are switched on.
pub struct Recorder {
    tracer: Option<BoxedTracer>,
    meter: Option<Meter>,
    ids: bool,
    reader_spans: ReaderSpans,
}

impl Recorder {
    pub(super) fn new(tracer: Option<BoxedTracer>, meter: Option<Meter>, ids: bool, reader_spans: ReaderSpans) -> Self {
        Self { tracer, meter, ids, reader_spans }
    }

    /// Begins a span and returns the context in which it is the current one; none when spans are switched off. The span ends
    /// with [`end`], or when the context is dropped.
    ///
    /// Attributes are for the caller to add, once it is known that the span [is recorded](is_recorded): nobody pays for
    /// those of a span that is not sampled.
    #[must_use]
    pub fn begin(&self, name: impl Into<Cow<'static, str>>, kind: SpanKind, parent: &Context) -> Option<Context> {
        self.begin_built(SpanBuilder::from_name(name).with_kind(kind), parent)
    }

    /// The same with links to other spans.
    #[must_use]
    pub fn begin_linked(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: &Context,
        links: impl IntoIterator<Item = SpanContext>,
    ) -> Option<Context> {
        let links = links.into_iter().map(Link::with_context).collect();
        self.begin_built(SpanBuilder::from_name(name).with_kind(kind).with_links(links), parent)
    }

    /// The same with whatever else is known from the start.
    #[must_use]
    pub fn begin_built(&self, builder: SpanBuilder, parent: &Context) -> Option<Context> {
        let tracer = self.tracer.as_ref()?;
        Some(parent.with_span(tracer.build_with_context(builder, parent)))
    }

    /// Whether spans are recorded at all.
    #[must_use]
    pub fn traces(&self) -> bool {
        self.tracer.is_some()
    }

    /// What makes instruments; none when metrics are switched off.
    #[must_use]
    pub fn meter(&self) -> Option<&Meter> {
        self.meter.as_ref()
    }

    /// A histogram of seconds; none when metrics are switched off.
    #[must_use]
    pub fn seconds(&self, name: &'static str, description: &'static str) -> Option<Histogram<f64>> {
        let meter = self.meter.as_ref()?;
        let histogram = meter.f64_histogram(name).with_unit("s").with_description(description);
        Some(histogram.with_boundaries(names::SECONDS.to_vec()).build())
    }

    /// A histogram of numbers of things; none when metrics are switched off.
    #[must_use]
    pub fn counts(&self, name: &'static str, unit: &'static str, description: &'static str) -> Option<Histogram<u64>> {
        let meter = self.meter.as_ref()?;
        let histogram = meter.u64_histogram(name).with_unit(unit).with_description(description);
        Some(histogram.with_boundaries(names::COUNTS.to_vec()).build())
    }

    /// Whether spans may show ids.
    #[must_use]
    pub fn shows_ids(&self) -> bool {
        self.ids
    }

    /// How a reader's spans hang together with those that appended the events.
    #[must_use]
    pub fn reader_spans(&self) -> ReaderSpans {
        self.reader_spans
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("traces", &self.tracer.is_some())
            .field("metrics", &self.meter.is_some())
            .field("ids", &self.ids)
            .finish_non_exhaustive()
    }
}

/// Whether the context's span is recorded, so that attributes are worth their making.
#[must_use]
pub fn is_recorded(context: &Context) -> bool {
    context.span().is_recording()
}

/// Ends the context's span. `error` is what went wrong, when it was nothing that is to be expected; it must not tell ids.
pub fn end(context: &Context, error: Option<&'static str>) {
    let span = context.span();
    if let Some(error) = error
        && span.is_recording()
    {
        span.set_attribute(KeyValue::new(names::ERROR_TYPE, error));
        span.set_status(Status::error(error));
    }
    span.end();
}

/// A context in which the span that a stored or received trace context names is the current one.
#[must_use]
pub fn within(span: SpanContext) -> Context {
    Context::new().with_remote_span_context(span)
}

/// A duration as a histogram takes it.
#[must_use]
pub fn seconds(took: Duration) -> f64 {
    took.as_secs_f64()
}
