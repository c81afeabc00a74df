//! What can be wrong with how callers prove who they are, apart from files.

use std::time::Duration;

use super::{Basic, Jwt, Nkeys, claims};
use crate::connect::HumanDuration;
use crate::problem::Problems;

/// The most that clocks may be apart, and the widest window for signatures.
const FIVE_MINUTES: Duration = Duration::from_secs(5 * 60);

/// The longest that a password may be remembered.
const ONE_HOUR: Duration = Duration::from_secs(60 * 60);

/// The most of anything that may be remembered.
const MOST: usize = 100_000_000;

/// Says what is wrong with the roles there are.
pub fn check_roles(roles: &[String], problems: &mut Problems) {
    for (number, role) in roles.iter().enumerate() {
        if role.is_empty() || roles[..number].contains(role) {
            problems.add(format!("auth.roles[{number}]"), role, "must not be empty or there twice");
        }
    }
}

impl Jwt {
    pub(super) fn check(&self, problems: &mut Problems) {
        at_most("auth.jwt.clock_skew", self.clock_skew, FIVE_MINUTES, problems);
        between("auth.jwt.max_bytes", self.max_bytes, 64, 65_536, problems);
        between("auth.jwt.remember", self.remember, 1, MOST, problems);
        for (field, name) in [
            ("auth.jwt.user_claim", &self.user_claim),
            ("auth.jwt.tenant_claim", &self.tenant_claim),
            ("auth.jwt.roles_claim", &self.roles_claim),
        ] {
            if name.is_empty() {
                problems.add(field, name, "must not be empty");
            }
        }
        if self.issuer.as_ref().is_some_and(String::is_empty) || self.audience.iter().any(String::is_empty) {
            problems.add("auth.jwt", &"", "issuer and audience must not be empty");
        }
    }
}

impl Nkeys {
    pub(super) fn check(&self, roles: &[String], tenants: bool, problems: &mut Problems) {
        at_most("auth.nkeys.window", self.window, FIVE_MINUTES, problems);
        if self.window.get() < Duration::from_secs(1) {
            problems.add("auth.nkeys.window", &self.window, "must be at least 1s");
        }
        between("auth.nkeys.remember", self.remember, 1, MOST, problems);
        if self.allowed.is_empty() {
            problems.add("auth.nkeys.allowed", &"", "has no callers");
        }
        for (number, user) in self.allowed.iter().enumerate() {
            let field = |part: &str| format!("auth.nkeys.allowed[{number}].{part}");
            if !claims::is_user(&user.user) {
                problems.add(field("user"), &user.user, "must have 1 to 256 bytes without control characters");
            }
            for role in user.roles.iter().filter(|role| !roles.contains(role)) {
                problems.add(field("roles"), role, "there is no such role in auth.roles");
            }
            match &user.tenant {
                Some(tenant) if !claims::is_tenant(tenant) => {
                    problems.add(field("tenant"), tenant, "must have 1 to 128 bytes without control characters");
                }
                None if tenants => problems.add(field("tenant"), &"", "is needed where tenants are kept apart"),
                _ => {}
            }
        }
    }
}

impl Basic {
    pub(super) fn check(&self, problems: &mut Problems) {
        at_most("auth.basic.remember_for", self.remember_for, ONE_HOUR, problems);
        between("auth.basic.hashing", self.hashing, 1, 1024, problems);
    }
}

fn at_most(field: &str, value: HumanDuration, most: Duration, problems: &mut Problems) {
    if value.get() > most {
        problems.add(field, &value, format!("must be at most {}", HumanDuration::from(most)));
    }
}

fn between(field: &str, value: usize, least: usize, most: usize, problems: &mut Problems) {
    if !(least..=most).contains(&value) {
        problems.add(field, &value, format!("must be {least} to {most}"));
    }
}
