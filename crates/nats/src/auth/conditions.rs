//! What a rule asks of a caller.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Caller, claims};
use crate::problem::Problems;

/// What a rule asks of a caller. What is empty is no condition.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'a> {
    /// It has one of these roles.
    pub roles: &'a [String],
    /// It belongs to one of these tenants.
    pub tenants: &'a [String],
    /// It has all of these claims, each with this value or with a list that holds it. A name that starts with `/` is a JSON
    /// Pointer into the claims.
    pub claims: &'a BTreeMap<String, Value>,
}

impl Conditions<'_> {
    /// Whether a caller is one of those that are meant.
    #[must_use]
    pub fn hold_for(&self, caller: &Caller) -> bool {
        let has = |wanted: &Value, claim: Option<&Value>| match claim {
            Some(Value::Array(list)) => list.contains(wanted) || claim == Some(wanted),
            claim => claim == Some(wanted),
        };
        (self.roles.is_empty() || self.roles.iter().any(|role| caller.has_role(role)))
            && (self.tenants.is_empty() || self.tenants.iter().any(|tenant| caller.tenant_id() == Some(tenant)))
            && self.claims.iter().all(|(name, wanted)| has(wanted, claims::at(caller.claims(), name)))
    }

    /// Says what is wrong, where there are these roles. `rule` is where the rule stands, such as `auth.rules[2]`.
    pub fn check(&self, roles: &[String], rule: &str, problems: &mut Problems) {
        for role in self.roles.iter().filter(|role| !roles.contains(role)) {
            problems.add(format!("{rule}.roles"), role, "there is no such role in auth.roles");
        }
        for tenant in self.tenants.iter().filter(|tenant| !claims::is_tenant(tenant)) {
            let reason = "must have 1 to 128 bytes without control characters";
            problems.add(format!("{rule}.tenants"), tenant, reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_that_is_said_has_to_hold_and_nothing_said_is_for_everybody() {
        let mia = Caller::new("mia").tenant("north").role("clerk").claim("shift", json!(["early", "late"]));
        let holds = |roles: &[&str], tenants: &[&str], claims: &[(&str, &str)]| {
            let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let (roles, tenants) = (texts(roles), texts(tenants));
            let claims = claims.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            Conditions { roles: &roles, tenants: &tenants, claims: &claims }.hold_for(&mia)
        };
        assert!(holds(&[], &[], &[]));
        assert!(holds(&["lead", "clerk"], &["north"], &[("shift", "late")]));
        assert!(!holds(&["lead"], &["north"], &[]));
        assert!(!holds(&["clerk"], &["south"], &[]));
        assert!(!holds(&["clerk"], &["north"], &[("shift", "night")]));
    }
}
