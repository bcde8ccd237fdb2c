//! `POST /v1/ingest`.

use crate::http::app::App;
use crate::http::body::Raw;
use crate::http::caller::Writer;
use crate::http::error::ApiError;
use crate::http::idempotency::{self, Begun};
use crate::http::wire::ingest::{IngestAnswer, IngestBody};
use crate::http::wire::{bytes, took_us};
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use std::time::Instant;

/// Adds materials to a thread; 200 means durable.
///
/// With `Idempotency-Key` the same body gets the same answer for 24 hours, with `idempotent-replayed: true`.
#[utoipa::path(post, path = "/v1/ingest", tag = "memory", request_body = IngestBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters")),
    responses((status = 200, description = "The items are durable.", body = IngestAnswer)))]
pub async fn ingest(caller: Writer, raw: Raw, app: Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let begun = Instant::now();
    let slot = match idempotency::begin(&app, &caller.workspace, &request, &raw.0)? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(slot) => slot,
    };
    let (thread, materials) = raw.json::<IngestBody>()?.validate()?;
    let receipt = caller.directory.ingest(&caller.workspace, &thread, materials).await?;
    let answer = bytes(&IngestAnswer::new(&thread, &receipt, took_us(begun)))?;
    slot.keep(&answer).await;
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(answer))
}
