//! Passages: the pieces of about 120 words by which an item is found.
//!
//! A short item is one passage; a long one is several, and scores as its best. What ranking needs
//! of a passage is computed once, when it comes in, and kept in arrays.
//!
//! # Deliberately absent
//!
//! Weights: what a feature is worth stands in [`crate::recall::weights`].

use crate::item::Item;
use crate::kind::{Kind, Role};
use crate::lang;
use crate::time::Timestamp;
use crate::words::{self, Term};
use serde::{Deserialize, Serialize};

/// No passage, session or speaker.
pub const NONE: u32 = u32::MAX;

/// Words in a passage, about: the length that MiniLM-like models see whole.
const WORDS_PER_PASSAGE: usize = 120;

/// What happens in one place and has an order: neighbours and sessions exist within one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stream {
    /// The turns of the conversation.
    Chat,
    /// The hunks of the diffs; a session is a commit.
    Code,
    /// Log events, traces and failing tests; a session is a burst.
    Log,
    /// What was given directly: no neighbours.
    Notes,
}

impl Stream {
    /// All streams, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Code, Self::Log, Self::Notes];

    /// The stream that items of this kind belong to.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Chat => Self::Chat,
            Kind::Diff => Self::Code,
            Kind::Log | Kind::Stack | Kind::TestFail => Self::Log,
            _ => Self::Notes,
        }
    }
}

/// Yes/no features of a passage, as bits.
pub mod flag {
    /// Says I, my or we.
    pub const FIRST_PERSON: u16 = 1;
    /// Ends with a question mark.
    pub const ENDS_ASKING: u16 = 1 << 1;
    /// Holds a question mark.
    pub const ASKS: u16 = 1 << 2;
    /// Holds a word that says when.
    pub const SAYS_WHEN: u16 = 1 << 3;
    /// Said by the user.
    pub const FROM_USER: u16 = 1 << 4;
    /// Is about a failure: a trace, a failing test, an error event.
    pub const FAILURE: u16 = 1 << 5;
    /// Its vector is of the thread's present model.
    pub const EMBEDDED: u16 = 1 << 6;
    /// The passage before it holds a question mark.
    pub const BEFORE_ASKS: u16 = 1 << 7;
    /// How many values the bits make together.
    pub const VALUES: usize = 1 << 8;
}

/// What ranking needs to know of a passage: 64 bytes, a line of the processor's cache, because a
/// recall reads them all.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Passage {
    /// The item's place in the thread.
    pub slot: u32,
    /// The passage before it in its session, or [`NONE`].
    pub before: u32,
    /// Its session, or [`NONE`].
    pub session: u32,
    /// The speaker's number in the thread, or [`NONE`].
    pub speaker: u32,
    /// Index terms in it, repetitions included: its length for BM25.
    pub length: u32,
    /// Bytes of the item's text where it begins.
    pub start: u32,
    /// Bytes of the item's text where it ends.
    pub end: u32,
    /// The day it happened on, since 1970.
    pub day: i32,
    /// When we learnt it, µs.
    pub created_at: i64,
    /// From when these are no longer the item's words, µs; `i64::MAX` while they are.
    pub until: i64,
    /// The vector's step.
    pub scale: f32,
    /// 1 / |vector|, 0 without one.
    pub inverse_norm: f32,
    /// 1 / |vector + vector of the passage before|, 0 without one.
    pub inverse_pair: f32,
    /// Bits of [`flag`].
    pub flags: u16,
    /// Its stream.
    pub stream: Stream,
    /// Capitalised words inside its sentences, at most [`MAX_NAMES`].
    pub names: u8,
}

impl Passage {
    /// True when these were the item's words at the instant `at` (µs).
    #[must_use]
    pub const fn holds_at(&self, at: i64) -> bool {
        self.until > at
    }

