//! What is wrong with a service's description, and why it did not start.

use std::net::SocketAddr;

use headwater_nats::connect::Disconnected;
use headwater_nats::problem::InvalidSettings;
pub use headwater_nats::problem::Problem;
pub(crate) use headwater_nats::problem::Problems;

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its description does not hold together; every problem is listed.
    #[error("the service cannot be started: {}", list(problems))]
    Invalid {
        /// What is wrong.
        problems: Vec<Problem>,
    },
    /// There is no working connection. Trying again may help.
    #[error("the service cannot take requests")]
    Disconnected(#[from] Disconnected),
    /// The client stopped working while subscribing. Trying again may help.
    #[error("the client stopped working while the service subscribed")]
    NotSubscribed,
    /// The server does not let the connection's user listen where the service's requests arrive.
    #[error("the server does not permit the connection's user to subscribe to `{subject}`")]
    Forbidden {
        /// The subject that was refused.
        subject: String,
    },
    /// The address of the probes cannot be listened on, mostly because somebody else does.
    #[error("the probes cannot be answered at {address}")]
    Probes {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

impl StartError {
    /// What is wrong with the description; empty when it was something else.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid { problems } => problems,
            Self::Disconnected(_) | Self::NotSubscribed | Self::Forbidden { .. } | Self::Probes { .. } => &[],
        }
    }

    /// Whether the same start may succeed later with nothing changed on our side.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Disconnected(_) | Self::NotSubscribed)
    }
}

impl From<InvalidSettings> for StartError {
    fn from(invalid: InvalidSettings) -> Self {
        Self::Invalid { problems: invalid.problems }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
