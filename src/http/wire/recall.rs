//! `POST /v1/recall`: what is asked, and the items that matter.

use super::item::shown;
use super::materials::Fields;
use super::rounded;
use crate::http::check;
use crate::http::error::ApiError;
use cmg_actors::Scope;
use cmg_config::Memory;
use cmg_memory::ids::ItemId;
use cmg_memory::ingest::ArtifactRef;
use cmg_memory::item::Metadata;
use cmg_memory::kind::{Kind, Role, Status};
use cmg_memory::recall::{Answer, Filter, Hit, Request};
use cmg_memory::thread::Thread;
use cmg_memory::time::Timestamp;
use cmg_memory::workingset::Globals;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use utoipa::ToSchema;

/// Tokens that may be asked for.
const LARGEST_BUDGET: u64 = 1_000_000;
/// Items that may be asked for.
const LARGEST_TOP_K: u64 = 500;

/// What is asked, by recall and by working set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecallBody {
    /// The thread; not needed for the scope `workspace`.
    pub thread_id: Option<String>,
    /// What the memory is needed for, in words.
    pub purpose: String,
    /// Tokens that the items may have together: 1 to 1,000,000.
    pub token_budget: Option<u32>,
    /// `thread` or `workspace`.
    pub scope: Option<String>,
    /// Items at most: 1 to 500.
    pub top_k: Option<u32>,
    /// Answers as the memory stood at that instant.
    #[schema(value_type = Option<String>)]
    pub as_of: Option<Timestamp>,
    /// What the items have to be.
    pub filters: Option<FilterBody>,
    /// Adds the parts of each score.
    pub explain: Option<bool>,
}

/// What the items have to be; all conditions hold.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FilterBody {
    /// One of these kinds.
    pub kinds: Option<Vec<String>>,
    /// Happened at this instant or later.
    #[schema(value_type = Option<String>)]
    pub after: Option<Timestamp>,
    /// Happened before this instant.
    #[schema(value_type = Option<String>)]
    pub before: Option<Timestamp>,
    /// Has all of these tags.
    pub tags: Option<Vec<String>>,
    /// Has all of these fields with these values.
    #[schema(value_type = Object)]
    pub metadata: Fields,
}

/// A checked question.
#[derive(Debug)]
pub struct Question {
    /// The thread, or `None` for the workspace.
    pub thread_id: Option<String>,
    /// The request to memory.
    pub request: Request,
}

impl Question {
    /// Where to look.
    #[must_use]
    pub fn scope(&self) -> Scope<'_> {
        self.thread_id.as_deref().map_or(Scope::Workspace, Scope::Thread)
    }
}

impl RecallBody {
    /// The question, with the settings where the caller leaves something open.
    ///
    /// # Errors
    ///
    /// 400 that names the field.
    pub fn validate(self, settings: &Memory) -> Result<Question, ApiError> {
        check::purpose(&self.purpose)?;
        let settled = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let token_budget = self.token_budget.unwrap_or_else(|| settled(settings.default_token_budget));
        let top_k = self.top_k.unwrap_or_else(|| settled(settings.max_context_items));
        if self.token_budget.is_some() {
            check::within("token_budget", token_budget.into(), 1, LARGEST_BUDGET)?;
        }
        if self.top_k.is_some() {
            check::within("top_k", top_k.into(), 1, LARGEST_TOP_K)?;
        }
        let request = Request {
            purpose: self.purpose,
            token_budget,
            top_k: usize::try_from(top_k).unwrap_or(usize::MAX),
            as_of: self.as_of,
            filter: filter(self.filters.unwrap_or_default())?,
            min_score: settings.min_score,
            explain: self.explain.unwrap_or(false),
        };
        Ok(Question { thread_id: scope(self.scope.as_deref(), self.thread_id)?, request })
    }
}

