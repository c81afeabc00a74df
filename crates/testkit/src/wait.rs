//! Waiting for something to become true, with a deadline, instead of sleeping and hoping.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What was waited for did not come about in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("waited {within:?} in vain for: {what}")]
pub struct NotInTime {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub within: Duration,
}

/// Looks again and again, with short growing pauses, until `look` returns something.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::cell::Cell;
/// use std::time::Duration;
/// use headwater_testkit::wait_until;
///
/// let looks = Cell::new(0);
/// let found = wait_until(Duration::from_secs(5), "the third look", async || {
///     looks.set(looks.get() + 1);
///     (looks.get() == 3).then_some("found")
/// })
/// .await;
/// assert_eq!(found, "found");
/// # }
/// ```
///
/// The future that `look` returns cannot keep a `&mut` to what the closure captured; in return, waiting works on a
/// spawned task too (the compiler cannot show that yet for closures that lend).
///
/// # Panics
///
/// When the deadline passes; the message names `what`. A look that takes longer than what is left is cut off.
pub async fn wait_until<T, Look>(within: Duration, what: &str, look: impl FnMut() -> Look) -> T
where
    Look: Future<Output = Option<T>>,
{
    match try_wait_until(within, what, look).await {
        Ok(found) => found,
        Err(error) => panic!("{error}"),
    }
}

/// Like [`wait_until`], with the missed deadline as an error.
///
/// # Errors
///
/// When the deadline passes. There is always at least one look, however short the time.
pub async fn try_wait_until<T, Look>(
    within: Duration,
    what: &str,
    mut look: impl FnMut() -> Look,
) -> Result<T, NotInTime>
where
    Look: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + within;
    let mut pause = FIRST_PAUSE;
    loop {
        // `timeout_at` polls the look before the clock, so even a deadline in the past gets one.
        if let Ok(Some(found)) = timeout_at(deadline, look()).await {
            return Ok(found);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(NotInTime { what: what.to_owned(), within });
        }
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missed_deadline_names_what_was_waited_for() {
        let error = try_wait_until(Duration::from_millis(20), "the tide", async || None::<()>).await.unwrap_err();
        assert_eq!(error.to_string(), "waited 20ms in vain for: the tide");
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_cut_off_at_the_deadline() {
        let hanging = try_wait_until(Duration::from_millis(20), "an answer", std::future::pending::<Option<()>>);
        assert!(hanging.await.is_err());
    }

    #[tokio::test]
    async fn there_is_one_look_even_without_time() {
        assert_eq!(try_wait_until(Duration::ZERO, "now", async || Some(1)).await, Ok(1));
    }
}
