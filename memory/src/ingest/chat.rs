//! Conversations in, one draft per turn out.
//!
//! An array of messages is taken as it is. A transcript is split where a line opens with a
//! speaker, `Name: …`, which is harder than it looks: `Note: …`, `http://…`, `Error: …` and
//! `Database: Postgres` open lines too.
//!
//! # Who is a speaker
//!
//! A line may open a turn if it starts, without indentation and outside of code fences, with an
//! optional timestamp and one to three words of letters before a colon and a blank. It does, if
//!
//! - the name is `User`, `Assistant`, `Human` or `AI`, or
//! - the line has a timestamp, or
//! - the name comes back (three times where the roles above speak, else twice), or
//! - the transcript opens with such a line and is mostly made of them, and somebody says a sentence,
//!
//! and the name is not a label such as "Note", "Error" or "Decision".
//!
//! # Promise
//!
//! No word is lost but the speakers' names, which go to `speaker`. Text before the first speaker is
//! a turn without speaker; text without speakers is one turn.
//!
//! # Deliberately absent
//!
//! Mail threads, quoting styles and HTML.

use super::draft::{ArtifactRef, Draft};
use super::{log, pattern};
use crate::kind::{Kind, Role};
use crate::time::Timestamp;
use regex::Regex;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One turn of a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    /// Who spoke, as written.
    pub speaker: Option<String>,
    /// Who spoke, as language models know it.
    pub role: Option<Role>,
    /// The words.
    pub text: String,
    /// When, where the turn says so.
    pub at: Option<Timestamp>,
    /// The caller's id.
    pub id: Option<String>,
}

impl Turn {
    /// The draft of this turn, with the places in code that it names; nothing extracted yet.
    #[must_use]
    pub fn into_draft(self) -> Draft {
        let mut draft = Draft::new(Kind::Chat, self.text);
        draft.artifacts = places_in_prose(&draft.text);
        draft.speaker = self.speaker;
        draft.role = self.role;
        draft.observed_at = self.at;
        draft.external_id = self.id;
        draft
    }
}

/// The turn of one element of a messages array. The speaker is the name, or else the role's word.
#[must_use]
pub fn turn_from_message(
    role: &str,
    content: &str,
    name: Option<&str>,
    timestamp: Option<Timestamp>,
    id: Option<&str>,
) -> Turn {
    let word = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    Turn {
        speaker: name.and_then(word).or_else(|| word(role)),
        role: word(role).map(|role| Role::parse(&role)).or_else(|| name.map(Role::parse)),
        text: content.to_owned(),
        at: timestamp,
        id: id.map(str::to_owned),
    }
}

/// Splits a transcript into turns.
#[must_use]
pub fn parse_transcript(text: &str) -> Vec<Turn> {
    let openings = openings(text);
    let accepted = Accepted::of(&openings, text);
    let mut turns = Vec::new();
    let mut open = (Turn::default(), 0);
    for opening in openings.into_iter().filter(|opening| accepted.holds(opening)) {
        let next = Turn {
            role: Some(Role::parse(base_name(opening.name))),
            speaker: Some(opening.name.to_owned()),
            at: opening.at,
            ..Turn::default()
        };
        let (turn, start) = std::mem::replace(&mut open, (next, opening.words));
        close(turn, text.get(start..opening.start), &mut turns);
    }
    let (turn, start) = open;
    close(turn, text.get(start..), &mut turns);
    turns
}

/// Adds a turn with these words, if there are any.
fn close(mut turn: Turn, words: Option<&str>, turns: &mut Vec<Turn>) {
    let words = words.unwrap_or_default();
    let words = words.trim_start_matches(['\r', '\n']).trim_end();
    // Code keeps its first indentation; a single line has none worth keeping.
    let words = if words.contains('\n') { words.strip_prefix(' ').unwrap_or(words) } else { words.trim_start() };
    if !words.is_empty() {
        turn.text = words.to_owned();
        turns.push(turn);
    }
}

/// A line that may open a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Opening<'t> {
    /// Where the line starts.
    start: usize,
    /// Where the words start.
    words: usize,
    name: &'t str,
    stamped: bool,
    at: Option<Timestamp>,
}

