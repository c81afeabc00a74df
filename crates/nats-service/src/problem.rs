//! What is wrong with a service's description, and why it did not start.

use std::fmt;
use std::net::SocketAddr;

use headwater_nats::connect::Disconnected;

/// One thing that is wrong with a service's description.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Which setting, such as `version`.
    pub setting: String,
    /// Its value, shortened.
    pub value: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, value, reason } = self;
        if value.is_empty() { write!(f, "{setting}: {reason}") } else { write!(f, "{setting} `{value}`: {reason}") }
    }
}

/// Collects problems.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, setting: impl Into<String>, value: &dyn fmt::Display, reason: impl Into<String>) {
        let value = value.to_string().chars().take(80).collect();
        self.0.push(Problem { setting: setting.into(), value, reason: reason.into() });
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Fine, or every problem there is up to now.
    pub(crate) fn none(&mut self) -> Result<(), StartError> {
        if self.0.is_empty() { Ok(()) } else { Err(StartError::Invalid { problems: std::mem::take(&mut self.0) }) }
    }
}

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

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
