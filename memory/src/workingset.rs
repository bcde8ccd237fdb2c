//! The working set: what an agent puts into its prompt, stable parts first.
//!
//! ```text
//! register    mission, standing instructions, constraints, preferences   changes when they change
//! decisions   and open tasks, runbook, open questions                    changes when they change
//! evidence    what recall finds for this purpose                         changes with the purpose
//! ```
//!
//! # Promise
//!
//! Same memory, same request: same bytes. The prompt never exceeds the token budget; the stable
//! part of it is a prefix that stays the same while the memory behind it does. A section with
//! nothing to say is empty.
//!
//! # Deliberately absent
//!
//! Made-up text: every line is an item's own words.

use crate::ids::ItemId;
use crate::item::Item;
use crate::kind::{Kind, Status};
use crate::recall::{Answer, Hit, Request};
use crate::thread::Thread;
use crate::time::Timestamp;
use crate::tokens;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What always holds in a scope: offered before anything else, ordered by id.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Globals {
    /// The latest mission, if one was ever stated.
    pub mission: String,
    /// Constraints, requirements, standing instructions and preferences.
    pub constraints: Vec<String>,
    /// Open tasks and decisions that hold.
    pub runbook: Register,
}

/// Open tasks and decisions that hold, by their texts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Register {
    /// Open tasks.
    pub tasks: Vec<String>,
    /// Decisions.
    pub decisions: Vec<String>,
}

/// A decision that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Its id.
    pub id: ItemId,
    /// What was decided.
    pub title: String,
    /// How it stands.
    pub status: Status,
    /// Its priority, where one was given.
    pub impact: Option<String>,
    /// Why, where the words say so.
    pub rationale: Option<String>,
}

/// An open task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Task {
    /// Its id.
    pub id: ItemId,
    /// What is to be done.
    pub title: String,
    /// How it stands.
    pub status: Status,
    /// How urgent it is, where the words say so.
    pub priority: Option<String>,
}

/// Steps to follow, from tasks and decisions in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Runbook {
    /// Open tasks in the order in which they came up.
    pub steps: Vec<String>,
    /// The latest decision's words.
    pub summary: String,
}

/// An item found for this purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Its id.
    pub id: ItemId,
    /// What it is.
    pub kind: Kind,
    /// Its words.
    pub text: String,
}

/// The compact form of memory for one purpose.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct WorkingSet {
    /// The mission, or nothing.
    pub mission: String,
    /// Constraints, requirements, standing instructions and preferences, by id.
    pub constraints: Vec<String>,
    /// Decisions that hold, by id.
    pub focus_decisions: Vec<Decision>,
    /// Open tasks, by id.
    pub focus_tasks: Vec<Task>,
    /// What to do next.
    pub runbook: Runbook,
    /// Places in code that the evidence names.
    pub artifacts: Vec<String>,
    /// Every id that something here was taken from.
    pub citations: Vec<ItemId>,
    /// Questions that no later turn answered.
    pub open_questions: Vec<String>,
    /// What recall found, in rank order.
    pub evidence: Vec<Evidence>,
    /// All of it as Markdown.
    pub prompt: String,
    /// `o200k_base` tokens of the prompt.
    pub token_estimate: u32,
    /// Bytes of the prompt before its evidence: the part that changes only when the memory behind it does.
    #[serde(skip)]
    pub stable_bytes: usize,
}

impl WorkingSet {
    /// The prompt in two: what stays the same from purpose to purpose, and the evidence for this one.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        self.prompt.split_at_checked(self.stable_bytes).unwrap_or((&self.prompt, ""))
    }
}

/// Items of one section at most: a prompt that lists hundreds of tasks helps nobody.
const SECTION_ITEMS: usize = 20;
/// Share of the budget that the stable part may take; the rest is for evidence.
const STABLE_SHARE: u32 = 2;

/// The semantic items of `threads` that hold as of an instant, by id.
fn holding(threads: &[Arc<Thread>], as_of: Option<Timestamp>) -> Vec<&Arc<Item>> {
    let holds = |item: &&Arc<Item>| {
        let standing = item.standing_at(as_of);
        item.is_known_at(as_of)
            && matches!(standing.status, None | Some(Status::Accepted | Status::Provisional))
            && standing.valid_to.is_none()
    };
    let mut items: Vec<_> = threads.iter().flat_map(|thread| thread.semantic_items()).filter(holds).collect();
    items.sort_by_key(|item| item.id);
    items
}

