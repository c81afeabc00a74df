//! What services have at their edge, around the handlers of a [router](crate::router): auth, rate limits, circuit breakers.
//!
//! Each is a `tower::Layer` for [`Router::layer`](crate::router::Router::layer) or
//! [`Route::layer`](crate::router::Route::layer). It is made once from its settings; clones share what it counts. The layer that
//! was added last is met first, so that the order of services is written from the inside out:
//!
//! ```
//! use headwater_nats::circuit_breaker::CircuitBreaker;
//! use headwater_nats::rate_limit::Rate;
//! use headwater_nats_messaging::layer::{CircuitBreakerLayer, RateLimit};
//! use headwater_nats_messaging::router::Router;
//!
//! async fn mail() {}
//!
//! let mails = CircuitBreakerLayer::new("mail-server", CircuitBreaker::default())?;
//! let limit = RateLimit::default().all(Rate::per_second(50)).layer()?;
//! let router: Router =
//!     Router::new().service("mailer").on_event("orders.*.placed", mail).layer(mails.clone()).layer(limit.clone());
//! assert_eq!((limit.stats().allowed, mails.stats().opened), (0, 0));
//! # Ok::<(), headwater_nats::problem::InvalidSettings>(())
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
//! Where several handlers have the same message and one of them is put off, all of them are called again. A layer around the
//! whole router puts off all or none.

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
