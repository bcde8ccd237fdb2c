//! Word lists of the languages that rules and ranking know: today English only.
//!
//! All lookups take one word in lower case, with a plain apostrophe (`'`) where it has one.
//! Without a list for a text's language the rules simply find nothing there; no other module may
//! hold a word list of its own that is about language rather than about its own rule.
//!
//! # Deliberately absent
//!
//! Stemming and tokenising, which belong to the index.

/// Snowball's English stop list (snowballstem.org, `algorithms/english/stop.txt`, BSD licence),
/// the words it has in use (those it lists as commented-out candidates are not taken), sorted.
const STOP_WORDS: &[&str] = &[
    "a",
    "about",
    "above",
    "after",
    "again",
    "against",
    "all",
    "am",
    "an",
    "and",
    "any",
    "are",
    "aren't",
    "as",
    "at",
    "be",
    "because",
    "been",
    "before",
    "being",
    "below",
    "between",
    "both",
    "but",
    "by",
    "can't",
    "cannot",
    "could",
    "couldn't",
    "did",
    "didn't",
    "do",
    "does",
    "doesn't",
    "doing",
    "don't",
    "down",
    "during",
    "each",
    "few",
    "for",
    "from",
    "further",
    "had",
    "hadn't",
    "has",
    "hasn't",
    "have",
    "haven't",
    "having",
    "he",
    "he'd",
    "he'll",
    "he's",
    "her",
    "here",
    "here's",
    "hers",
    "herself",
    "him",
    "himself",
    "his",
    "how",
    "how's",
    "i",
    "i'd",
    "i'll",
    "i'm",
    "i've",
    "if",
    "in",
    "into",
    "is",
    "isn't",
    "it",
    "it's",
    "its",
    "itself",
    "let's",
    "me",
    "more",
    "most",
    "mustn't",
    "my",
    "myself",
    "no",
    "nor",
    "not",
    "of",
    "off",
    "on",
    "once",
    "only",
    "or",
    "other",
    "ought",
    "our",
    "ours",
    "ourselves",
    "out",
    "over",
    "own",
    "same",
    "shan't",
    "she",
    "she'd",
    "she'll",
    "she's",
    "should",
    "shouldn't",
    "so",
    "some",
    "such",
    "than",
    "that",
    "that's",
    "the",
    "their",
    "theirs",
    "them",
    "themselves",
    "then",
    "there",
    "there's",
    "these",
    "they",
    "they'd",
    "they'll",
    "they're",
    "they've",
    "this",
    "those",
    "through",
    "to",
    "too",
    "under",
    "until",
    "up",
    "very",
    "was",
    "wasn't",
    "we",
    "we'd",
    "we'll",
    "we're",
    "we've",
    "were",
    "weren't",
    "what",
    "what's",
    "when",
    "when's",
    "where",
    "where's",
    "which",
    "while",
    "who",
    "who's",
    "whom",
    "why",
    "why's",
    "with",
    "won't",
    "would",
    "wouldn't",
    "you",
    "you'd",
    "you'll",
    "you're",
    "you've",
    "your",
    "yours",
    "yourself",
    "yourselves",
];

/// Words that say when, sorted. "may" and "second" are left out: they mostly mean something else.
const TIME_WORDS: &[&str] = &[
    "afternoon",
    "ago",
    "annual",
    "annually",
    "april",
    "august",
    "autumn",
    "birthday",
    "christmas",
    "daily",
    "day",
    "days",
    "decade",
    "decades",
    "december",
    "easter",
    "evening",
    "february",
    "fortnight",
    "friday",
    "hour",
    "hours",
    "january",
    "july",
    "june",
    "lately",
    "march",
    "midnight",
    "minute",
    "minutes",
    "monday",
    "month",
    "monthly",
    "months",
    "morning",
    "mornings",
    "night",
    "nights",
    "noon",
    "november",
    "nowadays",
    "october",
    "recently",
    "saturday",
    "september",
    "since",
    "spring",
    "summer",
    "sunday",
    "thanksgiving",
    "thursday",
    "today",
    "tomorrow",
    "tonight",
    "tuesday",
    "wednesday",
    "week",
    "weekday",
    "weekend",
    "weekends",
    "weekly",
    "weeks",
    "winter",
    "year",
    "yearly",
    "years",
    "yesterday",
];

