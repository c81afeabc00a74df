//! Metrics as Prometheus reads them.

use opentelemetry_prometheus::PrometheusExporter;
use opentelemetry_sdk::error::OTelSdkError;
use prometheus::{Registry, TextEncoder};

/// The page, written anew each time.
#[derive(Debug, Clone)]
pub(crate) struct Page(Registry);

impl Page {
    /// A page, and what reads the metrics for it.
    pub(crate) fn new() -> Result<(Self, PrometheusExporter), OTelSdkError> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build()?;
        Ok((Self(registry), reader))
    }

    pub(crate) fn written(&self) -> String {
        let mut page = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.0.gather(), &mut page) {
            tracing::warn!(%error, "the metrics page could not be written");
        }
        page
    }
}
