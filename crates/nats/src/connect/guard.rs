//! Work that must not outlive the connection it depends on.

use std::future::Future;
use std::time::Duration;

use async_nats::Client;
use tokio::time::timeout;

use super::connection::Connection;
use super::error::{Disconnected, Interrupted};
use super::events::refusal;
use super::status::ConnectionStatus;

impl Connection {
    /// The client of the moment, as soon as the connection works.
    ///
    /// # Errors
    /// When it does not work within `grace`, or never will again.
    pub async fn ready(&self, grace: Duration) -> Result<Client, Disconnected> {
        if self.is_up() {
            return Ok(self.client());
        }
        let mut epochs = self.shared.epoch.subscribe();
        let mut statuses = self.shared.statuses.subscribe();
        let up = async {
            tokio::select! {
                up = epochs.wait_for(|epoch| epoch.up) => up.is_ok(),
                _ = statuses.wait_for(ConnectionStatus::is_final) => false,
            }
        };
        match timeout(grace, up).await {
            Ok(true) => Ok(self.client()),
            Ok(false) | Err(_) => Err(self.why_down()),
        }
    }

    /// Waits until the connection drops; returns at once when it is down already.
    pub async fn disconnected(&self) -> Disconnected {
        match self.guard(std::future::pending::<()>()).await {
            Ok(()) => unreachable!("pending work is never done"),
            Err(down) => down,
        }
    }

    /// Does `work`, but not for longer than the connection holds. The client itself leaves requests hanging until their
    /// time is up when the connection drops.
    ///
    /// # Errors
    /// When the connection is down, then nothing is begun; or when it drops before `work` is done, then what was
    /// sent may have taken effect.
    pub async fn guard<F: Future>(&self, work: F) -> Result<F::Output, Disconnected> {
        let mut epochs = self.shared.epoch.subscribe();
        let start = *epochs.borrow_and_update();
        if !start.up {
            return Err(self.why_down());
        }
        tokio::select! {
            biased;
            done = work => Ok(done),
            _ = epochs.wait_for(|epoch| epoch.number != start.number) => Err(self.why_down()),
        }
    }

    /// [`guard`](Self::guard) for work that publishes to `subject`. It ends also when the server says that we may
    /// not: to whoever waits for a reply, a refused request looks like one that nobody answers.
    ///
    /// # Errors
    /// As [`guard`](Self::guard), and when the server refuses `subject`. Nothing was delivered then.
    pub async fn guard_to<F: Future>(&self, subject: &str, work: F) -> Result<F::Output, Interrupted> {
        let violations = self.permission_violations();
        tokio::select! {
            biased;
            done = self.guard(work) => done.map_err(Interrupted::Disconnected),
            () = refusal(violations, subject) => Err(Interrupted::Forbidden { subject: subject.to_owned() }),
        }
    }

    fn why_down(&self) -> Disconnected {
        let status = self.status();
        match &status {
            ConnectionStatus::Connected { .. } => Disconnected::new("it dropped and has come back since"),
            _ => Disconnected::new(status.to_string()),
        }
    }
}
