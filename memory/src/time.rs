//! Instants: microseconds since 1970 in UTC, and the little calendar that memory needs.
//!
//! # Promise
//!
//! [`Timestamp::parse`] reads what callers and log lines write (RFC 3339, with or without zone,
//! with or without time of day); [`Timestamp::to_rfc3339`] writes what the interface promises
//! (UTC with `Z`), and reading that back gives the same instant.
//!
//! # Invariants
//!
//! - Human-readable formats hold the RFC 3339 text, binary formats the bare microseconds.
//! - Only years 0000 to 9999 are parsed, so calendar arithmetic cannot overflow.
//!
//! # Deliberately absent
//!
//! The clock (callers pass `now` in), named time zones and local time.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// The text is no instant in a form that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 timestamp such as 2025-01-20T10:30:00Z")]
pub struct BadTimestamp;

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names of the days say it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Timestamp {
    /// Reads RFC 3339 and its near relatives.
    ///
    /// `2025-01-20T10:30:00Z`, with an offset, a fraction after `.` or `,` (beyond microseconds it
    /// is cut), a blank instead of the `T`, without seconds; without a zone it is UTC; a date alone
    /// is its midnight.
    ///
    /// # Errors
    ///
    /// [`BadTimestamp`] where the text is anything else, days that no calendar has included.
    pub fn parse(text: &str) -> Result<Self, BadTimestamp> {
        let mut cursor = Cursor::new(text.trim().as_bytes());
        let date = cursor.date().ok_or(BadTimestamp)?;
        if cursor.is_done() {
            return Ok(date);
        }
        if !cursor.take_any(b"Tt ") {
            return Err(BadTimestamp);
        }
        let time = cursor.time_of_day().ok_or(BadTimestamp)?;
        let offset = cursor.offset().ok_or(BadTimestamp)?;
        let instant = Self(date.0 + time - offset);
        // An offset can push the first and the last day out of the years that can be written.
        let writable = (0..=9999).contains(&instant.year());
        if cursor.is_done() && writable { Ok(instant) } else { Err(BadTimestamp) }
    }

    /// The instant of a civil date and time in UTC; `None` where the calendar has no such day or
    /// the clock no such time. A leap second counts as the second before it.
    #[must_use]
    pub fn from_civil(date: (i64, u8, u8), time: (u8, u8, u8), micros: u32) -> Option<Self> {
        let (year, month, day) = date;
        let (hour, minute, second) = time;
        let real = (0..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60
            && micros < 1_000_000;
        let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second.min(59));
        real.then(|| Self(days_from_civil(year, month, day) * DAY + seconds * SECOND + i64::from(micros)))
    }

    /// `2025-01-20T10:30:00Z`; a fraction (3 or 6 digits) only where there is one.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.to_string()
    }

    /// The civil date in UTC: year, month 1–12, day 1–31.
    #[must_use]
    pub fn date(self) -> (i64, u8, u8) {
        civil_from_days(self.0.div_euclid(DAY))
    }

    /// The year in UTC.
    #[must_use]
    pub fn year(self) -> i64 {
        self.date().0
    }

    /// The month in UTC, 1–12.
    #[must_use]
    pub fn month(self) -> u8 {
        self.date().1
    }

    /// The day of the month in UTC, 1–31.
    #[must_use]
    pub fn day(self) -> u8 {
        self.date().2
    }

    /// Days since 1970-01-01, by which whole days are counted.
    #[must_use]
    pub fn days_since_epoch(self) -> i64 {
        self.0.div_euclid(DAY)
    }

    /// The day of the week in UTC.
    #[must_use]
    pub fn weekday(self) -> Weekday {
        // 1970-01-01 was a Thursday.
        match (self.days_since_epoch().rem_euclid(7) + 3) % 7 {
            0 => Weekday::Monday,
            1 => Weekday::Tuesday,
            2 => Weekday::Wednesday,
            3 => Weekday::Thursday,
            4 => Weekday::Friday,
            5 => Weekday::Saturday,
            _ => Weekday::Sunday,
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        let in_day = self.0.rem_euclid(DAY);
        let (seconds, micros) = (in_day / SECOND, in_day % SECOND);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match micros {
            0 => f.write_str("Z"),
            whole if whole % 1000 == 0 => write!(f, ".{:03}Z", whole / 1000),
            _ => write!(f, ".{micros:06}Z"),
        }
    }
}

impl std::str::FromStr for Timestamp {
    type Err = BadTimestamp;

    fn from_str(text: &str) -> Result<Self, BadTimestamp> {
        Self::parse(text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(TextVisitor)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

struct TextVisitor;

impl de::Visitor<'_> for TextVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an RFC 3339 timestamp such as 2025-01-20T10:30:00Z")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
        Timestamp::parse(text).map_err(E::custom)
    }
}

/// Reads a timestamp from left to right; every method leaves the position behind what it took.
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes one byte if it is among `set`.
    pub(crate) fn take_any(&mut self, set: &[u8]) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if set.contains(first) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes between `least` and `most` decimal digits as a number.
    pub(crate) fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let digits = self.rest.iter().take(most.min(18)).take_while(|byte| byte.is_ascii_digit()).count();
        if digits < least {
            return None;
        }
        let (taken, rest) = self.rest.split_at_checked(digits)?;
        self.rest = rest;
        Some(taken.iter().fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0')))
    }

    /// Like [`Cursor::number`] for a field of one or two digits.
    pub(crate) fn small(&mut self, least: usize) -> Option<u8> {
        self.number(least, 2).and_then(|number| u8::try_from(number).ok())
    }

