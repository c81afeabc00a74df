//! How much of a service requests may take.

use std::num::NonZeroU32;
use std::time::Duration;

/// Limits of requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestLimits {
    pub(super) in_flight: NonZeroU32,
    pub(super) timeout: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { in_flight: const { NonZeroU32::new(256).expect("256 is not 0") }, timeout: Duration::from_secs(30) }
    }
}
