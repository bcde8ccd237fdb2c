//! What ingest hands on: drafts of items, before they have ids.
//!
//! A [`Draft`] is one episodic item (or one item given directly) with everything that rules could
//! read from it: what it says about decisions, tasks and facts ([`Found`]), and which places in
//! code it names ([`ArtifactRef`]).
//!
//! # Invariants
//!
//! - `text` is the caller's words, redacted and otherwise untouched.
//! - Every [`Found::span`] lies in `text`, on character boundaries.
//!
//! # Deliberately absent
//!
//! Ids, deduplication, links between items and the choice of what supersedes what: those need the
//! thread's state.

use crate::kind::{Kind, Role, Status};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One item to be: what happened (or what was given directly), and what rules found in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What it is.
    pub kind: Kind,
    /// A short header: the file and function of a hunk, the title of a direct item.
    pub title: Option<String>,
    /// The words themselves, after redaction.
    pub text: String,
    /// Who said it, as written.
    pub speaker: Option<String>,
    /// Who said it, as language models know it.
    pub role: Option<Role>,
    /// The file that it is about or comes from.
    pub path: Option<String>,
    /// The caller's own id.
    pub external_id: Option<String>,
    /// When it happened, where the material says so.
    pub observed_at: Option<Timestamp>,
    /// What it belongs together with, where the material says so (the commit of a hunk).
    pub session: Option<String>,
    /// Tags of a direct item.
    pub tags: Vec<String>,
    /// The request's metadata, the material's own on top.
    pub metadata: BTreeMap<String, Value>,
    /// The status of a direct item.
    pub status: Option<Status>,
    /// The normalised key by which a direct item supersedes another one.
    pub subject: Option<String>,
    /// The ids that a direct item cites.
    pub sources: Vec<String>,
    /// Semantic items that rules found in the text, in order of their place.
    pub found: Vec<Found>,
    /// What the text reports as finished, in order of its place.
    pub closes: Vec<Closes>,
    /// Places in code that the text names, in order of first mention, without repetition.
    pub artifacts: Vec<ArtifactRef>,
}

impl Draft {
    /// A draft of this kind and these words, with nothing else known.
    #[must_use]
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            title: None,
            text: text.into(),
            speaker: None,
            role: None,
            path: None,
            external_id: None,
            observed_at: None,
            session: None,
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            status: None,
            subject: None,
            sources: Vec::new(),
            found: Vec::new(),
            closes: Vec::new(),
            artifacts: Vec::new(),
        }
    }
}

/// A semantic item found by rule in a draft's text: one sentence or clause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What it is; never an episodic kind.
    pub kind: Kind,
    /// The sentence or clause.
    pub text: String,
    /// At most 80 characters that name it.
    pub title: String,
    /// How it stands by the words alone.
    pub status: Status,
    /// What it is about, in normalised words ("jwt signing algorithm"): a later one of the same
    /// kind and subject closes this one. `None` where rules cannot tell.
    pub subject: Option<String>,
    /// What it says about the subject.
    pub value: Option<String>,
    /// What it explicitly replaces: Y of "now use X instead of Y".
    pub replaces: Option<String>,
    /// How urgent a task is: `high`, `medium` or `low`, where the text says so.
    pub priority: Option<String>,
    /// The reason, where the sentence gives one ("because …").
    pub rationale: Option<String>,
    /// Where it stands: bytes of the draft's text.
    pub span: (usize, usize),
}

/// A report that something is finished: the task it closes is the open one that its words fit.
///
/// Which task that is cannot be said here (the thread's open tasks are state). A task fits when
/// every word of `words`, or most of the task's own significant words, are among the other's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closes {
    /// The clause that reports it.
    pub text: String,
    /// Significant words of what was finished, lower case, in order of first mention. Empty where
    /// the text only says "done": then it is the last open task of the conversation, if any.
    pub words: Vec<String>,
    /// An issue number ("fixes #12"), without the sign. Where there is one, it decides, and words may be
    /// empty.
    pub issue: Option<String>,
    /// Where it stands: bytes of the draft's text.
    pub span: (usize, usize),
}

/// A place in code: a file, the lines in it, and the symbol there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// The file as the text names it.
    pub path: String,
    /// The first line, counted from 1.
    pub first_line: u32,
    /// The last line, at least `first_line`.
    pub last_line: u32,
    /// The function or class there, where the text names it.
    pub symbol: Option<String>,
    /// The BLAKE3 hash (hex) of the lines as the text shows them, where it shows them whole.
    pub content_hash: Option<String>,
}

impl ArtifactRef {
    /// Lines of a file, nothing else known about them.
    #[must_use]
    pub fn lines(path: impl Into<String>, first_line: u32, last_line: u32) -> Self {
        let last_line = last_line.max(first_line);
        Self { path: path.into(), first_line, last_line, symbol: None, content_hash: None }
    }

    /// The public id, `CODE:path#L1-L7`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("CODE:{}#L{}-L{}", self.path, self.first_line, self.last_line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_is_named_by_path_and_lines() {
        assert_eq!(ArtifactRef::lines("app/main.py", 1, 7).id(), "CODE:app/main.py#L1-L7");
        assert_eq!(ArtifactRef::lines("a", 5, 0).id(), "CODE:a#L5-L5", "a range never runs backwards");
    }
}
