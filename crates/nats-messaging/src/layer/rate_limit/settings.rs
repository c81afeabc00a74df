//! The settings of rate limits, and what can be wrong with them.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use headwater_nats::connect::HumanDuration;
use headwater_nats::problem::{InvalidSettings, Problems};
use headwater_nats::rate_limit::Rate;
use serde::{Deserialize, Serialize};

use super::layer::RateLimitLayer;
use crate::router::Context;

/// How many messages handlers are given in how much time: altogether, from each caller and each tenant.
///
/// All limits that are set apply together, and a message must pass all of them; what one of them holds up is not counted by
/// any. The limits count for all handlers that the [layer](Self::layer) is put around, and in each process by itself: three
/// instances of a program take three times as much.
///
/// An event over the limit waits until it passes. Over the limit of all it keeps its handler's place for as long as
/// [`wait`](Self::wait) says, so that those behind it wait too, and then makes room and comes back; over the limit of its caller
/// or tenant it makes room at once. It is in hand all the time, of which the server hears: it is delivered once, and no attempt
/// is used up. A request over the limit is answered with 429 `rate-limited`.
///
/// ```
/// use headwater_nats::rate_limit::Rate;
/// use headwater_nats_messaging::layer::RateLimit;
///
/// let limit = RateLimit::default().all(Rate::per_second(100).burst(20)).tenant(Rate::per_minute(600)).layer()?;
/// # drop(limit);
/// # Ok::<(), headwater_nats::problem::InvalidSettings>(())
/// ```
///
/// The same as TOML:
///
/// ```toml
/// [rate_limit]
/// all = { rate = 100, per = "1s", burst = 20 }
/// tenant = { rate = 600, per = "1m" }
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct RateLimit {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) all: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) caller: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) caller_header: Option<String>,
    pub(super) max_keys: i64,
    pub(super) wait: HumanDuration,
    #[serde(skip)]
    pub(super) caller_key: Option<CallerKey>,
}

/// The most that [`RateLimit::max_keys`] may be: 2 GiB of memory.
const MOST_KEYS: i64 = 100_000_000;

/// The longest that an event may keep its handler's place.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            all: None,
            tenant: None,
            caller: None,
            caller_header: None,
            max_keys: 100_000,
            wait: HumanDuration::from_secs(2),
            caller_key: None,
        }
    }
}

impl RateLimit {
    /// Limits all messages together. No limit by default.
    pub fn all(self, rate: Rate) -> Self {
        Self { all: Some(rate), ..self }
    }

    /// Limits each tenant; messages without a verified tenant count as those of one. No limit by default.
    pub fn tenant(self, rate: Rate) -> Self {
        Self { tenant: Some(rate), ..self }
    }

    /// Limits each caller. A caller is whom a layer [has verified](Context::caller), or else whom
    /// [`caller_header`](Self::caller_header) or [`caller_key`](Self::caller_key) name; without either, all callers count as
    /// one. No limit by default.
    pub fn caller(self, rate: Rate) -> Self {
        Self { caller: Some(rate), ..self }
    }

    /// The header that names a caller whose identity was not verified. Anybody can write anything there: against callers who
    /// mean harm it needs a limit for [all](Self::all) beside it, or auth.
    pub fn caller_header(self, name: impl Into<String>) -> Self {
        Self { caller_header: Some(name.into()), ..self }
    }

