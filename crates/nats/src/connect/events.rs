//! What a client reports about itself, turned into a state that can be watched, counters and log lines.

use std::sync::Arc;

use async_nats::{Event, Server, ServerError};
use tokio::sync::{broadcast, watch};
use tracing::{debug, info, warn};

use super::failure;
use super::status::Counters;

/// What a client has reported so far.
///
/// The sender lives in the client's event callback, which the client drops when its connection task ends, also by a
/// panic. So the receiver learns of the client's death at once, by the sender's going away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reported {
    /// Times it connected, and times that ended.
    pub(crate) connects: u64,
    pub(crate) drops: u64,
    /// The last complaint since it was last connected.
    pub(crate) complaint: Option<String>,
}

/// Where the server did not let us go.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PermissionViolation {
    /// The subject that was refused.
    pub subject: String,
    /// Whether it was a subscription rather than a publish.
    pub subscription: bool,
}

/// Waits until the server refuses `subject`.
pub(crate) async fn refusal(mut violations: broadcast::Receiver<PermissionViolation>, subject: &str) {
    loop {
        match violations.recv().await {
            Ok(violation) if violation.subject == subject => return,
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            // Nobody will tell; the time limit decides.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Receives the events of one client.
pub(crate) struct Observer {
    pub(crate) connection: String,
    pub(crate) reported: watch::Sender<Reported>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) violations: broadcast::Sender<PermissionViolation>,
}

impl Observer {
    pub(crate) fn observe(&self, event: Event) {
        let connection = self.connection.as_str();
        match event {
            Event::Connected => self.reported.send_modify(|reported| {
                reported.complaint = None;
                reported.connects += 1;
                if reported.connects > 1 {
                    self.counters.reconnects.increment();
                }
            }),
            Event::Disconnected => self.reported.send_modify(|reported| {
                self.counters.disconnects.increment();
                reported.drops += 1;
            }),
            Event::SlowConsumer(subscription) => {
                let dropped = self.counters.slow_consumers.increment();
                // An overload drops thousands a second; one line for each doubling is enough to see it grow.
                if dropped.is_power_of_two() {
                    warn!(connection, subscription, dropped, "a subscription is full and drops messages");
                }
            }
            Event::ServerError(error) => self.server_error(&error),
            // The kind of failure only; `reconnecting` learns the rest.
            Event::ClientError(error) => debug!(connection, %error, "the NATS client reports a problem"),
            Event::LameDuckMode => info!(connection, "the NATS server is about to shut down"),
            Event::Draining | Event::Closed => debug!(connection, %event, "the NATS client is closing"),
        }
    }

    /// Notes how the last tries to reach each server failed; called before each further round of tries.
    pub(crate) fn reconnecting(&self, servers: &[Server]) {
        let failed: Vec<String> = servers
            .iter()
            .filter_map(|server| Some(format!("{}: {}", failure::shown(&server.addr), server.last_error.as_ref()?)))
            .collect();
        if !failed.is_empty() {
            self.complain(failed.join("; "));
        }
    }

    fn server_error(&self, error: &ServerError) {
        let connection = self.connection.as_str();
        let text = match error {
            ServerError::Other(text) => text.clone(),
            other => other.to_string(),
        };
        if let Some(violation) = parse_violation(&text) {
            self.counters.permission_violations.increment();
            let PermissionViolation { subject, subscription } = &violation;
            warn!(connection, subject, subscription, "the NATS server does not permit this subject");
            // Nobody listening is fine: the counter and the log line remain.
            let _ = self.violations.send(violation);
            return;
        }
        self.counters.server_errors.increment();
        warn!(connection, error = %text, "the NATS server reports an error");
        self.complain(text);
    }

    fn complain(&self, text: String) {
        self.reported.send_if_modified(|reported| {
            reported.complaint = Some(text);
            false
        });
    }
}

/// Reads `Permissions Violation for Publish to "subject"` and its like. The server's wording has been stable
/// since its first releases; other words count as any other error.
fn parse_violation(text: &str) -> Option<PermissionViolation> {
    let rest = text.strip_prefix("Permissions Violation for ")?;
    let subscription = rest.starts_with("Subscription");
    let (_, quoted) = rest.split_once('"')?;
    let (subject, _) = quoted.split_once('"')?;
    Some(PermissionViolation { subject: subject.to_owned(), subscription })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_violation_names_its_subject() {
        for (text, subject, subscription) in [
            ("Permissions Violation for Publish to \"a.b\"", "a.b", false),
            ("Permissions Violation for Subscription to \"a.>\"", "a.>", true),
            ("Permissions Violation for Subscription to \"a.>\" using queue \"q\"", "a.>", true),
            ("Permissions Violation for Publish with Reply of \"ev.x\"", "ev.x", false),
        ] {
            assert_eq!(parse_violation(text), Some(PermissionViolation { subject: subject.into(), subscription }));
        }
        assert_eq!(parse_violation("Stale Connection"), None);
    }
}
