//! Times in envelopes: RFC 3339.

use chrono::{DateTime, SecondsFormat, Utc};

pub(super) fn write(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

pub(super) fn read(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}
