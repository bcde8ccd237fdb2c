//! Tells what a sentence reports as finished.
//!
//! A report alone changes nothing: it closes an open task that its words fit, so these rules may be
//! wider than those that find things.

use super::super::draft::Closes;
use super::super::pattern;
use super::clause;
use super::sentence::{Sentence, sentences};
use regex::Regex;
use std::sync::LazyLock;

/// "Done", "Fixed!", alone.
static ALONE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"^(?:(?:ok|okay|yes|great|all|and|it's|that's|this is|it is|that is)[, ]+)*(?:all )?(?:done|completed|finished|fixed|resolved|shipped|merged|deployed)(?: (?:now|it|that|already))?[.!]*$",
    )
});
/// "I've fixed the login bug", "we finally deployed it"
static ACTIVE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"\b(?:(?:[a-z]+|the team) (?:has |have )?(?:just |already |now |finally |also )*(?:fixed|implemented|deployed|merged|resolved|shipped|refactored|migrated|rotated|finished|completed)|(?:i|we|he|she|they)(?:'ve| have| has)? (?:just |already |now |finally |also )*(?:fixed|finished|completed|implemented|added|deployed|merged|resolved|shipped|removed|updated|refactored|migrated|rotated|documented|tested|wrote|written|closed|released|upgraded|configured|renamed|reviewed|set up|cleaned up|done)) (.+)$",
    )
});
/// "The login bug is fixed", "tests have been added"
static PASSIVE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"^(?:ok|okay|yes|good news|update)?[,: ]*(.+?) (?:is|are|was|were|has been|have been|got) (?:now |all |finally |already )*(?:done|fixed|finished|complete|completed|implemented|added|deployed|merged|resolved|shipped|removed|updated|refactored|migrated|rotated|documented|closed|released|upgraded)\b",
    )
});
/// "Fixed in v2", "resolved by restarting the pool"
static FIXED_IN: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"\b(?:fixed|resolved|closed|implemented|done|addressed) (?:in|by|with|via) (.+)$"));
/// "fixes #12", "closes GH-12"
static ISSUE: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"\b(?:fix(?:e[sd])?|close[sd]?|resolve[sd]?):? +(?:[\w./-]+)?(?:#|gh-)(\d{1,9})\b"));
/// Words after which nothing is finished yet.
static NOT_YET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"\b(?:not|never|isn't|aren't|wasn't|hasn't|haven't|didn't|can't|won't|couldn't|wouldn't|will|would|should|could|must|trying|almost done|to be|if|when|once|until|unless|after|before|almost|nearly|need|needs|todo)\b",
    )
});

/// Every pattern here, for the test that they compile.
#[cfg(test)]
pub(super) fn patterns() -> Vec<&'static LazyLock<Option<Regex>>> {
    vec![&ALONE, &ACTIVE, &PASSIVE, &FIXED_IN, &ISSUE, &NOT_YET]
}

/// What this sentence reports as finished.
pub(super) fn find(sentence: &Sentence<'_>) -> Option<Closes> {
    let lower = sentence.lower.as_str();
    if sentence.checkbox == Some(true) {
        return closes(sentence, lower, None);
    }
    if let Some(rest) = lower.strip_prefix("done: ").or_else(|| lower.strip_prefix("done - ")) {
        return closes(sentence, rest, None);
    }
    if sentence.is_question() {
        return None;
    }
    let issue = capture(&ISSUE, lower).map(str::to_owned);
    if let Some(issue) = issue {
        let mut closes = closes(sentence, lower, None)?;
        let verb = |word: &str| ["fix", "clos", "resolv"].iter().any(|stem| word.starts_with(stem));
        closes.words.retain(|word| *word != issue && !verb(word));
        closes.issue = Some(issue);
        return Some(closes);
    }
    if is_match(&ALONE, lower) {
        return closes(sentence, "", None);
    }
    if is_match(&NOT_YET, lower) || lower.starts_with('[') || sentence.checkbox == Some(false) {
        return None;
    }
    let object = capture(&PASSIVE, lower).or_else(|| capture(&ACTIVE, lower)).or_else(|| capture(&FIXED_IN, lower))?;
    if sentence.is_quoted(sentence.lower.find(object).unwrap_or(0)) {
        return None;
    }
    let object = clause::until_break(object);
    // "It is fixed" and "I fixed that" name nothing: the last task is meant, if that is all they say.
    let pointed = ["it", "that", "this", "them", "both", "all of it", "all of them"].contains(&object);
    let brief = lower.split(' ').count() <= 6;
    let named = !clause::significant_words(object).is_empty();
    if named || (pointed && brief) { closes(sentence, object, None) } else { None }
}

fn closes(sentence: &Sentence<'_>, object: &str, issue: Option<String>) -> Option<Closes> {
    Some(Closes { text: sentence.raw.to_owned(), words: clause::significant_words(object), issue, span: sentence.span })
}

/// What a commit's message finishes: the issues that it names, and its subject, which says in the
/// imperative what is done.
pub(super) fn of_commit(message: &str) -> Vec<Closes> {
    const MOST: usize = 16;
    let mut all = Vec::new();
    let subject = message.lines().next().unwrap_or_default();
    let words = clause::significant_words(subject);
    if words.len() >= 2 {
        all.push(Closes {
            text: subject.to_owned(),
            words,
            issue: capture(&ISSUE, &subject.to_ascii_lowercase()).map(str::to_owned),
            span: (0, subject.len()),
        });
    }
    let rest = sentences(message).into_iter().filter(|sentence| sentence.span.0 >= subject.len());
    for sentence in rest.take(200) {
        if let Some(issue) = capture(&ISSUE, &sentence.lower)
            && all.len() < MOST
        {
            all.push(Closes {
                text: sentence.raw.to_owned(),
                words: Vec::new(),
                issue: Some(issue.to_owned()),
                span: sentence.span,
            });
        }
    }
    all
}

fn is_match(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

fn capture<'t>(pattern: &LazyLock<Option<Regex>>, text: &'t str) -> Option<&'t str> {
    pattern.as_ref()?.captures(text)?.get(1).map(|found| found.as_str())
}
