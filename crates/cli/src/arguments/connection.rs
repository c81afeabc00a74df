//! Which NATS server to talk to, and as whom: the flags of the `nats` command.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use headwater_nats::connect::{HumanDuration, NatsConfig, TlsConfig};

use crate::complaint::Complaint;

/// How long to wait for one answer when nothing says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// The connection. Nothing here has a default of its own: what is not said is taken from the NATS_* variables, then from
/// the `nats` context, then it is the library's default.
#[derive(Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArguments {
    /// The server, or several with commas between them [default: NATS_URL, then nats://localhost:4222]
    #[arg(short, long, value_name = "URL", global = true)]
    pub(crate) server: Option<String>,

    /// A context of the nats command [default: NATS_CONTEXT, then the selected one unless a server is named]
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) context: Option<String>,

    /// User name, or a token where there is no password [default: NATS_USER]
    #[arg(long, value_name = "USER", global = true)]
    pub(crate) user: Option<String>,

    /// Password; others see command lines, so NATS_PASSWORD is safer [default: NATS_PASSWORD]
    #[arg(long, value_name = "PASSWORD", global = true, hide_short_help = true)]
    pub(crate) password: Option<String>,

    /// Token, for servers configured with one [default: NATS_TOKEN]
    #[arg(long, value_name = "TOKEN", global = true, hide_short_help = true)]
    pub(crate) token: Option<String>,

    /// Credentials file of a user, as nsc writes it [default: NATS_CREDS]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) creds: Option<PathBuf>,

    /// File with the seed of a user NKey [default: NATS_NKEY]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) nkey: Option<PathBuf>,

    /// PEM file of the client's certificate [default: NATS_CERT]
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub(crate) tlscert: Option<PathBuf>,

    /// PEM file of that certificate's key [default: NATS_KEY]
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub(crate) tlskey: Option<PathBuf>,

    /// PEM file of the authorities to trust instead of the system's [default: NATS_CA]
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub(crate) tlsca: Option<PathBuf>,

    /// Start with TLS before the server's greeting, for servers with handshake_first
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) tlsfirst: bool,

    /// What inboxes start with, for users who may subscribe to nothing else [default: _INBOX]
    #[arg(long, value_name = "PREFIX", global = true, hide_short_help = true)]
    pub(crate) inbox_prefix: Option<String>,

    /// The JetStream domain, as in leaf nodes
    #[arg(long, value_name = "DOMAIN", global = true, hide_short_help = true)]
    pub(crate) js_domain: Option<String>,

    /// The subject prefix of JetStream's API, as in an import from another account
    #[arg(long, value_name = "PREFIX", global = true, hide_short_help = true)]
    pub(crate) js_api_prefix: Option<String>,

    /// A TOML file with a table [nats], as services have it; flags go before it, variables and contexts after it
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub(crate) config: Option<PathBuf>,

    /// How long to wait for one answer, such as 2s or 500ms [default: NATS_TIMEOUT, then 5s]
    #[arg(long, value_name = "DURATION", value_parser = some_time, global = true)]
    pub(crate) timeout: Option<Duration>,
}

/// Without secrets.
impl fmt::Debug for ConnectionArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionArguments").field("context", &self.context).finish_non_exhaustive()
    }
}

impl ConnectionArguments {
    /// The settings of the flags, and beneath them those of the file, the environment and the `nats` command.
    pub(crate) fn config(&self) -> Result<NatsConfig, Complaint> {
        let filed = match &self.config {
            None => NatsConfig::default(),
            Some(path) => {
                let read = |error| Complaint::because(&format!("{} cannot be read", path.display()), &error);
                let text = std::fs::read_to_string(path).map_err(read)?;
                NatsConfig::from_toml(&text).map_err(|error| Complaint::because(&path.display().to_string(), &error))?
            }
        };
        self.over(filed).load().map_err(|error| Complaint::because("the settings of the connection", &error))
    }

