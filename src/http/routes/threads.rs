//! `/v1/threads`: which there are, what is in them, and their end.

use crate::http::caller::{Caller, Reader, Writer};
use crate::http::check;
use crate::http::error::ApiError;
use crate::http::page::{Page, Query};
use crate::http::wire::item::ItemView;
use crate::http::wire::json;
use crate::http::wire::thread::{ThreadDeletedAnswer, ThreadView};
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use cmg_actors::{Scope, ThreadInfo};
use cmg_memory::thread::Thread;
use std::sync::Arc;

/// The threads of the workspace, in the order in which they began.
#[utoipa::path(get, path = "/v1/threads", tag = "threads",
    params(("limit" = Option<u32>, Query, description = "1 to 500; 50 when left out"), ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page of threads.", body = Page<ThreadView>)))]
pub async fn list(caller: Reader, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query = Query::read(request.query_string(), &["limit", "cursor"])?;
    let (limit, after) = (query.limit()?, query.cursor(position)?);
    let threads = caller.directory.threads(&caller.workspace).await?;
    let from = after.map_or(0, |(at, id)| behind(&threads, at, &id));
    let rest = threads.into_iter().skip(from);
    let cursor = |info: &ThreadInfo| format!("thread:{}:{}", info.created_at.0, info.id);
    json(&Page::of(rest, limit, cursor, ThreadView::from))
}

/// The beginning and the id of the last thread of a page.
fn position(text: &str) -> Option<(i64, String)> {
    let (at, id) = text.strip_prefix("thread:")?.split_once(':')?;
    Some((at.parse().ok()?, id.to_owned()))
}

/// Where the page after a thread begins, even if that thread is gone.
fn behind(threads: &[ThreadInfo], at: i64, id: &str) -> usize {
    let found = threads.iter().position(|info| info.id == id && info.created_at.0 == at);
    let later = || threads.iter().position(|info| info.created_at.0 > at).unwrap_or(threads.len());
    found.map_or_else(later, |place| place + 1)
}

/// A thread of the caller's workspace by its id.
///
/// # Errors
///
/// 404 where there is none.
pub async fn one(caller: &Caller, id: &str) -> Result<Arc<Thread>, ApiError> {
    let missing = || ApiError::not_found("there is no thread with this id");
    check::name("id", id).map_err(|_| missing())?;
    let threads = caller.directory.scope(&caller.workspace, Scope::Thread(id)).await?;
    threads.into_iter().next().ok_or_else(missing)
}

/// One thread.
#[utoipa::path(get, path = "/v1/threads/{id}", tag = "threads", params(("id" = String, Path, description = "The thread")),
    responses((status = 200, description = "The thread.", body = ThreadView)))]
pub async fn read(caller: Reader, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let thread = one(&caller, &id).await?;
    json(&ThreadView::from(&*thread))
}

/// Deletes a thread with all its items, from every later answer, snapshot and export.
#[utoipa::path(delete, path = "/v1/threads/{id}", tag = "threads", params(("id" = String, Path, description = "The thread")),
    responses((status = 200, description = "It is gone.", body = ThreadDeletedAnswer)))]
pub async fn erase(caller: Writer, id: Path<String>) -> Result<HttpResponse, ApiError> {
    check::name("id", &id).map_err(|_| ApiError::not_found("there is no thread with this id"))?;
    let deleted_items = caller.directory.erase_thread(&caller.workspace, &id).await?;
    json(&ThreadDeletedAnswer { thread_id: &id, deleted: true, deleted_items })
}

/// The items of a thread, in the order in which they came.
#[utoipa::path(get, path = "/v1/threads/{id}/items", tag = "threads",
    params(("id" = String, Path, description = "The thread"), ("kind" = Option<String>, Query, description = "Items of this kind only"),
        ("limit" = Option<u32>, Query, description = "1 to 500; 50 when left out"), ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page of items.", body = Page<ItemView>)))]
pub async fn items(caller: Reader, id: Path<String>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query = Query::read(request.query_string(), &["kind", "limit", "cursor"])?;
    let kind = query.get("kind").map(|name| check::kind("kind", name)).transpose()?;
    let limit = query.limit()?;
    let after = query.cursor(|text| text.strip_prefix("slot:")?.parse::<u32>().ok())?;
    let thread = one(&caller, &id).await?;
    let from = after.map_or(0, |slot| slot.saturating_add(1));
    let slots = (from..thread.slots()).filter_map(|slot| Some((slot, thread.slot(slot)?)));
    let wanted = slots.filter(|(_, item)| !item.deleted && kind.is_none_or(|kind| item.kind == kind));
    json(&Page::of(wanted, limit, |(slot, _)| format!("slot:{slot}"), |(_, item)| ItemView::new(&thread, item)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cmg_memory::thread::Counts;
    use cmg_memory::time::Timestamp;

    #[test]
    fn a_page_goes_on_behind_a_thread_that_is_gone() {
        let info = |id: &str, at| ThreadInfo {
            id: id.to_owned(),
            created_at: Timestamp(at),
            updated_at: Timestamp(at),
            counts: Counts::default(),
        };
        let threads = [info("a", 1), info("b:2", 2), info("c", 2), info("d", 4)];

        assert_eq!(position("thread:2:b:2"), Some((2, "b:2".to_owned())));
        assert_eq!(behind(&threads, 2, "b:2"), 2);
        assert_eq!(behind(&threads, 3, "gone"), 3);
        assert_eq!(behind(&threads, 4, "d"), 4);
    }
}
