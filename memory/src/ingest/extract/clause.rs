//! Makes titles, subjects and values out of clauses.

use super::super::shortened;
use crate::lang;

/// The longest title.
const TITLE: usize = 80;

/// A clause as a title: no full stop, the first letter a capital.
pub(super) fn title(clause: &str) -> String {
    // The reason has a place of its own.
    let clause = clause.split(" because ").next().unwrap_or(clause);
    let clause = clause.trim().trim_end_matches(['.', '!', ';', ',']).trim();
    let short = shortened(clause, TITLE);
    let mut letters = short.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => short,
    }
}

/// A clause as a key: lower case, no articles in front, at most six words; `None` if nothing is
/// left or it only points ("it", "that").
pub(super) fn subject(clause: &str) -> Option<String> {
    let clause = until_break(clause).to_lowercase();
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | '+' | '#' | '\'');
    let words: Vec<&str> = clause
        .split(|c: char| !is_part(c))
        .map(|word| word.trim_matches(['.', '\'', '-', '/']))
        .filter(|word| !word.is_empty())
        .collect();
    let skip = words.iter().take_while(|word| is_determiner(word)).count();
    let words = words.get(skip..).unwrap_or_default();
    let telling = words.iter().any(|word| !lang::is_stop_word(word) && !is_pointer(word));
    (telling && words.len() <= 6).then(|| words.join(" "))
}

fn is_determiner(word: &str) -> bool {
    matches!(word, "the" | "a" | "an" | "our" | "my" | "your" | "their" | "this" | "that" | "these" | "all" | "new")
}

fn is_pointer(word: &str) -> bool {
    matches!(word, "one" | "thing" | "things" | "stuff" | "now" | "everything" | "something" | "anything")
}

/// A clause as a value: without articles and what follows it.
pub(super) fn value(clause: &str) -> Option<String> {
    let clause =
        until_break(clause).trim_matches(|c: char| matches!(c, '"' | '\'' | '`' | '.' | '!' | ',' | ';' | ' '));
    let lower = clause.to_ascii_lowercase();
    let skip =
        ["the ", "a ", "an "].iter().find(|article| lower.starts_with(*article)).map_or(0, |article| article.len());
    let value = clause.get(skip..)?.trim();
    (!value.is_empty() && value.len() <= 160).then(|| value.to_owned())
}

/// The clause without the small words that close it in speech.
pub(super) fn without_tail(clause: &str) -> &str {
    const TAILS: [&str; 7] = [" then", " now", " instead", " please", " too", " for now", " from now on"];
    let clause = clause.trim().trim_end_matches(['.', '!', ',']);
    TAILS.iter().rev().find_map(|tail| clause.strip_suffix(tail)).unwrap_or(clause)
}

/// The clause up to where another one begins.
pub(super) fn until_break(clause: &str) -> &str {
    const BREAKS: [&str; 17] = [
        " because",
        " since ",
        " so that",
        " due to",
        " in order",
        ", ",
        "; ",
        " - ",
        " — ",
        " – ",
        " but ",
        " as it ",
        " so we",
        " so i",
        " which ",
        " when ",
        " (",
    ];
    let lower = clause.to_ascii_lowercase();
    let end = BREAKS.iter().filter_map(|word| lower.find(word)).min().unwrap_or(clause.len());
    clause.get(..end).unwrap_or(clause).trim().trim_end_matches(['.', '!', '?', ';', ','])
}

/// The reason that a sentence gives.
pub(super) fn rationale(plain: &str, lower: &str) -> Option<String> {
    const WORDS: [&str; 5] = ["because of ", "because ", "due to ", "so that ", "in order to "];
    let (at, word) = WORDS.iter().filter_map(|word| lower.find(word).map(|at| (at, word))).min_by_key(|(at, _)| *at)?;
    let reason = plain.get(at + word.len()..)?.trim().trim_end_matches(['.', '!']);
    (at > 0 && !reason.is_empty()).then(|| reason.to_owned())
}

/// How urgent a task is by its words.
pub(super) fn priority(lower: &str) -> Option<String> {
    let has = |words: &[&str]| words.iter().any(|word| holds_word(lower, word));
    if has(&[
        "urgent",
        "urgently",
        "asap",
        "immediately",
        "blocker",
        "critical",
        "high priority",
        "high-priority",
        "p0",
        "p1",
    ]) {
        Some("high".to_owned())
    } else if has(&["low priority", "low-priority", "nice to have", "someday", "p3", "p4"]) {
        Some("low".to_owned())
    } else if has(&["medium priority", "p2"]) {
        Some("medium".to_owned())
    } else {
        None
    }
}

/// True if the words stand in the text as whole words.
pub(super) fn holds_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let ahead = text.get(..at).and_then(|head| head.chars().next_back());
        let next = text.get(at + word.len()..).and_then(|rest| rest.chars().next());
        !ahead.is_some_and(char::is_alphanumeric) && !next.is_some_and(char::is_alphanumeric)
    })
}

/// The significant words of a clause, lower case, in order, without repetition.
pub(super) fn significant_words(clause: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let lower = clause.to_lowercase();
    for word in lower.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '\''))) {
        let word = word.trim_matches('\'');
        let telling = word.len() > 1
            && !lang::is_stop_word(word)
            && !is_pointer(word)
            && !matches!(word, "just" | "already" | "finally");
        if telling && words.len() < 24 && !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    words
}
