//! Materials in, drafts out: the pure parsing side of ingest.
//!
//! ```text
//! materials → redact → split (chat by turn, diffs by hunk, logs by event) → extract → drafts
//! ```
//!
//! # Promise
//!
//! No word is lost: whatever is handed in stands, redacted, in some draft's text. The same
//! materials, redactor and numbering give the same drafts, in the order of the materials: chat,
//! diffs, logs, items.
//!
//! # Invariants
//!
//! - Redaction comes first: no later step, error or count ever sees a secret.
//! - Time is linear in the size of the materials, hostile text included.
//!
//! # Deliberately absent
//!
//! Clocks, ids, deduplication, embedding and storage.

pub mod chat;
pub mod diff;
pub mod draft;
pub mod extract;
pub mod log;
pub mod redact;

use crate::kind::{Kind, Status};
use crate::time::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

pub use draft::{ArtifactRef, Closes, Draft, Found};
pub use redact::{Mode, Numbering, Redacted, Redactor};

/// Everything that one ingest request brings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Materials {
    /// A conversation.
    pub chat: Option<ChatMaterial>,
    /// Unified diffs.
    pub diffs: Vec<TextMaterial>,
    /// Logs, stack traces and test output.
    pub logs: Vec<TextMaterial>,
    /// Items that the caller has made up its mind about.
    pub items: Vec<ItemMaterial>,
    /// When it happened, for all drafts that do not know better.
    pub observed_at: Option<Timestamp>,
    /// For all drafts; what a material says itself wins.
    pub metadata: BTreeMap<String, Value>,
    /// What the caller is at; not stored, at present without effect on parsing.
    pub purpose: Option<String>,
}

/// A conversation, in one of the two forms that callers have it in.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatMaterial {
    /// One text with `Name:` prefixes.
    Transcript(String),
    /// One element per turn.
    Messages(Vec<Message>),
}

/// One turn of a conversation as chat interfaces write it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// `user`, `assistant`, `system`, `tool`, or a name.
    pub role: String,
    /// The words.
    pub content: String,
    /// The speaker's name, where it is not just the role.
    pub name: Option<String>,
    /// When it was said.
    pub timestamp: Option<Timestamp>,
    /// The caller's id.
    pub id: Option<String>,
}

/// A diff or a log with what the caller knows about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextMaterial {
    /// The text.
    pub content: String,
    /// The file that it is about (diff) or comes from (log).
    pub path: Option<String>,
    /// When it happened, for parts that do not say so themselves.
    pub timestamp: Option<Timestamp>,
    /// The caller's id. When the text splits into several drafts, every one carries it as it is.
    pub id: Option<String>,
}

/// An item given directly.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemMaterial {
    /// What it is.
    pub kind: Kind,
    /// Its header.
    pub title: Option<String>,
    /// Its words.
    pub body: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// How it stands.
    pub status: Option<Status>,
    /// The caller's id.
    pub id: Option<String>,
    /// When it happened.
    pub timestamp: Option<Timestamp>,
    /// On top of the request's metadata.
    pub metadata: BTreeMap<String, Value>,
    /// Ids that it cites.
    pub sources: Vec<String>,
    /// What it is about: a later item of the same kind and subject supersedes it.
    pub subject: Option<String>,
}

/// What parsing made of the materials.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    /// The items to be, in the order of the materials.
    pub drafts: Vec<Draft>,
    /// How many places of each type of sensitive data were replaced.
    pub redactions: BTreeMap<String, u32>,
}

impl Parsed {
    /// What the summary counts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of(&self.drafts, &self.redactions)
    }
}

/// Why materials were not taken. The message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// There is nothing to keep.
    #[error("the materials hold no text; give at least one chat turn, diff, log or item with words in it")]
    Empty,
    /// The workspace takes no sensitive data, and there is some.
    #[error(
        "the materials hold sensitive data ({}), which this workspace refuses; remove it and send them again",
        listed(redactions)
    )]
    Sensitive {
        /// How many places of each type were found.
        redactions: BTreeMap<String, u32>,
    },
}

fn listed(redactions: &BTreeMap<String, u32>) -> String {
    redactions.iter().map(|(name, count)| counted(*count, redaction_words(name))).collect::<Vec<_>>().join(", ")
}

