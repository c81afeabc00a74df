//! The environment variables a configuration may come from, handed in so that tests need not change the process's own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::duration::HumanDuration;
use super::load::Source;
use super::problem::Problems;
use super::secret::Secret;
use super::settings::{NatsConfig, split_servers};

/// Environment variables: those of the process, or a table of one's own.
///
/// ```
/// use headwater_nats::connect::{Environment, NatsConfig};
///
/// let environment = Environment::of([("NATS_URL", "nats://one:4222,nats://two:4222"), ("NATS_TIMEOUT", "3s")]);
/// let config = NatsConfig::default().load_with(&environment)?;
/// assert_eq!(config.servers.len(), 2);
/// assert_eq!(config.source("servers").to_string(), "NATS_URL");
/// # Ok::<(), headwater_nats::connect::ConfigError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process as they are now; those that are not UTF-8 are left out.
    #[must_use]
    pub fn process() -> Self {
        let variables = std::env::vars_os();
        Self(
            variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect(),
        )
    }

    /// The given variables and no others.
    pub fn of<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// A variable's value; one that is set to nothing counts as not set.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The folder in which the `nats` tool keeps its contexts.
    pub(crate) fn nats_folder(&self) -> Option<PathBuf> {
        let config = match self.get("XDG_CONFIG_HOME") {
            Some(folder) => PathBuf::from(folder),
            None => PathBuf::from(self.get("HOME")?).join(".config"),
        };
        Some(config.join("nats"))
    }

    /// A path as people write it: `~/x`, `$DIR/x` and `${DIR}/x` are resolved; an unknown variable is left as it
    /// stands.
    pub(crate) fn expand(&self, path: &str) -> PathBuf {
        let path = match path.strip_prefix("~/") {
            Some(rest) => match self.get("HOME") {
                Some(home) => format!("{home}/{rest}"),
                None => path.to_owned(),
            },
            None => path.to_owned(),
        };
        let mut expanded = String::with_capacity(path.len());
        let mut rest = path.as_str();
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            let (name, length) = variable_at(&rest[at..]);
            match self.get(name) {
                Some(value) => expanded.push_str(value),
                None => expanded.push_str(&rest[at..at + length]),
            }
            rest = &rest[at + length..];
        }
        expanded.push_str(rest);
        PathBuf::from(expanded)
    }

    /// The settings the `NATS_*` variables make.
    pub(crate) fn settings(&self, problems: &mut Problems) -> NatsConfig {
        let text = |name| self.get(name).map(str::to_owned);
        let secret = |name| self.get(name).map(Secret::from);
        let path = |name| self.get(name).map(|path| self.expand(path));
        let mut config = NatsConfig {
            servers: self.get("NATS_URL").map(split_servers).unwrap_or_default(),
            user: text("NATS_USER"),
            password: secret("NATS_PASSWORD"),
            token: secret("NATS_TOKEN"),
            credentials_file: path("NATS_CREDS"),
            user_jwt: secret("NATS_JWT"),
            nkey_seed: secret("NATS_SEED"),
            nkey_seed_file: path("NATS_NKEY"),
            context: text("NATS_CONTEXT"),
            ..NatsConfig::default()
        };
        config.tls.cert_file = path("NATS_CERT");
        config.tls.key_file = path("NATS_KEY");
        config.tls.ca_file = path("NATS_CA");
        match self.get("NATS_TIMEOUT").map(str::parse::<HumanDuration>) {
            Some(Ok(timeout)) => config.request_timeout = Some(timeout),
            Some(Err(reason)) => problems.add("request_timeout (from NATS_TIMEOUT)", reason.to_string()),
            None => {}
        }
        config.user_alone_is_a_token();
        config.mark_sources(|field| Source::Environment(variable_of(field)));
        config
    }
}

/// Which variable sets which field.
fn variable_of(field: &str) -> &'static str {
    match field {
        "servers" => "NATS_URL",
        "user" => "NATS_USER",
        "password" => "NATS_PASSWORD",
        "token" => "NATS_TOKEN",
        "credentials_file" => "NATS_CREDS",
        "user_jwt" => "NATS_JWT",
        "nkey_seed" => "NATS_SEED",
        "nkey_seed_file" => "NATS_NKEY",
        "tls.cert_file" => "NATS_CERT",
        "tls.key_file" => "NATS_KEY",
        "tls.ca_file" => "NATS_CA",
        "request_timeout" => "NATS_TIMEOUT",
        "context" => "NATS_CONTEXT",
        _ => "the environment",
    }
}

/// The name of the variable that starts `text`, which starts with `$`, and the length of its mention.
fn variable_at(text: &str) -> (&str, usize) {
    let after = &text[1..];
    if let Some(braced) = after.strip_prefix('{')
        && let Some(end) = braced.find('}')
    {
        return (&braced[..end], end + 3);
    }
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
    (&after[..end], end + 1)
}

impl fmt::Debug for Environment {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_and_variables_in_a_path_are_resolved() {
        let environment = Environment::of([("HOME", "/home/ann"), ("DIR", "keys"), ("EMPTY", "")]);
        for (written, meant) in [
            ("~/a.creds", "/home/ann/a.creds"),
            ("$HOME/$DIR/a", "/home/ann/keys/a"),
            ("/x/${DIR}s/a", "/x/keyss/a"),
            ("/x/$UNKNOWN/${EMPTY}/$", "/x/$UNKNOWN/${EMPTY}/$"),
            ("/x/${DIR", "/x/${DIR"),
            ("~ann/a", "~ann/a"),
        ] {
            assert_eq!(environment.expand(written), PathBuf::from(meant), "{written}");
        }
    }

    #[test]
    fn an_environment_shows_names_and_no_values() {
        let shown = format!("{:?}", Environment::of([("NATS_PASSWORD", "canary")]));
        assert!(shown.contains("NATS_PASSWORD") && !shown.contains("canary"), "{shown}");
    }
}
