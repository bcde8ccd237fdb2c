//! Usage as it is shown: money as decimal dollars in text, so that nobody sums it in binary.

use crate::http::check;
use crate::http::error::ApiError;
use crate::http::page::Query;
use cmg_actors::clock;
use cmg_actors::ledger::row::{CostKind, Ending, Row};
use cmg_actors::ledger::totals::{Place, Sum};
use cmg_gateway::money::Nanos;
use cmg_memory::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Days that are summed up unless told otherwise.
const DEFAULT_DAYS: i64 = 30;
const DAY: i64 = 86_400_000_000;

/// What sums are kept apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The hour; days for what is older than five weeks.
    Hour,
    /// The day (UTC).
    Day,
    /// The model that was asked for.
    Model,
    /// The key.
    Key,
    /// The workspace.
    Workspace,
}

impl Group {
    /// The group of this name.
    ///
    /// # Errors
    ///
    /// 400 for another one.
    pub fn parse(name: Option<&str>) -> Result<Self, ApiError> {
        Ok(match name {
            None | Some("day") => Self::Day,
            Some("hour") => Self::Hour,
            Some("model") => Self::Model,
            Some("key") => Self::Key,
            Some("workspace") => Self::Workspace,
            Some(_) => {
                return Err(check::one_of("group_by", ["day", "hour", "model", "key", "workspace"].into_iter()));
            }
        })
    }

    fn of(self, place: &Place) -> String {
        match self {
            Self::Hour => place.at.to_rfc3339(),
            Self::Day => Timestamp(place.at.0.div_euclid(DAY) * DAY).to_rfc3339().chars().take(10).collect(),
            Self::Model => place.model.clone(),
            Self::Key => place.key_id.clone(),
            Self::Workspace => place.workspace.clone(),
        }
    }
}

/// The instants that a query asks for.
///
/// # Errors
///
/// 400 for one that is none.
pub fn range(query: &Query) -> Result<(Timestamp, Timestamp), ApiError> {
    let instant = |name: &'static str| {
        let parse = |text: &str| {
            Timestamp::parse(text).map_err(|_| {
                ApiError::invalid_value(name, format!("`{name}` is an instant such as 2026-01-31T00:00:00Z"))
            })
        };
        query.get(name).map(parse).transpose()
    };
    let now = clock::now();
    let to = instant("to")?.unwrap_or_else(|| Timestamp(now.0.saturating_add(1)));
    Ok((instant("from")?.unwrap_or_else(|| Timestamp(now.0.saturating_sub(DEFAULT_DAYS * DAY))), to))
}

/// Sums, and all of them together.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageAnswer {
    /// Always `list`.
    pub object: &'static str,
    /// The sums in order of what they are of.
    pub data: Vec<SumView>,
    /// All of them together.
    pub total: SumView,
}

/// A sum.
#[derive(Debug, Serialize, ToSchema)]
pub struct SumView {
    /// What it is of: a day, an hour, a model, a key or a workspace; `total` for all.
    pub of: String,
    /// Requests, refused ones included.
    pub requests: u64,
    /// Those that did not end well.
    pub errors: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
    /// Of the prompts', those from a cache.
    pub cached_tokens: u64,
    /// Tokens that memory added to prompts.
    pub memory_tokens: u64,
    /// US dollars.
    pub cost_usd: String,
    /// Of those, what is priced or estimated, not told by the upstream.
    pub uncertain_usd: String,
}

impl SumView {
    fn new(of: String, sum: &Sum) -> Self {
        Self {
            of,
            requests: sum.requests,
            errors: sum.errors,
            refused: sum.refused,
            prompt_tokens: sum.prompt_tokens,
            completion_tokens: sum.completion_tokens,
            cached_tokens: sum.cached_tokens,
            memory_tokens: sum.memory_tokens,
            cost_usd: Nanos(sum.cost_nanos).to_string(),
            uncertain_usd: Nanos(sum.uncertain_nanos).to_string(),
        }
    }
}

impl UsageAnswer {
    /// The sums of these places, by group.
    pub fn new<'a>(group: Group, sums: impl Iterator<Item = (&'a Place, &'a Sum)>) -> Self {
        let (mut groups, mut total) = (BTreeMap::<String, Sum>::new(), Sum::default());
        for (place, sum) in sums {
            groups.entry(group.of(place)).or_default().add(sum);
            total.add(sum);
        }
        let data = groups.into_iter().map(|(of, sum)| SumView::new(of, &sum)).collect();
        Self { object: "list", data, total: SumView::new("total".to_owned(), &total) }
    }
}

/// The latest calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowsAnswer {
    /// Always `list`.
    pub object: &'static str,
    /// The rows, newest first.
    pub data: Vec<RowView>,
}

/// One call.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowView {
    /// When it began.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// The id of the request.
    pub request_id: String,
    /// The key's id.
    pub key_id: String,
    /// The key's workspace.
    pub workspace_id: String,
    /// The route.
    pub route: String,
    /// The model that was asked for.
    pub model: String,
    /// The model that answered, where it said so.
    pub answered_by: Option<String>,
    /// The provider, where it said so.
    pub provider: Option<String>,
    /// The upstream.
    pub upstream: String,
    /// Whether the answer was a stream.
    pub streamed: bool,
    /// `ok`, `upstream_error`, `cut`, `client_gone`, `timeout` or `refused`.
    #[schema(value_type = String)]
    pub ending: Ending,
    /// The status that the client got; 499 for one that left before there was one.
    pub status: u16,
    /// The error's code.
    pub code: Option<String>,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// Of the prompt's, those from a cache.
    pub cached_tokens: u64,
    /// Of the answer's, those of reasoning.
    pub reasoning_tokens: u64,
    /// Tokens that memory added to the prompt.
    pub memory_tokens: u32,
    /// US dollars.
    pub cost_usd: String,
    /// `exact`, `priced` or `estimated`.
    #[schema(value_type = String)]
    pub cost_kind: CostKind,
    /// The upstream's id of the generation.
    pub generation_id: Option<String>,
    /// Attempts at the upstream.
    pub attempts: u32,
    /// Microseconds until the first byte.
    pub first_byte_us: Option<u64>,
    /// Microseconds in all.
    pub took_us: u64,
    /// Whether the cost is still asked for.
    pub unsettled: bool,
}

impl From<Row> for RowView {
    fn from(row: Row) -> Self {
        Self {
            at: row.at,
            request_id: row.request_id,
            key_id: row.key_id,
            workspace_id: row.workspace,
            route: row.route,
            model: row.model,
            answered_by: row.answered_by,
            provider: row.provider,
            upstream: row.upstream,
            streamed: row.streamed,
            ending: row.ending,
            status: row.status,
            code: row.code,
            prompt_tokens: row.spent.prompt_tokens,
            completion_tokens: row.spent.completion_tokens,
            cached_tokens: row.spent.cached_tokens,
            reasoning_tokens: row.spent.reasoning_tokens,
            memory_tokens: row.memory_tokens,
            cost_usd: row.spent.cost.to_string(),
            cost_kind: row.spent.cost_kind,
            generation_id: row.generation_id,
            attempts: row.attempts,
            first_byte_us: row.first_byte_us,
            took_us: row.took_us,
            unsettled: row.unsettled,
        }
    }
}
