//! Circuit breakers: what fails or has become slow is left alone for a while, and tried again with a few calls.
//!
//! [`CircuitBreaker`] are the settings, [`Breaker`] is a circuit at work, [`Call`] a call through it.
//!
//! ```
//! use std::time::Duration;
//!
//! use headwater_nats::circuit_breaker::{Breaker, CircuitBreaker, CircuitState};
//!
//! let prices = Breaker::new("price-list", CircuitBreaker::default().min_calls(2).open(Duration::from_secs(5)));
//! prices.begin().expect("it is closed").failed();
//! prices.begin().expect("it is closed").failed();
//! assert_eq!(prices.state().0, CircuitState::Open);
//! assert!(prices.begin().is_err());
//! ```

mod breaker;
mod call;
mod machine;
mod settings;
mod stats;
mod window;

pub use breaker::{Breaker, Refused};
pub use call::Call;
pub use settings::{CircuitBreaker, Window};
pub use stats::{CircuitState, CircuitStats};