/// The thread to look at; `None` for the workspace.
fn scope(scope: Option<&str>, thread_id: Option<String>) -> Result<Option<String>, ApiError> {
    check::optional_name("thread_id", thread_id.as_ref())?;
    match scope {
        Some("workspace") => Ok(None),
        None | Some("thread") if thread_id.is_some() => Ok(thread_id),
        None | Some("thread") => Err(ApiError::missing_field(
            "thread_id",
            "`thread_id` is missing: name a thread, or ask with \"scope\": \"workspace\"",
        )),
        Some(_) => Err(check::one_of("scope", ["thread", "workspace"].into_iter())),
    }
}

fn filter(body: FilterBody) -> Result<Filter, ApiError> {
    let tags = body.tags.unwrap_or_default();
    check::tags("filters.tags", &tags)?;
    check::metadata("filters.metadata", &body.metadata.0)?;
    let kinds = body.kinds.unwrap_or_default();
    let named = kinds.iter().enumerate().map(|(at, kind)| check::kind(&format!("filters.kinds[{at}]"), kind));
    let kinds = named.collect::<Result<_, _>>()?;
    Ok(Filter { kinds, after: body.after, before: body.before, tags, metadata: body.metadata.0 })
}

/// The items that matter, in rank order.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecallAnswer<'a> {
    /// The thread; `null` for the scope `workspace`.
    pub thread_id: Option<&'a str>,
    /// What always holds.
    pub globals: GlobalsView<'a>,
    /// The ids of the items, in the same order.
    #[schema(value_type = Vec<String>)]
    pub focus_ids: Vec<ItemId>,
    /// Places in code that the items name.
    pub artifact_refs: Vec<String>,
    /// The items.
    pub items: Vec<HitView<'a>>,
    /// Tokens of the items together.
    pub token_estimate: u32,
    /// With `explain`: whether items were left out for the budget or `top_k`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<bool>,
    /// With `explain`: the best of those left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub next_best: Option<&'a [ItemId]>,
    /// Microseconds that it took.
    pub took_us: u64,
}

/// What always holds in a scope.
#[derive(Debug, Serialize, ToSchema)]
pub struct GlobalsView<'a> {
    /// The latest mission; empty when none was stated.
    pub mission: &'a str,
    /// Constraints, requirements, standing instructions and preferences.
    pub constraints: &'a [String],
    /// Open tasks and decisions that hold.
    pub runbook: RegisterView<'a>,
}

/// Open tasks and decisions that hold.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegisterView<'a> {
    /// Open tasks.
    pub tasks: &'a [String],
    /// Decisions.
    pub decisions: &'a [String],
}

impl<'a> From<&'a Globals> for GlobalsView<'a> {
    fn from(globals: &'a Globals) -> Self {
        let Globals { mission, constraints, runbook } = globals;
        Self { mission, constraints, runbook: RegisterView { tasks: &runbook.tasks, decisions: &runbook.decisions } }
    }
}

/// An item that was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct HitView<'a> {
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
    /// How well it fits.
    pub score: f64,
    /// Its tokens.
    pub tokens: u32,
    /// Its thread.
    pub thread_id: &'a str,
    /// The caller's own id.
    pub external_id: Option<&'a str>,
    /// How it stands; for what happened, how the first thing found in it stands.
    #[schema(value_type = Option<String>)]
    pub status: Option<Status>,
    /// Who said it.
    pub speaker: Option<&'a str>,
    /// Who said it, as language models know it.
    #[schema(value_type = Option<String>)]
    pub role: Option<Role>,
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
    /// The caller's own fields.
    #[schema(value_type = Object)]
    pub metadata: &'a Metadata,
    /// With `explain`: the parts of the score.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, f64>>)]
    pub parts: Option<BTreeMap<&'static str, f64>>,
}

impl<'a> RecallAnswer<'a> {
    /// The answer to a question over `threads`; the time it took is filled in by who knows it.
    #[must_use]
    pub fn new(question: &'a Question, threads: &'a [Arc<Thread>], found: &'a Answer, globals: &'a Globals) -> Self {
        let by_id: HashMap<&str, &Arc<Thread>> = threads.iter().map(|thread| (&*thread.id, thread)).collect();
        let as_of = question.request.as_of;
        let view = |hit: &'a Hit| HitView::new(hit, by_id.get(&*hit.thread).copied(), as_of);
        let explain = question.request.explain;
        Self {
            thread_id: question.thread_id.as_deref(),
            globals: globals.into(),
            focus_ids: found.hits.iter().map(|hit| hit.item.id).collect(),
            artifact_refs: artifacts(&found.hits),
            items: found.hits.iter().map(view).collect(),
            token_estimate: found.token_estimate,
            truncated: explain.then_some(found.truncated),
            next_best: explain.then_some(&found.next_best),
            took_us: 0,
        }
    }
}

