//! The one-line form for tests.

use std::ops::Deref;

use crate::server::{NatsServer, NatsServerBuilder};

/// A [`NatsServer`] that a test starts in one line; it is one through [`Deref`].
///
/// Every failure is a panic with the full message: what was tried for the binary, or the end of the server's log.
#[derive(Debug)]
pub struct TestServer(NatsServer);

impl TestServer {
    /// Starts a server with JetStream on a free port with its own store.
    ///
    /// # Panics
    ///
    /// When no server can be had or it does not start; the message says why and what to do.
    pub async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    /// Starts a server described by `describe`, which is handed the defaults of [`start`](Self::start).
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub async fn with(describe: impl FnOnce(NatsServerBuilder) -> NatsServerBuilder) -> Self {
        match describe(NatsServer::builder()).start().await {
            Ok(server) => Self(server),
            Err(error) => panic!("a nats-server is needed for this test: {}", whole_story(&error)),
        }
    }
}

impl Deref for TestServer {
    type Target = NatsServer;

    fn deref(&self) -> &NatsServer {
        &self.0
    }
}

/// The error with its causes, since a panic message shows only what it is given.
fn whole_story(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
