//! A purpose, understood: its words, its direction, who it names, and which time it means.
//!
//! # Deliberately absent
//!
//! The items: a query knows of its scope only the speakers' names and the newest instant.

use crate::embed::Embedder;
use crate::index::vector::Direction;
use crate::lang;
use crate::time::Timestamp;
use crate::words::{self, Term};

/// Words of a query that count: a bit of a mask each. Later ones are ignored.
pub const MAX_TERMS: usize = 64;
/// Words of a query that are looked at for names, dates and questions.
const MAX_WORDS: usize = 512;

/// An analysed purpose.
#[derive(Debug, Clone)]
pub struct Query {
    /// Index terms, each once, in order of first mention.
    pub terms: Vec<Term>,
    /// Where it points, the speakers' names left out; `None` when it has no known word piece.
    pub direction: Option<Direction>,
    /// The one speaker that it names, lower case.
    pub speaker: Option<String>,
    /// Says I, my or we.
    pub first_person: bool,
    /// Asks for a time.
    pub asks_when: bool,
    /// Is about something that went wrong.
    pub about_failure: bool,
    /// Days (since 1970, both included) of the months that it names.
    pub months: Vec<(i32, i32)>,
    /// Days that it names.
    pub days: Vec<i32>,
}

impl Query {
    /// Understands `purpose` among people called `speakers` (lower case), as of `newest`.
    #[must_use]
    pub fn new(purpose: &str, speakers: &[&str], newest: Option<Timestamp>, embedder: &dyn Embedder) -> Self {
        let written: Vec<&str> = words::words(purpose).take(MAX_WORDS).collect();
        let lower: Vec<String> = written.iter().map(|word| bare(word)).collect();
        let named: Vec<&str> = speakers.iter().copied().filter(|name| is_named(name, &lower)).collect();
        let is_name = |word: &str| named.iter().any(|name| name.split_whitespace().any(|part| part == word));
        let stripped: Vec<&str> =
            written.iter().zip(&lower).filter(|(_, lower)| !is_name(lower)).map(|(&word, _)| word).collect();
        let direction = if named.is_empty() {
            Direction::of(&embedder.embed(purpose))
        } else {
            Direction::of(&embedder.embed(&stripped.join(" ")))
        };
        let mut terms = words::terms(purpose);
        let mut seen = std::collections::BTreeSet::new();
        terms.retain(|term| seen.insert(*term));
        terms.truncate(MAX_TERMS);
        let times = Times::read(&written, &lower, newest);
        Self {
            terms,
            direction,
            speaker: match named.as_slice() {
                [one] => Some((*one).to_owned()),
                _ => None,
            },
            first_person: lower.iter().any(|word| lang::is_first_person(word)),
            asks_when: asks_when(&lower),
            about_failure: lower.iter().any(|word| is_failure_word(word)),
            months: times.months,
            days: times.days,
        }
    }
}

/// The word in lower case, without a possessive ending.
fn bare(word: &str) -> String {
    let lower = word.to_lowercase();
    lower.strip_suffix("'s").map(str::to_owned).unwrap_or(lower)
}

/// True when the query names this speaker; the names of roles name nobody.
fn is_named(name: &str, words: &[String]) -> bool {
    let is_role = crate::kind::Role::known(name).is_some();
    let mut parts = name.split_whitespace();
    let first = parts.next().unwrap_or_default();
    !is_role && first.len() > 1 && words.iter().any(|word| word == first)
}

fn asks_when(words: &[String]) -> bool {
    let is = |at: usize, wanted: &[&str]| words.get(at).is_some_and(|word| wanted.contains(&word.as_str()));
    (0..words.len()).any(|at| {
        is(at, &["when"])
            || (is(at, &["how"]) && is(at + 1, &["long", "often", "recently"]))
            || (is(at, &["which", "what"]) && is(at + 1, &["date", "day", "month", "year", "time", "week"]))
    })
}

/// Words that say something went wrong.
fn is_failure_word(word: &str) -> bool {
    const WORDS: [&str; 22] = [
        "bug",
        "bugs",
        "broken",
        "crash",
        "crashed",
        "crashes",
        "error",
        "errors",
        "exception",
        "exceptions",
        "fail",
        "failed",
        "failing",
        "fails",
        "failure",
        "failures",
        "panic",
        "panicked",
        "stacktrace",
        "timeout",
        "traceback",
        "wrong",
    ];
    WORDS.contains(&word)
}

