//! Which messages of a refused batch the stream finds too large. The server drops such a message without a word, and then
//! calls the batch incomplete; what its limit is stands in the stream's configuration.

use headwater_core::store::StoreError;
use serde_json::Value;
use tracing::debug;

use super::message::EventMessage;
use super::publish::{Published, Refusal};
use crate::api::{ApiError, code};
use crate::journal::Journal;
use crate::stream;

impl Journal {
    /// The most bytes the stream takes as one message, headers included. None when it sets no limit, or does not say.
    pub(crate) async fn stream_limit(&self) -> Option<usize> {
        let info = match stream::ask(&self.api, &self.stream, self.config.lookup_timeout.get()).await {
            Ok(Ok(info)) => info,
            Ok(Err(error)) => {
                debug!(%error, "the stream's limit is not to be had");
                return None;
            }
            Err(error) => {
                debug!(%error, "the stream's limit is not to be had");
                return None;
            }
        };
        // -1 stands for no limit.
        info.config.get("max_msg_size").and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok())
    }

    /// What became of the batch of these messages, of which some did not get in: one is too large, or some were lost on the
    /// way and may be sent again.
    pub(super) async fn incomplete(&self, batch: &str, messages: &[&EventMessage], error: StoreError) -> Published {
        let Some(limit) = self.stream_limit().await else { return Published::NotNow(error) };
        let count = messages.len();
        let mut sizes =
            (1..).zip(messages).map(|(place, message)| (place, message.in_batch(batch, place, count).size()));
        let Some((place, size)) = sizes.find(|(_, size)| *size > limit) else { return Published::NotNow(error) };
        let description = format!("message {place} of {count} takes {size} bytes, and the stream allows {limit}");
        Published::Refused(Refusal::TooLarge(ApiError { code: 400, err_code: code::MESSAGE_TOO_LARGE, description }))
    }
}
