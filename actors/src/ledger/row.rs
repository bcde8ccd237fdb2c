//! A row of the ledger: what one call was, how it ended, and what it cost.
//!
//! # Invariants
//!
//! - There is one row for every request that got past its key's rate and asked for an upstream, whatever its end.
//! - A row holds figures and names, never a text of a prompt or an answer.

use cmg_gateway::money::Nanos;
use cmg_gateway::usage::Usage;
use cmg_memory::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Answered whole.
    Ok,
    /// The upstream refused it or failed.
    UpstreamError,
    /// The answer broke off, stalled, or turned into something else.
    Cut,
    /// The client left before the end.
    ClientGone,
    /// A time limit of ours passed.
    Timeout,
    /// We refused it: a limit, a list, a wrong request.
    Refused,
}

impl Ending {
    /// The public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::UpstreamError => "upstream_error",
            Self::Cut => "cut",
            Self::ClientGone => "client_gone",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
        }
    }
}

/// Where the figure of the cost comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostKind {
    /// The upstream said it.
    Exact,
    /// The upstream's tokens times the catalogue's prices.
    Priced,
    /// Our own count, or a guess where nothing was told.
    Estimated,
}

/// Tokens and money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Tokens of the prompt, cached ones included.
    pub prompt_tokens: u64,
    /// Tokens of the answer, reasoning included.
    pub completion_tokens: u64,
    /// Of the prompt's, those that came from a cache.
    pub cached_tokens: u64,
    /// Of the answer's, those of reasoning.
    pub reasoning_tokens: u64,
    /// Nano-dollars.
    pub cost: Nanos,
    /// Where `cost` comes from.
    pub cost_kind: CostKind,
}

impl Spent {
    /// Nothing, which is certain.
    pub const NOTHING: Self = Self {
        prompt_tokens: 0,
        completion_tokens: 0,
        cached_tokens: 0,
        reasoning_tokens: 0,
        cost: Nanos(0),
        cost_kind: CostKind::Exact,
    };

    /// What the upstream reported, at its own cost or at `priced`.
    #[must_use]
    pub fn reported(usage: &Usage, priced: Option<Nanos>) -> Self {
        let (cost, cost_kind) = match (usage.cost, priced) {
            (Some(cost), _) => (cost, CostKind::Exact),
            (None, Some(cost)) => (cost, CostKind::Priced),
            (None, None) => (Nanos(0), CostKind::Estimated),
        };
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            cached_tokens: usage.cached_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            cost,
            cost_kind,
        }
    }

    /// Tokens of prompt and answer.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// When it began.
    pub at: Timestamp,
    /// The id of the request.
    pub request_id: String,
    /// The key's id.
    pub key_id: String,
    /// The key's workspace.
    pub workspace: String,
    /// The route, such as `/v1/chat/completions`.
    pub route: String,
    /// The model that was asked for, aliases resolved.
    pub model: String,
    /// The model that answered, where it said so.
    pub answered_by: Option<String>,
    /// The upstream's provider, where it said so.
    pub provider: Option<String>,
    /// The upstream.
    pub upstream: String,
    /// Whether the answer was a stream.
    pub streamed: bool,
    /// How it ended.
    pub ending: Ending,
    /// The status that the client got, or would have got.
    pub status: u16,
    /// The error's code, where there was one.
    pub code: Option<String>,
    /// Tokens and money.
    pub spent: Spent,
    /// The upstream's id of the generation.
    pub generation_id: Option<String>,
    /// Attempts at the upstream.
    pub attempts: u32,
    /// Tokens that memory added to the prompt.
    pub memory_tokens: u32,
    /// Microseconds until the first byte of the answer.
    pub first_byte_us: Option<u64>,
    /// Microseconds in all.
    pub took_us: u64,
    /// Whether `/generation` will be asked what it cost.
    pub unsettled: bool,
}

/// What was learnt later of a row that was not settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The row's generation.
    pub generation_id: String,
    /// What it was after all; `None` when nobody can tell any more.
    pub spent: Option<Spent>,
}