    /// `config` with what the flags say in place of what it says itself.
    fn over(&self, mut config: NatsConfig) -> NatsConfig {
        if let Some(servers) = &self.server {
            config.servers = NatsConfig::new(servers).servers;
        }
        if self.says_who() {
            config = self.identity_over(config);
        }
        if self.tlscert.is_some() || self.tlskey.is_some() {
            (config.tls.cert_file, config.tls.key_file) = (self.tlscert.clone(), self.tlskey.clone());
        }
        let tls = TlsConfig {
            ca_file: self.tlsca.clone().or(config.tls.ca_file.take()),
            first: self.tlsfirst.then_some(true).or(config.tls.first),
            ..config.tls
        };
        config.tls = tls;
        config.context = self.context.clone().or(config.context);
        config.inbox_prefix = self.inbox_prefix.clone().or(config.inbox_prefix);
        if self.js_domain.is_some() || self.js_api_prefix.is_some() {
            (config.jetstream.domain, config.jetstream.api_prefix) =
                (self.js_domain.clone(), self.js_api_prefix.clone());
        }
        config.request_timeout = self.timeout.map(HumanDuration::from).or(config.request_timeout);
        config.name = config.name.or_else(|| Some("headwater command".to_owned()));
        config
    }

    fn says_who(&self) -> bool {
        let texts = [&self.user, &self.password, &self.token];
        texts.iter().any(|text| text.is_some()) || self.creds.is_some() || self.nkey.is_some()
    }

    /// Flags that say who one is go together, and instead of whatever else says it. Of user and password the one may come
    /// from a flag and the other from a variable.
    fn identity_over(&self, mut config: NatsConfig) -> NatsConfig {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        config.user_jwt = None;
        config.nkey_seed = None;
        config.token = self.token.clone().map(Into::into);
        config.credentials_file = self.creds.clone();
        config.nkey_seed_file = self.nkey.clone();
        config.user = self.user.clone().or_else(|| self.password.as_ref().and_then(|_| variable("NATS_USER")));
        let password = self.password.clone().or_else(|| self.user.as_ref().and_then(|_| variable("NATS_PASSWORD")));
        config.password = password.map(Into::into);
        if config.password.is_none() && config.token.is_none() {
            // As the `nats` command has it: a user without a password is a token.
            config.token = config.user.take().map(Into::into);
        }
        config
    }
}

/// How long one answer may take.
pub(crate) fn timeout(config: &NatsConfig) -> Duration {
    config.request_timeout.map_or(DEFAULT_TIMEOUT, HumanDuration::get)
}

/// A duration of the command line: some time, such as `2s` or `500ms`.
pub(crate) fn some_time(text: &str) -> Result<Duration, String> {
    let duration: HumanDuration =
        text.parse().map_err(|error: headwater_nats::connect::BadDuration| error.to_string())?;
    Some(duration.get()).filter(|duration| !duration.is_zero()).ok_or_else(|| "at least some time is needed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(set: impl FnOnce(&mut ConnectionArguments), beneath: &str) -> NatsConfig {
        let mut arguments = ConnectionArguments::default();
        set(&mut arguments);
        arguments.over(NatsConfig::from_toml(beneath).unwrap())
    }

    #[test]
    fn flags_go_before_the_file_and_identities_go_together() {
        let file =
            "[nats]\nservers = ['nats://filed:4222']\nuser = 'filed'\npassword = 'secret'\nrequest_timeout = '9s'";
        let kept = config(|_| {}, file);
        assert_eq!((kept.user.as_deref(), timeout(&kept)), (Some("filed"), Duration::from_secs(9)));

        let token = config(|flags| flags.token = Some("t".into()), file);
        assert!(token.user.is_none() && token.password.is_none() && token.token.is_some());
        assert_eq!(token.servers, kept.servers);

        let flags = config(
            |flags| {
                flags.server = Some("nats://a:1,nats://b:2".into());
                (flags.user, flags.password) = (Some("ann".into()), Some("p".into()));
                flags.timeout = Some(Duration::from_secs(1));
                flags.js_domain = Some("leaf".into());
            },
            file,
        );
        assert_eq!((flags.servers.len(), flags.user.as_deref()), (2, Some("ann")));
        assert_eq!(timeout(&flags), Duration::from_secs(1));
        assert_eq!(flags.jetstream.domain.as_deref(), Some("leaf"));
    }

    #[test]
    fn nothing_said_is_nothing_set_but_the_name() {
        let config = ConnectionArguments::default().over(NatsConfig::default());
        assert_eq!(NatsConfig { name: None, ..config.clone() }, NatsConfig::default());
        assert_eq!(timeout(&config), DEFAULT_TIMEOUT);
    }

    #[test]
    fn debug_shows_no_secret() {
        let arguments = ConnectionArguments { password: Some("canary".into()), ..ConnectionArguments::default() };
        assert!(!format!("{arguments:?}").contains("canary"));
    }
}
