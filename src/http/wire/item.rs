//! Items: whole, in brief, with all that belongs to them, and what may be changed.

use super::ingest::status;
use super::materials::Fields;
use super::rounded;
use crate::http::check;
use crate::http::error::ApiError;
use cmg_memory::ids::ItemId;
use cmg_memory::ingest::ArtifactRef;
use cmg_memory::item::{Cause, Item, Metadata};
use cmg_memory::kind::{Kind, Role, Status};
use cmg_memory::plan::Patch;
use cmg_memory::thread::Thread;
use cmg_memory::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::sync::Arc;
use utoipa::ToSchema;

/// Characters of a brief.
const BRIEF: usize = 200;
/// Neighbours on each side.
const NEIGHBOURS: usize = 2;

/// Those of `ids` that are there, as of an instant: a deleted item is named nowhere.
pub fn shown(ids: &[ItemId], thread: Option<&Arc<Thread>>, as_of: Option<Timestamp>) -> Vec<ItemId> {
    let known = |id: &ItemId| thread.is_none_or(|thread| thread.item(*id).is_some_and(|item| item.is_known_at(as_of)));
    ids.iter().copied().filter(known).collect()
}

/// A whole item.
#[derive(Debug, Serialize, ToSchema)]
pub struct ItemView<'a> {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ItemId,
    /// What it is.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// Its header.
    pub title: Option<&'a str>,
    /// Its words.
    pub text: &'a str,
    /// Its tokens.
    pub tokens: u32,
    /// Its thread.
    pub thread_id: &'a str,
    /// The caller's own id.
    pub external_id: Option<&'a str>,
    /// How it stands; `null` for what happened.
    #[schema(value_type = Option<String>)]
    pub status: Option<Status>,
    /// What it has proved worth, 0 to 1; 0.5 says nothing.
    pub salience: f64,
    /// From when it no longer holds.
    #[schema(value_type = Option<String>)]
    pub valid_to: Option<Timestamp>,
    /// What took its place.
    #[schema(value_type = Option<String>)]
    pub superseded_by: Option<ItemId>,
    /// Who said it.
    pub speaker: Option<&'a str>,
    /// Who said it, as language models know it.
    #[schema(value_type = Option<String>)]
    pub role: Option<Role>,
    /// The file that it is about or comes from.
    pub path: Option<&'a str>,
    /// What it is about.
    pub subject: Option<&'a str>,
    /// `high`, `medium` or `low`.
    pub priority: Option<&'a str>,
    /// Why, for decisions.
    pub rationale: Option<&'a str>,
    /// Its tags.
    pub tags: &'a [String],
    /// The caller's own fields.
    #[schema(value_type = Object)]
    pub metadata: &'a Metadata,
    /// When it happened.
    #[schema(value_type = String)]
    pub observed_at: Timestamp,
    /// When it was learnt.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    /// Where it was found.
    #[schema(value_type = Vec<String>)]
    pub sources: Vec<ItemId>,
    /// What was found in it.
    #[schema(value_type = Vec<String>)]
    pub derived: Vec<ItemId>,
    /// Places in code that it names.
    pub artifacts: Vec<String>,
}

impl<'a> ItemView<'a> {
    /// An item of a thread, as it is now.
    #[must_use]
    pub fn new(thread: &'a Arc<Thread>, item: &'a Item) -> Self {
        Self {
            id: item.id,
            kind: item.kind,
            title: item.title.as_deref(),
            text: &item.text,
            tokens: item.tokens,
            thread_id: &thread.id,
            external_id: item.external_id.as_deref(),
            status: item.standing.status,
            salience: rounded(item.standing.salience),
            valid_to: item.standing.valid_to,
            superseded_by: item.standing.superseded_by,
            speaker: item.speaker.as_deref(),
            role: item.role,
            path: item.path.as_deref(),
            subject: item.subject.as_deref(),
            priority: item.priority.as_deref(),
            rationale: item.rationale.as_deref(),
            tags: &item.tags,
            metadata: &item.metadata,
            observed_at: item.observed_at,
            created_at: item.created_at,
            sources: shown(&item.sources, Some(thread), None),
            derived: shown(&item.derived, Some(thread), None),
            artifacts: item.artifacts.iter().map(ArtifactRef::id).collect(),
        }
    }
}

/// An item in brief.
#[derive(Debug, Serialize, ToSchema)]
pub struct BriefView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ItemId,
    /// What it is.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// Its header.
    pub title: Option<String>,
    /// The beginning of its words.
    pub text: String,
    /// Its thread.
    pub thread_id: String,
    /// How it stands.
    #[schema(value_type = Option<String>)]
    pub status: Option<Status>,
    /// When it happened.
    #[schema(value_type = String)]
    pub observed_at: Timestamp,
}

impl BriefView {
    fn new(thread: &Thread, item: &Item) -> Self {
        Self {
            id: item.id,
            kind: item.kind,
            title: item.title.clone(),
            text: item.text.chars().take(BRIEF).collect(),
            thread_id: thread.id.to_string(),
            status: item.standing.status,
            observed_at: item.observed_at,
        }
    }

