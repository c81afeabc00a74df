//! Log lines as JSON, with the ids of the trace they belong to.

use std::fmt;

use chrono::{SecondsFormat, Utc};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Writes one JSON object a line: `timestamp`, `level`, `target`, `message`, the event's own fields, those of the `tracing`
/// spans around it as `spans`, and within a recorded or propagated trace `trace_id` and `span_id`.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let logs = tracing_subscriber::registry().with(headwater_telemetry::json_logs());
/// # drop(logs);
/// ```
#[must_use]
pub fn json_logs<S>() -> Layer<S, JsonFields, JsonLines>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    Layer::default().event_format(JsonLines).fmt_fields(JsonFields::new())
}

/// The format of [`json_logs`], for a `tracing_subscriber::fmt` layer of one's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let mut line = Map::new();
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        line.insert("timestamp".to_owned(), now.into());
        line.insert("level".to_owned(), metadata.level().as_str().into());
        line.insert("target".to_owned(), metadata.target().into());
        for (name, value) in fields.0 {
            // What a program calls its fields must not hide what every line has.
            line.entry(name).or_insert(value);
        }
        let spans: Vec<Value> = context
            .event_scope()
            .map(|scope| scope.from_root().map(|span| shown::<S, N>(&span)).collect())
            .unwrap_or_default();
        if !spans.is_empty() {
            line.insert("spans".to_owned(), spans.into());
        }
        Context::map_current(|current| {
            let span = current.span();
            let span = span.span_context();
            if span.is_valid() {
                line.insert("trace_id".to_owned(), span.trace_id().to_string().into());
                line.insert("span_id".to_owned(), span.span_id().to_string().into());
            }
        });
        writeln!(writer, "{}", Value::Object(line))
    }
}

fn shown<S, N>(span: &tracing_subscriber::registry::SpanRef<'_, S>) -> Value
where
    S: for<'span> LookupSpan<'span>,
    N: 'static,
{
    let extensions = span.extensions();
    let fields = extensions.get::<FormattedFields<N>>().and_then(|fields| serde_json::from_str(fields).ok());
    let mut shown: Map<String, Value> = fields.unwrap_or_default();
    shown.insert("name".to_owned(), span.name().into());
    Value::Object(shown)
}

/// An event's fields as JSON.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let causes = std::iter::successors(Some(value), |error| error.source());
        self.put(field, causes.map(ToString::to_string).collect::<Vec<_>>().join(": "));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(write: impl FnOnce()) -> Vec<Value> {
        let kept = Kept::default();
        let writer = kept.clone();
        let logs = tracing_subscriber::registry().with(json_logs().with_writer(move || writer.clone()));
        tracing::subscriber::with_default(logs, write);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_is_an_object_with_the_events_fields_and_those_of_the_spans_around_it() {
        let lines = lines(|| {
            let _outer = tracing::info_span!("reading", reader = "mailer").entered();
            let error = io::Error::other("no route");
            tracing::warn!(
                attempts = 3,
                quick = false,
                level = "mine",
                error = &error as &dyn std::error::Error,
                "two\nlines"
            );
        });
        let [line] = lines.as_slice() else { panic!("{lines:#?}") };
        assert_eq!((&line["level"], &line["message"]), (&"WARN".into(), &"two\nlines".into()));
        assert_eq!((&line["attempts"], &line["quick"], &line["error"]), (&3.into(), &false.into(), &"no route".into()));
        assert_eq!(line["spans"], serde_json::json!([{ "name": "reading", "reader": "mailer" }]));
        assert!(line["target"].as_str().unwrap().starts_with("headwater_telemetry"));
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z') && line.get("trace_id").is_none());
    }

    #[test]
    fn within_a_trace_a_line_has_its_ids() {
        let (trace, span) = (TraceId::from(0xabc_u128), SpanId::from(0xdef_u64));
        let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, Default::default());
        let lines = lines(|| {
            let _current = Context::new().with_remote_span_context(span).attach();
            tracing::info!("here");
        });
        assert_eq!(lines[0]["trace_id"], "00000000000000000000000000000abc");
        assert_eq!(lines[0]["span_id"], "0000000000000def");
    }

    #[test]
    fn numbers_stay_numbers_and_an_error_is_told_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("not stored")]
        struct NotStored(#[source] io::Error);
        let error = NotStored(io::Error::other("no route"));
        let lines = lines(|| {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, offset = -3_i64, share = 0.5, total = 7_u64, kind = ?Some(1), "late");
        });
        assert_eq!(lines[0]["error"], "not stored: no route");
        assert_eq!((&lines[0]["offset"], &lines[0]["share"]), (&(-3).into(), &0.5.into()));
        assert_eq!((&lines[0]["total"], &lines[0]["kind"]), (&7.into(), &"Some(1)".into()));
    }
}