/// All lines that may open a turn, in order.
fn openings(text: &str) -> Vec<Opening<'_>> {
    let fenced = fenced_lines(text);
    let mut openings = Vec::new();
    let mut start = 0;
    let mut fences = fenced.iter().peekable();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        while fences.peek().is_some_and(|(_, last)| *last < index) {
            fences.next();
        }
        let inside = fences.peek().is_some_and(|(first, _)| *first <= index);
        if !inside {
            openings.extend(opening(line, start));
        }
        start += line.len();
    }
    openings
}

/// The line numbers of code blocks, first and last; a fence that nothing closes is none.
fn fenced_lines(text: &str) -> Vec<(usize, usize)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, u8)> = None;
    if memchr::memmem::find(text.as_bytes(), b"```").is_none()
        && memchr::memmem::find(text.as_bytes(), b"~~~").is_none()
    {
        return blocks;
    }
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        // A speaker may open a block on the line of the name: `User: ```python`.
        let fence = if line.starts_with("```") || line.ends_with("```") && line.matches("```").count() == 1 {
            b'`'
        } else if line.starts_with("~~~") {
            b'~'
        } else if let Some((_, after)) = line.split_once(": ```").filter(|(name, _)| name.len() < 48) {
            if after.contains("```") { continue } else { b'`' }
        } else {
            continue;
        };
        let one_line =
            line.starts_with("```") && line.len() > 3 && line.get(3..).is_some_and(|rest| rest.contains("```"));
        open = match open {
            _ if one_line => open,
            Some((first, sign)) if sign == fence => {
                // The opening line may name a speaker; what it opens is inside.
                blocks.push((first + 1, index));
                None
            }
            Some(open) => Some(open),
            None => Some((index, fence)),
        };
    }
    blocks
}

/// The opening that a line may be.
fn opening(line: &str, start: usize) -> Option<Opening<'_>> {
    let first = line.chars().next()?;
    if !(first.is_alphanumeric() || matches!(first, '[' | '(' | '*' | '#')) {
        return None;
    }
    let (stamp, rest) = match stamp(line) {
        Some((at, rest)) => (Some(at), rest),
        None => (None, line),
    };
    let rest = rest.trim_start_matches(['*', '#', ' ']);
    // A speaker's name is short: look no further.
    let window = rest.char_indices().nth(48).map_or(rest, |(end, _)| rest.get(..end).unwrap_or(rest));
    let colon = window.find(':')?;
    let name = rest.get(..colon)?.trim_end_matches('*');
    let after = rest.get(colon + 1..)?.trim_start_matches('*');
    let spaced = after.is_empty() || after.starts_with([' ', '\t', '\r', '\n']);
    if !is_name(name) || !(spaced || is_strong_role(name) && !after.starts_with(['/', ':'])) {
        return None;
    }
    let words = start + line.len() - after.len();
    Some(Opening { start, words, name, stamped: stamp.is_some(), at: stamp.flatten() })
}

/// A timestamp that opens a line of a chat, and what follows it.
fn stamp(line: &str) -> Option<(Option<Timestamp>, &str)> {
    let trimmed = |rest: &'_ str| rest.len() - rest.trim_start_matches([' ', '-', '–', ']']).len();
    if let Some((at, rest)) = log::stamp_at_start(line) {
        return Some((at, rest.get(trimmed(rest)..)?));
    }
    // `[10:30]`, `(10:30 AM)`, `10:30`, `[12/5/23, 10:30:12]`: the time of day says no instant.
    let bracket = match line.bytes().next()? {
        b'[' => Some(']'),
        b'(' => Some(')'),
        _ => None,
    };
    let end = match bracket {
        Some(close) => line.find(close).filter(|end| *end < 32)?,
        None => line.find(' ').filter(|end| (4..=8).contains(end))?,
    };
    let inner = line.get(usize::from(bracket.is_some())..end)?;
    let digits = inner.bytes().filter(u8::is_ascii_digit).count();
    let clock = inner.contains(':') && digits >= 3 && inner.starts_with(|c: char| c.is_ascii_digit());
    let rest = line.get(end + usize::from(bracket.is_some())..)?;
    clock.then(|| rest.get(trimmed(rest)..)).flatten().map(|rest| (None, rest))
}

