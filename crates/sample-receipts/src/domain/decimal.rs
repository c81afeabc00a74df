//! How amounts are written as text: read strictly, shown with two decimals.

use rust_decimal::Decimal;

/// Why a text is no amount of money. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAmount {
    /// It is not written as an amount is.
    #[error("an amount is digits with at most two decimals, such as 5.99")]
    Form,
    /// It has too many digits before the point.
    #[error("an amount has at most {most} digits before the point here")]
    TooLarge {
        /// How many are allowed.
        most: usize,
    },
}

/// Reads digits without a sign, an exponent or needless leading zeros, at most `most` of them, and
/// then at most two decimals.
pub(super) fn parse(text: &str, most: usize) -> Result<Decimal, InvalidAmount> {
    let (whole, decimals) = text.split_once('.').map_or((text, None), |(whole, decimals)| (whole, Some(decimals)));
    let has_needless_zero = whole.len() > 1 && whole.starts_with('0');
    if !is_digits(whole) || has_needless_zero || decimals.is_some_and(|decimals| !is_digits(decimals)) {
        return Err(InvalidAmount::Form);
    }
    if whole.len() > most {
        return Err(InvalidAmount::TooLarge { most });
    }
    let cents = match decimals.unwrap_or_default().as_bytes() {
        [] => 0,
        [tens] => i128::from(tens - b'0') * 10,
        [tens, ones] => i128::from(tens - b'0') * 10 + i128::from(ones - b'0'),
        _ => return Err(InvalidAmount::Form),
    };
    let too_large = InvalidAmount::TooLarge { most };
    let whole: i128 = whole.parse().map_err(|_| too_large)?;
    Decimal::try_from_i128_with_scale(whole * 100 + cents, 2).map_err(|_| too_large)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a text type of one `Decimal` needs: reading, showing, JSON and its schema.
macro_rules! amount {
    ($name:ident, digits: $digits:literal, more_digits: $more:literal, about: $about:literal) => {
        impl std::str::FromStr for $name {
            type Err = $crate::domain::InvalidAmount;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::domain::decimal::parse(text, $digits).map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // `pad` heeds the width a table asks for.
                f.pad(&format!("{:.2}", self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({:.2})"), self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // A JSON number is refused: it may have been a float on its way here.
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": $about,
                    "pattern": concat!("^(0|[1-9][0-9]{0,", $more, "})(\\.[0-9]{1,2})?$"),
                    "examples": ["5.99"],
                })
            }
        }
    };
}

pub(super) use amount;
