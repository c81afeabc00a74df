//! Handlers behind rate limits.

mod layer;
mod settings;
mod stats;

pub use layer::{RateLimitLayer, RateLimitService};
pub use settings::RateLimit;
pub use stats::{RateLimitStats, RefusedStats};