fn is_mission(item: &Item) -> bool {
    item.kind == Kind::Instruction && item.subject.as_deref() == Some("mission")
}

fn is_constraint(item: &Item) -> bool {
    matches!(item.kind, Kind::Constraint | Kind::Requirement | Kind::Instruction | Kind::Preference)
        && !is_mission(item)
}

/// The last `SECTION_ITEMS` of those that `wanted` picks, in order of id.
fn section<'a>(items: &[&'a Arc<Item>], wanted: impl Fn(&Item) -> bool) -> Vec<&'a Arc<Item>> {
    let mut picked: Vec<_> = items.iter().rev().copied().filter(|item| wanted(item)).take(SECTION_ITEMS).collect();
    picked.reverse();
    picked
}

fn words(item: &Item, as_of: Option<Timestamp>) -> String {
    item.words_at(as_of).1.trim().to_owned()
}

/// A name for an item: its title where it has one, else its words.
fn name(item: &Item, as_of: Option<Timestamp>) -> String {
    let (title, text, _) = item.words_at(as_of);
    title.filter(|title| !title.trim().is_empty()).unwrap_or(text).trim().to_owned()
}

/// What always holds in a scope as of an instant.
#[must_use]
pub fn globals(threads: &[Arc<Thread>], as_of: Option<Timestamp>) -> Arc<Globals> {
    match (threads, as_of) {
        ([thread], None) => Arc::clone(thread.register(|| find_globals(threads, None))),
        _ => Arc::new(find_globals(threads, as_of)),
    }
}

fn find_globals(threads: &[Arc<Thread>], as_of: Option<Timestamp>) -> Globals {
    let items = holding(threads, as_of);
    let texts =
        |wanted: &dyn Fn(&Item) -> bool| section(&items, wanted).into_iter().map(|item| words(item, as_of)).collect();
    Globals {
        mission: items.iter().rev().find(|item| is_mission(item)).map(|item| words(item, as_of)).unwrap_or_default(),
        constraints: texts(&is_constraint),
        runbook: Register {
            tasks: texts(&|item| item.kind == Kind::Task),
            decisions: texts(&|item| item.kind == Kind::Decision),
        },
    }
}

/// The working set of `threads` for a request, given a recall of the whole budget for it.
#[must_use]
pub fn build(threads: &[Arc<Thread>], request: &Request, recalled: &Answer) -> WorkingSet {
    let as_of = request.as_of;
    let items = holding(threads, as_of);
    let mut sheet = Sheet::new(request.token_budget);
    let mut set = WorkingSet::default();
    let stable_limit = request.token_budget / STABLE_SHARE;

    if let Some(mission) = items.iter().rev().find(|item| is_mission(item))
        && sheet.add("Mission", &words(mission, as_of), Some(mission.id), stable_limit)
    {
        set.mission = words(mission, as_of);
    }
    for item in section(&items, is_constraint) {
        let text = words(item, as_of);
        if sheet.add("Constraints", &text, Some(item.id), stable_limit) {
            set.constraints.push(text);
        }
    }
    for item in section(&items, |item| item.kind == Kind::Decision) {
        let line = with_reason(item, as_of);
        if sheet.add("Decisions", &line, Some(item.id), stable_limit) {
            set.focus_decisions.push(Decision {
                id: item.id,
                title: name(item, as_of),
                status: item.standing_at(as_of).status.unwrap_or(Status::Provisional),
                impact: item.priority.clone(),
                rationale: item.rationale.clone(),
            });
            set.runbook.summary = words(item, as_of);
        }
    }
    for item in section(&items, |item| item.kind == Kind::Task) {
        let text = words(item, as_of);
        if sheet.add("Open tasks", &text, Some(item.id), stable_limit) {
            set.focus_tasks.push(Task {
                id: item.id,
                title: name(item, as_of),
                status: item.standing_at(as_of).status.unwrap_or(Status::Provisional),
                priority: item.priority.clone(),
            });
            set.runbook.steps.push(text);
        }
    }
    for item in section(&items, |item| item.kind == Kind::Question) {
        let text = words(item, as_of);
        if sheet.add("Open questions", &text, Some(item.id), stable_limit) {
            set.open_questions.push(text);
        }
    }
    set.stable_bytes = sheet.text.len();
    evidence(&mut set, &mut sheet, threads, request, recalled);
    set.citations = sheet.cited.into_iter().collect();
    set.token_estimate = tokens::count(&sheet.text);
    set.prompt = sheet.text;
    set
}