/// Turns materials into drafts: redacted, split, and read for what they say.
///
/// Every draft gets the request's metadata under its own, and the most precise time known: its own,
/// its material's, the request's. Redaction numbers are taken from and kept in `numbering`, which a
/// refused request leaves as it was.
///
/// # Errors
///
/// [`IngestError::Empty`] without any words, [`IngestError::Sensitive`] under [`Mode::Reject`].
pub fn parse(materials: Materials, redactor: &Redactor, numbering: &mut Numbering) -> Result<Parsed, IngestError> {
    let mut work = Work {
        redactor,
        numbering: numbering.clone(),
        redactions: BTreeMap::new(),
        metadata: BTreeMap::new(),
        observed_at: materials.observed_at,
        drafts: Vec::new(),
    };
    let mut metadata = materials.metadata;
    redactor.redact_metadata(&mut metadata, &mut work.numbering, &mut work.redactions);
    work.metadata = metadata;
    match materials.chat {
        Some(ChatMaterial::Transcript(text)) => work.transcript(text),
        Some(ChatMaterial::Messages(messages)) => messages.into_iter().for_each(|message| work.message(message)),
        None => {}
    }
    materials.diffs.into_iter().for_each(|diff| work.diff(diff));
    materials.logs.into_iter().for_each(|log| work.log(log));
    materials.items.into_iter().for_each(|item| work.item(item));
    if redactor.mode() == Mode::Reject && !work.redactions.is_empty() {
        return Err(IngestError::Sensitive { redactions: work.redactions });
    }
    if work.drafts.is_empty() {
        return Err(IngestError::Empty);
    }
    *numbering = work.numbering;
    Ok(Parsed { drafts: work.drafts, redactions: work.redactions })
}

/// One request on its way.
struct Work<'r> {
    redactor: &'r Redactor,
    numbering: Numbering,
    redactions: BTreeMap<String, u32>,
    metadata: BTreeMap<String, Value>,
    observed_at: Option<Timestamp>,
    drafts: Vec<Draft>,
}

impl Work<'_> {
    fn clean(&mut self, text: &mut String) {
        self.redactor.redact_string(text, &mut self.numbering, &mut self.redactions);
    }

    fn transcript(&mut self, mut text: String) {
        self.clean(&mut text);
        for turn in chat::parse_transcript(&text) {
            self.turn(turn);
        }
    }

    fn message(&mut self, mut message: Message) {
        if message.content.trim().is_empty() {
            return;
        }
        self.clean(&mut message.content);
        let Message { role, content, name, timestamp, id } = message;
        let mut turn = chat::turn_from_message(&role, "", name.as_deref(), timestamp, id.as_deref());
        turn.text = content;
        self.turn(turn);
    }

    fn turn(&mut self, turn: chat::Turn) {
        let mut draft = turn.into_draft();
        let extracted = extract::extract(&draft.text, draft.role);
        draft.found = extracted.found;
        draft.closes = extracted.closes;
        self.push(draft);
    }

    fn diff(&mut self, mut diff: TextMaterial) {
        self.clean(&mut diff.content);
        for mut draft in diff::parse_diff(&diff.content, diff.path.as_deref()) {
            if let Some(message) = draft.metadata.get("commit_message").and_then(Value::as_str) {
                draft.closes = extract::closes_of_commit(message);
            }
            draft.external_id.clone_from(&diff.id);
            draft.observed_at = draft.observed_at.or(diff.timestamp);
            self.push(draft);
        }
    }

    fn log(&mut self, mut log: TextMaterial) {
        self.clean(&mut log.content);
        let base = log.timestamp.or(self.observed_at);
        for mut draft in log::parse_log(&log.content, log.path.as_deref(), base) {
            draft.external_id.clone_from(&log.id);
            self.push(draft);
        }
    }

    /// An item given directly. Without a body its title is its words.
    fn item(&mut self, item: ItemMaterial) {
        let words = if item.body.trim().is_empty() { item.title.clone().unwrap_or_default() } else { item.body };
        if words.trim().is_empty() {
            return;
        }
        let mut draft = Draft::new(item.kind, words);
        self.clean(&mut draft.text);
        draft.title = item.title;
        draft.tags = item.tags;
        draft.status = item.status;
        draft.external_id = item.id;
        draft.observed_at = item.timestamp;
        draft.metadata = item.metadata;
        draft.sources = item.sources;
        draft.subject = item.subject;
        self.push(draft);
    }

    /// Redacts what is not text, and adds what the request says of all its drafts.
    fn push(&mut self, mut draft: Draft) {
        self.redactor.redact_labels(&mut draft, &mut self.numbering, &mut self.redactions);
        draft.observed_at = draft.observed_at.or(self.observed_at);
        for (key, value) in &self.metadata {
            if !draft.metadata.contains_key(key) {
                draft.metadata.insert(key.clone(), value.clone());
            }
        }
        self.drafts.push(draft);
    }
}