/// The artifacts that hits name, each once, the best hit's first.
fn artifacts(hits: &[Hit]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let all = hits.iter().flat_map(|hit| &hit.item.artifacts).map(ArtifactRef::id);
    all.filter(|id| seen.insert(id.clone())).collect()
}

impl<'a> HitView<'a> {
    fn new(hit: &'a Hit, thread: Option<&Arc<Thread>>, as_of: Option<Timestamp>) -> Self {
        let item = &*hit.item;
        let (title, text, _) = item.words_at(as_of);
        let derived = shown(&item.derived, thread, as_of);
        let meaning = || thread?.item(*derived.first()?)?.standing_at(as_of).status;
        let status = item.standing_at(as_of).status.or_else(meaning);
        Self {
            id: item.id,
            kind: item.kind,
            title,
            text,
            score: rounded(hit.score),
            tokens: hit.tokens,
            thread_id: &hit.thread,
            external_id: item.external_id.as_deref(),
            status,
            speaker: item.speaker.as_deref(),
            role: item.role,
            observed_at: item.observed_at,
            created_at: item.created_at,
            sources: shown(&item.sources, thread, as_of),
            derived,
            metadata: &item.metadata,
            parts: hit.parts.as_ref().map(|parts| parts.iter().map(|(name, part)| (*name, rounded(*part))).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::parse;
    use cmg_config::Config;
    use serde_json::{Value, json};

    fn read(body: &Value) -> Result<Question, ApiError> {
        parse::<RecallBody>(body.to_string().as_bytes())?.validate(&Config::default().memory)
    }

    #[test]
    fn what_is_left_open_comes_from_the_settings() {
        let question = read(&json!({"thread_id": "t", "purpose": "p"})).unwrap();

        assert_eq!((question.request.token_budget, question.request.top_k), (4000, 50));
        assert_eq!(question.thread_id.as_deref(), Some("t"));
        assert!(read(&json!({"scope": "workspace", "purpose": "p"})).unwrap().thread_id.is_none());
    }

    #[test]
    fn limits_hold_at_the_limit_and_not_beyond() {
        for (field, good, bad) in
            [("token_budget", json!(1_000_000), json!(1_000_001)), ("top_k", json!(500), json!(501))]
        {
            assert!(read(&json!({"thread_id": "t", "purpose": "p", field: good})).is_ok(), "{field}");
            for wrong in [bad, json!(0), json!(-1), json!(1.5), json!("7")] {
                let error = read(&json!({"thread_id": "t", "purpose": "p", field: wrong})).unwrap_err();
                assert_eq!((error.code(), error.param()), ("invalid_value", Some(field)), "{wrong}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, code, param) in [
            (json!({"thread_id": "t"}), "missing_field", "purpose"),
            (json!({"thread_id": "t", "purpose": " "}), "empty_purpose", "purpose"),
            (json!({"purpose": "p"}), "missing_field", "thread_id"),
            (json!({"purpose": "p", "scope": "all"}), "invalid_value", "scope"),
            (
                json!({"thread_id": "t", "purpose": "p", "filters": {"kinds": ["chat", "x"]}}),
                "invalid_value",
                "filters.kinds[1]",
            ),
            (json!({"thread_id": "t", "purpose": "p", "filters": {"kind": "x"}}), "unknown_field", "filters.kind"),
            (json!({"thread_id": "t", "purpose": "p", "as_of": "later"}), "invalid_value", "as_of"),
        ] {
            let error = read(&body).unwrap_err();
            assert_eq!((error.code(), error.param()), (code, Some(param)), "{body}: {error}");
        }
    }
}
