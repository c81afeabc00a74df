//! Time limits for what is done at once as a rule.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

/// As [`timeout`], but no clock is read for what does not have to wait: its time begins when it does.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    match poll!(future.as_mut()) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => timeout(limit, future).await,
    }
}

/// As [`timeout_at`], but no timer is made for what does not have to wait.
pub(crate) async fn until<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    match poll!(future.as_mut()) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => timeout_at(deadline, future).await,
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_waits_has_its_limit_and_what_does_not_needs_none() {
        assert_eq!(within(Duration::ZERO, ready(1)).await.ok(), Some(1));
        let second = Duration::from_secs(1);
        let slow = async { tokio::time::sleep(second).await };
        assert!(within(second * 2, slow).await.is_ok());
        assert!(within(second, pending::<()>()).await.is_err());
        assert_eq!(until(Instant::now(), ready(1)).await.ok(), Some(1));
        assert!(until(Instant::now() + second, pending::<()>()).await.is_err());
    }
}
