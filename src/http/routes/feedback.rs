//! `POST /v1/feedback`.

use crate::http::body::Json;
use crate::http::caller::Writer;
use crate::http::error::ApiError;
use crate::http::wire::feedback::{FeedbackAnswer, FeedbackBody};
use crate::http::wire::{json, rounded};
use actix_web::HttpResponse;

/// Says what an item was worth; durable, and it moves later rankings.
#[utoipa::path(post, path = "/v1/feedback", tag = "memory", request_body = FeedbackBody,
    responses((status = 200, description = "It is durable.", body = FeedbackAnswer)))]
pub async fn feedback(caller: Writer, body: Json<FeedbackBody>) -> Result<HttpResponse, ApiError> {
    let said = body.0.validate()?;
    let salience =
        caller.directory.feedback(&caller.workspace, said.id, said.feedback, said.value, said.comment).await?;
    json(&FeedbackAnswer {
        success: true,
        item_id: said.id,
        salience: rounded(salience),
        message: "noted: later rankings take it into account",
    })
}