    /// `2025-01-20` (or with slashes) as its midnight.
    pub(crate) fn date(&mut self) -> Option<Timestamp> {
        let year = self.number(4, 4)?;
        let separator = self.peek().filter(|byte| b"-/".contains(byte))?;
        self.take_any(&[separator]);
        let month = self.small(1)?;
        if !self.take_any(&[separator]) {
            return None;
        }
        let day = self.small(1)?;
        Timestamp::from_civil((year, month, day), (0, 0, 0), 0)
    }

    /// `10:30`, `10:30:00`, `10:30:00.123456` as microseconds of the day.
    pub(crate) fn time_of_day(&mut self) -> Option<i64> {
        let hour = self.small(1)?;
        if !self.take_any(b":") {
            return None;
        }
        let minute = self.small(2)?;
        let second = if self.take_any(b":") { self.small(2)? } else { 0 };
        let micros = self.fraction();
        let midnight = (1970, 1, 1);
        Timestamp::from_civil(midnight, (hour, minute, second), micros).map(|instant| instant.0)
    }

    /// A fraction of a second after `.` or `,` as microseconds; what is finer is read and dropped.
    pub(crate) fn fraction(&mut self) -> u32 {
        let Some((b'.' | b',', digits)) = self.rest.split_first() else { return 0 };
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return 0;
        }
        let value = |at: usize| digits.get(at).filter(|_| at < count).map_or(0, |byte| u32::from(byte - b'0'));
        self.rest = digits.get(count..).unwrap_or_default();
        (0..6).fold(0, |sum, at| sum * 10 + value(at))
    }

    /// `Z`, `+02:00`, `-0730`, `+02` or nothing, as microseconds east of UTC.
    pub(crate) fn offset(&mut self) -> Option<i64> {
        if self.take_any(b"Zz") {
            return Some(0);
        }
        let sign = match self.peek() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Some(0),
        };
        self.take_any(b"+-");
        let hours = self.number(2, 2)?;
        self.take_any(b":");
        let minutes = if self.is_done() { 0 } else { self.number(2, 2).unwrap_or(0) };
        (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60) * SECOND)
    }
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar (Howard Hinnant's algorithm:
/// years begin in March, so that the leap day is their last one).
fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, u8::try_from(month).unwrap_or(1), u8::try_from(day).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Timestamp::parse(text).map_or_else(|error| error.to_string(), Timestamp::to_rfc3339)
    }

    #[test]
    fn reads_what_callers_write() {
        for (text, utc) in [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("2025-01-20T10:30:00Z", "2025-01-20T10:30:00Z"),
            ("2025-01-20T10:30:00.5Z", "2025-01-20T10:30:00.500Z"),
            ("2025-01-20T10:30:00.1234567Z", "2025-01-20T10:30:00.123456Z"),
            ("2026-06-04T14:43:21-07:00", "2026-06-04T21:43:21Z"),
            ("2025-01-20 10:30:00+0130", "2025-01-20T09:00:00Z"),
            ("2025-01-20T10:30:00", "2025-01-20T10:30:00Z"),
            ("2025-01-20 10:30", "2025-01-20T10:30:00Z"),
            ("2025-01-20", "2025-01-20T00:00:00Z"),
            (" 2024-02-29 ", "2024-02-29T00:00:00Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ] {
            assert_eq!(shown(text), utc, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_instant() {
        for text in [
            "",
            "now",
            "2025",
            "2025-13-01",
            "2023-02-29",
            "2025-04-31",
            "2025-01-20T25:00:00Z",
            "2025-01-20T10:61Z",
            "2025-01-20T10:30:00Zebra",
            "2025-01-20Q10:30",
            "20-01-2025",
            "2025-01/20",
            "2025-01-20T10:30:00+2:00",
            "0000-01-01T00:00:00+01:00",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_goes_there_and_back() {
        let first = days_from_civil(1800, 1, 1);
        for days in first..first + 146_097 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn knows_date_and_weekday() {
        let instant = Timestamp::parse("2024-02-29T23:59:59Z").unwrap();

        assert_eq!((instant.year(), instant.month(), instant.day()), (2024, 2, 29));
        assert_eq!(instant.weekday(), Weekday::Thursday);
        assert_eq!(Timestamp(-1).to_rfc3339(), "1969-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp(-1).weekday(), Weekday::Wednesday);
        assert_eq!(Timestamp(0).weekday(), Weekday::Thursday);
    }

    #[test]
    fn json_holds_text_and_binary_holds_microseconds() {
        let instant = Timestamp::parse("2025-01-20T10:30:00Z").unwrap();

        let json = serde_json::to_string(&instant).unwrap();
        let binary = bincode::serde::encode_to_vec(instant, bincode::config::legacy()).unwrap();

        assert_eq!(json, "\"2025-01-20T10:30:00Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), instant);
        assert_eq!(binary, instant.0.to_le_bytes());
        let (back, _): (Timestamp, usize) =
            bincode::serde::decode_from_slice(&binary, bincode::config::legacy()).unwrap();
        assert_eq!(back, instant);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in -62_000_000_000_000_000_i64..250_000_000_000_000_000) {
            let instant = Timestamp(micros);
            proptest::prop_assert_eq!(Timestamp::parse(&instant.to_rfc3339()), Ok(instant));
        }

        #[test]
        fn no_text_is_too_strange(text in ".{0,40}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
