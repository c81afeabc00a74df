//! Numbers and ranges of numbers, compared exactly.

use std::cmp::Ordering;
use std::fmt;

/// Beyond this a float is far above every bound that a Rust integer has.
const HUGE: f64 = 1e37;

/// A number of a schema. Whole ones are kept apart, as a float cannot hold every 64-bit integer.
#[derive(Debug, Clone, Copy)]
pub(in crate::evolution) enum Number {
    Whole(i128),
    /// Not whole, or huge.
    Real(f64),
}

impl Number {
    pub(in crate::evolution) fn of(number: &serde_json::Number) -> Option<Self> {
        if let Some(whole) = number.as_i64() {
            return Some(Self::Whole(whole.into()));
        }
        if let Some(whole) = number.as_u64() {
            return Some(Self::Whole(whole.into()));
        }
        let real = number.as_f64()?;
        Some(if real.fract() == 0.0 && real.abs() < HUGE { Self::Whole(real as i128) } else { Self::Real(real) })
    }

    pub(in crate::evolution) fn is_whole(self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Real(real) => real.fract() == 0.0,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (*self, *other) {
            (Self::Whole(one), Self::Whole(other)) => one.cmp(&other),
            (Self::Real(one), Self::Real(other)) => one.total_cmp(&other),
            (Self::Whole(one), Self::Real(other)) => whole_and_real(one, other),
            (Self::Real(one), Self::Whole(other)) => whole_and_real(other, one).reverse(),
        }
    }
}

fn whole_and_real(whole: i128, real: f64) -> Ordering {
    if real.abs() >= HUGE {
        return if real > 0.0 { Ordering::Less } else { Ordering::Greater };
    }
    // The float is not whole, so it is never equal, and below HUGE its floor is exact.
    if whole <= real.floor() as i128 { Ordering::Less } else { Ordering::Greater }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(whole) => whole.fmt(f),
            Self::Real(real) => real.fmt(f),
        }
    }
}

/// One end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::evolution) struct End {
    pub(in crate::evolution) at: Number,
    /// Whether the number itself is outside.
    pub(in crate::evolution) is_open: bool,
}

/// The numbers between two ends; without an end it goes on for ever.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::evolution) struct Range {
    pub(in crate::evolution) low: Option<End>,
    pub(in crate::evolution) high: Option<End>,
}

impl Range {
    pub(in crate::evolution) fn whole(low: i128, high: Option<i128>) -> Self {
        let end = |at| End { at: Number::Whole(at), is_open: false };
        Self { low: Some(end(low)), high: high.map(end) }
    }

    /// What is in both.
    pub(in crate::evolution) fn and(self, other: Self) -> Self {
        let tighter = |one: Option<End>, other: Option<End>, is_low: bool| match (one, other) {
            (Some(one), Some(other)) => {
                let order = if is_low { other.at.cmp(&one.at) } else { one.at.cmp(&other.at) };
                Some(if order.then(other.is_open.cmp(&one.is_open)).is_le() { one } else { other })
            }
            (one, other) => one.or(other),
        };
        Self { low: tighter(self.low, other.low, true), high: tighter(self.high, other.high, false) }
    }

    /// The same for whole numbers: with ends that are whole numbers and inside.
    pub(in crate::evolution) fn rounded(self) -> Self {
        let inward = |end: End, is_low: bool| {
            let at = match end.at {
                Number::Real(real) if real.abs() >= HUGE => return end,
                Number::Real(real) => Number::Whole(if is_low { real.ceil() } else { real.floor() } as i128),
                Number::Whole(whole) if end.is_open => Number::Whole(if is_low { whole + 1 } else { whole - 1 }),
                whole @ Number::Whole(_) => whole,
            };
            End { at, is_open: false }
        };
        Self { low: self.low.map(|end| inward(end, true)), high: self.high.map(|end| inward(end, false)) }
    }

    pub(in crate::evolution) fn is_empty(self) -> bool {
        let (Some(low), Some(high)) = (self.low, self.high) else { return false };
        match low.at.cmp(&high.at) {
            Ordering::Less => false,
            Ordering::Equal => low.is_open || high.is_open,
            Ordering::Greater => true,
        }
    }

    pub(in crate::evolution) fn has(self, number: Number) -> bool {
        let point = End { at: number, is_open: false };
        let point = Self { low: Some(point), high: Some(point) };
        point.stays_above(self.low) && point.stays_below(self.high)
    }

    /// Whether nothing in here is below `low`.
    pub(in crate::evolution) fn stays_above(self, low: Option<End>) -> bool {
        let Some(low) = low else { return true };
        self.low.is_some_and(|own| match own.at.cmp(&low.at) {
            Ordering::Less => false,
            Ordering::Equal => own.is_open || !low.is_open,
            Ordering::Greater => true,
        })
    }

    /// Whether nothing in here is above `high`.
    pub(in crate::evolution) fn stays_below(self, high: Option<End>) -> bool {
        let Some(high) = high else { return true };
        self.high.is_some_and(|own| match own.at.cmp(&high.at) {
            Ordering::Less => true,
            Ordering::Equal => own.is_open || !high.is_open,
            Ordering::Greater => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn number(value: &serde_json::Value) -> Number {
        Number::of(value.as_number().unwrap()).unwrap()
    }

    #[test]
    fn numbers_are_compared_exactly_whatever_they_are_written_as() {
        let ascending = [
            json!(-1e300),
            json!(i64::MIN),
            json!(-1.5),
            json!(-1),
            json!(0.5),
            json!(1),
            json!(9_007_199_254_740_992_u64),
            json!(9_007_199_254_740_993_u64),
            json!(u64::MAX),
            json!(1e300),
        ];
        for pair in ascending.windows(2) {
            assert!(number(&pair[0]) < number(&pair[1]), "{} < {}", pair[0], pair[1]);
            assert!(number(&pair[1]) > number(&pair[0]), "{} > {}", pair[1], pair[0]);
        }
        assert_eq!(number(&json!(2.0)), number(&json!(2)));
    }

    #[test]
    fn a_range_of_whole_numbers_ends_at_whole_numbers() {
        let open = |at| Some(End { at, is_open: true });
        let range = Range { low: open(Number::Real(0.5)), high: open(Number::Whole(3)) }.rounded();
        assert!(range.has(Number::Whole(1)) && range.has(Number::Whole(2)));
        assert!(!range.has(Number::Whole(0)) && !range.has(Number::Whole(3)));
        assert!(Range { low: open(Number::Whole(1)), high: open(Number::Whole(2)) }.rounded().is_empty());
    }

    #[test]
    fn what_is_in_both_ranges_ends_at_the_tighter_end() {
        let wide = Range::whole(0, Some(255));
        let both = wide.and(Range { low: Some(End { at: Number::Whole(0), is_open: true }), high: None });
        assert!(!both.has(Number::Whole(0)) && both.has(Number::Whole(255)) && !both.has(Number::Whole(256)));
        assert!(both.stays_above(wide.low) && both.stays_below(wide.high));
        assert!(!wide.stays_above(both.low) && wide.stays_below(both.high));
        assert!(wide.and(Range::whole(256, None)).is_empty());
    }
}
