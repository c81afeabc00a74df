//! Reading settings from TOML, with the path of whatever is wrong.

use serde::Deserialize;

use super::problem::ConfigError;
use super::settings::NatsConfig;

/// The part of a document that is ours; other tables belong to other parts of the program.
#[derive(Deserialize)]
struct Document {
    nats: NatsConfig,
}

impl NatsConfig {
    /// Reads and checks the `[nats]` table of a TOML document; the document's other tables are left alone.
    ///
    /// The settings are taken as they stand there: environment and `nats` contexts are added by [`load`](Self::load).
    ///
    /// # Errors
    /// Names every problem with the setting's path, `nats.servers[1]: …`: unknown settings, wrong types,
    /// impossible values and files that are not there.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let config = parse(text)?;
        config.validate()?;
        Ok(config)
    }
}

fn parse(text: &str) -> Result<NatsConfig, ConfigError> {
    // Only `message()` of TOML's errors is safe to show: their `Display` quotes the line, and the line may be a
    // password.
    let document = toml::Deserializer::parse(text).map_err(|error| {
        ConfigError::one(format!("line {}", line(text, &error)), format!("is not TOML: {}", error.message()))
    })?;
    let document: Document = serde_path_to_error::deserialize(document).map_err(|error| {
        let path = error.path().to_string();
        match path.as_str() {
            "." => ConfigError::one("nats", "the document has no table [nats]"),
            _ => ConfigError::one(path, error.into_inner().message()),
        }
    })?;
    Ok(document.nats)
}

fn line(text: &str, error: &toml::de::Error) -> usize {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1
}
