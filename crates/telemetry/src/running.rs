//! What was set up, and its end.

use std::time::{Duration, Instant};

use headwater_nats::telemetry::{Telemetry, names};
use opentelemetry::global;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

use crate::page::Page;

/// How long [`Running`] may take to send what is left when it is dropped.
const DROPPED_WITHIN: Duration = Duration::from_secs(5);

/// OpenTelemetry at work. When it is dropped, what was recorded and not sent yet is sent, for at most five seconds.
#[derive(Debug)]
#[must_use = "dropping it ends the recording"]
pub struct Running {
    /// None when the SDK is disabled, and after the end.
    providers: Option<Providers>,
    page: Option<Page>,
}

#[derive(Debug)]
struct Providers {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

/// What was recorded last may be lost.
#[derive(Debug, thiserror::Error)]
#[error("the last traces or metrics could not be sent: {0}")]
pub struct ShutdownError(String);

impl Running {
    pub(crate) fn new(traces: SdkTracerProvider, metrics: SdkMeterProvider, page: Option<Page>) -> Self {
        Self { providers: Some(Providers { traces, metrics }), page }
    }

    pub(crate) fn disabled() -> Self {
        Self { providers: None, page: None }
    }

    /// Settings that record with it, for services, clients and durable readers.
    pub fn settings(&self) -> Telemetry {
        self.recording_with(Telemetry::default())
    }

    /// These settings, as they were read from a file for instance, recording with it.
    pub fn recording_with(&self, settings: Telemetry) -> Telemetry {
        match &self.providers {
            None => settings.traces(false).metrics(false),
            Some(Providers { traces, metrics }) => {
                settings.tracer_provider(traces.clone()).meter_provider(metrics.clone())
            }
        }
    }

    /// Makes it the one that everything in the program records with that names no other.
    pub fn make_global(&self) {
        if let Some(Providers { traces, metrics }) = &self.providers {
            global::set_tracer_provider(traces.clone());
            global::set_meter_provider(metrics.clone());
        }
    }

    /// Writes the metrics as Prometheus reads them, each time it is called; nothing unless [`Setup::prometheus`] was asked
    /// for.
    ///
    /// [`Setup::prometheus`]: crate::Setup::prometheus
    pub fn metrics_page(&self) -> impl Fn() -> String + Clone + Send + Sync + use<> {
        let page = self.page.clone();
        move || page.as_ref().map(Page::written).unwrap_or_default()
    }

    /// Makes spans of the program's own `tracing` spans, in the trace of the call or event that is being handled; none when
    /// the SDK is disabled. Headwater's own `tracing` spans are for logs and stay out when filtered by their target
    /// (`headwater_…`).
    #[must_use]
    pub fn tracing_layer<S>(&self) -> Option<OpenTelemetryLayer<S, SdkTracer>>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        let Providers { traces, .. } = self.providers.as_ref()?;
        Some(OpenTelemetryLayer::new(traces.tracer(names::SCOPE)))
    }

    /// Sends what was recorded so far.
    ///
    /// # Errors
    /// When not all of it could be sent.
    pub fn flush(&self) -> Result<(), ShutdownError> {
        let Some(Providers { traces, metrics }) = &self.providers else { return Ok(()) };
        both(traces.force_flush(), metrics.force_flush())
    }

    /// Sends what was recorded and ends the recording, within `limit`. It blocks the thread meanwhile.
    ///
    /// # Errors
    /// When not all of it could be sent in time.
    pub fn shutdown(mut self, limit: Duration) -> Result<(), ShutdownError> {
        self.end(limit)
    }

    fn end(&mut self, limit: Duration) -> Result<(), ShutdownError> {
        let Some(Providers { traces, metrics }) = self.providers.take() else { return Ok(()) };
        let until = Instant::now() + limit;
        // On a thread of its own, because the end of metrics takes no limit; it ends with the export that it waits for.
        let (told, heard) = std::sync::mpsc::channel();
        let ending = std::thread::Builder::new().name("telemetry-end".to_owned()).spawn(move || {
            let _ = told.send(both(metrics.shutdown_with_timeout(limit), Ok(())));
        });
        let traced = traces.shutdown_with_timeout(limit);
        let measured = match ending {
            Err(error) => Err(ShutdownError(error.to_string())),
            Ok(_) => heard
                .recv_timeout(until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)))
                .unwrap_or_else(|_| Err(ShutdownError("time ran out".to_owned()))),
        };
        both(traced, Ok(())).and(measured)
    }
}

