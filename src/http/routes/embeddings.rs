//! `POST /v1/embeddings`: the built-in embedder by its own name, every other model at its upstream.

use super::chat;
use crate::http::app::App;
use crate::http::body::Raw;
use crate::http::caller::Writer;
use crate::http::error::ApiError;
use crate::http::wire::embedding::{EmbeddingsBody, answer};
use crate::http::wire::json;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

/// Vectors of texts.
#[utoipa::path(post, path = "/v1/embeddings", tag = "gateway", request_body = EmbeddingsBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters")),
    responses((status = 200, description = "The vectors.", body = serde_json::Value)))]
pub async fn embeddings(
    caller: Writer,
    raw: Raw,
    app: Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let embedder = caller.directory.embedder();
    let named = crate::http::wire::chat::model(&crate::http::wire::chat::read(&raw.0)?)?;
    if named.as_deref() == Some(embedder.id()) {
        return json(&answer(&raw.json::<EmbeddingsBody>()?, embedder)?);
    }
    chat::relay(&caller, raw, &app, &request).await
}
