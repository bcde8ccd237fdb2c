//! `/v1/chat/completions` and the other routes that an upstream answers: bytes in, bytes out, and an account of it.
//!
//! ```text
//! body → memory's field off → recall into the messages → limits, lists, account → upstream
//!      → the answer as it comes, ours in headers → the row, the exchange into memory
//! ```
//!
//! # Invariants
//!
//! - Of a body only `model` (by its alias), `messages` (by what is recalled) and `memory` (which is taken off) change.
//! - A stream goes out as it comes in; nothing waits here.

use crate::http::app::App;
use crate::http::body::Raw;
use crate::http::caller::{Caller, Writer};
use crate::http::error::ApiError;
use crate::http::idempotency::{self, Begun, Slot};
use crate::http::wire::chat::{self, CallBody};
use crate::http::{rate_headers, request_id, upstream};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use cmg_actors::gateway::memory::{self, Prepared, Wish};
use cmg_actors::gateway::{Answer, Intent, PoolError, Written};
use cmg_gateway::body::Body;
use cmg_gateway::client::{Call, ChunkKind};
use cmg_memory::ids::ItemId;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const MEMORY_IDS: HeaderName = HeaderName::from_static("x-cmg-memory-ids");
const MEMORY_TOKENS: HeaderName = HeaderName::from_static("x-cmg-memory-tokens");
const MEMORY_WRITTEN: HeaderName = HeaderName::from_static("x-cmg-memory-written");
const MEMORY_ERROR: HeaderName = HeaderName::from_static("x-cmg-memory-error");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// Proxies that gather answers are told to let this one through.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Ids that a header names at most.
const IDS_SHOWN: usize = 100;

/// Chat with any model; with `memory`, what is known goes in and what is said is kept.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "gateway", request_body = CallBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters; not for streams"),
        ("x-cmg-thread" = Option<String>, Header, description = "The thread of memory"),
        ("x-cmg-memory" = Option<String>, Header, description = "`read`, `write`, `readwrite` or `off`"),
        ("x-cmg-token-budget" = Option<String>, Header, description = "Tokens that memory may add")),
    responses((status = 200, description = "The upstream's answer, whole or as a stream of events.", body = serde_json::Value)))]
pub async fn completions(
    caller: Writer,
    raw: Raw,
    app: Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    relay(&caller, raw, &app, &request).await
}

/// Any other route of the upstream that takes JSON, under the same limits and on the same ledger.
#[utoipa::path(post, path = "/v1/responses", tag = "gateway", request_body = CallBody,
    responses((status = 200, description = "The upstream's answer, whole or as a stream of events.", body = serde_json::Value)))]
pub async fn responses(
    caller: Writer,
    raw: Raw,
    app: Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    relay(&caller, raw, &app, &request).await
}

/// Anthropic's messages, under the same limits and on the same ledger.
#[utoipa::path(post, path = "/v1/messages", tag = "gateway", request_body = CallBody,
    responses((status = 200, description = "The upstream's answer, whole or as a stream of events.", body = serde_json::Value)))]
pub async fn messages(
    caller: Writer,
    raw: Raw,
    app: Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    relay(&caller, raw, &app, &request).await
}

/// Completions of a text, as before there were chats.
#[utoipa::path(post, path = "/v1/completions", tag = "gateway", request_body = CallBody,
    responses((status = 200, description = "The upstream's answer, whole or as a stream of events.", body = serde_json::Value)))]
pub async fn legacy(caller: Writer, raw: Raw, app: Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    relay(&caller, raw, &app, &request).await
}

/// Documents in the order of their worth for a question.
#[utoipa::path(post, path = "/v1/rerank", tag = "gateway", request_body = CallBody,
    responses((status = 200, description = "The upstream's answer.", body = serde_json::Value)))]
pub async fn rerank(caller: Writer, raw: Raw, app: Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    relay(&caller, raw, &app, &request).await
}

/// Images of a text.
#[utoipa::path(post, path = "/v1/images", tag = "gateway", request_body = CallBody,
    responses((status = 200, description = "The upstream's answer.", body = serde_json::Value)))]
pub async fn images(caller: Writer, raw: Raw, app: Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    relay(&caller, raw, &app, &request).await
}

/// Images of a text, where `OpenAI`'s clients look for them.
#[utoipa::path(post, path = "/v1/images/generations", tag = "gateway", request_body = CallBody,
    responses((status = 200, description = "The upstream's answer.", body = serde_json::Value)))]
pub async fn generations(
    caller: Writer,
    raw: Raw,
    app: Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    relay(&caller, raw, &app, &request).await
}

/// Speech of a text.
#[utoipa::path(post, path = "/v1/audio/speech", tag = "gateway", request_body = CallBody,
    responses((status = 200, description = "The upstream's answer.", body = serde_json::Value)))]
pub async fn speech(caller: Writer, raw: Raw, app: Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    relay(&caller, raw, &app, &request).await
}

/// Text of speech.
#[utoipa::path(post, path = "/v1/audio/transcriptions", tag = "gateway", request_body = CallBody,
    responses((status = 200, description = "The upstream's answer.", body = serde_json::Value)))]
pub async fn transcriptions(
    caller: Writer,
    raw: Raw,
    app: Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    relay(&caller, raw, &app, &request).await
}

/// The route whose bodies have messages that memory understands.
const CHAT: &str = "/v1/chat/completions";