fn both(one: Result<(), OTelSdkError>, other: Result<(), OTelSdkError>) -> Result<(), ShutdownError> {
    one.and(other).map_err(|error| ShutdownError(error.to_string()))
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.end(DROPPED_WITHIN) {
            tracing::warn!(%error, "telemetry ended early");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use opentelemetry::Context;
    use opentelemetry::trace::{SpanKind, TraceContextExt};
    use opentelemetry_sdk::trace::InMemorySpanExporter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::Setup;

    #[test]
    fn the_programs_own_tracing_spans_are_part_of_the_trace_they_are_in() {
        let spans = InMemorySpanExporter::default();
        let traces = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
        let running = Running::new(traces, SdkMeterProvider::default(), None);
        let subscriber = tracing_subscriber::registry().with(running.tracing_layer());
        let call = running.settings().recorder().begin("receipt/add-item", SpanKind::Server, &Context::new()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let _call = call.clone().attach();
            let _asking = tracing::info_span!("asking for the price").entered();
            // Whatever is called from here belongs beneath it.
            assert_ne!(Context::current().span().span_context().span_id(), call.span().span_context().span_id());
        });
        let ended = spans.get_finished_spans().unwrap();
        assert_eq!(ended[0].name, "asking for the price");
        assert_eq!(ended[0].parent_span_id, call.span().span_context().span_id());
    }

    #[test]
    fn a_collector_that_never_answers_does_not_hold_up_the_end() {
        // Connections are taken by the system, and nobody reads them.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", silent.local_addr().unwrap());
        let running = Setup::new("receipts").otlp_to(address).start().unwrap();
        let recorder = running.settings().recorder();
        drop(recorder.begin("receipt/add-item", SpanKind::Server, &Context::new()));
        recorder.counts("calls", "{call}", "Calls").unwrap().record(1, &[]);
        let began = Instant::now();
        running.shutdown(Duration::from_millis(300)).unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    }

    #[test]
    fn the_page_shows_what_was_measured_and_nothing_where_nobody_asked_for_it() {
        let running = Setup::new("receipts").prometheus().start().unwrap();
        let (page, recorder) = (running.metrics_page(), running.settings().recorder());
        recorder.seconds(names::SERVER_CALL_DURATION, "Calls").unwrap().record(0.02, &[]);
        let shown = page();
        assert!(shown.contains("# HELP rpc_server_call_duration_seconds Calls"), "{shown}");
        assert!(shown.contains("rpc_server_call_duration_seconds_bucket") && shown.contains("le=\"0.025\""), "{shown}");
        assert!(shown.contains("target_info") && shown.contains("receipts"), "{shown}");
        running.shutdown(Duration::from_secs(1)).unwrap();
        let silent = Setup::new("receipts").start().unwrap();
        assert_eq!(silent.metrics_page()(), "");
    }

    /// A collector that answers so many exports, each with that status, and tells which paths were asked for.
    fn collector(status: &'static str, exports: usize) -> (String, JoinHandle<Vec<String>>) {
        let taking = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", taking.local_addr().unwrap());
        let answering = std::thread::spawn(move || {
            let mut paths = Vec::new();
            for stream in taking.incoming().take(exports) {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut line, mut length) = (String::new(), 0);
                stream.read_line(&mut line).unwrap();
                paths.push(line.split(' ').nth(1).unwrap().to_owned());
                while line != "\r\n" {
                    line.clear();
                    stream.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                stream.read_exact(&mut vec![0; length]).unwrap();
                write!(stream.get_mut(), "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .unwrap();
            }
            paths
        });
        (address, answering)
    }

    fn record(running: &Running) {
        let recorder = running.settings().recorder();
        let call = recorder.begin("receipt/add-item", SpanKind::Server, &Context::new()).unwrap();
        headwater_nats::telemetry::end(&call, None);
        recorder.counts("calls", "{call}", "Calls").unwrap().record(1, &[]);
    }

    #[test]
    fn flushing_sends_traces_and_metrics_to_their_paths() {
        let (address, collected) = collector("200 OK", 2);
        let running =
            Setup::new("receipts").version("1.2.0").attribute("region", "eu").otlp_to(address).start().unwrap();
        record(&running);
        running.flush().unwrap();
        let mut paths = collected.join().unwrap();
        paths.sort();
        assert_eq!(paths, ["/v1/metrics", "/v1/traces"]);
    }

    #[test]
    fn what_a_collector_refuses_is_told() {
        let (address, collected) = collector("403 Forbidden", 1);
        let running = Setup::new("receipts").otlp_to(address).start().unwrap();
        record(&running);
        let error = running.flush().unwrap_err().to_string();
        assert!(error.starts_with("the last traces or metrics could not be sent: "), "{error}");
        assert_eq!(collected.join().unwrap().len(), 1);
    }

    #[test]
    fn disabled_nothing_is_recorded_and_there_is_nothing_to_send() {
        let running = Running::disabled();
        let recorder = running.settings().recorder();
        assert!(!recorder.traces() && recorder.meter().is_none());
        assert!(running.tracing_layer::<tracing_subscriber::Registry>().is_none());
        running.make_global();
        running.flush().unwrap();
        running.shutdown(Duration::ZERO).unwrap();
    }
}
