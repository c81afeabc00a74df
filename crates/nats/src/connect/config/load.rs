//! Putting settings together from where they may come from, and remembering where each came from.

use std::collections::BTreeMap;
use std::fmt;

use super::context::ContextChoice;
use super::environment::Environment;
use super::problem::{ConfigError, Problems};
use super::server_url::ServerUrl;
use super::settings::NatsConfig;

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The program or its own configuration file.
    Explicit,
    /// This environment variable.
    Environment(&'static str),
    /// This context of the `nats` tool.
    Context(String),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Explicit => f.write_str("the program's settings"),
            Self::Environment(variable) => f.write_str(variable),
            Self::Context(name) => write!(f, "nats context {name}"),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// Which settings did not come from the program itself, and where from. Read it with [`NatsConfig::source`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(BTreeMap<&'static str, Source>);

impl NatsConfig {
    /// The settings of this process's environment and of the `nats` context it selects. See [`load`](Self::load).
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::default().load()
    }

    /// Fills what is not set from this process's environment and from `nats` contexts, and checks the whole.
    ///
    /// A setting is taken from the first of these that has it:
    /// 1. this configuration;
    /// 2. `NATS_URL` (commas between URLs), `NATS_USER`, `NATS_PASSWORD`, `NATS_TOKEN`, `NATS_CREDS`, `NATS_NKEY`
    ///    (a file), `NATS_SEED`, `NATS_JWT`, `NATS_CERT`, `NATS_KEY`, `NATS_CA`, `NATS_TIMEOUT`;
    /// 3. the `nats` context named by `context` or `NATS_CONTEXT`; without either, the selected context, if the
    ///    first two name no servers (so that credentials kept for one cluster are not shown to another by accident);
    /// 4. the defaults.
    ///
    /// Settings that say who one is go together: whoever sets one of them sets them all. So do a client certificate
    /// and its key.
    ///
    /// # Errors
    /// Every problem with its setting and where that came from, also when a named context cannot be read.
    pub fn load(self) -> Result<Self, ConfigError> {
        self.load_with(&Environment::process())
    }

    /// [`load`](Self::load) with an environment of one's own.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(mut self, environment: &Environment) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        self.fill(environment.settings(&mut problems));
        let named = self.context.clone().map(|name| ContextChoice { name, field: self.labelled("context", "context") });
        let choice = match named {
            None if self.servers.is_empty() => environment.selected_context(),
            named => named,
        };
        if let Some(context) = choice.and_then(|choice| environment.context_settings(&choice, &mut problems)) {
            self.fill(context);
        }
        problems.into_result()?;
        self.validate()?;
        Ok(self)
    }

    /// Where a setting came from, by its path without the leading `nats.`: `servers`, `tls.ca_file`.
    #[must_use]
    pub fn source(&self, field: &str) -> Source {
        match self.sources.0.get(field) {
            Some(source) => source.clone(),
            None if self.is_set(field) => Source::Explicit,
            None => Source::Default,
        }
    }

    /// `text`, with the place the setting `field` came from when that is not the program itself.
    pub(crate) fn labelled(&self, text: &str, field: &str) -> String {
        match self.sources.0.get(field) {
            Some(source) => format!("{text} (from {source})"),
            None => text.to_owned(),
        }
    }

    /// The `nats` tool takes a user without a password for a token.
    pub(super) fn user_alone_is_a_token(&mut self) {
        if self.password.is_none() && self.token.is_none() {
            self.token = self.user.take().map(Into::into);
        }
    }

    /// Records a source for every setting that has a value.
    pub(super) fn mark_sources(&mut self, source: impl Fn(&'static str) -> Source) {
        for field in FIELDS {
            if self.is_set(field) {
                self.sources.0.insert(field, source(field));
            }
        }
    }

    /// Takes from `lower` what is not set here.
    fn fill(&mut self, mut lower: Self) {
        let has_identity = !self.identities().is_empty() || self.servers.iter().any(|url| url.credentials().is_some());
        if has_identity {
            lower.forget_identity();
        }
        if self.tls.cert_file.is_some() || self.tls.key_file.is_some() {
            lower.tls.cert_file = None;
            lower.tls.key_file = None;
        }
        for field in FIELDS {
            if !self.is_set(field)
                && lower.is_set(field)
                && let Some(source) = lower.sources.0.remove(field)
            {
                self.sources.0.insert(field, source);
            }
        }
        if self.servers.is_empty() {
            self.servers = std::mem::take(&mut lower.servers);
        }
        take(&mut self.user, &mut lower.user);
        take(&mut self.password, &mut lower.password);
        take(&mut self.token, &mut lower.token);
        take(&mut self.credentials_file, &mut lower.credentials_file);
        take(&mut self.user_jwt, &mut lower.user_jwt);
        take(&mut self.nkey_seed, &mut lower.nkey_seed);
        take(&mut self.nkey_seed_file, &mut lower.nkey_seed_file);
        take(&mut self.tls.ca_file, &mut lower.tls.ca_file);
        take(&mut self.tls.cert_file, &mut lower.tls.cert_file);
        take(&mut self.tls.key_file, &mut lower.tls.key_file);
        take(&mut self.tls.first, &mut lower.tls.first);
        take(&mut self.inbox_prefix, &mut lower.inbox_prefix);
        take(&mut self.request_timeout, &mut lower.request_timeout);
        take(&mut self.context, &mut lower.context);
        if self.jetstream.domain.is_none() && self.jetstream.api_prefix.is_none() {
            self.jetstream = lower.jetstream;
        }
    }

    fn forget_identity(&mut self) {
        self.user = None;
        self.password = None;
        self.token = None;
        self.credentials_file = None;
        self.user_jwt = None;
        self.nkey_seed = None;
        self.nkey_seed_file = None;
        for server in &mut self.servers {
            *server = ServerUrl::new(server.without_credentials());
        }
    }

    fn is_set(&self, field: &str) -> bool {
        match field {
            "servers" => !self.servers.is_empty(),
            "name" => self.name.is_some(),
            "user" => self.user.is_some(),
            "password" => self.password.is_some(),
            "token" => self.token.is_some(),
            "credentials_file" => self.credentials_file.is_some(),
            "user_jwt" => self.user_jwt.is_some(),
            "nkey_seed" => self.nkey_seed.is_some(),
            "nkey_seed_file" => self.nkey_seed_file.is_some(),
            "tls.ca_file" => self.tls.ca_file.is_some(),
            "tls.cert_file" => self.tls.cert_file.is_some(),
            "tls.key_file" => self.tls.key_file.is_some(),
            "tls.first" => self.tls.first.is_some(),
            "inbox_prefix" => self.inbox_prefix.is_some(),
            "request_timeout" => self.request_timeout.is_some(),
            "context" => self.context.is_some(),
            "jetstream.domain" => self.jetstream.domain.is_some(),
            "jetstream.api_prefix" => self.jetstream.api_prefix.is_some(),
            _ => false,
        }
    }
}

/// The settings that environment and contexts can make.
const FIELDS: [&str; 17] = [
    "servers",
    "user",
    "password",
    "token",
    "credentials_file",
    "user_jwt",
    "nkey_seed",
    "nkey_seed_file",
    "tls.ca_file",
    "tls.cert_file",
    "tls.key_file",
    "tls.first",
    "inbox_prefix",
    "request_timeout",
    "context",
    "jetstream.domain",
    "jetstream.api_prefix",
];

fn take<T>(own: &mut Option<T>, lower: &mut Option<T>) {
    if own.is_none() {
        *own = lower.take();
    }
}