    /// Names a caller whose identity was not verified, from the message. None counts as one caller with all others that have
    /// none. It is called for every message and must be quick.
    pub fn caller_key(self, key: impl for<'a> Fn(&'a Context) -> Option<Cow<'a, str>> + Send + Sync + 'static) -> Self {
        Self { caller_key: Some(CallerKey(Arc::new(key))), ..self }
    }

    /// The most callers, and the most tenants, that are told apart at a time; 100,000 by default, which takes 2 MiB each. When
    /// all places are taken, newcomers share one budget of the same rate until places are free.
    pub fn max_keys(self, keys: u32) -> Self {
        Self { max_keys: keys.into(), ..self }
    }

    /// How long an event over the limit of [all](Self::all) keeps its handler's place; 2 s by default, a minute at most. Whoever
    /// would have to wait longer makes room for others and comes back, after a second or more.
    pub fn wait(self, time: Duration) -> Self {
        Self { wait: time.into(), ..self }
    }

    /// The layer.
    ///
    /// # Errors
    /// With everything that is wrong with the settings.
    pub fn layer(self) -> Result<RateLimitLayer, InvalidSettings> {
        let mut problems = Problems::default();
        self.check(&mut problems);
        problems.none()?;
        Ok(RateLimitLayer::new(self))
    }

    fn check(&self, problems: &mut Problems) {
        let limits = [("all", &self.all), ("tenant", &self.tenant), ("caller", &self.caller)];
        for (setting, rate) in limits {
            if let Some(rate) = rate {
                rate.check(&format!("rate_limit.{setting}"), problems);
            }
        }
        if limits.iter().all(|(_, rate)| rate.is_none()) {
            problems.add("rate_limit", &"", "limits nothing: one of all, tenant and caller is needed");
        }
        if !(1..=MOST_KEYS).contains(&self.max_keys) {
            problems.add("rate_limit.max_keys", &self.max_keys, format!("must be from 1 to {MOST_KEYS}"));
        }
        if self.wait.get() > LONGEST_WAIT {
            problems.add("rate_limit.wait", &self.wait, "must be at most 1m");
        }
        if self.caller_key.is_some() && self.caller.is_none() {
            problems.add("rate_limit.caller_key", &"", "does nothing without rate_limit.caller");
        }
        let Some(header) = &self.caller_header else { return };
        let setting = "rate_limit.caller_header";
        if header.is_empty() || !header.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
            problems.add(setting, header, "is not the name of a header");
        }
        if self.caller.is_none() {
            problems.add(setting, header, "does nothing without rate_limit.caller");
        }
        if self.caller_key.is_some() {
            problems.add(setting, header, "does nothing beside rate_limit.caller_key");
        }
    }
}

/// Names callers.
#[derive(Clone)]
pub(super) struct CallerKey(Arc<KeyOf>);

type KeyOf = dyn for<'a> Fn(&'a Context) -> Option<Cow<'a, str>> + Send + Sync;

impl CallerKey {
    pub(super) fn of<'a>(&self, context: &'a Context) -> Option<Cow<'a, str>> {
        (self.0)(context)
    }
}

impl fmt::Debug for CallerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_told() {
        let wrong = |settings: RateLimit| {
            let problems = settings.layer().unwrap_err().problems;
            problems.into_iter().map(|problem| problem.setting).collect::<Vec<_>>()
        };
        assert_eq!(wrong(RateLimit::default()), ["rate_limit"]);
        assert_eq!(wrong(RateLimit::default().all(Rate::per_second(0))), ["rate_limit.all.rate"]);
        let rest = RateLimit::default().all(Rate::per_second(1)).max_keys(0).wait(Duration::from_secs(61));
        assert_eq!(
            wrong(rest.caller_header("X Client").caller_key(|_| None)),
            [
                "rate_limit.max_keys",
                "rate_limit.wait",
                "rate_limit.caller_key",
                "rate_limit.caller_header",
                "rate_limit.caller_header",
                "rate_limit.caller_header"
            ]
        );
    }

    #[test]
    fn the_settings_can_be_read_from_a_file() {
        let read: RateLimit = toml::from_str("wait = '500ms'\n[all]\nrate = 10\nper = '1m'").unwrap();
        assert_eq!((read.all, read.wait.get()), (Some(Rate::per_minute(10)), Duration::from_millis(500)));
        assert!(toml::from_str::<RateLimit>("every = 1").is_err());
    }
}
