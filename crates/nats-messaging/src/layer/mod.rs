//! What services have at their edge, around the handlers of a [router](crate::router): auth, rate limits, circuit breakers.
//!
//! Each is a `tower::Layer` for [`Router::layer`](crate::router::Router::layer) or
//! [`Route::layer`](crate::router::Route::layer). It is made once from its settings; clones share what it counts. The layer that
//! was added last is met first, so the order of services (auth, rate limit, circuit breaker) is written from the inside out:
//!
//! ```
//! use std::time::Duration;
//!
//! use headwater_nats::circuit_breaker::{CircuitBreaker, CircuitState};
//! use headwater_nats::rate_limit::Rate;
//! use headwater_nats_messaging::layer::{CircuitBreakerLayer, RateLimit};
//! use headwater_nats_messaging::memory::MemoryBroker;
//! use headwater_nats_messaging::message::Message;
//! use headwater_nats_messaging::publish::Publish;
//! use headwater_nats_messaging::router::{Router, Subject};
//! use tokio::time::Instant;
//!
//! async fn mail(Subject(order): Subject) -> Result<(), std::io::Error> {
//!     println!("about {order}");
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = MemoryBroker::new();
//! broker.stream("ORDERS", ["orders.>"])?;
//! let mails = CircuitBreakerLayer::new("mail-server", CircuitBreaker::default())?;
//! let limit = RateLimit::default().all(Rate::per_second(20).burst(1)).layer()?;
//! let router: Router =
//!     Router::new().service("mailer").on_event("orders.*.placed", mail).layer(mails.clone()).layer(limit.clone());
//! let running = router.start(broker.clone()).await?;
//!
//! for order in 0..3 {
//!     let message = Message::new(format!("orders.{order}.placed"), "");
//!     broker.send(message, Instant::now() + Duration::from_secs(1)).await?.await?;
//! }
//! // Two of them wait for 50 ms, and for another 50 ms.
//! # let numbers = |running: &headwater_nats_messaging::router::Running| {
//! #     running.processors().map(|(_, processor)| processor.stats()).next()
//! # };
//! # while numbers(&running).is_some_and(|stats| stats.handled < 3) { tokio::time::sleep(Duration::from_millis(5)).await; }
//! let (_, processor) = running.processors().next().ok_or("there is one consumer")?;
//! assert_eq!((processor.stats().handled, processor.stats().deliveries, processor.stats().failures), (3, 3, 0));
//! assert_eq!((limit.stats().allowed, mails.stats().state), (3, CircuitState::Closed));
//! running.shutdown(Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```
//!
//! What it means that a message does not pass:
//!
//! | layer | an event | a request |
//! |---|---|---|
//! | [`RateLimitLayer`] | waits until it passes: no attempt, no failure, nothing lost | 429 `rate-limited` with `retryAfterMs` |
//! | [`CircuitBreakerLayer`] | waits until the next try: no attempt, no failure, nothing lost | 503 `unavailable`, reason `circuit-open` |
#![cfg_attr(
    feature = "auth",
    doc = "| [`AuthLayer`] | is not handled: a [dead letter](crate::dead_letter) with the reason, or what else is set for what cannot be handled | 401 `unauthenticated`, 403 `forbidden` |"
)]
//!
//! Messages that wait stay in the processor's hands. When as many wait as may be in hand the consumer fetches no more until
//! some have passed, and what else it reads waits with them: patterns that are not to wait for each other have consumers of
//! their own, which is so unless they are put into a group.
//!
//! Where several handlers have the same message and one of them is put off, all of them are called again: those of one pattern
//! had better have one limit, around them all.

#[cfg(feature = "auth")]
mod auth;
mod caller;
mod circuit_breaker;
mod observe;
mod rate_limit;

#[cfg(feature = "auth")]
pub use auth::{Auth, AuthLayer, AuthService, Authenticate, Rule};
pub use circuit_breaker::{CircuitBreakerLayer, CircuitBreakerService, Judgement};
pub use headwater_nats::caller::Caller;
pub use rate_limit::{RateLimit, RateLimitLayer, RateLimitService, RateLimitStats, RefusedStats};
