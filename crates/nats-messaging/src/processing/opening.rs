//! Making a consumer anew that is gone.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::sleep;
use tracing::warn;

use super::retry::Retry;
use super::work::in_full;
use crate::consume::{Consume, ConsumeError, ConsumerConfig, Deliver, Subscription};

/// Opens one consumer.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    pub(super) consume: Arc<dyn Consume>,
    pub(super) config: ConsumerConfig,
    /// When its stream was made.
    pub(super) created: Option<DateTime<Utc>>,
}

/// A consumer that was opened again.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) subscription: Subscription,
    pub(super) created: Option<DateTime<Utc>>,
    /// The stream itself is another one.
    pub(super) stream_is_new: bool,
    /// Where the consumer begins, if it had to be made; none: as at first.
    pub(super) from: Option<u64>,
}

impl Opening {
    /// Opens the consumer again, as often as it takes. `floor`: the place up to which all was acknowledged, and how many
    /// messages are acknowledged out of turn does not matter.
    pub(super) async fn again(self, floor: Option<u64>) -> Opened {
        let pauses = Retry::default().first(Duration::from_millis(100)).longest(Duration::from_secs(10));
        let mut failures = 0;
        loop {
            match self.once(floor).await {
                Ok(opened) => return opened,
                Err(error) => {
                    failures += 1;
                    let (stream, consumer) = (&self.config.stream, &self.config.durable);
                    warn!(
                        stream,
                        consumer,
                        failures,
                        error = in_full(&error),
                        "a consumer that is gone cannot be made yet"
                    );
                    sleep(pauses.pause(failures)).await;
                }
            }
        }
    }

    async fn once(&self, floor: Option<u64>) -> Result<Opened, ConsumeError> {
        let created = self.consume.stream_created(self.config.stream.clone()).await?;
        let stream_is_new = created != self.created;
        let mut config = self.config.clone();
        let from = floor.filter(|_| !stream_is_new).map(|floor| floor + 1);
        config.deliver = match (from, config.deliver) {
            (Some(from), _) => Deliver::FromSequence(from),
            // Whatever is in a new stream is newer than the consumer was.
            (None, Deliver::New | Deliver::Last | Deliver::FromSequence(_)) if stream_is_new => Deliver::All,
            (None, deliver) => deliver,
        };
        let subscription = self.consume.open(config).await?;
        Ok(Opened { subscription, created, stream_is_new, from })
    }
}
