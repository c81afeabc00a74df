//! Waiting until a server knows what a client has told it.

use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt;

/// Returns when the server has taken in everything this client told it before, subscriptions above all.
///
/// `Client::flush` of async-nats (0.51) returns when the bytes have left the process; a message that another connection
/// publishes right after may still pass the subscription by. A server handles one connection's lines in order, so a
/// message of one's own that comes back tells that it has come so far.
///
/// # Panics
/// When the message has not come back after ten seconds.
pub async fn known_to_server(client: &Client) {
    let inbox = client.new_inbox();
    let round_trip = async {
        let mut own = client.subscribe(inbox.clone()).await.ok()?;
        client.publish(inbox, "".into()).await.ok()?;
        own.next().await
    };
    let came_back = tokio::time::timeout(Duration::from_secs(10), round_trip).await;
    assert!(matches!(came_back, Ok(Some(_))), "the server does not send a client's own message back");
}