/// What a summary tells: how many items of each kind were given, how many were found in them, and
/// what was redacted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Drafts by kind.
    pub drafts: BTreeMap<Kind, u32>,
    /// Found in drafts, by kind.
    pub found: BTreeMap<Kind, u32>,
    /// Redacted places by type.
    pub redactions: BTreeMap<String, u32>,
}

impl Counts {
    /// Counts drafts.
    #[must_use]
    pub fn of<'d>(drafts: impl IntoIterator<Item = &'d Draft>, redactions: &BTreeMap<String, u32>) -> Self {
        let mut counts = Self { redactions: redactions.clone(), ..Self::default() };
        for draft in drafts {
            *counts.drafts.entry(draft.kind).or_insert(0) += 1;
            for found in &draft.found {
                *counts.found.entry(found.kind).or_insert(0) += 1;
            }
        }
        counts
    }
}

/// `2 chat turns, 1 diff hunk, 1 log event; 1 decision found; 1 e-mail address redacted`.
///
/// Semantic items given directly count as found: for the reader it is all the same where a decision
/// stood. Without anything to tell it says `nothing new`.
#[must_use]
pub fn summary(counts: &Counts) -> String {
    let mut found = counts.found.clone();
    let mut happened = Vec::new();
    for (kind, count) in &counts.drafts {
        if kind.is_episodic() {
            happened.push(counted(*count, kind_words(*kind)));
        } else {
            *found.entry(*kind).or_insert(0) += count;
        }
    }
    let list = |items: &BTreeMap<Kind, u32>| {
        items.iter().map(|(kind, count)| counted(*count, kind_words(*kind))).collect::<Vec<_>>().join(", ")
    };
    let mut out = happened.join(", ");
    let mut part = |words: String, verb: &str| {
        if !words.is_empty() {
            let joint = if out.is_empty() { "" } else { "; " };
            // Writing to a string cannot fail.
            let _ = write!(out, "{joint}{words} {verb}");
        }
    };
    part(list(&found), "found");
    part(listed(&counts.redactions), "redacted");
    if out.is_empty() { "nothing new".to_owned() } else { out }
}

fn counted(count: u32, (one, many): (&str, &str)) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

const fn kind_words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Chat => ("chat turn", "chat turns"),
        Kind::Diff => ("diff hunk", "diff hunks"),
        Kind::Log => ("log event", "log events"),
        Kind::Stack => ("stack trace", "stack traces"),
        Kind::TestFail => ("failing test", "failing tests"),
        Kind::Decision => ("decision", "decisions"),
        Kind::Requirement => ("requirement", "requirements"),
        Kind::Constraint => ("constraint", "constraints"),
        Kind::Task => ("task", "tasks"),
        Kind::Question => ("question", "questions"),
        Kind::Fact => ("fact", "facts"),
        Kind::Preference => ("preference", "preferences"),
        Kind::Instruction => ("instruction", "instructions"),
        Kind::Note => ("note", "notes"),
    }
}

fn redaction_words(name: &str) -> (&'static str, &'static str) {
    match name {
        "email" => ("e-mail address", "e-mail addresses"),
        "phone" => ("phone number", "phone numbers"),
        "ip" => ("IP address", "IP addresses"),
        "card" => ("card number", "card numbers"),
        "iban" => ("IBAN", "IBANs"),
        "national_id" => ("national id", "national ids"),
        "api_key" => ("API key", "API keys"),
        "private_key" => ("private key", "private keys"),
        "password" => ("password", "passwords"),
        _ => ("secret", "secrets"),
    }
}

/// Compiles a pattern; the one place where that is done. A pattern that does not compile is a
/// defect of the build: a test asks every one of them, and at run time its rule finds nothing.
pub(crate) fn pattern(source: &str) -> Option<regex::Regex> {
    // Boundaries of ASCII words: with Unicode's, one letter beyond ASCII sends the whole text to the
    // slow engine, and no rule here has such a letter at a boundary.
    regex::Regex::new(&source.replace(r"\b", r"(?-u:\b)")).ok()
}

/// The text, cut to at most `most` characters with an ellipsis at a word's end.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let Some((cut, _)) = text.char_indices().nth(most) else { return text.to_owned() };
    let head = text.get(..cut).unwrap_or(text);
    let head = head.char_indices().next_back().and_then(|(last, _)| head.get(..last)).unwrap_or(head);
    let head = head.rsplit_once(' ').filter(|(words, _)| words.len() * 2 > head.len()).map_or(head, |(words, _)| words);
    format!("{}…", head.trim_end())
}

#[cfg(test)]
mod tests;
