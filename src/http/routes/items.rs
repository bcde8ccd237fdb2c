//! `/v1/items/{id}`: one item, its change and its end.

use crate::http::body::Json;
use crate::http::caller::{Reader, Writer};
use crate::http::check;
use crate::http::error::ApiError;
use crate::http::wire::item::{DeletedAnswer, ItemView, PatchBody};
use crate::http::wire::json;
use actix_web::HttpResponse;
use actix_web::web::Path;

/// One item.
#[utoipa::path(get, path = "/v1/items/{id}", tag = "items", params(("id" = String, Path, description = "`E1` or `S1`")),
    responses((status = 200, description = "The item.", body = ItemView)))]
pub async fn read(caller: Reader, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let (thread, item) = caller.directory.item(&caller.workspace, check::item_id(&id)?).await?;
    json(&ItemView::new(&thread, &item))
}

/// Changes an item; what it was before stays in its history.
#[utoipa::path(patch, path = "/v1/items/{id}", tag = "items", params(("id" = String, Path, description = "`E1` or `S1`")),
    request_body = PatchBody, responses((status = 200, description = "The item as it is now.", body = ItemView)))]
pub async fn change(caller: Writer, id: Path<String>, body: Json<PatchBody>) -> Result<HttpResponse, ApiError> {
    let id = check::item_id(&id)?;
    let patch = body.0.validate(id)?;
    let (thread, item) = caller.directory.patch(&caller.workspace, id, patch).await?;
    json(&ItemView::new(&thread, &item))
}

/// Deletes an item, from every later answer, snapshot and export.
#[utoipa::path(delete, path = "/v1/items/{id}", tag = "items", params(("id" = String, Path, description = "`E1` or `S1`")),
    responses((status = 200, description = "It is gone.", body = DeletedAnswer)))]
pub async fn erase(caller: Writer, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let id = check::item_id(&id)?;
    let deleted_ids = caller.directory.erase(&caller.workspace, id).await?;
    json(&DeletedAnswer { id, deleted: true, deleted_ids })
}
