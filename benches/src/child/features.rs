//! Every feature of a service at once, as far as features cost something with each command.

use std::path::PathBuf;

use headwater::service::{Service, ServiceConfig};
use headwater::telemetry::{Running, Setup};
use serde::{Deserialize, Serialize};

use crate::Fallible;

/// Limits that nobody meets, rules that everybody keeps; telemetry is set up for the program.
const CONFIGURATION: &str = r#"
[limits]
max_body = 65_536

[auth]
roles = ["clerk"]

[[auth.rules]]
commands = ["receipt.*"]
queries = ["*"]
roles = ["clerk"]

[rate_limit]
service = { rate = 1_000_000, burst = 1_000_000 }
caller = { rate = 1_000_000, burst = 1_000_000 }

[rate_limit.commands."receipt.void"]
rate = 60

[circuit_breaker]
"#;

/// One trace in so many is recorded.
const ONE_IN: u32 = 10;

/// The secret that [`TOKEN`] is signed with. It opens nothing.
pub(crate) const SECRET: &str = "a secret for this test that opens nothing";

/// For a clerk called mia, until the year 2100, by HS256.
pub(crate) const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJtaWEiLCJyb2xlcyI6WyJjbGVyayJdLCJleHAiOjQxMDI0NDQ4MDB9.PkDOM1imUSIbkXhYUCS0o2vbyFQF4Zrb2k6jtAAabK4";

/// Switches every feature on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Features {
    /// The file with the secret of tokens.
    pub(crate) secret: PathBuf,
    /// Where traces and metrics go, by OTLP.
    pub(crate) collector: String,
}

impl Features {
    pub(super) fn switch_on(&self, service: Service) -> Fallible<(Service, Running)> {
        let key = format!("\n[auth.jwt]\nkey = {{ file = '{}', algorithm = 'HS256' }}\n", self.secret.display());
        let config = ServiceConfig::from_toml(&format!("{CONFIGURATION}{key}"))?;
        let telemetry = Setup::new("receipts").one_in(ONE_IN).otlp_to(&self.collector).prometheus().start()?;
        Ok((service.configure(config).telemetry(telemetry.settings()), telemetry))
    }
}