/// Carries a request to the upstream and its answer back.
///
/// # Errors
///
/// What is wrong with the request, and what the limits say; what the upstream says is an answer.
pub(super) async fn relay(
    caller: &Caller,
    raw: Raw,
    app: &Data<App>,
    request: &HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let begun = Instant::now();
    let id = request_id::current(request);
    let mut body = chat::read(&raw.0)?;
    let wish = chat::wish(&mut body, request.headers(), app.config.memory.default_token_budget)?;
    let streamed = body.bool("stream").unwrap_or(false);
    let slot = if streamed {
        None
    } else {
        match idempotency::begin(app, &caller.workspace, request, &raw.0)? {
            Begun::Replayed(answer) => return Ok(answer),
            Begun::Fresh(slot) => Some(slot),
        }
    };
    let (model, fallbacks) = (chat::model(&body)?, chat::fallbacks(&body)?);
    let mut prepared = recall(caller, app, request, wish.as_ref(), &mut body).await;
    let intent = Intent {
        request_id: &id,
        route: request.path(),
        model: model.as_deref(),
        fallbacks: &fallbacks,
        streamed,
        body_bytes: raw.0.len(),
        memory_tokens: prepared.tokens,
        max_tokens: chat::max_tokens(&body),
    };
    let gateway = caller.directory.gateway();
    let admitted = gateway.begin(&caller.known, &intent);
    rate_headers::note_tokens(request, gateway.tokens(&caller.key.id, &caller.key.limits));
    let admitted = admitted?;
    if model.as_ref() != Some(&admitted.model) {
        body.set_str("model", &admitted.model);
    }
    let call = Call {
        upstream: admitted.upstream,
        method: http::Method::POST,
        path: request.path().strip_prefix("/v1").unwrap_or_default().to_owned(),
        headers: upstream::passed(request.headers()),
        body: body.into_bytes(),
        model: admitted.model,
        streamed,
        wants_chunks: if request.path() == CHAT { ChunkKind::Chat } else { ChunkKind::Other },
    };
    let writing = prepared.writing.take();
    match gateway.call(call, admitted.account, writing).await {
        Ok(answer) => {
            count(app, &answer, begun.elapsed());
            Ok(answered(answer, &prepared, begun, slot).await)
        }
        Err(PoolError::Failed(failure)) => Ok(upstream::failed(&failure, &id)),
        Err(error) => Err(error.into()),
    }
}

/// Notes what the call took, and what of it was ours.
fn count(app: &App, answer: &Answer, all: Duration) {
    let (Answer::Whole { upstream, .. } | Answer::Stream { upstream, .. }) = answer;
    if let Some(metrics) = &app.metrics {
        metrics.call(all.saturating_sub(*upstream), *upstream);
    }
}

/// Lets memory have its part in the messages.
async fn recall(
    caller: &Caller,
    app: &Data<App>,
    request: &HttpRequest,
    wish: Option<&Wish>,
    body: &mut Body,
) -> Prepared {
    let Some(wish) = wish else { return Prepared::default() };
    if request.path() != CHAT {
        return Prepared { problem: Some("only_chat_completions"), ..Prepared::default() };
    }
    let min_score = app.config.memory.min_score;
    memory::prepare(&caller.directory, &caller.workspace, wish, min_score, body).await
}

/// The upstream's answer, with what we have to say in headers.
async fn answered(answer: Answer, prepared: &Prepared, begun: Instant, slot: Option<Slot>) -> HttpResponse {
    let status = |status: u16| StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    match answer {
        Answer::Whole { status: code, headers, body, written, upstream: took } => {
            let mut response = HttpResponse::build(status(code));
            upstream::take_over(&mut response, &headers);
            mark(&mut response, prepared, written.as_ref(), begun.elapsed(), took);
            if let Some(slot) = slot.filter(|_| is_json(&headers)) {
                slot.keep(&body).await;
            }
            response.body(body)
        }
        Answer::Stream { status: code, headers, frames, upstream: took } => {
            let mut response = HttpResponse::build(status(code));
            upstream::take_over(&mut response, &headers);
            mark(&mut response, prepared, None, begun.elapsed(), took);
            response.insert_header((CACHE_CONTROL, "no-cache")).insert_header((UNBUFFERED, "no"));
            response.streaming(pieces(frames))
        }
    }
}

/// What is repeated for an idempotency key is JSON.
fn is_json(headers: &http::HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.starts_with("application/json")
}

/// The frames as a body; when it is dropped, so is the call.
fn pieces(mut frames: mpsc::Receiver<Bytes>) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    futures_util::stream::poll_fn(move |context| frames.poll_recv(context).map(|piece| piece.map(Ok)))
}

fn mark(
    response: &mut HttpResponseBuilder,
    prepared: &Prepared,
    written: Option<&Written>,
    all: Duration,
    upstream: Duration,
) {
    let own = all.saturating_sub(upstream);
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let timing = format!("gateway;dur={:.3}, upstream;dur={:.3}", milliseconds(own), milliseconds(upstream));
    response.insert_header((SERVER_TIMING, timing));
    if !prepared.ids.is_empty() {
        response.insert_header((MEMORY_IDS, ids(&prepared.ids)));
        response.insert_header((MEMORY_TOKENS, prepared.tokens));
    }
    if let Some(Ok(written)) = written {
        response.insert_header((MEMORY_WRITTEN, ids(written)));
    }
    let problem = prepared.problem.or_else(|| written.and_then(|written| written.as_ref().err().copied()));
    if let Some(problem) = problem {
        response.insert_header((MEMORY_ERROR, HeaderValue::from_static(problem)));
    }
}

fn ids(ids: &[ItemId]) -> String {
    ids.iter().take(IDS_SHOWN).fold(String::new(), |mut text, id| {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a text cannot fail.
        let _ = write!(text, "{comma}{id}");
        text
    })
}
