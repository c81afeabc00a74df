//! Which NATS server to talk to, and as whom.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct NatsArguments {
    /// The server, or several with commas between them [default: NATS_URL, then nats://localhost:4222]
    ///
    /// Credentials come from NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_CREDS or NATS_NKEY, from
    /// a context of the nats tool, or from the file given with --config.
    #[arg(long, value_name = "URL", global = true, help_heading = "NATS")]
    pub(crate) nats_url: Option<String>,

    /// A context of the nats tool: its name [default: NATS_CONTEXT, then the selected one]
    #[arg(long, value_name = "NAME", global = true, help_heading = "NATS")]
    pub(crate) context: Option<String>,

    /// A TOML file with a table [nats]: servers, credentials, TLS, time limits. For `serve` also with the tables of the
    /// service's features (see `config-schema`), each of which HEADWATER__TABLE__SETTING overrides
    #[arg(long, value_name = "FILE", global = true, help_heading = "NATS")]
    pub(crate) config: Option<PathBuf>,
}
