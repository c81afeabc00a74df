//! All limits of an instance, asked together: what one refuses, no other counts.

use std::collections::HashMap;

use headwater_nats::rate_limit::{Budgets, Rate};
use headwater_nats::subject::Subjects;

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

/// The limits of one instance, by their places among the budgets.
#[derive(Debug)]
pub(super) struct Limits {
    words: Vec<Word>,
    service: Option<usize>,
    tenant: Option<usize>,
    caller: Option<usize>,
    /// Of single commands and queries, by subject.
    subjects: HashMap<Box<str>, usize>,
}

/// The key of a limit that has only one.
const ONE: u64 = 0;

impl Limits {
    /// The limits, and the budgets behind them. The settings were checked.
    pub(super) fn new(settings: &RateLimit, subjects: &Subjects) -> (Self, Budgets) {
        let keys = usize::try_from(settings.max_keys).unwrap_or(1);
        let (mut words, mut budgets) = (Vec::new(), Vec::new());
        let mut add = |word, rate: &Rate, keys| {
            words.push(word);
            budgets.push((*rate, keys));
            budgets.len() - 1
        };
        let service = settings.service.as_ref().map(|rate| add(Word::Service, rate, 1));
        let tenant = settings.tenant.as_ref().map(|rate| add(Word::Tenant, rate, keys));
        let caller = settings.caller.as_ref().map(|rate| add(Word::Caller, rate, keys));
        let mut single = HashMap::new();
        let name = subjects.service();
        for (word, prefix, rates) in [
            (Word::Command, format!("{name}.command"), &settings.commands),
            (Word::Query, format!("{name}.query"), &settings.queries),
        ] {
            for (name, rate) in rates {
                single.insert(format!("{prefix}.{name}").into(), add(word, rate, 1));
            }
        }
        (Self { words, service, tenant, caller, subjects: single }, Budgets::new(budgets))
    }

    /// The limits that apply to a request, and its keys.
    pub(super) fn that_apply(&self, asked: Asked<'_>) -> [Option<(usize, u64)>; 4] {
        let own = if self.subjects.is_empty() { None } else { self.subjects.get(asked.subject).copied() };
        [
            self.service.map(|place| (place, ONE)),
            self.tenant.map(|place| (place, asked.tenant)),
            self.caller.map(|place| (place, asked.caller)),
            own.map(|place| (place, ONE)),
        ]
    }

    /// The limits that tell callers or tenants apart.
    pub(super) fn with_keys(&self) -> impl Iterator<Item = usize> {
        self.tenant.into_iter().chain(self.caller)
    }

    /// Which limit is at a place.
    pub(super) fn word(&self, place: usize) -> Word {
        self.words[place]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use headwater_core::Name;
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const ADD: &str = "tallies.command.tally.add";
    const GET: &str = "tallies.query.tally.get";

    /// The limits and their budgets, told the time.
    struct Told(Limits, Budgets);

    /// Why a request does not pass.
    #[derive(Debug, PartialEq, Eq)]
    struct Refused {
        limit: Word,
        wait: Duration,
    }

    impl Told {
        fn decide(&self, asked: Asked<'_>, now: Duration) -> Result<(), Refused> {
            let decided = self.1.decide(&self.0.that_apply(asked), now);
            decided.map_err(|refused| Refused { limit: self.0.word(refused.limit), wait: refused.wait })
        }
    }

    fn limits(settings: &RateLimit) -> Told {
        let (limits, budgets) = Limits::new(settings, &Subjects::new(Name::new("tallies").unwrap()));
        Told(limits, budgets)
    }

    fn asked(subject: &str, caller: u64) -> Asked<'_> {
        Asked { subject, tenant: caller % 2, caller }
    }

    /// How many of `count` requests pass at `now`.
    fn pass(limits: &Told, asked: Asked<'_>, count: u32, now: Duration) -> u32 {
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
        assert_eq!(limits.1.keys(0), 1000);
        (0..10).for_each(|_| limits.1.sweep(500 * MS));
        assert_eq!(limits.1.keys(0), 1000);
        (0..10).for_each(|_| limits.1.sweep(3000 * MS));
        assert_eq!(limits.1.keys(0), 0);
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
