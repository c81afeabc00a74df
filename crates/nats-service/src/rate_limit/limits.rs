//! All limits of an instance, asked together: what one refuses, no other counts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use headwater_nats::subject::Subjects;

use super::keys::Now;
use super::limit::Limit;
use super::rate::Rate;
use super::settings::RateLimit;

/// Which limit it is, as `details.limit` and statistics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Service,
    Tenant,
    Caller,
    Command,
    Query,
}

impl Word {
    pub(crate) const ALL: [Self; 5] = [Self::Service, Self::Tenant, Self::Caller, Self::Command, Self::Query];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Tenant => "tenant",
            Self::Caller => "caller",
            Self::Command => "command",
            Self::Query => "query",
        }
    }
}

/// A request, as the limits see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) subject: &'a str,
    pub(super) tenant: u64,
    pub(super) caller: u64,
}

/// Why a request does not pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) limit: Word,
    /// After this time it would pass, if nobody else came meanwhile.
    pub(super) wait: Duration,
}

/// The limits of one instance. Only one request is decided at a time.
#[derive(Debug)]
pub(super) struct Limits {
    service: Option<Limit>,
    tenant: Option<Limit>,
    caller: Option<Limit>,
    /// Of single commands and queries, by subject.
    subjects: HashMap<Box<str>, (Word, Limit)>,
    now: Now,
}

/// The key of a limit that has only one.
const ONE: u64 = 0;

impl Limits {
    /// The settings were checked.
    pub(super) fn new(settings: &RateLimit, subjects: &Subjects, crowded: &Arc<AtomicU64>) -> Self {
        let now = Now::default();
        let keys = usize::try_from(settings.max_keys).unwrap_or(1);
        let limit = |rate: &Rate, keys| Some(Limit::new(rate.quota()?, keys, &now, crowded));
        let of = |rate: &Option<Rate>, keys| rate.as_ref().and_then(|rate| limit(rate, keys));
        let single = |word, prefix: &str, rates: &BTreeMap<String, Rate>| {
            let single = |(name, rate)| Some((format!("{prefix}.{name}").into(), (word, limit(rate, 1)?)));
            rates.iter().filter_map(single).collect::<Vec<_>>()
        };
        let service = subjects.service();
        let commands = single(Word::Command, &format!("{service}.command"), &settings.commands);
        let queries = single(Word::Query, &format!("{service}.query"), &settings.queries);
        Self {
            service: of(&settings.service, 1),
            tenant: of(&settings.tenant, keys),
            caller: of(&settings.caller, keys),
            subjects: commands.into_iter().chain(queries).collect(),
            now,
        }
    }

    /// Lets a request through at `now`, or says why not and counts it nowhere.
    pub(super) fn decide(&self, asked: Asked<'_>, now: Duration) -> Result<(), Refused> {
        self.now.set(now);
        let own = if self.subjects.is_empty() { None } else { self.subjects.get(asked.subject) };
        let apply = [
            self.service.as_ref().map(|limit| (Word::Service, limit, ONE)),
            self.tenant.as_ref().map(|limit| (Word::Tenant, limit, asked.tenant)),
            self.caller.as_ref().map(|limit| (Word::Caller, limit, asked.caller)),
            own.map(|(word, limit)| (*word, limit, ONE)),
        ];
        let refused = apply
            .iter()
            .flatten()
            .filter_map(|(word, limit, key)| limit.look(*key).map(|wait| Refused { limit: *word, wait }));
        // Whoever waits as long as the longest says passes all of them.
        if let Some(refused) = refused.max_by_key(|refused| refused.wait) {
            return Err(refused);
        }
        apply.iter().flatten().for_each(|(_, limit, key)| limit.take(*key));
        Ok(())
    }

    /// Forgets a part of the keys that are as good as new at `now`.
    pub(super) fn sweep(&self, now: Duration) {
        self.now.set(now);
        [&self.tenant, &self.caller].into_iter().flatten().for_each(Limit::sweep);
    }

    /// How many callers and tenants have used some of their budget.
    pub(super) fn keys(&self) -> usize {
        [&self.tenant, &self.caller].into_iter().flatten().map(Limit::keys).sum()
    }
}

#[cfg(test)]
mod tests {
    use headwater_core::Name;
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const ADD: &str = "tallies.command.tally.add";
    const GET: &str = "tallies.query.tally.get";

    fn limits(settings: &RateLimit) -> Limits {
        Limits::new(settings, &Subjects::new(Name::new("tallies").unwrap()), &Arc::default())
    }

