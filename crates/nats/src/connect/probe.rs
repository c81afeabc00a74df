//! The proof that a connection works, and that what was sent has arrived.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep, timeout};

use super::events::{PermissionViolation, refusal};

/// How a round trip failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProbeError {
    /// The client's connection task has ended, and with it the client.
    #[error("the client's connection task has ended")]
    Ended,
    /// Nothing came back from the server in time.
    #[error("the server did not answer within {0:?}")]
    Silent(Duration),
}

/// Sends a PING and waits for the server to say something.
///
/// `Client::flush` would not do: it waits for bytes to be handed to the operating system, which also takes those
/// for a server that is stopped. The one way to make the client send a PING of ours is to drain a subscription: the
/// client sends UNSUB and PING for it. That needs no permission to publish, and leaves nothing behind. The answer
/// is seen as bytes received, so it may also be a message under way. That is as good here: a server that talks is
/// alive.
pub(crate) async fn round_trip(client: &Client, limit: Duration) -> Result<Duration, ProbeError> {
    timeout(limit, ping(client)).await.unwrap_or(Err(ProbeError::Silent(limit)))
}

async fn ping(client: &Client) -> Result<Duration, ProbeError> {
    let mut subscription = client.subscribe(client.new_inbox()).await.map_err(|_| ProbeError::Ended)?;
    let statistics = client.statistics();
    let before = statistics.in_bytes.load(Ordering::Relaxed);
    let start = Instant::now();
    subscription.drain().await.map_err(|_| ProbeError::Ended)?;
    // The subscription ends when the connection task looks at it after the PING went out: nearly always, because the
    // answer woke it. Otherwise the answer is looked for at growing intervals.
    while subscription.next().await.is_some() {}
    let mut pause = Duration::from_millis(1);
    while statistics.in_bytes.load(Ordering::Relaxed) == before {
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
        client.flush().await.map_err(|_| ProbeError::Ended)?;
    }
    Ok(start.elapsed())
}

/// Waits until the server has taken everything sent so far: it works off what a connection sends in order, so a message
/// to ourselves comes back last. Where we may not send or receive that message, the refusal comes back in its place.
pub(crate) async fn fence(
    client: &Client,
    violations: broadcast::Receiver<PermissionViolation>,
    limit: Duration,
) -> Result<Duration, ProbeError> {
    let start = Instant::now();
    let inbox = client.new_inbox();
    let echo = async {
        let mut echoes = client.subscribe(inbox.clone()).await.map_err(|_| ProbeError::Ended)?;
        client.publish(inbox.clone(), "".into()).await.map_err(|_| ProbeError::Ended)?;
        tokio::select! {
            echo = echoes.next() => echo.map(drop).ok_or(ProbeError::Ended),
            () = refusal(violations, &inbox) => Ok(()),
        }
    };
    timeout(limit, echo).await.unwrap_or(Err(ProbeError::Silent(limit)))?;
    Ok(start.elapsed())
}