/// One to three words of letters, with an optional remark in brackets.
fn is_name(name: &str) -> bool {
    let bare = base_name(name);
    let is_word = |word: &str| {
        word.starts_with(char::is_alphabetic)
            && word.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '\'' | '’' | '_'))
    };
    let count = bare.split(' ').count();
    let opens = bare.starts_with(|c: char| c.is_uppercase() || !c.is_lowercase()) || count == 1;
    (1..=3).contains(&count) && opens && bare.split(' ').all(is_word) && bare.len() <= 40
}

/// The name without a remark: `Alice (PM)` is Alice.
fn base_name(name: &str) -> &str {
    name.split_once(" (").filter(|(_, remark)| remark.ends_with(')')).map_or(name, |(name, _)| name).trim()
}

/// Names that are speakers wherever they open a line.
fn is_strong_role(name: &str) -> bool {
    ["user", "assistant", "human", "ai"].iter().any(|role| name.eq_ignore_ascii_case(role))
}

/// Labels that open lines and never speak, sorted.
const LABELS: &[&str] = &[
    "action",
    "action item",
    "action items",
    "actual",
    "address",
    "age",
    "agenda",
    "answer",
    "api",
    "args",
    "arguments",
    "attention",
    "author",
    "background",
    "bonus",
    "bug",
    "caused by",
    "caution",
    "cc",
    "city",
    "code",
    "command",
    "commit",
    "conclusion",
    "config",
    "constraint",
    "constraints",
    "context",
    "cost",
    "country",
    "database",
    "date",
    "debug",
    "decision",
    "default",
    "definition",
    "description",
    "details",
    "e.g",
    "edit",
    "email",
    "error",
    "errors",
    "example",
    "examples",
    "exception",
    "expected",
    "fact",
    "facts",
    "fatal",
    "file",
    "files",
    "fix",
    "fixme",
    "format",
    "framework",
    "from",
    "goal",
    "goals",
    "hint",
    "host",
    "http",
    "https",
    "i.e",
    "idea",
    "important",
    "info",
    "input",
    "instruction",
    "instructions",
    "issue",
    "key",
    "language",
    "link",
    "links",
    "location",
    "log",
    "logs",
    "message",
    "method",
    "mission",
    "name",
    "nb",
    "next steps",
    "note",
    "notes",
    "option",
    "options",
    "output",
    "p.s",
    "parameters",
    "password",
    "path",
    "phone",
    "plan",
    "port",
    "preference",
    "price",
    "priority",
    "problem",
    "pros",
    "cons",
    "ps",
    "purpose",
    "question",
    "questions",
    "re",
    "reason",
    "remember",
    "reminder",
    "requirement",
    "requirements",
    "response",
    "result",
    "results",
    "return",
    "returns",
    "role",
    "rule",
    "rules",
    "schema",
    "server",
    "setup",
    "solution",
    "source",
    "stack",
    "status",
    "step",
    "steps",
    "subject",
    "suggestion",
    "summary",
    "task",
    "tasks",
    "thanks",
    "time",
    "tip",
    "tips",
    "title",
    "tldr",
    "tl;dr",
    "to",
    "todo",
    "topic",
    "total",
    "traceback",
    "type",
    "update",
    "url",
    "usage",
    "value",
    "version",
    "via",
    "warn",
    "warning",
    "where",
    "why",
    "what",
    "how",
    "when",
    "who",
];

/// True for labels that neither speak nor name a fact: "Note: …", "Reason: …". Names of things that
/// have a value ("Database: …") are no remarks.
pub(super) fn is_remark(name: &str) -> bool {
    const THINGS: [&str; 22] = [
        "address",
        "age",
        "api",
        "city",
        "command",
        "cost",
        "country",
        "database",
        "date",
        "default",
        "email",
        "framework",
        "host",
        "language",
        "location",
        "name",
        "path",
        "phone",
        "port",
        "price",
        "server",
        "version",
    ];
    let lower = name.to_lowercase();
    is_label(name) && !THINGS.contains(&lower.as_str()) || Role::known(name).is_some()
}

fn is_label(name: &str) -> bool {
    let name = name.to_lowercase();
    // "Step 3", "Option B", "Example 1"
    let head = name.split(' ').next().unwrap_or_default();
    let numbered = name.split(' ').nth(1).is_some_and(|word| word.len() <= 2);
    LABELS.contains(&name.as_str()) || (numbered && LABELS.contains(&head))
}

