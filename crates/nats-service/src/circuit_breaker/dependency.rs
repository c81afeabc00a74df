//! What handlers ask outside of the service, each behind a circuit of its own.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::HandleError;
use headwater_nats::circuit_breaker::{Breaker, CircuitBreaker, CircuitStats};

/// Something outside that handlers ask, such as a price list or a payment service, behind a circuit of its own. Clones share
/// the circuit.
///
/// One is part of what a handler is given, and is also [registered](crate::Service::dependency) with the service, so that it
/// is seen in statistics and health under its name.
///
/// ```
/// # use headwater_nats_service::{CircuitBreaker, Dependency, DependencyError};
/// # use std::time::Duration;
/// # async fn ask_the_price(item: &str) -> Result<u64, std::io::Error> { Ok(item.len() as u64) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let prices = Dependency::new("price-list", CircuitBreaker::default().slow_call(Duration::from_millis(300)));
///
/// // In a handler, `.map_err(DependencyError::unavailable)?` makes it the answer to the caller.
/// let price = prices.call(ask_the_price("Coffee")).await;
/// assert_eq!(price.unwrap(), 6);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Dependency {
    breaker: Arc<Breaker>,
}

/// Why a dependency gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DependencyError<E> {
    /// It was not asked: its circuit is open.
    #[error("`{dependency}` is not asked at the moment: its circuit is open")]
    Open {
        /// Its name.
        dependency: &'static str,
        /// How long until the next try.
        retry_after: Duration,
    },
    /// It was asked, and this came of it.
    #[error("`{dependency}` gave no answer")]
    Failed {
        /// Its name.
        dependency: &'static str,
        /// What came of it.
        #[source]
        source: E,
    },
}

impl<E> DependencyError<E> {
    /// The news for the caller of the command: 503 `unavailable` with the dependency's name as the reason, and, when the
    /// circuit is open, the time of the next try.
    pub fn unavailable<R>(self) -> HandleError<R>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match self {
            Self::Open { dependency, retry_after } => {
                HandleError::unavailable(dependency, "its circuit is open").retry_after(retry_after)
            }
            Self::Failed { dependency, source } => HandleError::unavailable(dependency, source),
        }
    }
}

impl Dependency {
    /// The dependency called `name`, a [name](headwater_core::Name) of the protocol. Name and settings are checked when a
    /// service starts that it is registered with.
    #[must_use]
    pub fn new(name: &'static str, settings: CircuitBreaker) -> Self {
        Self { breaker: Arc::new(Breaker::new(name, settings)) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.breaker.name()
    }

    /// How its circuit is.
    #[must_use]
    pub fn stats(&self) -> CircuitStats {
        self.breaker.stats()
    }

    /// Asks it, unless its circuit is open; then `asking` is never polled. Every error counts as a failure.
    ///
    /// Dropping the returned future gives the call up: it counts as slow if it was, and otherwise as nothing.
    ///
    /// # Errors
    /// [`DependencyError::Open`] at once when the circuit is open, and [`DependencyError::Failed`] with the error of `asking`.
    pub async fn call<T, E>(&self, asking: impl Future<Output = Result<T, E>>) -> Result<T, DependencyError<E>> {
        self.call_counting(asking, |_| true).await
    }

    /// The same, where only the errors count of which `is_failure` says so. An answer such as "no such item" comes from a
    /// dependency that works.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_counting<T, E>(
        &self,
        asking: impl Future<Output = Result<T, E>>,
        is_failure: impl FnOnce(&E) -> bool,
    ) -> Result<T, DependencyError<E>> {
        let dependency = self.name();
        let call =
            self.breaker.begin().map_err(|refused| DependencyError::Open { dependency, retry_after: refused.wait })?;
        let answer = asking.await;
        match &answer {
            Err(error) if is_failure(error) => call.failed(),
            Ok(_) | Err(_) => call.answered(),
        }
        answer.map_err(|source| DependencyError::Failed { dependency, source })
    }

    pub(super) fn breaker(&self) -> &Arc<Breaker> {
        &self.breaker
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use headwater_nats::circuit_breaker::CircuitState;
    use tokio::time::{advance, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn prices() -> Dependency {
        Dependency::new("price-list", CircuitBreaker::default().min_calls(2).trial_calls(1).open(5 * SECOND))
    }

    #[tokio::test(start_paused = true)]
    async fn a_dependency_that_fails_is_left_alone_and_tried_again_later() {
        let prices = prices();
        for _ in 0..2 {
            let failed = prices.call(ready(Err::<(), _>("no route to host"))).await.unwrap_err();
            assert!(matches!(failed, DependencyError::Failed { dependency: "price-list", source: "no route to host" }));
        }
        advance(2 * SECOND).await;
        let never = async { panic!("it is not asked") };
        let refused = prices.call::<(), &str>(never).await.unwrap_err();
        assert!(matches!(refused, DependencyError::Open { retry_after, .. } if retry_after == 3 * SECOND), "{refused}");
        advance(3 * SECOND).await;
        assert_eq!(prices.call(ready(Ok::<_, &str>(7))).await.unwrap(), 7);
        assert_eq!(prices.stats().state, CircuitState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dependency_that_never_answers_opens_its_circuit_although_callers_give_up() {
        let prices = prices();
        for _ in 0..2 {
            timeout(3 * SECOND, prices.call(pending::<Result<(), &str>>())).await.unwrap_err();
        }
        assert_eq!((prices.stats().state, prices.stats().slow), (CircuitState::Open, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_is_an_answer_does_not_count() {
        let prices = prices();
        for _ in 0..10 {
            prices.call_counting(ready(Err::<(), _>("no such item")), |_| false).await.unwrap_err();
        }
        assert_eq!((prices.stats().state, prices.stats().good), (CircuitState::Closed, 10));
    }
}
