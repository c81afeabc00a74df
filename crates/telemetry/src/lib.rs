//! Sets up OpenTelemetry's SDK for a program that uses Headwater. The libraries only record, with OpenTelemetry's API; where
//! it goes is the program's business, and this is the short way to say it:
//!
//! ```no_run
//! use headwater_telemetry::Setup;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // OTLP to where the OTEL_* variables say, one trace in ten, and a page for Prometheus.
//! let telemetry = Setup::new("receipts").version("1.4.0").one_in(10).otlp().prometheus().start()?;
//!
//! // For the service, the client and the durable readers: `.telemetry(settings)`.
//! let settings = telemetry.settings();
//! // For the service's probes: `Probes::at(…).metrics(page)`.
//! let page = telemetry.metrics_page();
//! # let _ = (settings, page);
//!
//! // At the end; dropping it does the same, within five seconds.
//! telemetry.shutdown(std::time::Duration::from_secs(3))?;
//! # Ok(())
//! # }
//! ```
//!
//! - [`Setup`], [`SetupError`]: what to set up.
//! - [`Running`]: what was set up, and its end.
//! - [`json_logs`]: log lines as JSON with the ids of the trace they belong to.
#![deny(missing_docs)]

mod http;
mod logs;
mod page;
mod running;
mod setup;

pub use logs::{JsonLines, json_logs};
pub use running::{Running, ShutdownError};
pub use setup::{Setup, SetupError};
