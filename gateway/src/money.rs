//! Dollars as integers: amounts in nano-dollars, prices of a token in femto-dollars.
//!
//! # Invariants
//!
//! - Decimal text becomes an integer digit by digit; a binary float never touches money.
//! - Amounts that are read are rounded half up; costs that are computed are rounded up, so that a sum of
//!   costs is never below the true one.
//! - Nothing wraps around: what does not fit is refused when read, and saturates when added.

use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// The decimal places of a nano-dollar.
const NANO: i64 = 9;
/// The decimal places of a femto-dollar.
const FEMTO: i64 = 15;
/// Femto-dollars in a nano-dollar.
const FEMTOS_PER_NANO: u128 = 1_000_000;
/// Nano-dollars in a dollar.
const NANOS_PER_USD: u64 = 1_000_000_000;
/// The most characters that an amount may have.
const LONGEST: usize = 128;

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// Not a decimal number.
    #[error("not a decimal number")]
    NotANumber,
    /// Below zero.
    #[error("an amount below zero")]
    Negative,
    /// More than fits.
    #[error("an amount beyond all bounds")]
    TooLarge,
}

/// An amount in nano-dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Reads dollars in decimal text, such as `0.00012` or `1.2e-5`, rounding half up.
    ///
    /// # Errors
    ///
    /// See [`MoneyError`].
    pub fn parse_usd(text: &str) -> Result<Self, MoneyError> {
        decimal(text, NANO).map(Self)
    }

    /// The sum, at most the largest amount.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, at least nothing.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Nanos {
    /// Dollars in decimal text without needless zeros, such as `0.00014`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, nanos) = (self.0 / NANOS_PER_USD, self.0 % NANOS_PER_USD);
        if nanos == 0 {
            return write!(f, "{dollars}");
        }
        let decimals = format!("{nanos:09}");
        write!(f, "{dollars}.{}", decimals.trim_end_matches('0'))
    }
}

impl std::iter::Sum for Nanos {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

/// The price of one token (or request, or image) in femto-dollars: a dollar for a million tokens is a
/// thousand million of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PerToken(pub u64);

impl PerToken {
    /// Reads dollars per token in decimal text, such as `0.0000025`, rounding half up.
    ///
    /// # Errors
    ///
    /// See [`MoneyError`]. OpenRouter writes `-1` for a price that depends on the route: [`MoneyError::Negative`].
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        decimal(text, FEMTO).map(Self)
    }

    /// What so many tokens cost, rounded up.
    #[must_use]
    pub fn cost(self, tokens: u64) -> Nanos {
        nanos(self.femtos(tokens))
    }

    /// What so many tokens cost in femto-dollars, exactly.
    pub(crate) fn femtos(self, tokens: u64) -> u128 {
        u128::from(self.0) * u128::from(tokens)
    }
}

/// Femto-dollars as an amount, rounded up.
pub(crate) fn nanos(femtos: u128) -> Nanos {
    Nanos(u64::try_from(femtos.div_ceil(FEMTOS_PER_NANO)).unwrap_or(u64::MAX))
}

/// A decimal number times 10^`places`, rounded half up.
fn decimal(text: &str, places: i64) -> Result<u64, MoneyError> {
    if text.len() > LONGEST {
        return Err(MoneyError::NotANumber);
    }
    if let Some(positive) = text.strip_prefix('-') {
        return Err(decimal(positive, places).err().unwrap_or(MoneyError::Negative));
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, Ok(0)), |(m, e)| (m, power(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = whole.bytes().chain(fraction.bytes());
    if mantissa.len() <= usize::from(mantissa.contains('.')) || !digits.clone().all(|digit| digit.is_ascii_digit()) {
        return Err(MoneyError::NotANumber);
    }
    let shift = exponent?.saturating_add(places);
    let whole_digits = i64::try_from(whole.len()).unwrap_or(i64::MAX);
    let kept = whole_digits.saturating_add(shift);
    round(digits.map(|digit| u64::from(digit - b'0')), kept)
}

/// The exponent of ten; one beyond all reason stands for itself by its sign alone.
fn power(text: &str) -> Result<i64, MoneyError> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(MoneyError::NotANumber);
    }
    Ok(sign * digits.parse::<i64>().unwrap_or(i64::MAX))
}