/// Which names speak in this transcript.
struct Accepted {
    names: BTreeMap<String, bool>,
}

impl Accepted {
    fn of(openings: &[Opening<'_>], text: &str) -> Self {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for opening in openings {
            *counts.entry(folded(opening.name)).or_insert(0) += 1;
        }
        let roles = counts.keys().any(|name| is_strong_role(name));
        let whole = !roles && is_whole(openings, text);
        let first =
            openings.iter().find(|opening| text.get(..opening.start).is_some_and(|head| head.trim().is_empty()));
        let names = counts
            .into_iter()
            .map(|(name, count)| {
                let needed = if roles { 3 } else { 2 };
                // A conversation of roles may open with `System:`.
                let opens = first.is_some_and(|first| folded(first.name) == name) && Role::known(&name).is_some();
                let speaks = is_strong_role(&name)
                    || (!is_label(&name)
                        && (count >= needed || whole || opens || (Role::known(&name).is_some() && count >= 2)));
                (name, speaks)
            })
            .collect();
        Self { names }
    }

    fn holds(&self, opening: &Opening<'_>) -> bool {
        (opening.stamped && !is_label(opening.name)) || self.names.get(&folded(opening.name)).copied().unwrap_or(false)
    }
}

fn folded(name: &str) -> String {
    base_name(name).to_lowercase()
}

/// True if the text is nothing but lines of speakers, and not a list of fields.
fn is_whole(openings: &[Opening<'_>], text: &str) -> bool {
    let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
    let named = openings.iter().all(|opening| !is_label(opening.name) && opening.name.starts_with(char::is_uppercase));
    let sentence = |opening: &Opening<'_>| {
        let line = text.get(opening.words..).unwrap_or_default().lines().next().unwrap_or_default().trim();
        line.ends_with(['.', '?', '!']) || line.split(' ').count() >= 4
    };
    // A turn may have lines of its own, but the speakers open the text and are most of it.
    let first = openings.first().and_then(|first| text.get(..first.start)).is_some_and(|head| head.trim().is_empty());
    let mostly = first && openings.len() * 5 >= lines * 3;
    openings.len() >= 2 && mostly && named && openings.iter().any(sentence)
}

/// `src/main.rs:10`, `src/main.rs:10-20`, `src/main.rs#L10-L20`
static PLACE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r"(?:^|[\s(`\[])((?:[\w.@-]+/){0,24}[\w.-]+\.[A-Za-z]{1,5})(?::|#L)([1-9]\d{0,6})(?:-L?([1-9]\d{0,6}))?")
});

/// Places in code that the words name.
fn places_in_prose(text: &str) -> Vec<ArtifactRef> {
    const MOST: usize = 32;
    let bytes = text.as_bytes();
    let hint = memchr::memchr2_iter(b':', b'#', bytes).any(|at| {
        let next = bytes.get(at + 1).copied().unwrap_or(0);
        let ahead = at.checked_sub(1).and_then(|at| bytes.get(at)).copied().unwrap_or(0);
        ahead.is_ascii_alphabetic() && (next.is_ascii_digit() || next == b'L')
    });
    let Some(pattern) = PLACE.as_ref().filter(|_| hint) else { return Vec::new() };
    let mut places: Vec<ArtifactRef> = Vec::new();
    for found in pattern.captures_iter(text).take(256) {
        let number = |group| found.get(group).and_then(|digits: regex::Match<'_>| digits.as_str().parse::<u32>().ok());
        let (Some(path), Some(first)) = (found.get(1), number(2)) else { continue };
        // `example.com:8080` is a machine, not a file.
        if is_host(path.as_str()) {
            continue;
        }
        let place = ArtifactRef::lines(path.as_str(), first, number(3).unwrap_or(first));
        if places.len() < MOST && !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

fn is_host(path: &str) -> bool {
    const TOPS: [&str; 10] = ["com", "org", "net", "io", "dev", "local", "edu", "gov", "app", "cloud"];
    !path.contains('/') && path.rsplit('.').next().is_some_and(|top| TOPS.contains(&top))
}

#[cfg(test)]
mod tests;
