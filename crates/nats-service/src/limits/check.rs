//! What can be wrong with limits.

use headwater_core::store::MAX_EVENTS_PER_APPEND;
use headwater_nats::limits::Limits as RequestLimits;
use tokio::sync::Semaphore;

use super::{Limits, SMALLEST_REPLY};
use crate::endpoint::{Asks, Endpoints};
use crate::problem::Problems;

impl Limits {
    pub(crate) fn check(&self, problems: &mut Problems) {
        self.check_numbers(problems);
        self.check_times(problems);
        for prefix in &self.reply_prefixes {
            if RequestLimits::default().allow_replies_under(prefix).is_err() {
                let reason = "must be plain tokens joined by dots, not starting with `$`";
                problems.add("limits.reply_prefixes", prefix, reason);
            }
        }
    }

    /// Limits of what the service does not have.
    pub(crate) fn check_names(&self, endpoints: &Endpoints, problems: &mut Problems) {
        for (plural, word, singles) in [("commands", "command", &self.commands), ("queries", "query", &self.queries)] {
            for name in singles.keys().filter(|name| !has(endpoints, word, name)) {
                let reason = format!("the service has no such {word}; it is written `aggregate.{word}`");
                problems.add(format!("limits.{plural}"), name, reason);
            }
        }
    }

    fn check_numbers(&self, problems: &mut Problems) {
        let numbers = [
            ("max_body", Some(self.max_body)),
            ("max_json_depth", Some(self.max_json_depth)),
            ("max_event_size", self.max_event_size),
            ("max_events", self.max_events),
            ("lane", Some(self.lane)),
        ];
        for (setting, value) in numbers {
            if value == Some(0) {
                problems.add(format!("limits.{setting}"), &0, "must be at least 1");
            }
        }
        let singles = [("commands", &self.commands), ("queries", &self.queries)];
        let singles = singles.into_iter().flat_map(|(plural, singles)| {
            singles
                .iter()
                .map(move |(name, single)| (format!("limits.{plural}.\"{name}\".in_flight"), single.in_flight))
        });
        for (setting, value) in singles.chain([("limits.in_flight".to_owned(), self.in_flight)]) {
            if value == 0 {
                problems.add(setting, &value, "must be at least 1");
            } else if value > Semaphore::MAX_PERMITS {
                // tokio's semaphore takes no more.
                problems.add(setting, &value, "is more than can be counted");
            }
        }
        if let Some(bytes) = self.max_reply.filter(|bytes| *bytes < SMALLEST_REPLY) {
            problems.add("limits.max_reply", &bytes, "must be at least 1024, to hold a failure");
        }
        if let Some(events) = self.max_events.filter(|events| *events > MAX_EVENTS_PER_APPEND) {
            let reason = format!("must be at most {MAX_EVENTS_PER_APPEND}, which is what a store takes at once");
            problems.add("limits.max_events", &events, reason);
        }
    }

    fn check_times(&self, problems: &mut Problems) {
        let times = [
            ("limits.default_deadline", Some(self.default_deadline)),
            ("limits.longest_deadline", Some(self.longest_deadline)),
            ("limits.handler_timeout", self.handler_timeout),
        ];
        for (setting, time) in times {
            if let Some(time) = time.filter(|time| time.get().is_zero()) {
                problems.add(setting, &time, "must be longer than nothing");
            }
        }
        if self.default_deadline > self.longest_deadline {
            let reason = "must not be above limits.longest_deadline";
            problems.add("limits.default_deadline", &self.default_deadline, reason);
        }
    }
}

fn has(endpoints: &Endpoints, word: &str, name: &str) -> bool {
    let Some((aggregate, name)) = name.split_once('.') else { return false };
    endpoints.iter().any(|endpoint| {
        let is_command = matches!(endpoint.asks, Asks::Command(_));
        is_command == (word == "command") && endpoint.aggregate.as_str() == aggregate && endpoint.asks.name() == name
    })
}