/// The number of the first `kept` digits, rounded by the one after them; missing digits are zeros.
fn round(digits: impl Iterator<Item = u64>, kept: i64) -> Result<u64, MoneyError> {
    let (mut value, mut place) = (0_u64, 0_i64);
    for digit in digits {
        if place < kept {
            value = value.checked_mul(10).and_then(|value| value.checked_add(digit)).ok_or(MoneyError::TooLarge)?;
        } else if place == kept {
            value = value.checked_add(u64::from(digit >= 5)).ok_or(MoneyError::TooLarge)?;
        }
        place += 1;
    }
    while place < kept && value != 0 {
        value = value.checked_mul(10).ok_or(MoneyError::TooLarge)?;
        place += 1;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimal_text_is_read_exactly() {
        for (text, nanos) in [
            ("0.00012", 120_000),
            ("1.2e-5", 12_000),
            ("1.2E+1", 12_000_000_000),
            ("0", 0),
            ("3", 3_000_000_000),
            ("0.1", 100_000_000),
            ("0.3", 300_000_000),
            (".5", 500_000_000),
            ("5.", 5_000_000_000),
            ("0.0000000005", 1),
            ("0.00000000049999", 0),
            ("5e-10", 1),
            ("4.9e-10", 0),
            ("1e-99999999999999999999", 0),
            ("0e99999999999999999999", 0),
            ("18446744073.709551615", u64::MAX),
            ("0000000000000000000000000000000000000000000000000001", 1_000_000_000),
        ] {
            assert_eq!(Nanos::parse_usd(text), Ok(Nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        use MoneyError::{Negative, NotANumber, TooLarge};
        for (text, why) in [
            ("", NotANumber),
            (".", NotANumber),
            ("-", NotANumber),
            ("NaN", NotANumber),
            ("inf", NotANumber),
            ("1e", NotANumber),
            ("1e+", NotANumber),
            ("1,5", NotANumber),
            ("1.2.3", NotANumber),
            (" 1", NotANumber),
            ("+1", NotANumber),
            ("--1", Negative),
            ("0x10", NotANumber),
            ("-1", Negative),
            ("-0.5", Negative),
            ("18446744073.7095516155", TooLarge),
            ("1e999999999999", TooLarge),
            (&"1".repeat(LONGEST + 1), NotANumber),
        ] {
            assert_eq!(Nanos::parse_usd(text), Err(why), "{text}");
        }
    }

    #[test]
    fn an_amount_is_shown_in_dollars() {
        let shown = [0, 140_000, 1_000_000_000, 1_000_000_001, 12_500_000_000].map(|nanos| Nanos(nanos).to_string());

        assert_eq!(shown, ["0", "0.00014", "1", "1.000000001", "12.5"]);
    }

    #[test]
    fn a_cost_is_rounded_up_and_never_wraps() {
        let price = PerToken::parse("0.0000025").unwrap();

        assert_eq!(price, PerToken(2_500_000_000));
        assert_eq!(price.cost(1_000_000), Nanos(2_500_000_000));
        assert_eq!(PerToken(1).cost(1), Nanos(1));
        assert_eq!(PerToken(u64::MAX).cost(u64::MAX), Nanos(u64::MAX));
        assert_eq!(PerToken::parse("-1"), Err(MoneyError::Negative));
    }

    #[test]
    fn an_amount_is_a_plain_number_in_json() {
        let text = serde_json::to_string(&Nanos(7)).unwrap();

        assert_eq!(text, "7");
        assert_eq!(serde_json::from_str::<Nanos>(&text).unwrap(), Nanos(7));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(nanos: u64) {
            prop_assert_eq!(Nanos::parse_usd(&Nanos(nanos).to_string()), Ok(Nanos(nanos)));
        }

        #[test]
        fn an_exponent_only_moves_the_point(value in 0_u64..1_000_000_000, power in 0_usize..9) {
            let moved = format!("{value}e-{power}");
            let mut plain = format!("{value:010}");
            plain.insert(10 - power, '.');

            prop_assert_eq!(Nanos::parse_usd(&moved), Nanos::parse_usd(&plain));
        }

        #[test]
        fn any_text_is_read_without_a_fall(text: String) {
            let _outcome = (Nanos::parse_usd(&text), PerToken::parse(&text));
        }
    }
}