fn evidence(set: &mut WorkingSet, sheet: &mut Sheet, threads: &[Arc<Thread>], request: &Request, recalled: &Answer) {
    let mut artifacts = BTreeSet::new();
    for hit in &recalled.hits {
        let text = hit.item.words_at(request.as_of).1.to_owned();
        let superseded = is_superseded(threads, hit, request.as_of);
        if sheet.add("Evidence", &line(hit, &text, superseded), Some(hit.item.id), request.token_budget) {
            artifacts.extend(hit.item.artifacts.iter().map(crate::ingest::ArtifactRef::id));
            set.evidence.push(Evidence { id: hit.item.id, kind: hit.item.kind, text });
        }
    }
    set.artifacts = artifacts.into_iter().collect();
}

/// True when what an item says, or what was found in it, has been superseded.
fn is_superseded(threads: &[Arc<Thread>], hit: &Hit, as_of: Option<Timestamp>) -> bool {
    let gone = |item: &Arc<Item>| item.standing_at(as_of).status == Some(Status::Superseded);
    let thread = threads.iter().find(|thread| thread.id == hit.thread);
    let mut derived = hit.item.derived.iter().filter_map(|id| thread?.item(*id));
    gone(&hit.item) || derived.any(gone)
}

/// An item's words under the header that says who said them and when, and whether they still hold.
fn line(hit: &Hit, text: &str, superseded: bool) -> String {
    let item = &hit.item;
    let (year, month, day) = item.observed_at.date();
    let who = item.speaker.as_deref().or(item.path.as_deref()).or(item.title.as_deref()).unwrap_or(item.kind.as_str());
    let mark = if superseded { " (superseded)" } else { "" };
    let date = format!("{year:04}-{month:02}-{day:02}{mark}");
    if text.contains('\n') {
        let fence = if text.contains("```") { "~~~~" } else { "```" };
        format!("{who}, {date}:\n{fence}\n{}\n{fence}", text.trim_end())
    } else {
        format!("{who}, {date}: {text}")
    }
}

fn with_reason(item: &Item, as_of: Option<Timestamp>) -> String {
    let text = words(item, as_of);
    match &item.rationale {
        Some(reason) if !text.contains(reason.as_str()) => format!("{text} (because {reason})"),
        _ => text,
    }
}

/// A Markdown page that grows only while it stays within the budget.
struct Sheet {
    text: String,
    tokens: u32,
    budget: u32,
    section: &'static str,
    cited: BTreeSet<ItemId>,
}

impl Sheet {
    fn new(budget: u32) -> Self {
        Self { text: String::new(), tokens: 0, budget, section: "", cited: BTreeSet::new() }
    }

    /// Adds a line under a section, opening it first; false when the page would pass `limit`.
    fn add(&mut self, section: &'static str, line: &str, cited: Option<ItemId>, limit: u32) -> bool {
        let mut piece = String::new();
        if self.section != section {
            let gap = if self.text.is_empty() { "" } else { "\n" };
            piece = format!("{gap}## {section}\n");
        }
        let id = cited.map(|id| format!("[{id}] ")).unwrap_or_default();
        piece.push_str(&format!("- {id}{line}\n"));
        // Tokens of pieces add up to at least the tokens of the whole, bar a merge at the seam.
        let tokens = self.tokens + tokens::count(&piece) + 1;
        if tokens > limit.min(self.budget) {
            return false;
        }
        self.text.push_str(&piece);
        self.tokens = tokens;
        self.section = section;
        self.cited.extend(cited);
        true
    }
}
