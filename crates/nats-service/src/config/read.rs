//! Reading a configuration, with the path of whatever is wrong.

use std::fmt;

use toml::{Table, Value};

use super::ServiceConfig;

/// What the names of variables start with.
const PREFIX: &str = "HEADWATER__";

/// Why a configuration cannot be read: which setting, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct ConfigError {
    /// The path of the setting, such as `rate_limit.service.rate`; the line where it is no TOML; the variable that it came from.
    pub setting: String,
    /// What is wrong with it.
    pub reason: String,
}

impl ConfigError {
    fn new(setting: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self { setting: setting.to_string(), reason: reason.to_string() }
    }
}

/// A setting that a variable of the environment makes.
struct Variable {
    name: String,
    path: Vec<String>,
    text: String,
}

impl ServiceConfig {
    /// Reads a TOML document. Every table and setting that is not known is refused.
    ///
    /// # Errors
    /// [`ConfigError`] with the path of the first setting that cannot be read. Whether the settings make sense is checked when
    /// the service starts.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        read(parse(text)?)
    }

    /// Reads a TOML document, and variables of the environment over it.
    ///
    /// # Errors
    /// As for [`from_toml`](Self::from_toml) and [`with_variables`](Self::with_variables).
    pub fn load(text: &str, variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        overlay(parse(text)?, variables)
    }

    /// The configuration with variables over it: `HEADWATER__RATE_LIMIT__SERVICE__RATE=100` sets `rate_limit.service.rate`.
    /// Variables of other names are passed over. A value is a number, a truth value, a list or a table in TOML's writing, and
    /// otherwise the text as it stands. The names of tables that are the user's own, such as those of commands, can only be
    /// written as a whole: `HEADWATER__RATE_LIMIT__COMMANDS={"receipt.void" = {rate = 5}}`.
    ///
    /// # Errors
    /// [`ConfigError`] that names the variable.
    pub fn with_variables(self, variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let base = Table::try_from(&self).map_err(|error| ConfigError::new("configuration", error))?;
        overlay(base, variables)
    }
}

fn parse(text: &str) -> Result<Table, ConfigError> {
    // Only `message()` of TOML's errors is safe to show: their `Display` quotes the line, and that may hold a secret.
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
        ConfigError::new(format_args!("line {line}"), format_args!("is not TOML: {}", error.message()))
    })
}

fn read(table: Table) -> Result<ServiceConfig, ConfigError> {
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        ConfigError::new(if path == "." { "configuration" } else { &path }, error.inner().message())
    })
}

