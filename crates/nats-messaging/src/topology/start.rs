//! A topology at the start of a program.

use std::str::FromStr;

use headwater_nats::connect::Connection;

use super::Topology;
use super::error::TopologyError;
use super::plan::Leave;

/// What a program does about its topology when it starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AtStart {
    /// Creates what is missing and updates what may be updated in place. Nothing is deleted and nothing is replaced.
    #[default]
    Ensure,
    /// Changes nothing, and refuses to start when something is otherwise.
    Verify,
    /// Looks at nothing.
    Off,
}

impl FromStr for AtStart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ensure" => Ok(Self::Ensure),
            "verify" => Ok(Self::Verify),
            "off" => Ok(Self::Off),
            _ => Err(format!("{text:?} is none of ensure, verify, off")),
        }
    }
}

impl Topology {
    /// Does what a program wants of its topology when it starts. Several instances may start at once.
    ///
    /// ```no_run
    /// use headwater_nats::connect::{Connection, NatsConfig};
    /// use headwater_nats_messaging::topology::{AtStart, Topology};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let connection = Connection::connect(&NatsConfig::new("nats://localhost:4222")).await?;
    /// Topology::load("topology.toml")?.at_start(AtStart::Ensure, &connection).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`apply`](Self::apply) for [`AtStart::Ensure`], as [`verify`](Self::verify) for [`AtStart::Verify`].
    pub async fn at_start(&self, at_start: AtStart, connection: &Connection) -> Result<(), TopologyError> {
        match at_start {
            AtStart::Ensure => self.apply(connection, Leave::none()).await.map(drop),
            AtStart::Verify => self.verify(connection, Leave::none()).await,
            AtStart::Off => Ok(()),
        }
    }

    /// Refuses a server that has something otherwise than the topology says. What is extra on it counts only with leave to
    /// prune.
    ///
    /// # Errors
    /// [`TopologyError::Drift`] with exactly what is otherwise; and when the server does not answer or refuses to tell.
    pub async fn verify(&self, connection: &Connection, leave: Leave) -> Result<(), TopologyError> {
        let mut plan = self.plan(connection).await?;
        if plan.is_done(leave) {
            return Ok(());
        }
        if !leave.prune {
            plan.changes.retain(|change| change.action != super::Action::Extra);
        }
        Err(TopologyError::Drift(Box::new(plan)))
    }
}
