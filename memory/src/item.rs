//! An item of memory, and how it stood at any instant.
//!
//! # Invariants
//!
//! - What was ever true stays: an edit keeps the earlier [`Version`], a change of standing the
//!   earlier [`Standing`], each with the instant from which the newer one holds.
//! - A deleted item keeps its place and its id, and nothing else.
//!
//! # Deliberately absent
//!
//! Vectors and words: those are passages, in the thread's index.

use crate::ids::ItemId;
use crate::ingest::ArtifactRef;
use crate::kind::{Kind, Role, Status};
use crate::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use std::collections::BTreeMap;

/// The caller's own fields, any JSON. Binary formats hold them as JSON text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata(pub BTreeMap<String, Value>);

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        let text = if self.0.is_empty() {
            String::new()
        } else {
            serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?
        };
        text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return BTreeMap::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(&text).map(Self).map_err(de::Error::custom)
    }
}

/// How an item stands: what later events change about it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// `None` for what happened; always there for what it means.
    pub status: Option<Status>,
    /// How much it has proved worth, 0 to 1; 0.5 says nothing.
    pub salience: f32,
    /// From when it no longer holds.
    pub valid_to: Option<Timestamp>,
    /// What took its place.
    pub superseded_by: Option<ItemId>,
}

/// A salience that says nothing.
pub const NEUTRAL_SALIENCE: f32 = 0.5;

impl Standing {
    /// How a new item stands.
    #[must_use]
    pub const fn new(status: Option<Status>) -> Self {
        Self { status, salience: NEUTRAL_SALIENCE, valid_to: None, superseded_by: None }
    }
}

/// An earlier standing, and until when it held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The instant of the change.
    pub at: Timestamp,
    /// What held before it.
    pub before: Standing,
    /// What the change was.
    pub cause: Cause,
}

/// Why a standing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A later item closed it, finished it or answered it.
    By(ItemId),
    /// The caller edited it.
    Edit,
    /// Feedback.
    Feedback(Feedback),
}

/// What a caller says about an item that it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feedback {
    /// It helped.
    Helpful,
    /// It did not help.
    NotHelpful,
    /// It was opened.
    Click,
    /// It was used in an answer.
    Reference,
    /// It was true once.
    Outdated,
    /// It is not true.
    Wrong,
}

impl Feedback {
    /// The feedback under its public name, the aliases `useful` and `not_useful` included.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "helpful" | "useful" => Self::Helpful,
            "not_helpful" | "not_useful" => Self::NotHelpful,
            "click" => Self::Click,
            "reference" => Self::Reference,
            "outdated" => Self::Outdated,
            "wrong" => Self::Wrong,
            _ => return None,
        })
    }

    /// The salience after this feedback of strength `value` (0 to 1): a step towards 0 or 1 whose
    /// size is the step's share of what is left, so that no number of steps leaves the bounds.
    #[must_use]
    pub fn move_salience(self, salience: f32, value: f32) -> f32 {
        let (goal, step) = match self {
            Self::Helpful => (1.0, 0.2),
            Self::Reference => (1.0, 0.1),
            Self::Click => (1.0, 0.05),
            Self::NotHelpful => (0.0, 0.2),
            Self::Outdated => (0.0, 0.4),
            Self::Wrong => (0.0, 0.6),
        };
        (salience + (goal - salience) * step * value.clamp(0.0, 1.0)).clamp(0.0, 1.0)
    }
}

/// The words of an item before an edit, or before the caller sent its id with another text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Until when these were the words.
    pub until: Timestamp,
    /// The header then.
    pub title: Option<String>,
    /// The words then.
    pub text: String,
    /// Their tokens.
    pub tokens: u32,
}

/// How two items belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// The other one is where this one was found.
    Source,
    /// The other one was found in this one.
    Derived,
    /// This one took the other one's place.
    Supersedes,
    /// The other one took this one's place.
    SupersededBy,
    /// This one answers or finishes the other one.
    Answers,
    /// The other one answers or finishes this one.
    AnsweredBy,
    /// Both say nearly the same.
    Similar,
    /// This one names the other one's id.
    Mentions,
}

/// A link from an item to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// How they belong together.
    pub kind: LinkKind,
    /// The other item.
    pub to: ItemId,
}