fn overlay(
    mut table: Table,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<ServiceConfig, ConfigError> {
    let mut variables: Vec<_> = variables.into_iter().filter_map(Variable::of).collect();
    // So that a whole table comes before its members, and the outcome does not depend on the environment's order.
    variables.sort_by(|one, other| one.path.cmp(&other.path));
    for variable in &variables {
        variable.put(&mut table, variable.typed())?;
    }
    // A text that looks like a number may be meant for a text: whoever is refused is tried as a text.
    for _ in 0..=variables.len() {
        let error = match read(table.clone()) {
            Ok(config) => return Ok(config),
            Err(error) => error,
        };
        let Some(culprit) = variables.iter().find(|variable| error.setting.starts_with(&variable.path.join(".")))
        else {
            return Err(error);
        };
        let as_text = Value::String(culprit.text.clone());
        if culprit.get(&table) == Some(&as_text) || culprit.path.join(".") != error.setting {
            return Err(ConfigError::new(&culprit.name, error));
        }
        culprit.put(&mut table, as_text)?;
        if read(table.clone()).is_err_and(|again| again.setting == error.setting) {
            return Err(ConfigError::new(&culprit.name, error));
        }
    }
    read(table)
}

impl Variable {
    fn of((name, text): (String, String)) -> Option<Self> {
        let path = name.strip_prefix(PREFIX)?.split("__").map(str::to_lowercase).collect();
        Some(Self { name, path, text })
    }

    /// The value in TOML's writing where it is no text.
    fn typed(&self) -> Value {
        let read = toml::from_str::<Table>(&format!("value = {}", self.text));
        let value = read.ok().filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
        value.unwrap_or_else(|| Value::String(self.text.clone()))
    }

    fn put(&self, table: &mut Table, value: Value) -> Result<(), ConfigError> {
        let (last, way) = self.path.split_last().ok_or_else(|| ConfigError::new(&self.name, "names no setting"))?;
        let mut at = table;
        for part in way {
            let next = at.entry(part).or_insert_with(|| Value::Table(Table::new()));
            at = next
                .as_table_mut()
                .ok_or_else(|| ConfigError::new(&self.name, format_args!("`{part}` is no table")))?;
        }
        at.insert(last.clone(), value);
        Ok(())
    }

    fn get<'a>(&self, table: &'a Table) -> Option<&'a Value> {
        let (first, rest) = self.path.split_first()?;
        rest.iter().try_fold(table.get(first)?, |value, part| value.get(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables<const N: usize>(pairs: [(&str, &str); N]) -> [(String, String); N] {
        pairs.map(|(name, text)| (name.to_owned(), text.to_owned()))
    }

    fn written(config: &ServiceConfig) -> serde_json::Value {
        serde_json::to_value(config).unwrap()
    }

    #[test]
    fn a_feature_is_on_when_its_table_is_there() {
        let config =
            ServiceConfig::from_toml("[circuit_breaker]\n[telemetry]\n[probes]\naddress = '127.0.0.1:0'").unwrap();
        assert!(config.circuit_breaker.is_some() && config.telemetry.is_some() && config.probes.is_some());
        assert!(config.auth.is_none() && config.rate_limit.is_none() && config.limits.is_none());
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        for (text, setting) in [
            ("[rate_limits]", "rate_limits"),
            ("[rate_limit]\nservice = { rate = 'many' }", "rate_limit.service.rate"),
            ("[limits]\nin_flight = -1", "limits.in_flight"),
            ("[service]\ndrain_timeout = 'soon'", "service.drain_timeout"),
            ("[probes]", "probes"),
            ("[service", "line 1"),
        ] {
            let error = ServiceConfig::from_toml(text).unwrap_err();
            assert_eq!(error.setting, setting, "{text}: {error}");
        }
    }

    #[test]
    fn variables_lie_over_the_file_and_switch_features_on() {
        let text = "[service]\nqueue_group = 'a'\n[rate_limit]\nservice = { rate = 10, burst = 5 }";
        let config = ServiceConfig::load(
            text,
            variables([
                ("HEADWATER__SERVICE__QUEUE_GROUP", "42"),
                ("HEADWATER__SERVICE__DRAIN_TIMEOUT", "3s"),
                ("HEADWATER__RATE_LIMIT__SERVICE__RATE", "20"),
                ("HEADWATER__RATE_LIMIT__COMMANDS", "{ \"receipt.void\" = { rate = 1 } }"),
                ("HEADWATER__CIRCUIT_BREAKER", "{}"),
                ("HEADWATER_CHAOS_SECONDS", "5"),
                ("PATH", "/bin"),
            ]),
        )
        .unwrap();
        let written = written(&config);
        assert_eq!(written["service"]["queue_group"], "42", "a text that looks like a number");
        assert_eq!(written["service"]["drain_timeout"], "3s");
        assert_eq!(
            (&written["rate_limit"]["service"]["rate"], &written["rate_limit"]["service"]["burst"]),
            (&20.into(), &5.into())
        );
        assert_eq!(written["rate_limit"]["commands"]["receipt.void"]["rate"], 1);
        assert!(config.circuit_breaker.is_some());
    }

    #[test]
    fn a_variable_that_is_wrong_is_named() {
        for (name, text, setting) in [
            ("HEADWATER__RATE_LIMIT__SERVICE__RATE", "many", "rate_limit.service.rate"),
            ("HEADWATER__RATE_LIMIT__SERVISE", "{}", "rate_limit.servise"),
            ("HEADWATER__LIMITS__IN_FLIGHT", "-1", "limits.in_flight"),
            ("HEADWATER__LIMIT__IN_FLIGHT", "1", "limit"),
        ] {
            let error = ServiceConfig::load("", variables([(name, text)])).unwrap_err();
            assert!(error.to_string().contains(setting), "{error}");
        }
        let refused =
            ServiceConfig::load("[limits]\nin_flight = 1", variables([("HEADWATER__LIMITS__IN_FLIGHT__MORE", "1")]));
        assert_eq!(refused.unwrap_err().setting, "HEADWATER__LIMITS__IN_FLIGHT__MORE");
    }

    #[test]
    fn what_was_written_reads_the_same() {
        let text = "[service]\nquery_staleness = '1s'\n[limits]\nin_flight = 9\n[rate_limit]\ncaller = { rate = 1 }\n[auth]\n[circuit_breaker]";
        let config = ServiceConfig::from_toml(text).unwrap();
        let again = config.clone().with_variables([]).unwrap();
        assert_eq!(written(&again), written(&config));
    }
}
