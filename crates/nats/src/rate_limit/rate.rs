//! A rate: so many requests in so much time, and so many at once.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::connect::HumanDuration;
use crate::problem::Problems;

/// The longest time in which a budget may fill: 100 years, in nanoseconds. Sums of it must fit in 64 bits.
const LONGEST: u128 = 100 * 365 * 24 * 3600 * 1_000_000_000;

/// So many requests in so much time, and how many of them may come at once.
///
/// The budget fills steadily: 10 in a second are one in 100 ms. After a pause as many requests pass at once as `burst` says,
/// and then one at a time as the budget fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct Rate {
    /// How many requests.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    rate: i64,
    /// In how much time, such as `1s` or `250ms`; one second by default.
    #[serde(default = "one_second")]
    per: HumanDuration,
    /// How many may come at once; as many as `rate` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    burst: Option<i64>,
}

fn one_second() -> HumanDuration {
    HumanDuration::from_secs(1)
}

impl Rate {
    /// `requests` in `time`.
    pub fn new(requests: u32, time: Duration) -> Self {
        Self { rate: requests.into(), per: time.into(), burst: None }
    }

    /// `requests` in a second.
    pub fn per_second(requests: u32) -> Self {
        Self::new(requests, Duration::from_secs(1))
    }

    /// `requests` in a minute.
    pub fn per_minute(requests: u32) -> Self {
        Self::new(requests, Duration::from_secs(60))
    }

    /// How many may come at once; as many as the rate has by default.
    pub fn burst(self, requests: u32) -> Self {
        Self { burst: Some(requests.into()), ..self }
    }

    /// As the limiter takes it; none when [`check`](Self::check) has something to say.
    pub(super) fn quota(&self) -> Option<Quota> {
        let number = |number: i64| u32::try_from(number).ok().and_then(NonZeroU32::new);
        let (rate, burst) = (number(self.rate)?, number(self.burst.unwrap_or(self.rate))?);
        // Rounded up: never more than was asked for.
        let one = self.per.get().as_nanos().div_ceil(rate.get().into());
        let fits = self.per.get().as_nanos() >= rate.get().into() && one * u128::from(burst.get()) <= LONGEST;
        let one = Duration::from_nanos(u64::try_from(one).ok().filter(|_| fits)?);
        Some(Quota::with_period(one)?.allow_burst(burst))
    }

    /// Says what is wrong. `setting` is where it stands, such as `rate_limit.caller`.
    pub fn check(&self, setting: &str, problems: &mut Problems) {
        let countable = 1..=i64::from(u32::MAX);
        let before = problems.len();
        for (field, number) in [("rate", Some(self.rate)), ("burst", self.burst)] {
            if let Some(number) = number.filter(|number| !countable.contains(number)) {
                problems.add(format!("{setting}.{field}"), &number, format!("must be from 1 to {}", u32::MAX));
            }
        }
        if self.per.get().is_zero() {
            problems.add(format!("{setting}.per"), &self.per, "must be longer than nothing");
        }
        if problems.len() > before || self.quota().is_some() {
            return;
        }
        if self.per.get().as_nanos() < u128::from(self.rate.unsigned_abs()) {
            problems.add(format!("{setting}.rate"), &self.rate, "is more than one in a nanosecond");
        } else {
            problems.add(format!("{setting}.per"), &self.per, "the budget would take more than 100 years to fill");
        }
    }
}
