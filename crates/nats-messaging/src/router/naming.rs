//! The names of durable consumers: where a service stopped reading is kept under them, so they stay the same.

use std::fmt;
use std::sync::Arc;

use super::pattern::Pattern;

/// The longest name that is made; servers take up to 255 bytes, and the name is part of a file's.
const LONGEST: usize = 120;

/// What a durable consumer is named after.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ConsumerOf<'a> {
    /// The service that reads.
    pub service: &'a str,
    /// The stream that is read.
    pub stream: &'a str,
    /// The group of patterns that share it, or the event family; none where a pattern has a consumer of its own.
    pub group: Option<&'a str>,
    /// The pattern, or the group's first in the order of patterns.
    pub pattern: &'a Pattern,
}

impl ConsumerOf<'_> {
    /// The name that is given unless the router is told otherwise.
    ///
    /// It is made of the service and the pattern, or the group, and of nothing else, and stays the same from release to
    /// release. Tokens are joined by `_`; `*` is `any` and `>` is `all`. What could be mistaken for another name, or is too
    /// long, ends with a hash. Two groups, and a group and a pattern, never have the same name.
    ///
    /// | service | pattern or group | name |
    /// |---|---|---|
    /// | `notifier` | `agent.>` | `notifier_agent_all` |
    /// | `notifier` | `orders.*.placed` | `notifier_orders_any_placed` |
    /// | `notifier` | group `tasks` | `notifier__tasks` |
    #[must_use]
    pub fn stable_name(&self) -> String {
        let (name, whole, plain) = match self.group {
            Some(group) => (format!("{}__{}", self.service, readable(group)), group, is_plain(group)),
            None => {
                let mut name = self.service.to_owned();
                let mut plain = true;
                for token in self.pattern.tokens() {
                    name.push('_');
                    match token {
                        "*" => name.push_str("any"),
                        ">" => name.push_str("all"),
                        literal => {
                            plain &= is_plain(literal) && !matches!(literal, "any" | "all");
                            name.push_str(&readable(literal));
                        }
                    }
                }
                (name, self.pattern.as_str(), plain)
            }
        };
        if plain && name.len() <= LONGEST {
            return name;
        }
        let readable: String = name.chars().take(LONGEST - 17).collect();
        format!("{readable}-{:016x}", hash(whole))
    }
}

/// Names consumers.
#[derive(Clone)]
pub(super) struct Naming(Arc<dyn Fn(&ConsumerOf<'_>) -> String + Send + Sync>);

impl Naming {
    pub(super) fn new(name: impl Fn(&ConsumerOf<'_>) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(name))
    }

    pub(super) fn name(&self, of: &ConsumerOf<'_>) -> String {
        (self.0)(of)
    }
}

impl Default for Naming {
    fn default() -> Self {
        Self::new(|of| of.stable_name())
    }
}

impl fmt::Debug for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Naming")
    }
}

/// Whether a token stands in a name as it is: `_` is what joins tokens.
fn is_plain(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// What of a token may be in a name.
fn readable(token: &str) -> String {
    token.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect()
}

/// FNV-1a, 64 bits: short, and the same for ever.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(service: &str, group: Option<&str>, pattern: &str) -> String {
        let pattern = Pattern::new(pattern).unwrap();
        ConsumerOf { service, stream: "S", group, pattern: &pattern }.stable_name()
    }

    /// Deployed services read under these names: a change here makes them all begin anew.
    #[test]
    fn names_are_the_same_in_every_release() {
        for (group, pattern, expected) in [
            (None, "agent.>", "notifier_agent_all"),
            (None, "agent.started", "notifier_agent_started"),
            (None, "orders.*.placed", "notifier_orders_any_placed"),
            (None, ">", "notifier_all"),
            (None, "task-events.created", "notifier_task-events_created"),
            (None, "agent.all", "notifier_agent_all-285094a868ae5d7b"),
            (None, "agent_a.b", "notifier_agent-a_b-b8050c2b52543ae6"),
            (None, "größe.x", "notifier_gr--e_x-f49021a970343d6c"),
            (Some("tasks"), "task.>", "notifier__tasks"),
            (Some("agent-event"), "agent.started", "notifier__agent-event"),
            (Some("my tasks"), "task.>", "notifier__my-tasks-5d978bcd5355c9e1"),
        ] {
            assert_eq!(name("notifier", group, pattern), expected, "{group:?} {pattern}");
        }
    }

    #[test]
    fn whatever_the_pattern_the_name_is_one_that_servers_take() {
        let long = vec!["token"; 100].join(".");
        for pattern in [long.as_str(), "a/b.c\\d", "$JS.x", "a:b.ü", "*.*.>"] {
            let name = name("notifier", None, pattern);
            assert!(name.len() <= LONGEST && name.starts_with("notifier_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')), "{name}");
        }
    }

    #[test]
    fn different_patterns_have_different_names() {
        let patterns = ["a.b", "a_b", "a-b", "a.b.c", "a.any", "a.*", "a.all", "a.>", "a._b", "a-.b", "a.-b"];
        let names: std::collections::BTreeSet<_> = patterns.iter().map(|pattern| name("s", None, pattern)).collect();
        assert_eq!(names.len(), patterns.len(), "{names:?}");
        assert_ne!(name("s", Some("a"), "x"), name("s", None, "a"));
    }
}