/// One piece of memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: ItemId,
    /// What it is.
    pub kind: Kind,
    /// A short header.
    pub title: Option<String>,
    /// The words, verbatim after redaction.
    pub text: String,
    /// `o200k_base` tokens of `text`.
    pub tokens: u32,
    /// Who said it, as written.
    pub speaker: Option<String>,
    /// Who said it, as language models know it.
    pub role: Option<Role>,
    /// The file that it is about or comes from.
    pub path: Option<String>,
    /// The caller's own id.
    pub external_id: Option<String>,
    /// Which piece of the caller's material it is, from 0, where one id covers several.
    pub part: u32,
    /// The session that the caller named (the commit of a hunk).
    pub session: Option<String>,
    /// The caller's tags.
    pub tags: Vec<String>,
    /// The caller's own fields.
    pub metadata: Metadata,
    /// When it happened.
    pub observed_at: Timestamp,
    /// When we learnt it; never earlier than that of the item before in its thread.
    pub created_at: Timestamp,
    /// The episodic items that it was found in.
    pub sources: Vec<ItemId>,
    /// The semantic items that were found in it.
    pub derived: Vec<ItemId>,
    /// Places in code that it names.
    pub artifacts: Vec<ArtifactRef>,
    /// Other items that it belongs together with, in order of kind and id.
    pub links: Vec<Link>,
    /// What it is about, normalised: by it a later item supersedes it.
    pub subject: Option<String>,
    /// What it says about its subject.
    pub value: Option<String>,
    /// `high`, `medium` or `low`, for tasks.
    pub priority: Option<String>,
    /// Why, for decisions.
    pub rationale: Option<String>,
    /// Given by the caller or edited, not merely found by rule: it stands for itself in recall.
    pub direct: bool,
    /// Gone: only the id and the place are left.
    pub deleted: bool,
    /// The hash of its letters in lower case, digits masked in logs: equal for near-duplicates.
    pub likeness: u64,
    /// How it stands now.
    pub standing: Standing,
    /// How it stood before, oldest first.
    pub changes: Vec<Change>,
    /// Its words before, oldest first.
    pub versions: Vec<Version>,
}

impl Item {
    /// How it stood at `as_of`; now, where that is `None`.
    #[must_use]
    pub fn standing_at(&self, as_of: Option<Timestamp>) -> Standing {
        let later = |change: &&Change| as_of.is_some_and(|at| change.at > at);
        self.changes.iter().find(later).map_or(self.standing, |change| change.before)
    }

    /// Its title, words and their tokens as of `as_of`; now, where that is `None`.
    #[must_use]
    pub fn words_at(&self, as_of: Option<Timestamp>) -> (Option<&str>, &str, u32) {
        let later = |version: &&Version| as_of.is_some_and(|at| version.until > at);
        match self.versions.iter().find(later) {
            Some(old) => (old.title.as_deref(), &old.text, old.tokens),
            None => (self.title.as_deref(), &self.text, self.tokens),
        }
    }

    /// True for a semantic item that says no more than the one turn it was found in.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        !self.kind.is_episodic() && !self.direct && self.sources.len() == 1
    }

    /// True when a recall that sees the memory as of `as_of` knows the item.
    #[must_use]
    pub fn is_known_at(&self, as_of: Option<Timestamp>) -> bool {
        !self.deleted && as_of.is_none_or(|at| self.created_at <= at)
    }

    /// Adds a link once, keeping the order.
    pub fn link(&mut self, kind: LinkKind, to: ItemId) {
        let link = Link { kind, to };
        if let Err(at) = self.links.binary_search(&link) {
            self.links.insert(at, link);
        }
    }

    /// Changes the standing, keeping the one before.
    pub fn change(&mut self, at: Timestamp, cause: Cause, change: impl FnOnce(&mut Standing)) {
        let before = self.standing;
        change(&mut self.standing);
        if self.standing != before {
            self.changes.push(Change { at, before, cause });
        }
    }

    /// Forgets everything but the id, the kind and the place.
    pub fn erase(&mut self) {
        let (created_at, observed_at) = (self.created_at, self.observed_at);
        *self = Self::empty(self.id, self.kind, created_at);
        self.observed_at = observed_at;
        self.deleted = true;
    }

    /// An item of this id and kind that says nothing yet.
    #[must_use]
    pub fn empty(id: ItemId, kind: Kind, created_at: Timestamp) -> Self {
        Self {
            id,
            kind,
            title: None,
            text: String::new(),
            tokens: 0,
            speaker: None,
            role: None,
            path: None,
            external_id: None,
            part: 0,
            session: None,
            tags: Vec::new(),
            metadata: Metadata::default(),
            observed_at: created_at,
            created_at,
            sources: Vec::new(),
            derived: Vec::new(),
            artifacts: Vec::new(),
            links: Vec::new(),
            subject: None,
            value: None,
            priority: None,
            rationale: None,
            direct: false,
            deleted: false,
            likeness: 0,
            standing: Standing::new(None),
            changes: Vec::new(),
            versions: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_amount_of_feedback_leaves_the_bounds() {
        for feedback in [Feedback::Helpful, Feedback::Wrong] {
            let end = (0..1000).fold(NEUTRAL_SALIENCE, |salience, _| feedback.move_salience(salience, 1.0));
            assert!((0.0..=1.0).contains(&end), "{feedback:?}: {end}");
        }
    }

    #[test]
    fn an_item_stands_as_it_stood() {
        let mut item = Item::empty(ItemId::Semantic(1), Kind::Decision, Timestamp(10));
        item.change(Timestamp(20), Cause::Edit, |standing| standing.status = Some(Status::Accepted));
        item.change(Timestamp(30), Cause::By(ItemId::Semantic(2)), |standing| {
            standing.status = Some(Status::Superseded);
        });

        assert_eq!(item.standing_at(Some(Timestamp(19))).status, None);
        assert_eq!(item.standing_at(Some(Timestamp(20))).status, Some(Status::Accepted));
        assert_eq!(item.standing_at(Some(Timestamp(30))).status, Some(Status::Superseded));
        assert_eq!(item.standing_at(None).status, Some(Status::Superseded));
    }
}
