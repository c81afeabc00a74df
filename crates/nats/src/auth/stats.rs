//! What the guard has done, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;

/// What auth has done since the instance started or its statistics were reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AuthStats {
    /// Requests whose caller was known and allowed what it asked.
    pub allowed: u64,
    /// Requests that were refused, by reason: at most 16, those that did not occur are left out. `missing`, `malformed`,
    /// `oversized`, `wrong-algorithm`, `wrong-key`, `expired`, `not-yet-valid`, `wrong-issuer`, `wrong-audience`, `replayed`,
    /// `wrong-password`, `refused`: 401. `not-allowed`, `other-user`, `other-tenant`: 403. `unavailable`: 503.
    pub refused: BTreeMap<&'static str, u64>,
    /// How often a file with keys or users had changed and was read again.
    pub reloads: u64,
    /// How often it had changed and could not be used, so that what it held before stayed in use.
    pub failed_reloads: u64,
}
