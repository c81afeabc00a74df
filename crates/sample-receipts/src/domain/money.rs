//! Money: exact decimal amounts, never a float.

use rust_decimal::Decimal;

use super::decimal::amount;

/// An amount of money: not negative, exact to the cent, less than 10²⁴. As JSON it is a text.
///
/// Reading is strict: digits without a sign, an exponent or needless leading zeros, then at most
/// two decimals. Writing always shows two.
///
/// ```
/// use sample_receipts::domain::Money;
///
/// let amount: Money = "5.5".parse()?;
/// assert_eq!(amount.to_string(), "5.50");
/// assert!("-1".parse::<Money>().is_err());
/// assert!("1.999".parse::<Money>().is_err());
/// # Ok::<(), sample_receipts::domain::InvalidAmount>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(pub(super) Decimal);

amount!(Money, digits: 24, more_digits: "23", about: "A decimal with at most two decimals.");

/// The most cents an amount can be: 24 digits and two decimals.
const MOST_CENTS: i128 = 10_i128.pow(26) - 1;

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// The largest amount.
    pub const MAX: Self = {
        let cents = MOST_CENTS.unsigned_abs();
        Self(Decimal::from_parts(cents as u32, (cents >> 32) as u32, (cents >> 64) as u32, false, 2))
    };

    /// The sum, or [`Money::MAX`] when it would be larger.
    ///
    /// A total cannot fail, for it is the outcome of events that have happened; and to get there
    /// with prices as they are bounded takes a hundred million lines.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0).min(Self::MAX.0))
    }

    /// The difference, or nothing when `other` is more.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(Decimal::ZERO))
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::InvalidAmount;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn an_amount_is_digits_and_at_most_two_decimals() {
        for (written, shown) in [("0", "0.00"), ("5", "5.00"), ("0.5", "0.50"), ("5.99", "5.99"), ("10.00", "10.00")] {
            assert_eq!(money(written).to_string(), shown);
        }
        for refused in ["", ".", "5.", ".5", "05", "00", "-1", "+1", "1e3", "1,5", " 1", "1\n", "1.999", "٣", "1.2.3"]
        {
            assert_eq!(refused.parse::<Money>(), Err(InvalidAmount::Form), "{refused:?}");
        }
    }

    #[test]
    fn the_largest_amount_is_read_and_a_longer_one_is_not() {
        assert_eq!(money(&Money::MAX.to_string()), Money::MAX);
        let longer = "1".repeat(25);
        assert_eq!(longer.parse::<Money>(), Err(InvalidAmount::TooLarge { most: 24 }));
        let absurd = "9".repeat(5000);
        assert_eq!(absurd.parse::<Money>(), Err(InvalidAmount::TooLarge { most: 24 }));
    }

    #[test]
    fn as_json_it_is_a_text_and_never_a_number() {
        assert_eq!(json!(money("5.9")), json!("5.90"));
        assert!(serde_json::from_value::<Money>(json!(5.99)).is_err());
        assert!(serde_json::from_value::<Money>(json!(5)).is_err());
    }

    #[test]
    fn sums_stop_at_the_largest_amount_and_differences_at_nothing() {
        assert_eq!(Money::MAX.saturating_add(money("0.01")), Money::MAX);
        assert_eq!(money("1.00").saturating_sub(money("1.01")), Money::ZERO);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(cents in 0..=MOST_CENTS) {
            let amount = Money(Decimal::from_i128_with_scale(cents, 2));
            prop_assert_eq!(money(&amount.to_string()), amount);
        }

        #[test]
        fn reading_and_the_schema_agree(text in "[-+0-9e.]{0,16}") {
            use headwater::schema::{PayloadValidator, schema_of};
            let validator = PayloadValidator::new("money", &schema_of::<Money>()).unwrap();
            prop_assert_eq!(text.parse::<Money>().is_ok(), validator.check(&json!(text)).is_ok());
        }

        #[test]
        fn adding_is_undone_by_subtracting(one in 0..MOST_CENTS / 2, other in 0..MOST_CENTS / 2) {
            let [one, other] = [one, other].map(|cents| Money(Decimal::from_i128_with_scale(cents, 2)));
            prop_assert_eq!(one.saturating_add(other).saturating_sub(other), one);
        }
    }
}
