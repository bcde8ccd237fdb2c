//! `POST /v1/workingset`: the compact form of memory, ready for a prompt.

use cmg_memory::ids::ItemId;
use cmg_memory::kind::{Kind, Status};
use cmg_memory::workingset::{Decision, Evidence, Task, WorkingSet};
use serde::Serialize;
use utoipa::ToSchema;

/// The compact form of memory for one purpose.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkingSetAnswer {
    /// The mission; empty when none was stated.
    pub mission: String,
    /// Constraints, requirements, standing instructions and preferences.
    pub constraints: Vec<String>,
    /// Decisions that hold.
    pub focus_decisions: Vec<DecisionView>,
    /// Open tasks.
    pub focus_tasks: Vec<TaskView>,
    /// What to do next.
    pub runbook: RunbookView,
    /// Places in code that the evidence names.
    pub artifacts: Vec<String>,
    /// Every item that something here was taken from.
    #[schema(value_type = Vec<String>)]
    pub citations: Vec<ItemId>,
    /// Questions that were not answered.
    pub open_questions: Vec<String>,
    /// What was found for this purpose, in rank order.
    pub evidence: Vec<EvidenceView>,
    /// All of it as Markdown.
    pub prompt: String,
    /// Tokens of the prompt.
    pub token_estimate: u32,
    /// Microseconds that it took.
    pub took_us: u64,
}

/// A decision that holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecisionView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ItemId,
    /// What was decided.
    pub title: String,
    /// How it stands.
    #[schema(value_type = String)]
    pub status: Status,
    /// How much hangs on it.
    pub impact: Option<String>,
    /// Why.
    pub rationale: Option<String>,
}

/// An open task.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ItemId,
    /// What is to be done.
    pub title: String,
    /// How it stands.
    #[schema(value_type = String)]
    pub status: Status,
    /// How urgent it is.
    pub priority: Option<String>,
}

/// What to do next.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunbookView {
    /// Open tasks in the order in which they came up.
    pub steps: Vec<String>,
    /// The latest decision.
    pub summary: String,
}

/// An item found for this purpose.
#[derive(Debug, Serialize, ToSchema)]
pub struct EvidenceView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ItemId,
    /// What it is.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// Its words.
    pub text: String,
}

impl From<WorkingSet> for WorkingSetAnswer {
    fn from(set: WorkingSet) -> Self {
        Self {
            mission: set.mission,
            constraints: set.constraints,
            focus_decisions: set.focus_decisions.into_iter().map(DecisionView::from).collect(),
            focus_tasks: set.focus_tasks.into_iter().map(TaskView::from).collect(),
            runbook: RunbookView { steps: set.runbook.steps, summary: set.runbook.summary },
            artifacts: set.artifacts,
            citations: set.citations,
            open_questions: set.open_questions,
            evidence: set.evidence.into_iter().map(EvidenceView::from).collect(),
            prompt: set.prompt,
            token_estimate: set.token_estimate,
            took_us: 0,
        }
    }
}

impl From<Decision> for DecisionView {
    fn from(Decision { id, title, status, impact, rationale }: Decision) -> Self {
        Self { id, title, status, impact, rationale }
    }
}

impl From<Task> for TaskView {
    fn from(Task { id, title, status, priority }: Task) -> Self {
        Self { id, title, status, priority }
    }
}

impl From<Evidence> for EvidenceView {
    fn from(Evidence { id, kind, text }: Evidence) -> Self {
        Self { id, kind, text }
    }
}
