//! The two connections of a service.

use std::time::Duration;

use super::config::NatsConfig;
use super::connection::Connection;
use super::error::{ConnectError, Disconnected};

/// Callers' traffic on one connection, JetStream on another: a caller's message can break the connection it arrives on,
/// and a flood of requests can fill it. Neither must stop an append.
#[derive(Clone, Debug)]
pub struct Connections {
    /// For what callers send and what they are answered.
    pub callers: Connection,
    /// For JetStream.
    pub jetstream: Connection,
}

impl Connections {
    /// Makes both connections, named `{name} callers` and `{name} jetstream`.
    ///
    /// # Errors
    /// As [`Connection::connect`], for whichever fails first.
    pub async fn connect(config: &NatsConfig) -> Result<Self, ConnectError> {
        let named = |part: &str| config.clone().name(format!("{} {part}", config.name_or_default()));
        let (callers, jetstream) = (named("callers"), named("jetstream"));
        let (callers, jetstream) = tokio::try_join!(Connection::connect(&callers), Connection::connect(&jetstream))?;
        Ok(Self { callers, jetstream })
    }

    /// One connection in both parts, for a program that has but one client to give. What breaks the one breaks the
    /// other.
    #[must_use]
    pub fn shared(connection: &Connection) -> Self {
        Self { callers: connection.clone(), jetstream: connection.clone() }
    }

    /// Whether both pass [`Connection::healthy`].
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.callers.healthy() && self.jetstream.healthy()
    }

    /// Drains the callers' connection, then JetStream's, `limit` for each.
    ///
    /// # Errors
    /// As [`Connection::drain`]; both are closed all the same.
    pub async fn drain(&self, limit: Duration) -> Result<(), Disconnected> {
        let callers = self.callers.drain(limit).await;
        if self.callers.is_same(&self.jetstream) {
            return callers;
        }
        let jetstream = self.jetstream.drain(limit).await;
        callers.and(jetstream)
    }
}
