//! Lengths of time as people write them: `"5s"`, `"250ms"`, `"1m30s"`, `"7d"`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time written as a number and a unit, or several of them: `5s`, `250ms`, `1m30s`, `0.5s`, `7d`.
///
/// Units are `us`, `ms`, `s`, `m`, `h`, `d` (24 hours) and `w` (7 days). A bare number is refused, because nobody can tell seconds from
/// milliseconds by looking at it.
///
/// ```
/// use headwater_nats::connect::HumanDuration;
/// use std::time::Duration;
///
/// assert_eq!("1m30s".parse::<HumanDuration>().unwrap().get(), Duration::from_secs(90));
/// assert_eq!(HumanDuration::from_millis(250).to_string(), "250ms");
/// assert!("5".parse::<HumanDuration>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(Duration);

/// What [`HumanDuration`] accepts, as a regular expression.
const PATTERN: &str = r"^([0-9]{1,9}(\.[0-9]{1,9})?(us|ms|s|m|h|d|w))+$";

/// Longest name first, so that `ms` is not read as `m`.
const UNITS: [(&str, f64); 7] =
    [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0), ("w", 604_800.0)];

impl HumanDuration {
    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// So many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The same length as the standard library's type.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for HumanDuration {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<HumanDuration> for Duration {
    fn from(duration: HumanDuration) -> Self {
        duration.0
    }
}

/// Why a text is not a [`HumanDuration`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a duration: write a number and a unit, such as \"5s\", \"250ms\", \"1m30s\" or \"7d\"")]
pub struct BadDuration {
    text: String,
}

impl FromStr for HumanDuration {
    type Err = BadDuration;

    fn from_str(text: &str) -> Result<Self, BadDuration> {
        let bad = || BadDuration { text: text.chars().take(40).collect() };
        let mut rest = text;
        let mut total = Duration::ZERO;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
            let (number, tail) = rest.split_at(digits);
            let (unit, seconds) = unit_at(tail).ok_or_else(bad)?;
            let part = decimal(number).ok_or_else(bad)? * seconds;
            let part = Duration::try_from_secs_f64(part).map_err(|_| bad())?;
            total = total.checked_add(part).ok_or_else(bad)?;
            rest = &tail[unit.len()..];
        }
        if text.is_empty() { Err(bad()) } else { Ok(Self(total)) }
    }
}

fn unit_at(text: &str) -> Option<(&'static str, f64)> {
    UNITS.into_iter().find(|(unit, _)| text.starts_with(unit))
}

fn decimal(number: &str) -> Option<f64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let fits = |digits: &str| (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if fits(whole) && fits(fraction) { number.parse().ok() } else { None }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        match micros {
            0 => f.write_str("0s"),
            _ if micros.is_multiple_of(1_000_000) => write!(f, "{}s", micros / 1_000_000),
            _ if micros.is_multiple_of(1_000) => write!(f, "{}ms", micros / 1_000),
            _ => write!(f, "{micros}us"),
        }
    }
}

impl fmt::Debug for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "HumanDuration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": PATTERN,
            "description": "A length of time: a number and a unit (us, ms, s, m, h, d, w), or several of them.",
            "examples": ["5s", "250ms", "1m30s", "7d"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_as_people_write_it() {
        for (text, milliseconds) in [
            ("5s", 5_000),
            ("250ms", 250),
            ("1m30s", 90_000),
            ("0.5s", 500),
            ("1h", 3_600_000),
            ("0s", 0),
            ("7d", 604_800_000),
            ("1w1d", 691_200_000),
        ] {
            assert_eq!(text.parse::<HumanDuration>().unwrap(), HumanDuration::from_millis(milliseconds), "{text}");
        }
        assert_eq!("1500us".parse::<HumanDuration>().unwrap().get(), Duration::from_micros(1_500));
    }

    #[test]
    fn a_duration_without_a_unit_or_with_an_unknown_one_is_refused() {
        for text in ["", "5", "s", "5 s", "-1s", "5y", "1e3s", "1.s", ".5s", "1..5s", "5sec", "9999999999s", "٣s"] {
            let error = text.parse::<HumanDuration>().unwrap_err().to_string();
            assert!(error.contains("is not a duration"), "{text}: {error}");
        }
    }

    #[test]
    fn a_duration_is_written_so_that_it_can_be_read_again() {
        for micros in [0, 1, 999, 1_000, 1_500, 250_000, 5_000_000, 90_000_000] {
            let duration = HumanDuration::from(Duration::from_micros(micros));
            assert_eq!(duration.to_string().parse::<HumanDuration>().unwrap(), duration);
        }
    }
}
