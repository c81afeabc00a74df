//! Rate limits: so much in so much time, for one and all or for each key.
//!
//! A [`Rate`] is a setting, [`Budgets`] are limits that are asked together, a [`Limiter`] is what many tasks ask.
//!
//! ```
//! use headwater_nats::rate_limit::{Budgets, Limiter, Rate};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // Five in a second altogether, and two from each.
//! let limiter = Limiter::new(Budgets::new([(Rate::per_second(5), 1), (Rate::per_second(2), 1000)]));
//! let (mia, bo) = (limiter.key("mia"), limiter.key("bo"));
//! let ask = |who| limiter.take(&[Some((0, 0)), Some((1, who))]);
//! assert!(ask(mia).is_ok() && ask(mia).is_ok());
//! assert_eq!(ask(mia).unwrap_err().limit, 1);
//! assert!(ask(bo).is_ok());
//! # }
//! ```

mod budgets;
mod keys;
mod limit;
mod limiter;
mod rate;

pub use budgets::{Budgets, Refused};
pub use limiter::Limiter;
pub use rate::Rate;
