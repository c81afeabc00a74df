//! Handing a message over until it is stored, or until that may no longer be tried.

use headwater_nats::backoff::Backoff;
use tokio::time::{Instant, sleep_until};

use super::PublisherError;
use super::core::Core;
use super::parcel::Parcel;
use crate::publish::{Acknowledgement, PublishError, Published};

impl Core {
    /// Hands a message over: it is in its place among the messages of the transport when this is done.
    pub(super) async fn hand_over(&self, parcel: &mut Parcel) -> Result<Acknowledgement, PublisherError> {
        loop {
            parcel.attempts += 1;
            let deadline = parcel.deadline.min(Instant::now() + self.retry.attempt_timeout);
            match self.port.send(parcel.message.clone(), deadline).await {
                Ok(acknowledgement) => return Ok(acknowledgement),
                Err(error) => Box::pin(self.pause_after(parcel, error)).await?,
            }
        }
    }

    /// Waits until a message that was handed over is stored, and hands it over again where that is safe.
    pub(super) async fn settle(
        &self,
        parcel: &mut Parcel,
        acknowledgement: Acknowledgement,
    ) -> Result<Published, PublisherError> {
        match acknowledgement.await {
            Ok(published) => Ok(published),
            // Seldom, and with a future of its own; each message that is under way would carry its room otherwise.
            Err(error) => Box::pin(self.try_again(parcel, error)).await,
        }
    }

    async fn try_again(&self, parcel: &mut Parcel, mut error: PublishError) -> Result<Published, PublisherError> {
        loop {
            self.pause_after(parcel, error).await?;
            match self.hand_over(parcel).await?.await {
                Ok(published) => return Ok(published),
                Err(again) => error = again,
            }
        }
    }

    /// Waits until the next attempt may be made.
    async fn pause_after(&self, parcel: &mut Parcel, error: PublishError) -> Result<(), PublisherError> {
        let is_unknown = matches!(error, PublishError::Unknown { .. });
        parcel.maybe_stored |= is_unknown;
        let (after, policy) = (parcel.began.elapsed(), &self.retry);
        if !policy.allows(parcel.attempts, after, parcel.maybe_stored, &error) {
            return Err(parcel.failed(error));
        }
        let backoff = parcel.backoff.get_or_insert_with(|| Backoff::new(policy.first_pause, policy.longest_pause));
        let next = Instant::now() + backoff.next_pause();
        if next >= parcel.deadline {
            return Err(parcel.failed(error));
        }
        tracing::debug!(
            subject = parcel.message.subject,
            attempts = parcel.attempts,
            is_unknown,
            "a message is handed over once more"
        );
        if let Some(telemetry) = &self.telemetry {
            telemetry.repeated();
        }
        sleep_until(next).await;
        Ok(())
    }
}
