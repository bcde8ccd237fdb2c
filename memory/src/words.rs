//! Text to index terms: words, stems, and the parts of identifiers, as 64-bit hashes.
//!
//! One analysis serves the thread's postings, the workspace's keyword index and the query, so that
//! they can never disagree. Prose is lower-cased, stripped of `'s` and stop words, and stemmed by
//! Snowball (English). A word that looks like code (`snake_case`, `camelCase`, `x86`, `v1.2`) is
//! kept whole beside the stems of its parts, so that it is found by either.
//!
//! # Deliberately absent
//!
//! Weights and statistics; those are the ranker's.

use crate::lang;
use rust_stemmers::{Algorithm, Stemmer};
use std::borrow::Cow;

/// A hashed term. Collisions of 64 bits are accepted: they cost a rank, never an item.
pub type Term = u64;

/// The stable hash of a term: FNV-1a, 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>), with
/// the finisher of SplitMix64 so that all bits depend on all bytes. Stored in snapshots.
#[must_use]
pub fn hash(term: &str) -> Term {
    let fnv = term
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Calls `take` with every index term of `text`, in order, repetitions included.
pub fn for_each_term(text: &str, mut take: impl FnMut(&str)) {
    let stemmer = Stemmer::create(Algorithm::English);
    let mut lower = String::new();
    for word in words(text) {
        lower.clear();
        lower.extend(word.chars().flat_map(char::to_lowercase));
        let bare = lower.strip_suffix("'s").unwrap_or(&lower).trim_matches('\'');
        if bare.is_empty() {
            continue;
        }
        if is_code(word) {
            take(bare);
            for part in parts(word) {
                let part = part.to_lowercase();
                if part != bare && part.len() > 1 && !lang::is_stop_word(&part) {
                    take(&stem(&stemmer, &part));
                }
            }
        } else if !lang::is_stop_word(bare) {
            take(&stem(&stemmer, bare));
        }
    }
}

/// Every index term of `text` hashed, in order, repetitions included.
#[must_use]
pub fn terms(text: &str) -> Vec<Term> {
    let mut all = Vec::new();
    for_each_term(text, |term| all.push(hash(term)));
    all
}

fn stem<'a>(stemmer: &Stemmer, word: &'a str) -> Cow<'a, str> {
    // Snowball knows English letters only; others pass as they are.
    if word.is_ascii() && word.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        stemmer.stem(word)
    } else {
        Cow::Borrowed(word)
    }
}

/// The words of `text` as written: runs of letters, digits and `_`, with `'`, `’`, `.` and `-`
/// inside kept only where they hold an identifier, a number or a contraction together.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    Words { rest: text }
}

struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let start = self.rest.find(is_word_char)?;
        let tail = self.rest.get(start..)?;
        let mut end = 0;
        let mut chars = tail.char_indices().peekable();
        let mut digit_before = false;
        while let Some((at, char)) = chars.next() {
            let joins = match char {
                '\'' => chars.peek().is_some_and(|&(_, next)| next.is_alphabetic()),
                '.' => digit_before && chars.peek().is_some_and(|&(_, next)| next.is_ascii_digit()),
                _ => is_word_char(char),
            };
            if !joins || at >= MAX_WORD_BYTES {
                break;
            }
            digit_before = char.is_ascii_digit();
            end = at + char.len_utf8();
        }
        self.rest = tail.get(end..)?;
        tail.get(..end)
    }
}

/// Longer runs are cut: no word is that long, and a line of base64 must not become one.
const MAX_WORD_BYTES: usize = 64;

fn is_word_char(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// True for what looks like an identifier or a version: `_`, an inner capital, letters with digits.
fn is_code(word: &str) -> bool {
    let bytes = word.as_bytes();
    let hump = bytes.windows(2).any(|pair| matches!(pair, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
    let digit = bytes.iter().any(u8::is_ascii_digit);
    let letter = bytes.iter().any(u8::is_ascii_alphabetic);
    bytes.contains(&b'_') || hump || (digit && letter) || bytes.contains(&b'.')
}

/// The parts of an identifier: split at `_`, `.`, case changes and between letters and digits.
fn parts(word: &str) -> impl Iterator<Item = &str> {
    word.split(['_', '.']).flat_map(split_case)
}

fn split_case(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let chars: Vec<(usize, char)> = word.char_indices().collect();
    for window in chars.windows(2) {
        let [(_, a), (at, b)] = window else { continue };
        let (at, ends) = (*at, (a.is_lowercase() && b.is_uppercase()) || (a.is_ascii_digit() != b.is_ascii_digit()));
        // `HTTPServer`: the last capital of a run belongs to the next word.
        let next_lower =
            word.get(at + b.len_utf8()..).and_then(|rest| rest.chars().next()).is_some_and(char::is_lowercase);
        if ends || (a.is_uppercase() && b.is_uppercase() && next_lower) {
            parts.extend(word.get(start..at));
            start = at;
        }
    }
    parts.extend(word.get(start..).filter(|part| !part.is_empty()));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        for_each_term(text, |term| all.push(term.to_owned()));
        all
    }

    #[test]
    fn prose_becomes_stems_without_stop_words() {
        assert_eq!(all("The painters' running, isn't Melanie's hobby"), ["painter", "run", "melani", "hobbi"]);
    }

    #[test]
    fn identifiers_are_found_whole_and_by_their_parts() {
        assert_eq!(all("getHTTPResponse"), ["gethttpresponse", "get", "http", "respons"]);
        assert_eq!(all("max_retry_count"), ["max_retry_count", "max", "retri", "count"]);
        assert_eq!(all("v1.27.3"), ["v1.27.3", "27"]);
    }

    #[test]
    fn long_runs_are_cut_and_nothing_else_is_lost() {
        let run = "x".repeat(1000);
        assert_eq!(words(&run).map(str::len).sum::<usize>(), 1000);
    }

    #[test]
    fn the_hash_is_stable_because_snapshots_hold_it() {
        assert_eq!(hash("paint"), 5_321_406_922_336_089_106);
    }
}
