//! `/v1/usage` and `/admin/api/usage`: what was asked for and what it cost, from the ledger.

use crate::http::caller::{Admin, Reader};
use crate::http::error::ApiError;
use crate::http::page::Query;
use crate::http::wire::json;
use crate::http::wire::usage::{Group, RowView, RowsAnswer, UsageAnswer, range};
use actix_web::{HttpRequest, HttpResponse};
use cmg_actors::gateway::Gateway;
use cmg_memory::time::Timestamp;

/// Rows of one answer at most.
const MOST_ROWS: usize = 500;

/// What the caller's workspace used.
#[utoipa::path(get, path = "/v1/usage", tag = "gateway",
    params(("from" = Option<String>, Query, description = "An instant; 30 days ago when left out"), ("to" = Option<String>, Query, description = "An instant; now when left out"), ("group_by" = Option<String>, Query, description = "`day` (when left out), `hour`, `model`, `key` or `workspace`")),
    responses((status = 200, description = "The sums.", body = UsageAnswer)))]
pub async fn own(caller: Reader, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let workspace = caller.workspace.as_str().to_owned();
    sums(caller.directory.gateway(), &request, Some(workspace)).await
}

/// What everybody used.
#[utoipa::path(get, path = "/admin/api/usage", tag = "admin",
    params(("from" = Option<String>, Query, description = "An instant; 30 days ago when left out"), ("to" = Option<String>, Query, description = "An instant; now when left out"), ("group_by" = Option<String>, Query, description = "`day` (when left out), `hour`, `model`, `key` or `workspace`")),
    responses((status = 200, description = "The sums.", body = UsageAnswer)))]
pub async fn all(admin: Admin, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    sums(admin.directory.gateway(), &request, None).await
}

async fn sums(gateway: &Gateway, request: &HttpRequest, workspace: Option<String>) -> Result<HttpResponse, ApiError> {
    let query = Query::read(request.query_string(), &["from", "to", "group_by"])?;
    let (from, to) = range(&query)?;
    let group = Group::parse(query.get("group_by"))?;
    let read = move |from: Timestamp, to: Timestamp| {
        gateway.ledger().read(move |state| {
            let mine = |of: &str| workspace.as_deref().is_none_or(|workspace| workspace == of);
            UsageAnswer::new(group, state.totals.within(from, to).filter(|(place, _)| mine(&place.workspace)))
        })
    };
    json(&read(from, to).await?)
}

/// The latest calls, the newest first.
#[utoipa::path(get, path = "/admin/api/usage/requests", tag = "admin",
    params(("limit" = Option<u32>, Query, description = "1 to 500; 50 when left out"), ("request_id" = Option<String>, Query, description = "One request's")),
    responses((status = 200, description = "The rows.", body = RowsAnswer)))]
pub async fn rows(admin: Admin, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query = Query::read(request.query_string(), &["limit", "request_id"])?;
    let (limit, wanted) = (query.limit()?.min(MOST_ROWS), query.get("request_id").map(str::to_owned));
    let rows = admin.directory.gateway().ledger().read(move |state| {
        let wanted = |id: &str| wanted.as_deref().is_none_or(|wanted| wanted == id);
        let rows = state.rows.iter().rev().filter(|row| wanted(&row.request_id));
        rows.take(limit).cloned().map(RowView::from).collect()
    });
    json(&RowsAnswer { object: "list", data: rows.await? })
}
