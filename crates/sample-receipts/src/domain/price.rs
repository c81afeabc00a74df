//! The price of one piece.

use rust_decimal::Decimal;

use super::Money;
use super::decimal::amount;

/// What one piece costs: an amount as [`Money`] is, less than 10¹².
///
/// The bound is what keeps sums exact: a line of any quantity is far below [`Money::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(Decimal);

amount!(Price, digits: 12, more_digits: "11", about: "What one piece costs: a decimal with at most two decimals.");

impl Price {
    /// What `quantity` pieces cost.
    #[must_use]
    pub fn times(self, quantity: u32) -> Money {
        // 12 digits by 10 digits are at most 22 of the 24 that money may have.
        Money(self.0 * Decimal::from(quantity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_costs_the_price_of_each_piece() {
        let price: Price = "5.99".parse().unwrap();
        assert_eq!(price.times(2).to_string(), "11.98");
        assert_eq!(price.times(0), Money::ZERO);
    }

    #[test]
    fn the_dearest_line_is_still_money() {
        let price: Price = "999999999999.99".parse().unwrap();
        let line = price.times(u32::MAX);
        assert!(line < Money::MAX);
        assert_eq!(line.to_string().parse::<Money>(), Ok(line));
        assert!("1000000000000".parse::<Price>().is_err());
    }
}