    fn all<I: Borrow<ItemId>>(thread: &Thread, ids: impl IntoIterator<Item = I>) -> Vec<Self> {
        let items = ids.into_iter().filter_map(|id| thread.item(*id.borrow()));
        items.map(|item| Self::new(thread, item)).collect()
    }
}

/// An item with all that belongs to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExpandAnswer<'a> {
    /// The whole item.
    #[serde(flatten)]
    pub item: ItemView<'a>,
    /// The items that it was found in, in brief.
    pub source_items: Vec<BriefView>,
    /// The items that were found in it, in brief.
    pub derived_items: Vec<BriefView>,
    /// How it belongs together with others.
    pub links: Vec<LinkView>,
    /// How it was before.
    pub history: HistoryView<'a>,
    /// What stands before and after it in its thread.
    pub neighbours: NeighboursView,
}

/// A link to another item.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkView {
    /// How they belong together.
    #[schema(value_type = String)]
    pub kind: cmg_memory::item::LinkKind,
    /// The other item.
    #[schema(value_type = String)]
    pub to: ItemId,
}

/// How an item was before.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryView<'a> {
    /// Earlier words, oldest first.
    pub versions: Vec<VersionView<'a>>,
    /// Changes of its standing, oldest first.
    pub changes: Vec<ChangeView>,
}

/// Earlier words.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionView<'a> {
    /// Until when these were the words.
    #[schema(value_type = String)]
    pub until: Timestamp,
    /// The header then.
    pub title: Option<&'a str>,
    /// The words then.
    pub text: &'a str,
    /// Their tokens.
    pub tokens: u32,
}

/// A change of an item's standing.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeView {
    /// When.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// What changed it: `item`, `edit` or a type of feedback.
    pub cause: String,
    /// The item that changed it.
    #[schema(value_type = Option<String>)]
    pub by: Option<ItemId>,
    /// How it stood before.
    #[schema(value_type = Option<String>)]
    pub status_before: Option<Status>,
    /// What it had proved worth before.
    pub salience_before: f64,
}

/// What stands around an item in its thread.
#[derive(Debug, Serialize, ToSchema)]
pub struct NeighboursView {
    /// At most two before it, in their order.
    pub before: Vec<BriefView>,
    /// At most two after it.
    pub after: Vec<BriefView>,
}

impl<'a> ExpandAnswer<'a> {
    /// An item of a thread with all that belongs to it.
    #[must_use]
    pub fn new(thread: &'a Arc<Thread>, item: &'a Item) -> Self {
        let there = |id: &ItemId| thread.item(*id).is_some();
        let links = item.links.iter().filter(|link| there(&link.to));
        Self {
            item: ItemView::new(thread, item),
            source_items: BriefView::all(thread, &item.sources),
            derived_items: BriefView::all(thread, &item.derived),
            links: links.map(|link| LinkView { kind: link.kind, to: link.to }).collect(),
            history: HistoryView::new(item),
            neighbours: NeighboursView::new(thread, item.id),
        }
    }
}

impl<'a> HistoryView<'a> {
    fn new(item: &'a Item) -> Self {
        let versions = item.versions.iter().map(|version| VersionView {
            until: version.until,
            title: version.title.as_deref(),
            text: &version.text,
            tokens: version.tokens,
        });
        let changes = item.changes.iter().map(|change| {
            let (cause, by) = cause(change.cause);
            let (status_before, salience_before) = (change.before.status, rounded(change.before.salience));
            ChangeView { at: change.at, cause, by, status_before, salience_before }
        });
        Self { versions: versions.collect(), changes: changes.collect() }
    }
}

fn cause(cause: Cause) -> (String, Option<ItemId>) {
    match cause {
        Cause::By(id) => ("item".to_owned(), Some(id)),
        Cause::Edit => ("edit".to_owned(), None),
        Cause::Feedback(feedback) => {
            let name = serde_json::to_value(feedback).ok();
            (name.as_ref().and_then(|name| name.as_str()).unwrap_or("feedback").to_owned(), None)
        }
    }
}

impl NeighboursView {
    fn new(thread: &Thread, id: ItemId) -> Self {
        let Some(slot) = thread.slot_of(id) else { return Self { before: Vec::new(), after: Vec::new() } };
        let near = |slots: &mut dyn Iterator<Item = u32>| -> Vec<BriefView> {
            let items = slots.filter_map(|slot| thread.slot(slot)).filter(|item| !item.deleted);
            items.take(NEIGHBOURS).map(|item| BriefView::new(thread, item)).collect()
        };
        let mut before = near(&mut (0..slot).rev());
        before.reverse();
        Self { before, after: near(&mut (slot.saturating_add(1)..thread.slots())) }
    }
}

/// What an id stands for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Expanded<'a> {
    /// An item.
    Item(Box<ExpandAnswer<'a>>),
    /// A place in code.
    Artifact(ArtifactAnswer),
}

