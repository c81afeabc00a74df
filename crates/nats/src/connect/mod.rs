//! Connecting to NATS: settings, a connection that is looked after, and what can be known of it.
//!
//! [`NatsConfig`] says how, [`Connection`] is one connection, [`Connections`] the two a service has.

mod arrivals;
mod backoff;
mod config;
mod connection;
mod connections;
mod credentials;
mod error;
mod events;
mod failure;
mod guard;
mod info;
mod link;
mod probe;
mod shared;
mod status;
mod supervisor;

pub use self::arrivals::Arrivals;
pub use self::config::{
    BadDuration, ConfigError, DEFAULT_SERVER, Environment, HumanDuration, JetStreamConfig, NatsConfig, Problem,
    ReconnectConfig, Secret, ServerUrl, Source, Sources, TlsConfig, WatchdogConfig,
};
pub use self::connection::Connection;
pub use self::connections::Connections;
pub use self::error::{ConnectError, ConnectErrorKind, Disconnected, Interrupted};
pub use self::events::PermissionViolation;
pub use self::info::ServerInfo;
pub use self::status::{ConnectionStats, ConnectionStatus};
