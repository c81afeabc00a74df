//! Rules: who may send what. What no rule allows is refused.

use std::collections::BTreeMap;
use std::fmt;

use headwater_nats::auth::{Caller, Conditions};
use headwater_nats::problem::Problems;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::router::{Pattern, Tree};

/// Something that is allowed: to send messages to these subjects, for callers that have one of the roles, belong to one of the
/// tenants, and have all of the claims. What is left out is no condition; a rule without conditions is for every caller whose
/// identity was verified.
///
/// ```
/// use headwater_nats_messaging::layer::Rule;
///
/// let rule = Rule::allow(["orders.*.placed", "shop.quote"]).role("clerk").claim("department", "sales");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct Rule {
    subjects: Vec<String>,
    roles: Vec<String>,
    tenants: Vec<String>,
    claims: BTreeMap<String, Value>,
}

impl Rule {
    /// Allows messages to these subjects, with wildcards.
    pub fn allow<P: Into<String>>(subjects: impl IntoIterator<Item = P>) -> Self {
        Self { subjects: subjects.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Only for callers with this role, or another one named so.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Only for callers of this tenant, or another one named so.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenants.push(tenant.into());
        self
    }

    /// Only for callers with this claim: with this value or with a list that holds it. A name that starts with `/` is a JSON
    /// Pointer into the claims.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    fn conditions(&self) -> Conditions<'_> {
        Conditions { roles: &self.roles, tenants: &self.tenants, claims: &self.claims }
    }
}

/// The rules, by what they are about.
pub(super) struct Rules {
    rules: Vec<Rule>,
    /// The numbers of the rules that allow what is sent to a subject.
    at: Tree<usize>,
}

impl Rules {
    /// Sorts the rules, and says what is wrong with them.
    pub(super) fn new(rules: Vec<Rule>, roles: &[String], problems: &mut Problems) -> Self {
        let mut at = Tree::default();
        for (number, rule) in rules.iter().enumerate() {
            let place = format!("auth.rules[{number}]");
            if rule.subjects.is_empty() {
                problems.add(&place, &"", "allows no subject");
            }
            rule.conditions().check(roles, &place, problems);
            for subject in &rule.subjects {
                match Pattern::new(subject) {
                    Ok(pattern) => at.insert(&pattern, number),
                    Err(error) => problems.add(format!("{place}.subjects"), &error.pattern, error.reason),
                }
            }
        }
        Self { rules, at }
    }

    /// Whether a rule allows the caller what was sent to the subject.
    pub(super) fn allow(&self, caller: &Caller, subject: &str) -> bool {
        let mut allowed = false;
        self.at.each(subject, &mut |number: &usize| {
            allowed = allowed || self.rules[*number].conditions().hold_for(caller);
        });
        allowed
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rules({})", self.rules.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_rule_that_takes_the_subject_may_allow_it() {
        let mut problems = Problems::default();
        let rules = vec![
            Rule::allow(["orders.>"]).role("clerk"),
            Rule::allow(["orders.*.placed", "shop.quote"]).tenant("north"),
            Rule::allow(["news"]),
        ];
        let rules = Rules::new(rules, &["clerk".to_owned()], &mut problems);
        assert!(problems.is_empty());
        let (clerk, northern) = (Caller::new("mia").role("clerk"), Caller::new("bo").tenant("north"));
        for (caller, subject, allowed) in [
            (&clerk, "orders.7.paid", true),
            (&clerk, "shop.quote", false),
            (&northern, "orders.7.placed", true),
            (&northern, "orders.7.paid", false),
            (&northern, "shop.quote", true),
            (&northern, "news", true),
            (&clerk, "other", false),
        ] {
            assert_eq!(rules.allow(caller, subject), allowed, "{caller:?} {subject}");
        }
    }
}
