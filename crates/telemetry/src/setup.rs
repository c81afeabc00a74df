//! What to set up.

use std::env;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

use crate::http::PlainHttp;
use crate::page::Page;
use crate::running::Running;

/// What to set up of OpenTelemetry for a program. Standard `OTEL_*` variables go before what is said here.
#[derive(Debug, Clone)]
#[must_use = "nothing is set up until it is started"]
pub struct Setup {
    service: String,
    version: Option<String>,
    attributes: Vec<(String, String)>,
    one_in: u32,
    otlp: bool,
    endpoint: Option<String>,
    prometheus: bool,
}

/// Why it was not set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A setting or a variable makes no sense; the text names it.
    #[error("{0}")]
    Setting(String),
    /// The exporter for OTLP refuses its settings, which mostly come from `OTEL_*` variables.
    #[error("OTLP cannot be set up")]
    Otlp(#[from] ExporterBuildError),
    /// The page for Prometheus cannot be made.
    #[error("the metrics page cannot be set up")]
    Prometheus(#[from] OTelSdkError),
}

/// Variables that name where OTLP goes, the general one first.
const ENDPOINTS: [&str; 3] =
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"];

impl Setup {
    /// For the service called `service`; `OTEL_SERVICE_NAME` goes before it.
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            version: None,
            attributes: Vec::new(),
            one_in: 1,
            otlp: false,
            endpoint: None,
            prometheus: false,
        }
    }

    /// The service's version.
    pub fn version(self, version: impl Into<String>) -> Self {
        Self { version: Some(version.into()), ..self }
    }

    /// A further attribute of everything that is recorded, such as `deployment.environment.name`.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// Records one trace in so many, and every call whose caller's trace is recorded; all by default. `OTEL_TRACES_SAMPLER`
    /// goes before it.
    pub fn one_in(self, traces: u32) -> Self {
        Self { one_in: traces, ..self }
    }

    /// Sends traces and metrics by OTLP over HTTP, to `http://localhost:4318` unless `OTEL_EXPORTER_OTLP_ENDPOINT` and its
    /// relatives say otherwise. There is no TLS: send to a collector on the same host or in the same network, and let it go
    /// on from there.
    pub fn otlp(self) -> Self {
        Self { otlp: true, ..self }
    }

    /// The same to this address, such as `http://collector:4318`.
    pub fn otlp_to(self, endpoint: impl Into<String>) -> Self {
        Self { otlp: true, endpoint: Some(endpoint.into()), ..self }
    }

    /// Keeps metrics for [`Running::metrics_page`] to show.
    pub fn prometheus(self) -> Self {
        Self { prometheus: true, ..self }
    }

    /// Sets it up. With `OTEL_SDK_DISABLED=true` nothing is set up and nothing recorded.
    ///
    /// # Errors
    /// See [`SetupError`]. A collector that is not there is no error: it may come later.
    pub fn start(self) -> Result<Running, SetupError> {
        if env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(Running::disabled());
        }
        self.check()?;
        let resource = self.resource();
        let mut traces = SdkTracerProvider::builder().with_resource(resource.clone());
        if env::var_os("OTEL_TRACES_SAMPLER").is_none() {
            traces = traces.with_sampler(sampler(self.one_in));
        }
        let mut metrics = SdkMeterProvider::builder().with_resource(resource);
        if self.otlp {
            let spans = SpanExporter::builder().with_http().with_http_client(PlainHttp);
            let measurements = MetricExporter::builder().with_http().with_http_client(PlainHttp);
            let (spans, measurements) = match &self.endpoint {
                None => (spans.build()?, measurements.build()?),
                Some(endpoint) => {
                    use opentelemetry_otlp::WithExportConfig;
                    let endpoint = endpoint.trim_end_matches('/');
                    (
                        spans.with_endpoint(format!("{endpoint}/v1/traces")).build()?,
                        measurements.with_endpoint(format!("{endpoint}/v1/metrics")).build()?,
                    )
                }
            };
            traces = traces.with_batch_exporter(spans);
            metrics = metrics.with_periodic_exporter(measurements);
        }
        let page = match self.prometheus {
            false => None,
            true => {
                let (page, reader) = Page::new()?;
                metrics = metrics.with_reader(reader);
                Some(page)
            }
        };
        Ok(Running::new(traces.build(), metrics.build(), page))
    }

    fn check(&self) -> Result<(), SetupError> {
        if self.one_in == 0 {
            return Err(SetupError::Setting("one_in is 0; to record no traces say so in the settings".to_owned()));
        }
        if !self.otlp {
            return Ok(());
        }
        let named = ENDPOINTS.iter().filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?)));
        let said = self.endpoint.iter().map(|endpoint| ("otlp_to".to_owned(), endpoint.clone()));
        for (name, endpoint) in named.chain(said) {
            if !endpoint.is_empty() && !endpoint.starts_with("http://") {
                let message = format!("{name} is `{endpoint}`; only addresses that start with http:// can be sent to");
                return Err(SetupError::Setting(message));
            }
        }
        Ok(())
    }

    fn resource(&self) -> Resource {
        let version = self.version.iter().map(|version| KeyValue::new("service.version", version.clone()));
        let own = self.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let named = env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
        let resource = Resource::builder().with_service_name(named.unwrap_or_else(|| self.service.clone()));
        resource.with_attributes(version.chain(own)).build()
    }
}

fn sampler(one_in: u32) -> Sampler {
    let root = match one_in {
        1 => Sampler::AlwaysOn,
        more => Sampler::TraceIdRatioBased(1.0 / f64::from(more)),
    };
    Sampler::ParentBased(Box::new(root))
}

/// How long one export may take.
pub(crate) const EXPORT_WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_named() {
        let refused = Setup::new("receipts").one_in(0).start().unwrap_err();
        assert!(refused.to_string().contains("one_in is 0"), "{refused}");
        let refused = Setup::new("receipts").otlp_to("https://collector:4318").start().unwrap_err();
        assert!(refused.to_string().contains("otlp_to is `https://collector:4318`"), "{refused}");
    }
}
