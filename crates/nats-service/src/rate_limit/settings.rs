//! The settings of rate limits, and what can be wrong with them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use headwater_core::AggregateType;
use headwater_nats::rate_limit::Rate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::edge::Request;
use crate::problem::Problems;

/// How many requests an instance takes in how much time: altogether, for each command or query, from each caller and each
/// tenant. Handed to [`Service::rate_limit`](crate::Service::rate_limit).
///
/// All limits that are set apply together, and a request must pass all of them. What one of them refuses is not counted by
/// any: the answer is 429 `rate-limited`, with the time after which it would pass in `details.retryAfterMs` and which limit
/// it was in `details.limit`. Each instance counts for itself: a service of three instances takes three times as much.
///
/// ```
/// use headwater_nats_service::{Rate, RateLimit};
///
/// let limit = RateLimit::default()
///     .service(Rate::per_second(1000).burst(200))
///     .caller(Rate::per_second(10).burst(20))
///     .command("receipt.add-item", Rate::per_minute(300));
/// ```
///
/// The same as TOML:
///
/// ```toml
/// [rate_limit]
/// service = { rate = 1000, per = "1s", burst = 200 }
/// caller = { rate = 10, burst = 20 }
/// [rate_limit.commands."receipt.add-item"]
/// rate = 300
/// per = "1m"
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct RateLimit {
    /// All commands and queries together. None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<Rate>,
    /// Each tenant's commands and queries; requests without a tenant count as those of one. None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<Rate>,
    /// Each caller's commands and queries. None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) caller: Option<Rate>,
    /// The header that names a caller whose identity was not verified. Without it such callers count as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) caller_header: Option<String>,
    /// Single commands, as `aggregate.command`; each counts the requests of all callers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) commands: BTreeMap<String, Rate>,
    /// Single queries, as `aggregate.query`, `get` and `history` included.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) queries: BTreeMap<String, Rate>,
    /// The most callers, and the most tenants, that are told apart at a time; 100,000 by default, which takes 2 MiB each.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub(crate) max_keys: i64,
    #[serde(skip)]
    pub(crate) caller_key: Option<CallerKey>,
}

/// The most that [`RateLimit::max_keys`] may be: 2 GiB of memory.
const MOST_KEYS: i64 = 100_000_000;

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            service: None,
            tenant: None,
            caller: None,
            caller_header: None,
            commands: BTreeMap::new(),
            queries: BTreeMap::new(),
            max_keys: 100_000,
            caller_key: None,
        }
    }
}

impl RateLimit {
    /// Limits all commands and queries together. No limit by default.
    pub fn service(self, rate: Rate) -> Self {
        Self { service: Some(rate), ..self }
    }

    /// Limits one command, as `aggregate.command`: all callers' requests for it together.
    pub fn command(mut self, name: impl Into<String>, rate: Rate) -> Self {
        self.commands.insert(name.into(), rate);
        self
    }

    /// Limits one query, as `aggregate.query`: all callers' requests for it together. `get` and `history` are queries too.
    pub fn query(mut self, name: impl Into<String>, rate: Rate) -> Self {
        self.queries.insert(name.into(), rate);
        self
    }

    /// Limits each caller. A caller is who auth verified, or else whom [`caller_header`](Self::caller_header) or
    /// [`caller_key`](Self::caller_key) name; without either, all callers count as one. No limit by default.
    pub fn caller(self, rate: Rate) -> Self {
        Self { caller: Some(rate), ..self }
    }

    /// Limits each tenant; requests without a verified tenant count as those of one. No limit by default.
    pub fn tenant(self, rate: Rate) -> Self {
        Self { tenant: Some(rate), ..self }
    }

    /// The header that names a caller whose identity was not verified, such as `X-Client`. Anybody can write anything there:
    /// against callers who mean harm it needs a [`service`](Self::service) limit beside it, or auth.
    pub fn caller_header(self, name: impl Into<String>) -> Self {
        Self { caller_header: Some(name.into()), ..self }
    }

    /// Names a caller whose identity was not verified, from the request. None counts as one caller with all others that have
    /// none. It is called for every request, while others wait, and must be quick.
    ///
    /// ```
    /// use headwater_nats_service::{Rate, RateLimit};
    ///
    /// let limit = RateLimit::default()
    ///     .caller(Rate::per_second(10))
    ///     .caller_key(|request| request.header("X-Client")?.split('/').next().map(Into::into));
    /// ```
    pub fn caller_key(self, key: impl for<'a> Fn(&'a Request) -> Option<Cow<'a, str>> + Send + Sync + 'static) -> Self {
        Self { caller_key: Some(CallerKey(Arc::new(key))), ..self }
    }

    /// The most callers, and the most tenants, that are told apart at a time; 100,000 by default, which takes 2 MiB each.
    /// One that has not used any of its budget takes no place. When all places are taken, newcomers share one budget of the
    /// same rate until places are free; those who have a place keep it.
    pub fn max_keys(self, keys: u32) -> Self {
        Self { max_keys: keys.into(), ..self }
    }

    /// Whether any limit is set.
    pub(crate) fn is_on(&self) -> bool {
        let single = [&self.service, &self.tenant, &self.caller];
        single.into_iter().any(Option::is_some) || !self.commands.is_empty() || !self.queries.is_empty()
    }

    /// `types` are the aggregate types of the service, if all of them are known.
    pub(crate) fn check(&self, types: Option<&[&AggregateType]>, problems: &mut Problems) {
        for (setting, rate) in [("service", &self.service), ("tenant", &self.tenant), ("caller", &self.caller)] {
            if let Some(rate) = rate {
                rate.check(&format!("rate_limit.{setting}"), problems);
            }
        }
        for (word, rates) in [("command", &self.commands), ("query", &self.queries)] {
            let plural = if word == "command" { "commands" } else { "queries" };
            for (name, rate) in rates {
                if types.is_some_and(|types| !exists(types, word, name)) {
                    let reason = format!("the service has no such {word}; it is written `aggregate.{word}`");
                    problems.add(format!("rate_limit.{plural}"), name, reason);
                }
                rate.check(&format!("rate_limit.{plural}.\"{name}\""), problems);
            }
        }
        if !(1..=MOST_KEYS).contains(&self.max_keys) {
            problems.add("rate_limit.max_keys", &self.max_keys, format!("must be from 1 to {MOST_KEYS}"));
        }
        self.check_callers(problems);
    }

    fn check_callers(&self, problems: &mut Problems) {
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

/// Whether the service has a command or query of this name.
fn exists(types: &[&AggregateType], word: &str, name: &str) -> bool {
    let Some((kind, name)) = name.split_once('.') else { return false };
    let Some(described) = types.iter().find(|described| described.kind().as_str() == kind) else { return false };
    match word {
        "command" => described.commands().any(|command| command.name().as_str() == name),
        _ => {
            let usual = [headwater_nats::subject::GET, headwater_nats::subject::HISTORY];
            usual.contains(&name) || described.queries().any(|query| query.name().as_str() == name)
        }
    }
}

/// Names callers.
#[derive(Clone)]
pub(crate) struct CallerKey(Arc<KeyOf>);

type KeyOf = dyn for<'a> Fn(&'a Request) -> Option<Cow<'a, str>> + Send + Sync;

impl CallerKey {
    pub(crate) fn of<'a>(&self, request: &'a Request) -> Option<Cow<'a, str>> {
        (self.0)(request)
    }
}

impl fmt::Debug for CallerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function")
    }
}

impl PartialEq for CallerKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