    /// True when `flag` is set.
    #[must_use]
    pub const fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// Cuts a text into passages of about 120 words: at line ends and sentence ends where there are
/// some, else between words. Returns byte ranges that cover all words, at least one.
#[must_use]
pub fn cut(text: &str) -> Vec<(usize, usize)> {
    let mut ranges = Vec::new();
    let (mut start, mut words, mut good_end) = (0, 0, None);
    let mut in_word = false;
    let mut last = ' ';
    for (at, char) in text.char_indices() {
        if char.is_whitespace() {
            if in_word && words > WORDS_PER_PASSAGE / 2 && (char == '\n' || matches!(last, '.' | '!' | '?' | ';')) {
                good_end = Some(at);
            }
            in_word = false;
        } else if !in_word {
            in_word = true;
            words += 1;
            if words > WORDS_PER_PASSAGE {
                let end = good_end.take().unwrap_or(at);
                ranges.push((start, end));
                words = count_words(text.get(end..at).unwrap_or_default()) + 1;
                start = end;
            }
        }
        last = char;
    }
    ranges.push((start, text.len()));
    ranges
}

fn count_words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// What a passage's vector is made of: the words with the header that gives them meaning.
#[must_use]
pub fn embedding_text(item: &Item, words: &str) -> String {
    match (&item.speaker, &item.title, item.kind) {
        (Some(speaker), _, Kind::Chat) => format!("{speaker}: {words}"),
        (_, Some(title), kind) if kind != Kind::Chat && !words.contains(title.as_str()) => format!("{title}\n{words}"),
        _ => words.to_owned(),
    }
}

/// The index terms of a passage: its words, its header's where they are not the speaker's, and the
/// words of its date.
#[must_use]
pub fn index_terms(item: &Item, words: &str) -> Vec<Term> {
    let mut terms = words::terms(words);
    if item.kind == Kind::Chat {
        terms.extend(date_terms(item.observed_at));
    } else if let Some(title) = item.title.as_deref().filter(|title| !words.contains(title)) {
        terms.extend(words::terms(title));
    }
    terms.extend(item.tags.iter().flat_map(|tag| words::terms(tag)));
    terms
}

/// The words that people would use for the date: day, month, year.
fn date_terms(at: Timestamp) -> impl Iterator<Item = Term> {
    let (year, month, day) = at.date();
    [Some(day.to_string()), lang::month_name(month).map(str::to_owned), Some(year.to_string())]
        .into_iter()
        .flatten()
        .flat_map(|word| words::terms(&word))
}

/// The flags of a passage of `item` with these words.
#[must_use]
pub fn flags(item: &Item, words: &str) -> u16 {
    let mut flags = 0;
    let mut set = |flag: u16, when: bool| {
        if when {
            flags |= flag;
        }
    };
    set(flag::ENDS_ASKING, words.trim_end().ends_with('?'));
    set(flag::ASKS, words.contains('?'));
    set(flag::FROM_USER, item.role == Some(Role::User));
    set(flag::FAILURE, is_failure(item));
    let mut lower = String::new();
    for word in words::words(words) {
        lower.clear();
        lower.extend(word.chars().flat_map(char::to_lowercase));
        set(flag::FIRST_PERSON, lang::is_first_person(&lower));
        set(flag::SAYS_WHEN, lang::is_time_word(&lower) || is_year(&lower));
    }
    flags
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && (word.starts_with("19") || word.starts_with("20")) && word.bytes().all(|b| b.is_ascii_digit())
}

fn is_failure(item: &Item) -> bool {
    let level = item.metadata.0.get("level").and_then(|level| level.as_str());
    matches!(item.kind, Kind::Stack | Kind::TestFail) || matches!(level, Some("error" | "fatal" | "critical"))
}

/// Capitalised words from which on more say no more.
pub const MAX_NAMES: u8 = 3;

/// Capitalised words that do not open a sentence, at most [`MAX_NAMES`]: names carry facts.
#[must_use]
pub fn names(words: &str) -> u8 {
    let mut names = 0_u8;
    let mut opens = true;
    for token in words.split_whitespace() {
        let word = token.trim_matches(|char: char| !char.is_alphanumeric());
        let capital = word.chars().next().is_some_and(char::is_uppercase);
        if capital && !opens && !word.starts_with("I'") && word != "I" && names < MAX_NAMES {
            names += 1;
        }
        opens = token.ends_with(['.', '!', '?', ':']);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn passages_cover_the_text_without_overlap(text in "([a-zé]{1,9}[ .\n]{1,2}){0,500}") {
            let ranges = cut(&text);
            prop_assert_eq!(ranges[0].0, 0);
            prop_assert_eq!(ranges.last().unwrap().1, text.len());
            for pair in ranges.windows(2) {
                prop_assert_eq!(pair[0].1, pair[1].0);
            }
            for (start, end) in ranges {
                prop_assert!(count_words(&text[start..end]) <= WORDS_PER_PASSAGE + 1);
            }
        }
    }

    #[test]
    fn a_passage_fills_a_cache_line() {
        assert_eq!(size_of::<Passage>(), 64);
    }

    #[test]
    fn names_are_capitals_inside_sentences() {
        assert_eq!(names("We met Anna in Paris. Then I left."), 2);
        assert_eq!(names("Hello. World"), 0);
    }
}