/// A place in code and the items that name it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ArtifactAnswer {
    /// `CODE:<path>#L<a>-L<b>`.
    pub id: String,
    /// Always `artifact`.
    pub kind: &'static str,
    /// The file.
    pub path: String,
    /// The first line.
    pub first_line: u32,
    /// The last line.
    pub last_line: u32,
    /// The function or class there.
    pub symbol: Option<String>,
    /// The items that name it, in the order in which they came.
    pub items: Vec<BriefView>,
}

impl ArtifactAnswer {
    /// The artifact of this id, as the items of `threads` name it; `None` where none does.
    #[must_use]
    pub fn new(id: &str, threads: &[Arc<Thread>]) -> Option<Self> {
        let mut items = Vec::new();
        let mut known: Option<&ArtifactRef> = None;
        for thread in threads {
            for item in thread.items() {
                if let Some(artifact) = item.artifacts.iter().find(|artifact| artifact.id() == id) {
                    known = known.filter(|known| known.symbol.is_some()).or(Some(artifact));
                    items.push(BriefView::new(thread, item));
                }
            }
        }
        let ArtifactRef { path, first_line, last_line, symbol, .. } = known?.clone();
        Some(Self { id: id.to_owned(), kind: "artifact", path, first_line, last_line, symbol, items })
    }
}

/// What is to be changed; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchBody {
    /// Another header.
    pub title: Option<String>,
    /// Other words.
    pub text: Option<String>,
    /// Other tags.
    pub tags: Option<Vec<String>>,
    /// Other fields of the caller's own.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Fields>,
    /// Another status; for semantic items.
    pub status: Option<String>,
    /// `high`, `medium` or `low`.
    pub priority: Option<String>,
}

impl PatchBody {
    /// The change for an item, checked.
    ///
    /// # Errors
    ///
    /// 400 that names the field.
    pub fn validate(self, id: ItemId) -> Result<Patch, ApiError> {
        let status = self.status.as_deref().map(|name| status("status", name)).transpose()?;
        if status.is_some() && id.is_episodic() {
            return Err(ApiError::invalid_value(
                "status",
                "what happened (E…) has no status: change the S… item that was found in it",
            ));
        }
        if self.text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            return Err(ApiError::invalid_value("text", "`text` says nothing: delete the item instead"));
        }
        check::text("text", self.text.as_deref().unwrap_or_default())?;
        check::text("title", self.title.as_deref().unwrap_or_default())?;
        check::tags("tags", self.tags.as_deref().unwrap_or_default())?;
        if let Some(Fields(fields)) = &self.metadata {
            check::metadata("metadata", fields)?;
        }
        if self.priority.as_deref().is_some_and(|name| !["high", "medium", "low"].contains(&name)) {
            return Err(check::one_of("priority", ["high", "medium", "low"].into_iter()));
        }
        let Self { title, text, tags, metadata, priority, .. } = self;
        let patch = Patch { title, text, tags, metadata: metadata.map(|fields| Metadata(fields.0)), status, priority };
        if patch == Patch::default() {
            return Err(ApiError::missing_field(
                "text",
                "nothing is to be changed: give title, text, tags, metadata, status or priority",
            ));
        }
        Ok(patch)
    }
}

/// What a deletion took.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedAnswer {
    /// The item.
    #[schema(value_type = String)]
    pub id: ItemId,
    /// Always true.
    pub deleted: bool,
    /// All items that went: those that were found in this one alone went with it.
    #[schema(value_type = Vec<String>)]
    pub deleted_ids: Vec<ItemId>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::parse;

    fn refusal(body: &str, id: ItemId) -> Option<(String, String)> {
        let patch = parse::<PatchBody>(body.as_bytes()).and_then(|body| body.validate(id));
        patch.err().map(|error| (error.code().to_owned(), error.param().unwrap_or_default().to_owned()))
    }

    #[test]
    fn a_patch_is_checked_field_by_field() {
        let (decision, turn) = (ItemId::Semantic(1), ItemId::Episodic(1));
        let wrong = |code: &str, param: &str| Some((code.to_owned(), param.to_owned()));

        assert_eq!(refusal(r#"{"status":"accepted","tags":["a"],"metadata":{"a":1}}"#, decision), None);
        assert_eq!(refusal("{}", decision), wrong("missing_field", "text"));
        assert_eq!(refusal(r#"{"status":"accepted"}"#, turn), wrong("invalid_value", "status"));
        assert_eq!(refusal(r#"{"status":"open"}"#, decision), wrong("invalid_value", "status"));
        assert_eq!(refusal(r#"{"text":" "}"#, turn), wrong("invalid_value", "text"));
        assert_eq!(refusal(r#"{"priority":"urgent"}"#, decision), wrong("invalid_value", "priority"));
        assert_eq!(refusal(r#"{"id":"S2"}"#, decision), wrong("unknown_field", "id"));
        assert_eq!(refusal(r#"{"salience":1}"#, decision), wrong("unknown_field", "salience"));
    }
}
