//! From the command line to a connection.

use headwater::client::{ClientError, Credentials, NatsClient, NatsClientBuilder};
use headwater::nats::connect::{ConnectErrorKind, DEFAULT_SERVER, NatsConfig, ServerUrl};
use sample_receipts::SERVICE;

use crate::arguments::{CallerArguments, NatsArguments};
use crate::complaint::{Complaint, with_causes};

/// The settings of the command line, and beneath them those of the file, the environment and the `nats` tool.
pub(crate) fn config(arguments: &NatsArguments) -> Result<NatsConfig, Complaint> {
    let config = match &arguments.config {
        None => NatsConfig::default(),
        Some(path) => {
            let read = |error| Complaint::new(&format!("{} cannot be read", path.display()), &error);
            let text = std::fs::read_to_string(path).map_err(read)?;
            NatsConfig::from_toml(&text).map_err(|error| Complaint::new(&path.display().to_string(), &error))?
        }
    };
    config_over(config, arguments)
}

/// The settings of the command line, and beneath them `config`, the environment and the `nats` tool.
pub(crate) fn config_over(mut config: NatsConfig, arguments: &NatsArguments) -> Result<NatsConfig, Complaint> {
    if let Some(url) = &arguments.nats_url {
        config.servers = NatsConfig::new(url).servers;
    }
    if let Some(context) = &arguments.context {
        config = config.context(context);
    }
    config.load().map_err(|error| Complaint::new("the settings of the connection", &error))
}

/// The servers of the settings, without credentials.
pub(crate) fn servers(config: &NatsConfig) -> String {
    let servers: Vec<_> = config.servers.iter().map(ServerUrl::without_credentials).collect();
    if servers.is_empty() { DEFAULT_SERVER.to_owned() } else { servers.join(",") }
}

/// A client of the receipts service.
pub(crate) async fn client(arguments: &NatsArguments, caller: &CallerArguments) -> Result<NatsClient, Complaint> {
    let config = config(arguments)?.name("receipts client");
    let credentials = credentials(caller)?;
    let set = |client: NatsClientBuilder| match credentials {
        Some(credentials) => client.credentials(credentials),
        None => client,
    };
    NatsClient::connect_with(&config, SERVICE, set).await.map_err(|error| match &error {
        ClientError::Connect(refused) => unconnected(refused.kind(), &error),
        _ => Complaint::new("the client cannot be made", &error),
    })
}

/// How the caller proves who they are, if they do.
fn credentials(caller: &CallerArguments) -> Result<Option<Credentials>, Complaint> {
    if let Some(path) = &caller.token_file {
        let token = std::fs::read_to_string(path)
            .map_err(|error| Complaint::new(&format!("{} cannot be read", path.display()), &error))?;
        return Ok(Some(Credentials::bearer(token)));
    }
    Ok(caller.token.as_ref().map(Credentials::bearer))
}

/// Why there is no connection, and what to do where there simply is no server.
pub(crate) fn unconnected(kind: ConnectErrorKind, error: &dyn std::error::Error) -> Complaint {
    let mut text = with_causes(error);
    if kind == ConnectErrorKind::Unreachable {
        text.push_str("\nTo run a server for development: cargo run -p sample-receipts -- nats-server --port 4222");
    }
    Complaint::Failed(text)
}
