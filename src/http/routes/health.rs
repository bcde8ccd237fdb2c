//! `/healthz`, `/readyz`, `/health`, `/health/detailed`: for machines first. No secrets, no user text.

use crate::http::app::{App, Phase};
use crate::http::caller::Open;
use crate::http::error::ApiError;
use crate::http::wire::json;
use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::{Bytes, Data};
use cmg_actors::gateway::Gateway;
use cmg_gateway::breaker::State;
use serde::Serialize;
use utoipa::ToSchema;

/// The process lives.
#[derive(Debug, Serialize, ToSchema)]
pub struct AliveAnswer {
    /// Always `ok`.
    pub status: &'static str,
}

/// How the server stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthAnswer {
    /// `starting`, `ready` or `draining`.
    pub status: &'static str,
    /// Whether requests reach memory.
    pub ready: bool,
    /// The version of the program.
    pub version: &'static str,
    /// Seconds since the start.
    pub uptime_seconds: u64,
}

/// How the server stands, with counts.
#[derive(Debug, Serialize, ToSchema)]
pub struct DetailedAnswer {
    /// The same as `/health`.
    #[serde(flatten)]
    pub health: HealthAnswer,
    /// Requests that have begun and are not answered, this one included.
    pub requests_in_flight: usize,
    /// Answers that are kept for idempotency keys.
    pub idempotent_answers: usize,
    /// The way to the upstreams; `null` before recovery is done.
    pub gateway: Option<GatewayHealth>,
}

/// How the way to the upstreams stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct GatewayHealth {
    /// Whether there is an upstream for models without a prefix.
    pub configured: bool,
    /// Models in the catalogue.
    pub models: usize,
    /// Calls under way.
    pub calls_under_way: usize,
    /// Tokens that they have reserved.
    pub reserved_tokens: u64,
    /// US dollars that they have reserved.
    pub reserved_usd: String,
    /// Models that are left alone for a while, or tried again just now.
    pub resting_models: usize,
}

impl GatewayHealth {
    fn of(gateway: &Gateway) -> Self {
        let (calls_under_way, (_, reserved_tokens, reserved)) = gateway.under_way();
        let resting = |state: &State| *state != State::Closed;
        Self {
            configured: gateway.is_configured(),
            models: gateway.catalogue().len(),
            calls_under_way,
            reserved_tokens,
            reserved_usd: reserved.to_string(),
            resting_models: gateway.breakers().iter().filter(|(_, state)| resting(state)).count(),
        }
    }
}

impl HealthAnswer {
    fn of(app: &App) -> Self {
        let phase = app.gate.phase();
        Self {
            status: phase.as_str(),
            ready: phase == Phase::Ready,
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: app.started.elapsed().as_secs(),
        }
    }
}

/// Is the process alive? It is when it answers.
#[utoipa::path(get, path = "/healthz", tag = "health",
    responses((status = 200, description = "It lives.", body = AliveAnswer)))]
pub async fn alive(_: Open) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(Bytes::from_static(b"{\"status\":\"ok\"}"))
}

/// Does it answer requests? 503 until recovery is done, and while it stops.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, description = "It answers requests.", body = AliveAnswer)))]
pub async fn ready(_: Open, app: Data<App>) -> Result<HttpResponse, ApiError> {
    match app.gate.phase() {
        Phase::Ready => json(&AliveAnswer { status: "ready" }),
        Phase::Starting | Phase::Draining => Err(ApiError::not_ready()),
    }
}

/// How does it stand?
#[utoipa::path(get, path = "/health", tag = "health",
    responses((status = 200, description = "How it stands.", body = HealthAnswer)))]
pub async fn health(_: Open, app: Data<App>) -> Result<HttpResponse, ApiError> {
    json(&HealthAnswer::of(&app))
}

/// How does it stand, with counts?
#[utoipa::path(get, path = "/health/detailed", tag = "health",
    responses((status = 200, description = "How it stands.", body = DetailedAnswer)))]
pub async fn detailed(_: Open, app: Data<App>) -> Result<HttpResponse, ApiError> {
    json(&DetailedAnswer {
        health: HealthAnswer::of(&app),
        requests_in_flight: app.gate.in_flight(),
        idempotent_answers: app.answers.len(),
        gateway: app.gate.directory().ok().map(|directory| GatewayHealth::of(directory.gateway())),
    })
}
