//! OpenTelemetry: the names of what is recorded, trace contexts on the wire, and the settings that service, client and
//! readers share. Only OpenTelemetry's API is used here: without a program that sets up its SDK nothing is recorded.

pub mod context;
mod method;
pub mod names;
mod record;
mod settings;

pub use method::{LabelSets, Method, code};
pub use opentelemetry;
pub use record::{Recorder, end, is_recorded, seconds, within};
pub use settings::{ReaderSpans, Telemetry};