    fn asked(subject: &str, caller: u64) -> Asked<'_> {
        Asked { subject, tenant: caller % 2, caller }
    }

    /// How many of `count` requests pass at `now`.
    fn pass(limits: &Limits, asked: Asked<'_>, count: u32, now: Duration) -> u32 {
        (0..count).map(|_| u32::from(limits.decide(asked, now).is_ok())).sum()
    }

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate_holds() {
        let limits = limits(&RateLimit::default().service(Rate::per_second(10).burst(20)));
        assert_eq!(pass(&limits, asked(ADD, 1), 100, Duration::ZERO), 20);
        assert_eq!(pass(&limits, asked(GET, 2), 100, 1000 * MS), 10);
        let more: u32 = (1001..=11_000).map(|at| pass(&limits, asked(ADD, 1), 1, at * MS)).sum();
        assert_eq!(more, 100);
    }

    #[test]
    fn callers_have_budgets_of_their_own_and_a_command_has_one_for_all() {
        let settings = RateLimit::default().caller(Rate::per_second(5)).command("tally.add", Rate::per_second(8));
        let limits = limits(&settings);
        assert_eq!(pass(&limits, asked(ADD, 1), 9, Duration::ZERO), 5);
        assert_eq!(pass(&limits, asked(ADD, 2), 9, Duration::ZERO), 3);
        // What the command's limit refused has not cost the caller anything.
        assert_eq!(pass(&limits, asked(GET, 2), 9, Duration::ZERO), 2);
        assert_eq!(pass(&limits, asked(GET, 3), 9, Duration::ZERO), 5);
    }

    #[test]
    fn a_refusal_names_the_limit_that_takes_longest_and_costs_nobody_anything() {
        let settings = RateLimit::default().service(Rate::per_second(10).burst(1)).tenant(Rate::per_minute(1).burst(1));
        let limits = limits(&settings);
        assert_eq!(limits.decide(asked(ADD, 1), Duration::ZERO), Ok(()));
        let refused = limits.decide(asked(ADD, 1), Duration::ZERO).unwrap_err();
        assert_eq!(refused, Refused { limit: Word::Tenant, wait: 60_000 * MS });
        // The other tenant has to wait for the service only, however often the first one is refused.
        assert_eq!(pass(&limits, asked(ADD, 1), 50, 50 * MS), 0);
        let refused = limits.decide(asked(ADD, 2), 50 * MS).unwrap_err();
        assert_eq!(refused, Refused { limit: Word::Service, wait: 50 * MS });
        assert_eq!(limits.decide(asked(ADD, 2), 100 * MS), Ok(()));
    }

    #[test]
    fn idle_keys_are_forgotten() {
        let limits = limits(&RateLimit::default().caller(Rate::per_second(1)).max_keys(5000));
        for caller in 0..1000 {
            // Spread as hashes are.
            let asked = asked(ADD, u64::wrapping_mul(caller, 0x9E37_79B9_7F4A_7C15));
            assert_eq!(limits.decide(asked, Duration::ZERO), Ok(()));
        }
        assert_eq!(limits.keys(), 1000);
        (0..10).for_each(|_| limits.sweep(500 * MS));
        assert_eq!(limits.keys(), 1000);
        (0..10).for_each(|_| limits.sweep(3000 * MS));
        assert_eq!(limits.keys(), 0);
    }

    proptest! {
        /// Whoever is refused and waits exactly as long as he was told passes, whatever limits there are; and whoever
        /// tries a nanosecond sooner does not.
        #[test]
        fn the_time_to_wait_is_true(
            rates in proptest::array::uniform4((1_u32..2000, 1_u64..5000, 1_u32..50)),
            steps in proptest::collection::vec((0_u64..200, 0_u64..3), 1..200),
        ) {
            let rate = |(rate, per, burst): (u32, u64, u32)| Rate::new(rate, Duration::from_millis(per)).burst(burst);
            let settings = RateLimit::default()
                .service(rate(rates[0]))
                .tenant(rate(rates[1]))
                .caller(rate(rates[2]))
                .command("tally.add", rate(rates[3]));
            let limits = limits(&settings);
            let mut now = Duration::ZERO;
            for (pause, caller) in steps {
                now += Duration::from_micros(pause * 10);
                if let Err(Refused { wait, .. }) = limits.decide(asked(ADD, caller), now) {
                    prop_assert!(wait > Duration::ZERO);
                    let early = limits.decide(asked(ADD, caller), now + wait - Duration::from_nanos(1));
                    prop_assert!(early.is_err());
                    now += wait;
                    prop_assert_eq!(limits.decide(asked(ADD, caller), now), Ok(()));
                }
            }
        }
    }
}
