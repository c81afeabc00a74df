//! What a server says about itself.

use super::error::{ConnectError, ConnectErrorKind};

/// What the connected server said about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerInfo {
    /// The server's name.
    pub name: String,
    /// Its version.
    pub version: semver::Version,
    /// Whether it offers JetStream (the account may still not be allowed to use it).
    pub jetstream: bool,
    /// The largest message it takes, headers included, in bytes.
    pub max_payload: usize,
    /// The cluster it belongs to.
    pub cluster: Option<String>,
    /// Its JetStream domain.
    pub domain: Option<String>,
}

impl ServerInfo {
    /// `None` where the server has not introduced itself yet, or with a version that is none.
    pub(crate) fn of(client: &async_nats::Client) -> Option<Self> {
        let info = client.try_server_info()?;
        Some(Self {
            version: info.version.trim_start_matches('v').parse().ok()?,
            name: info.server_name,
            jetstream: info.jetstream,
            max_payload: info.max_payload,
            cluster: info.cluster,
            domain: info.domain,
        })
    }

    /// Refuses a server older than `major.minor.patch`. A pre-release counts as the version it leads to.
    ///
    /// # Errors
    /// [`ConnectErrorKind::UnsupportedServer`], naming the server and the version found.
    pub fn require_version(&self, (major, minor, patch): (u64, u64, u64)) -> Result<(), ConnectError> {
        if (self.version.major, self.version.minor, self.version.patch) >= (major, minor, patch) {
            return Ok(());
        }
        Err(ConnectError::new(
            ConnectErrorKind::UnsupportedServer,
            format!(
                "the NATS server {} is version {}; {major}.{minor}.{patch} or newer is needed",
                self.name, self.version
            ),
        ))
    }

    /// Refuses a server on which JetStream is switched off.
    ///
    /// # Errors
    /// [`ConnectErrorKind::UnsupportedServer`], naming the server.
    pub fn require_jetstream(&self) -> Result<(), ConnectError> {
        if self.jetstream {
            return Ok(());
        }
        Err(ConnectError::new(
            ConnectErrorKind::UnsupportedServer,
            format!(
                "JetStream is switched off on the NATS server {}; start it with -js or a jetstream section",
                self.name
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(version: &str) -> ServerInfo {
        ServerInfo {
            name: "n1".into(),
            version: version.parse().unwrap(),
            jetstream: false,
            max_payload: 1 << 20,
            cluster: None,
            domain: None,
        }
    }

    #[test]
    fn an_older_server_is_refused_with_the_version_found() {
        for version in ["2.12.1", "2.12.1-RC.3", "2.15.0", "3.0.0"] {
            server(version).require_version((2, 12, 1)).unwrap();
        }
        for version in ["2.12.0", "2.11.99", "1.99.0"] {
            let error = server(version).require_version((2, 12, 1)).unwrap_err();
            assert_eq!(error.kind(), ConnectErrorKind::UnsupportedServer);
            let text = error.to_string();
            assert!(text.contains(version) && text.contains("2.12.1 or newer") && text.contains("n1"), "{text}");
        }
    }

    #[test]
    fn a_server_without_jetstream_is_refused() {
        let text = server("2.15.1").require_jetstream().unwrap_err().to_string();
        assert!(text.contains("JetStream is switched off on the NATS server n1"), "{text}");
    }
}
