//! Upcasters: stored event data of older schema versions, brought to the newest shape on read.
//!
//! Nothing stored is ever rewritten. A rule takes one version of one event to what it would be
//! called and look like today: one event, several, or none.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::DecodeError;

/// Event data between a stored version and the newest one.
#[derive(Debug, Clone, PartialEq)]
pub struct UpcastEvent {
    /// The event's name at this version.
    pub name: String,
    /// The schema version of `data`.
    pub version: u32,
    /// The data.
    pub data: Value,
}

#[derive(Clone)]
struct Rule {
    step: Step,
    apply: Arc<dyn Fn(Value) -> Result<Vec<UpcastEvent>, String> + Send + Sync>,
}

/// Where a rule leads, as far as that is known without data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// To the next version of the same event.
    Next,
    /// To any number of events.
    Elsewhere,
}

/// How many rules one stored event may pass through; more is taken for a circle.
const MAX_STEPS: usize = 64;

/// The rules of one aggregate type.
///
/// ```
/// use headwater_core::{UpcastEvent, Upcasters};
/// use serde_json::json;
///
/// let upcasters = Upcasters::new()
///     // 1 to 1: version 1 had no currency.
///     .rewrite("price-set", 1, |mut data| {
///         data["currency"] = json!("EUR");
///         Ok(data)
///     })
///     // 1 to many: what was one event is two today.
///     .split("moved-and-renamed", 1, |data| {
///         Ok(vec![
///             UpcastEvent { name: "moved".into(), version: 1, data: json!({ "to": data["to"] }) },
///             UpcastEvent { name: "renamed".into(), version: 1, data: json!({ "name": data["name"] }) },
///         ])
///     })
///     // 1 to none: nobody needs it any more.
///     .discard("page-viewed", 1);
/// assert_eq!(upcasters.len(), 3);
/// ```
#[derive(Clone, Default)]
pub struct Upcasters {
    rules: HashMap<(String, u32), Rule>,
}

impl Upcasters {
    /// No rules.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes `name` from `version` to the next version, one to one.
    #[must_use]
    pub fn rewrite(
        self,
        name: &str,
        version: u32,
        rule: impl Fn(Value) -> Result<Value, String> + Send + Sync + 'static,
    ) -> Self {
        let newer = name.to_owned();
        self.with(name, version, Step::Next, move |data| {
            rule(data).map(|data| vec![UpcastEvent { name: newer.clone(), version: version + 1, data }])
        })
    }

    /// Takes `name` at `version` to any number of events with names and versions of their own.
    /// They pass through further rules where there are any.
    #[must_use]
    pub fn split(
        self,
        name: &str,
        version: u32,
        rule: impl Fn(Value) -> Result<Vec<UpcastEvent>, String> + Send + Sync + 'static,
    ) -> Self {
        self.with(name, version, Step::Elsewhere, rule)
    }

    fn with(
        mut self,
        name: &str,
        version: u32,
        step: Step,
        rule: impl Fn(Value) -> Result<Vec<UpcastEvent>, String> + Send + Sync + 'static,
    ) -> Self {
        self.rules.insert((name.to_owned(), version), Rule { step, apply: Arc::new(rule) });
        self
    }

    /// Passes over `name` at `version`: it still counts as a revision and changes no state.
    #[must_use]
    pub fn discard(self, name: &str, version: u32) -> Self {
        self.split(name, version, |_| Ok(Vec::new()))
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are no rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule takes `name` at `version` further.
    #[must_use]
    pub fn has(&self, name: &str, version: u32) -> bool {
        // The look-up needs an owned key; it is skipped where there are no rules at all, which is the common case.
        !self.rules.is_empty() && self.rules.contains_key(&(name.to_owned(), version))
    }

    /// Where the rule for `name` at `version` leads; none when there is no rule.
    pub(crate) fn step(&self, name: &str, version: u32) -> Option<Step> {
        self.rules.get(&(name.to_owned(), version)).map(|rule| rule.step)
    }

    /// Brings one stored event as far as the rules go, oldest first.
    ///
    /// # Errors
    /// [`DecodeError::Data`] when the data is not JSON, [`DecodeError::Upcast`] when a rule
    /// refuses it or the rules lead in a circle.
    pub fn upcast(&self, name: &str, version: u32, data: &[u8]) -> Result<Vec<UpcastEvent>, DecodeError> {
        let data =
            serde_json::from_slice(data).map_err(|source| DecodeError::Data { name: name.to_owned(), source })?;
        let refused = |reason: String| DecodeError::Upcast { name: name.to_owned(), version, reason };
        let mut waiting = vec![UpcastEvent { name: name.to_owned(), version, data }];
        let mut done = Vec::with_capacity(1);
        let mut steps = 0;
        while let Some(event) = waiting.pop() {
            let Some(rule) = self.rules.get(&(event.name.clone(), event.version)) else {
                done.push(event);
                continue;
            };
            steps += 1;
            if steps > MAX_STEPS {
                return Err(refused(format!("more than {MAX_STEPS} steps; do the rules lead in a circle?")));
            }
            let newer = (rule.apply)(event.data).map_err(refused)?;
            // `waiting` is a stack: the first of the new events has to come out first.
            waiting.extend(newer.into_iter().rev());
        }
        Ok(done)
    }
}

impl fmt::Debug for Upcasters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rules: Vec<_> = self.rules.keys().collect();
        rules.sort();
        f.debug_struct("Upcasters").field("rules", &rules).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(name: &str, version: u32, data: Value) -> UpcastEvent {
        UpcastEvent { name: name.to_owned(), version, data }
    }

    #[test]
    fn rules_chain_until_none_applies_and_keep_the_order() {
        let upcasters = Upcasters::new()
            .rewrite("a", 1, |data| Ok(json!({ "was": data })))
            .split("a", 2, |data| Ok(vec![event("b", 1, data.clone()), event("c", 1, data)]))
            .rewrite("b", 1, |_| Ok(json!("b2")));
        let done = upcasters.upcast("a", 1, b"7").unwrap();
        assert_eq!(done, [event("b", 2, json!("b2")), event("c", 1, json!({ "was": 7 }))]);
    }

    #[test]
    fn a_discarded_event_leaves_nothing() {
        assert!(Upcasters::new().discard("a", 1).upcast("a", 1, b"{}").unwrap().is_empty());
    }

    #[test]
    fn a_circle_is_reported_and_not_followed_for_ever() {
        let circle = Upcasters::new().split("a", 1, |data| Ok(vec![event("a", 1, data)]));
        let refused = circle.upcast("a", 1, b"{}").unwrap_err();
        assert!(refused.to_string().contains("circle"), "{refused}");
    }

    #[test]
    fn a_refusal_names_event_and_version() {
        let refusing = Upcasters::new().rewrite("a", 3, |_| Err("no price".to_owned()));
        let refused = refusing.upcast("a", 3, b"{}").unwrap_err().to_string();
        assert!(refused.contains("`a`") && refused.contains('3') && refused.contains("no price"), "{refused}");
    }
}
