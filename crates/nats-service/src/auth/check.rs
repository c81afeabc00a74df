//! What can be wrong with the settings of auth, apart from files and rules.

use headwater_nats::auth::check_roles;

use super::Auth;
use crate::problem::Problems;

impl Auth {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.jwt.is_none() && self.nkeys.is_none() && self.basic.is_none() && self.own.is_empty() {
            problems.add("auth", &"", "knows no caller: one of jwt, nkeys, basic or an authenticator is needed");
        }
        if self.rules.is_empty() {
            problems.add("auth.rules", &"", "allow nothing, so that every request would be refused");
        }
        check_roles(&self.roles, problems);
    }
}
