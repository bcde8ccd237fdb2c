//! `POST /v1/embeddings`: the built-in embedder by its own name, every other model at its upstream.

use super::chat;
use crate::http::app::App;
use crate::http::body::Raw;
use crate::http::caller::Writer;
use crate::http::error::ApiError;
use crate::http::idempotency::{self, Begun};
use crate::http::wire;
use crate::http::wire::embedding::{EmbeddingsBody, answer};
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use cmg_actors::gateway::GatewayError;

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
    let (gateway, limits) = (caller.directory.gateway(), &caller.key.limits);
    let named = wire::chat::model(&wire::chat::read(&raw.0)?)?;
    if named.as_deref().map(|name| gateway.resolve(name)) != Some(embedder.id()) {
        return chat::relay(&caller, raw, &app, &request).await;
    }
    if !gateway.allows(limits, embedder.id()) {
        return Err(GatewayError::ModelNotAllowed(embedder.id().to_owned()).into());
    }
    let slot = match idempotency::begin(&app, &caller.workspace, &request, &raw.0)? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(slot) => slot,
    };
    let body = wire::bytes(&answer(&raw.json::<EmbeddingsBody>()?, embedder)?)?;
    slot.keep(&body).await;
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(body))
}
