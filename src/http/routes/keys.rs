//! `/admin/api/keys`: who may call. Changes are durable when they are answered.

use crate::http::body::Json;
use crate::http::caller::Admin;
use crate::http::error::ApiError;
use crate::http::page::{Page, Query};
use crate::http::wire::json;
use crate::http::wire::key::{KeyPatchBody, KeyView, NewKeyAnswer, NewKeyBody};
use actix_web::web::{self, Path};
use actix_web::{HttpRequest, HttpResponse};
use cmg_actors::clock;
use cmg_actors::{KeyError, KeyInfo, KeyRing};

/// Does something that waits for the disk, beside the worker.
async fn aside<T: Send + 'static>(
    admin: Admin,
    work: impl FnOnce(&KeyRing) -> Result<T, KeyError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = web::block(move || work(admin.directory.keys())).await;
    Ok(done.map_err(|_| ApiError::internal())??)
}

/// All keys, in the order in which they were made.
#[utoipa::path(get, path = "/admin/api/keys", tag = "admin",
    params(("limit" = Option<u32>, Query, description = "1 to 500; 50 when left out"), ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page of keys.", body = Page<KeyView>)))]
pub async fn list(admin: Admin, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query = Query::read(request.query_string(), &["limit", "cursor"])?;
    let after = query.cursor(|text| text.strip_prefix("key:").map(str::to_owned))?;
    let keys = admin.directory.keys().list();
    let place = |id: String| {
        keys.iter().position(|key| key.id == id).map(|place| place + 1).ok_or_else(ApiError::invalid_cursor)
    };
    let from = after.map(place).transpose()?.unwrap_or(0);
    let rest = keys.into_iter().skip(from);
    json(&Page::of(rest, query.limit()?, |key: &KeyInfo| format!("key:{}", key.id), KeyView::from))
}

/// Makes a key; it is shown this once.
#[utoipa::path(post, path = "/admin/api/keys", tag = "admin", request_body = NewKeyBody,
    responses((status = 200, description = "The key.", body = NewKeyAnswer)))]
pub async fn create(admin: Admin, body: Json<NewKeyBody>) -> Result<HttpResponse, ApiError> {
    let now = clock::now();
    let new = body.0.validate(now)?;
    let (info, key) = aside(admin, move |keys| keys.create(new, now)).await?;
    json(&NewKeyAnswer { key, info: info.into() })
}

/// Changes a key.
#[utoipa::path(patch, path = "/admin/api/keys/{id}", tag = "admin", params(("id" = String, Path, description = "The key's id")),
    request_body = KeyPatchBody, responses((status = 200, description = "The key as it is now.", body = KeyView)))]
pub async fn change(admin: Admin, id: Path<String>, body: Json<KeyPatchBody>) -> Result<HttpResponse, ApiError> {
    let patch = body.0.validate(clock::now())?;
    let info = aside(admin, move |keys| keys.update(&id, patch)).await?;
    json(&KeyView::from(info))
}

/// Puts a new key in the place of one, with all its limits; the old one opens nothing from now on.
#[utoipa::path(post, path = "/admin/api/keys/{id}/rotate", tag = "admin", params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "The new key, shown this once.", body = NewKeyAnswer)))]
pub async fn rotate(admin: Admin, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let (info, key) = aside(admin, move |keys| keys.rotate(&id)).await?;
    json(&NewKeyAnswer { key, info: info.into() })
}

/// Revokes a key: from now on it opens nothing.
#[utoipa::path(delete, path = "/admin/api/keys/{id}", tag = "admin", params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "The key as it was.", body = KeyView)))]
pub async fn revoke(admin: Admin, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let info = aside(admin, move |keys| keys.revoke(&id, clock::now())).await?;
    json(&KeyView::from(info))
}
