//! The least that can be between a request and a reply.

use std::path::Path;

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::Value;

use super::{NOTHING, serve_until_told};
use crate::Fallible;
use crate::harness::world::{connect, settled};

/// Answers every `get` with the bytes of the file `reply`.
pub(super) async fn run(url: &str, service: &str, reply: &Path) -> Fallible<Value> {
    let body = Bytes::from(std::fs::read(reply)?);
    let client = connect(url).await?;
    let mut requests = client.queue_subscribe(format!("{service}.query.receipt.get"), "q".to_owned()).await?;
    settled(&client).await?;
    let answering = tokio::spawn({
        let client = client.clone();
        async move {
            while let Some(request) = requests.next().await {
                if let Some(reply) = request.reply {
                    // It fails only when the client is closed.
                    let _ = client.publish(reply, body.clone()).await;
                }
            }
        }
    });
    serve_until_told().await?;
    answering.abort();
    settled(&client).await?;
    Ok(NOTHING)
}