/// The months and days that a query names.
#[derive(Default)]
struct Times {
    months: Vec<(i32, i32)>,
    days: Vec<i32>,
}

/// Years back from the newest item in which a month without a year is looked for.
const YEARS_BACK: i64 = 5;

impl Times {
    fn read(written: &[&str], lower: &[String], newest: Option<Timestamp>) -> Self {
        let mut times = Self::default();
        let Some(newest) = newest else { return times };
        for (at, word) in lower.iter().enumerate() {
            match word.as_str() {
                "yesterday" => times.days.extend(day_of(newest).map(|day| day - 1)),
                "today" => times.days.extend(day_of(newest)),
                _ => times.read_month(written, lower, at, newest),
            }
        }
        times
    }

    fn read_month(&mut self, written: &[&str], lower: &[String], at: usize, newest: Timestamp) {
        let Some(month) = lower.get(at).and_then(|word| lang::month_number(word)) else { return };
        let number = |at: Option<usize>| lower.get(at?).and_then(|word| ordinal(word));
        let year_at =
            |at: usize| lower.get(at).and_then(|word| word.parse().ok()).filter(|year| (1900..2200).contains(year));
        let day = number(at.checked_sub(1)).or_else(|| {
            // "7th of May"
            let of = at.checked_sub(1).and_then(|at| lower.get(at)).is_some_and(|word| word == "of");
            number(at.checked_sub(2)).filter(|_| of)
        });
        let (day, year) = match day {
            Some(day) => (Some(day), year_at(at + 1)),
            None => number(Some(at + 1)).map_or_else(|| (None, year_at(at + 1)), |day| (Some(day), year_at(at + 2))),
        };
        // "may" and "march" are words too: only a capital inside the sentence, or a number, makes a month of them.
        let capital = written.get(at).and_then(|word| word.chars().next()).is_some_and(char::is_uppercase);
        let sure = day.is_some() || year.is_some() || (capital && at > 0) || !matches!(month, 3 | 5);
        if !sure {
            return;
        }
        let years: Vec<i64> =
            year.map_or_else(|| (newest.year() - YEARS_BACK..=newest.year()).collect(), |year| vec![year]);
        for year in years {
            self.months.extend(month_range(year, month));
            self.days.extend(day.and_then(|day| civil_day(year, month, day)));
        }
    }
}

fn day_of(at: Timestamp) -> Option<i32> {
    i32::try_from(at.days_since_epoch()).ok()
}

fn civil_day(year: i64, month: u8, day: u8) -> Option<i32> {
    day_of(Timestamp::from_civil((year, month, day), (0, 0, 0), 0)?)
}

fn month_range(year: i64, month: u8) -> Option<(i32, i32)> {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    Some((civil_day(year, month, 1)?, civil_day(next_year, next_month, 1)? - 1))
}

/// 1–31 of "7", "7th", "21st".
fn ordinal(word: &str) -> Option<u8> {
    let digits = word.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let ending = word.get(digits.len()..).unwrap_or_default();
    digits.parse().ok().filter(|day| (1..=31).contains(day) && matches!(ending, "" | "st" | "nd" | "rd" | "th"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::Nothing;

    fn query(purpose: &str) -> Query {
        let newest = Timestamp::parse("2023-06-20T10:00:00Z").unwrap();
        Query::new(purpose, &["anna", "ben miller", "user"], Some(newest), &Nothing)
    }

    #[test]
    fn a_name_means_the_speaker() {
        let one = query("What did Anna's sister paint?");
        assert_eq!(one.speaker.as_deref(), Some("anna"));
        assert_eq!(query("Where did Anna meet Ben?").speaker, None, "two names lift nobody");
        assert_eq!(query("which user is it").speaker, None, "a role is no name");
    }

    #[test]
    fn months_and_days_are_understood() {
        let day = |text: &str| Timestamp::parse(text).unwrap().days_since_epoch() as i32;
        assert!(query("What happened on 7 May 2023?").days == [day("2023-05-07")]);
        assert!(query("What happened on May 7th, 2023?").days == [day("2023-05-07")]);
        assert!(query("and the 7th of march?").days.contains(&day("2023-03-07")));
        assert!(query("What happened yesterday?").days == [day("2023-06-19")]);
        assert_eq!(query("in January 2023").months, [(day("2023-01-01"), day("2023-01-31"))]);
        assert!(query("it may rain on the march").months.is_empty(), "words, not months");
    }
}
