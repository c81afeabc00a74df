//! What every verb is given: the way to the server, and the output.

use std::time::Duration;

use headwater_core::Name;
use headwater_nats::connect::{ConnectError, ConnectErrorKind, Connection, HumanDuration, NatsConfig};
use headwater_nats_client::{Credentials, NatsClient};

use crate::arguments::{ConnectionArguments, Settings};
use crate::complaint::{Complaint, with_causes};
use crate::output::Output;

/// What every verb is given.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) output: Output,
    connection: ConnectionArguments,
    json: bool,
}

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { output: Output::stdout(), connection: settings.connection, json: settings.json }
    }

    /// Whether results are to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// The settings of the connection, checked.
    pub(crate) fn config(&self) -> Result<NatsConfig, Complaint> {
        let mut config = self.connection.config()?;
        // Whoever waits two seconds for an answer does not want to wait five for the server.
        let timeout = crate::arguments::timeout(&config);
        if config.connect_timeout.is_none() {
            config.connect_timeout = Some(HumanDuration::from(timeout.min(Duration::from_secs(5))));
        }
        config.request_timeout = Some(HumanDuration::from(timeout));
        Ok(config)
    }

    /// How long to wait for one answer.
    pub(crate) fn limit(&self) -> Result<Duration, Complaint> {
        Ok(crate::arguments::timeout(&self.config()?))
    }

    /// A connection to the server, and how long to wait for one answer there.
    pub(crate) async fn connect(&self) -> Result<(Connection, Duration), Complaint> {
        let config = self.config()?;
        let connection = Connection::connect(&config).await.map_err(|error| unconnected(&error))?;
        Ok((connection, crate::arguments::timeout(&config)))
    }

    /// A client of the service called `service`, for a caller with these credentials.
    pub(crate) async fn client(
        &self,
        service: &Name,
        credentials: Option<Credentials>,
    ) -> Result<NatsClient, Complaint> {
        let (connection, timeout) = self.connect().await?;
        let mut client = NatsClient::builder(connection, service.clone()).timeout(timeout);
        if let Some(credentials) = credentials {
            client = client.credentials(credentials);
        }
        client.build().map_err(|error| Complaint::because("the client cannot be made", &error))
    }
}

/// Why there is no connection, and what to look at.
fn unconnected(error: &ConnectError) -> Complaint {
    let text = with_causes(error);
    match error.kind() {
        ConnectErrorKind::Unreachable => Complaint::failed("unreachable", text)
            .note("--server, --context or NATS_URL say which server is meant; `nats context ls` lists contexts."),
        ConnectErrorKind::Authentication => Complaint::refused("unauthenticated", text)
            .note("--creds, --nkey, --user with NATS_PASSWORD, or a context say who you are."),
        ConnectErrorKind::Tls => Complaint::failed("tls", text)
            .note("--tlsca names the authority to trust, --tlscert and --tlskey the client's certificate."),
        ConnectErrorKind::Timeout => Complaint::failed("timeout", text),
        _ => Complaint::failed("connection", text),
    }
}
