//! `POST /v1/workingset`.

use crate::http::app::App;
use crate::http::body::Json;
use crate::http::caller::Reader;
use crate::http::error::ApiError;
use crate::http::wire::recall::RecallBody;
use crate::http::wire::workingset::WorkingSetAnswer;
use crate::http::wire::{json, took_us};
use actix_web::HttpResponse;
use actix_web::web::Data;
use cmg_memory::{recall, workingset};
use std::time::Instant;

/// The compact form of memory for a purpose, ready for a prompt.
#[utoipa::path(post, path = "/v1/workingset", tag = "memory", request_body = RecallBody,
    responses((status = 200, description = "The working set.", body = WorkingSetAnswer)))]
pub async fn workingset(caller: Reader, body: Json<RecallBody>, app: Data<App>) -> Result<HttpResponse, ApiError> {
    let begun = Instant::now();
    let question = body.0.validate(&app.config.memory)?;
    let request = &question.request;
    let (directory, workspace) = (&caller.directory, &caller.workspace);
    let threads = directory.scope_for(workspace, question.scope(), &request.purpose, request.as_of).await?;
    let found = recall::recall(&threads, request, directory.embedder());
    let mut answer = WorkingSetAnswer::from(workingset::build(&threads, request, &found));
    answer.took_us = took_us(begun);
    json(&answer)
}
