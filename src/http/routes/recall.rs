//! `POST /v1/recall`: straight from the published threads, on this worker, waiting for nobody.

use crate::http::app::App;
use crate::http::body::Json;
use crate::http::caller::Reader;
use crate::http::error::ApiError;
use crate::http::wire::recall::{RecallAnswer, RecallBody};
use crate::http::wire::{json, took_us};
use actix_web::HttpResponse;
use actix_web::web::Data;
use cmg_memory::workingset;
use std::time::Instant;

/// The items that matter for a purpose, within a token budget.
#[utoipa::path(post, path = "/v1/recall", tag = "memory", request_body = RecallBody,
    responses((status = 200, description = "The items, in rank order.", body = RecallAnswer)))]
pub async fn recall(caller: Reader, body: Json<RecallBody>, app: Data<App>) -> Result<HttpResponse, ApiError> {
    let begun = Instant::now();
    let question = body.0.validate(&app.config.memory)?;
    let request = &question.request;
    let (directory, workspace) = (&caller.directory, &caller.workspace);
    let threads = directory.scope_for(workspace, question.scope(), &request.purpose, request.as_of).await?;
    let found = cmg_memory::recall::recall(&threads, request, directory.embedder());
    let globals = workingset::globals(&threads, request.as_of);
    let mut answer = RecallAnswer::new(&question, &threads, &found, &globals);
    answer.took_us = took_us(begun);
    json(&answer)
}
