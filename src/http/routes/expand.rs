//! `GET /v1/expand/{id}` and `/raw`: everything about an item or a place in code.

use crate::http::caller::Reader;
use crate::http::check;
use crate::http::error::ApiError;
use crate::http::wire::item::{ArtifactAnswer, ExpandAnswer, Expanded};
use crate::http::wire::json;
use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Path;

/// What the id of a place in code begins with.
const CODE: &str = "CODE:";

/// An item with its sources, links, history and neighbours; or a place in code and who names it.
#[utoipa::path(get, path = "/v1/expand/{id}", tag = "memory",
    params(("id" = String, Path, description = "`E1`, `S1`, or `CODE:app%2Fmain.py%23L1-L7`")),
    responses((status = 200, description = "The item, or the place in code.", body = Expanded)))]
pub async fn expand(caller: Reader, id: Path<String>) -> Result<HttpResponse, ApiError> {
    if id.starts_with(CODE) {
        return json(&Expanded::Artifact(artifact(&caller, &id).await?));
    }
    let (thread, item) = caller.directory.item(&caller.workspace, check::item_id(&id)?).await?;
    json(&Expanded::Item(Box::new(ExpandAnswer::new(&thread, &item))))
}

/// The stored text alone.
#[utoipa::path(get, path = "/v1/expand/{id}/raw", tag = "memory",
    params(("id" = String, Path, description = "`E1` or `S1`; for a place in code, the texts that name it")),
    responses((status = 200, description = "The text.", body = String, content_type = "text/plain")))]
pub async fn raw(caller: Reader, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let text = if id.starts_with(CODE) {
        let found = artifact(&caller, &id).await?;
        let mut texts = Vec::new();
        for brief in &found.items {
            texts.push(caller.directory.item(&caller.workspace, brief.id).await?.1.text.clone());
        }
        texts.join("\n\n")
    } else {
        caller.directory.item(&caller.workspace, check::item_id(&id)?).await?.1.text.clone()
    };
    Ok(HttpResponse::Ok().content_type(ContentType::plaintext()).body(text))
}

async fn artifact(caller: &Reader, id: &str) -> Result<ArtifactAnswer, ApiError> {
    let threads = caller.directory.artifact(&caller.workspace, check::artifact_id(id)?).await?;
    ArtifactAnswer::new(id, &threads).ok_or_else(|| ApiError::not_found("there is no item with this id"))
}