/// Words by which speakers name themselves or their own, sorted.
const FIRST_PERSON: &[&str] = &[
    "i",
    "i'd",
    "i'll",
    "i'm",
    "i've",
    "let's",
    "me",
    "mine",
    "my",
    "myself",
    "our",
    "ours",
    "ourselves",
    "us",
    "we",
    "we'd",
    "we'll",
    "we're",
    "we've",
];

/// Words that open a question for information, sorted.
const QUESTION_WORDS: &[&str] = &[
    "how", "how's", "what", "what's", "when", "when's", "where", "where's", "which", "who", "who's", "whom", "whose",
    "why", "why's",
];

/// Verbs that open a yes/no question when they stand first, sorted.
const QUESTION_VERBS: &[&str] = &[
    "am",
    "are",
    "aren't",
    "can",
    "can't",
    "could",
    "couldn't",
    "did",
    "didn't",
    "do",
    "does",
    "doesn't",
    "don't",
    "had",
    "has",
    "hasn't",
    "have",
    "haven't",
    "is",
    "isn't",
    "may",
    "must",
    "shall",
    "should",
    "shouldn't",
    "was",
    "wasn't",
    "were",
    "weren't",
    "will",
    "won't",
    "would",
    "wouldn't",
];

const MONTHS: [(&str, &str); 12] = [
    ("january", "jan"),
    ("february", "feb"),
    ("march", "mar"),
    ("april", "apr"),
    ("may", "may"),
    ("june", "jun"),
    ("july", "jul"),
    ("august", "aug"),
    ("september", "sep"),
    ("october", "oct"),
    ("november", "nov"),
    ("december", "dec"),
];

/// True for words too common to mean anything by themselves.
#[must_use]
pub fn is_stop_word(word: &str) -> bool {
    holds(STOP_WORDS, word)
}

/// True for words that say when something was: days, months, seasons, "yesterday", "ago" and units.
#[must_use]
pub fn is_time_word(word: &str) -> bool {
    holds(TIME_WORDS, word)
}

/// True for "I", "my", "we" and their relatives.
#[must_use]
pub fn is_first_person(word: &str) -> bool {
    holds(FIRST_PERSON, word)
}

/// True for "who", "what", "when" and their relatives.
#[must_use]
pub fn is_question_word(word: &str) -> bool {
    holds(QUESTION_WORDS, word)
}

/// True for verbs that make a question when they open a sentence ("does", "can", "isn't").
#[must_use]
pub fn is_question_verb(word: &str) -> bool {
    holds(QUESTION_VERBS, word)
}

/// The month, 1–12, under its full or three-letter English name ("sept" too).
#[must_use]
pub fn month_number(word: &str) -> Option<u8> {
    if word == "sept" {
        return Some(9);
    }
    let at = MONTHS.iter().position(|(full, short)| *full == word || *short == word)?;
    u8::try_from(at + 1).ok()
}

/// The full English name of a month, 1–12, in lower case.
#[must_use]
pub fn month_name(month: u8) -> Option<&'static str> {
    MONTHS.get(usize::from(month).checked_sub(1)?).map(|(full, _)| *full)
}

fn holds(sorted: &[&str], word: &str) -> bool {
    sorted.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_so_that_binary_search_finds_everything() {
        for list in [STOP_WORDS, TIME_WORDS, FIRST_PERSON, QUESTION_WORDS, QUESTION_VERBS] {
            assert!(list.is_sorted_by(|a, b| a < b), "{list:?}");
        }
        assert_eq!(STOP_WORDS.len(), 174, "the Snowball list has 174 words");
    }

    #[test]
    fn words_are_told_apart() {
        assert!(is_stop_word("the") && is_stop_word("wouldn't") && !is_stop_word("database"));
        assert!(is_time_word("yesterday") && !is_time_word("may"), "may is mostly a verb");
        assert!(is_first_person("we'll") && !is_first_person("you"));
        assert!(is_question_word("whose") && is_question_verb("doesn't") && !is_question_word("does"));
    }

    #[test]
    fn months_have_numbers() {
        assert_eq!(month_number("may"), Some(5));
        assert_eq!(month_number("dec"), Some(12));
        assert_eq!(month_number("sept"), Some(9));
        assert_eq!(month_number("december"), Some(12));
        assert_eq!(month_number("marching"), None);
    }
}
