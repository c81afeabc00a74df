//! Traces, metrics and logs of the service.

use std::time::Duration;

use headwater::telemetry::{Running, Setup, json_logs};
use sample_receipts::{SERVICE, VERSION};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::arguments::LogFormat;
use crate::complaint::Complaint;
use crate::output;

/// How long it may take to send the last traces and metrics.
const TELL_WITHIN: Duration = Duration::from_secs(3);

/// One trace in so many is recorded, unless `OTEL_TRACES_SAMPLER` says otherwise.
const ONE_IN: u32 = 10;

/// Records traces and metrics, and sends them by OTLP to where the `OTEL_*` variables say.
pub(crate) fn start() -> Result<Running, Complaint> {
    let setup = Setup::new(SERVICE).version(VERSION).one_in(ONE_IN).otlp().prometheus();
    setup.start().map_err(|error| Complaint::new("telemetry cannot be set up", &error))
}

/// Records each trace of one part of the demo, under a name of its own.
pub(crate) fn start_for_demo(part: &str) -> Result<Running, Complaint> {
    let setup = Setup::new(part).version(VERSION).otlp();
    setup.start().map_err(|error| Complaint::new("telemetry cannot be set up", &error))
}

/// Ends the recording once everything is sent.
pub(crate) async fn end(recording: Running) {
    let ended = tokio::task::spawn_blocking(move || recording.shutdown(TELL_WITHIN)).await;
    if let Ok(Err(error)) = ended {
        tracing::warn!(%error, "telemetry ended early");
    }
}

/// Logs at `info` and above, or as `RUST_LOG` says; standard output is left to the ready line.
pub(crate) fn log_to_standard_error(format: LogFormat) {
    // The library beneath tells of every connection once more.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,async_nats=warn"));
    let logs = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Json => logs.with(json_logs().with_writer(std::io::stderr)).init(),
        LogFormat::Text => {
            let is_styled = output::is_styled(&std::io::stderr());
            logs.with(fmt::layer().with_writer(std::io::stderr).with_ansi(is_styled)).init();
        }
    }
}
