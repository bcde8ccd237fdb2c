//! `/metrics`: what Prometheus reads.
//!
//! # Invariants
//!
//! - Label values are bounded: routes of the table, endings of the ledger, models whose breaker is known. No key, no
//!   workspace, no text of a user.
//!
//! # Deliberately absent
//!
//! Sums of tokens and money by key or model: the usage API has them, exactly.

use crate::http::app::App;
use crate::http::caller::Open;
use crate::http::error::ApiError;
use actix_web::HttpResponse;
use actix_web::web::Data;
use cmg_actors::gateway::Gateway;
use cmg_gateway::breaker::State;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use std::time::Duration;

/// Bounds of our own work, in seconds: 50 µs to 250 ms.
const OVERHEAD: [f64; 11] = [0.00005, 0.0001, 0.00015, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25];
/// Bounds of whole requests, in seconds.
const REQUEST: [f64; 14] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0];

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    requests: HistogramVec,
    overhead: Histogram,
    upstream: Histogram,
    calls: IntCounterVec,
    under_way: IntGauge,
    reserved_tokens: IntGauge,
    models: IntGauge,
    breakers: IntGaugeVec,
}

impl Metrics {
    /// Counters at nothing.
    ///
    /// # Errors
    ///
    /// When two of them have the same name, which none has.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))
        };
        let requests = HistogramVec::new(
            HistogramOpts::new("cmg_http_request_duration_seconds", "Time until the head of an answer, by route.")
                .buckets(REQUEST.to_vec()),
            &["method", "route", "status"],
        )?;
        let all = Self {
            requests,
            overhead: histogram(
                "gateway_overhead_seconds",
                "Time that the gateway adds to a call before the answer's head.",
                &OVERHEAD,
            )?,
            upstream: histogram(
                "gateway_upstream_seconds",
                "Time of the upstream: to the first frame of a stream, to the end of a whole answer.",
                &REQUEST,
            )?,
            calls: IntCounterVec::new(
                Opts::new("gateway_calls_total", "Calls that ended, by how."),
                &["ending", "code"],
            )?,
            under_way: IntGauge::new("gateway_calls_under_way", "Calls to upstreams under way.")?,
            reserved_tokens: IntGauge::new("gateway_reserved_tokens", "Tokens that calls under way have reserved.")?,
            models: IntGauge::new("gateway_catalogue_models", "Models in the catalogue.")?,
            breakers: IntGaugeVec::new(
                Opts::new("gateway_breaker_state", "Breakers that are known: 0 closed, 1 half open, 2 open."),
                &["model"],
            )?,
            registry,
        };
        all.registry.register(Box::new(all.requests.clone()))?;
        all.registry.register(Box::new(all.overhead.clone()))?;
        all.registry.register(Box::new(all.upstream.clone()))?;
        all.registry.register(Box::new(all.calls.clone()))?;
        all.registry.register(Box::new(all.under_way.clone()))?;
        all.registry.register(Box::new(all.reserved_tokens.clone()))?;
        all.registry.register(Box::new(all.models.clone()))?;
        all.registry.register(Box::new(all.breakers.clone()))?;
        Ok(all)
    }

    /// Notes a request whose head has gone out.
    pub fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[method, route, class(status)]).observe(took.as_secs_f64());
    }

    /// Notes what a call took, and what of it was ours.
    pub fn call(&self, own: Duration, upstream: Duration) {
        self.overhead.observe(own.as_secs_f64());
        self.upstream.observe(upstream.as_secs_f64());
    }

    /// All of it in Prometheus' text format.
    fn text(&self, gateway: Option<&Gateway>) -> prometheus::Result<Vec<u8>> {
        if let Some(gateway) = gateway {
            self.look(gateway);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    /// Takes over what the gateway counts itself.
    fn look(&self, gateway: &Gateway) {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let (under_way, (_, reserved_tokens, _)) = gateway.under_way();
        self.under_way.set(number(under_way as u64));
        self.reserved_tokens.set(number(reserved_tokens));
        self.models.set(number(gateway.catalogue().len() as u64));
        self.breakers.reset();
        for (model, state) in gateway.breakers() {
            let state = match state {
                State::Closed => 0,
                State::HalfOpen => 1,
                State::Open => 2,
            };
            self.breakers.with_label_values(&[model]).set(state);
        }
        for ((ending, code), count) in gateway.endings() {
            let counter = self.calls.with_label_values(&[ending, code.as_str()]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }
}

/// A status as a class: a label of few values.
const fn class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// Counters, gauges and histograms in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain; version=0.0.4")))]
pub async fn metrics(_: Open, app: Data<App>) -> Result<HttpResponse, ApiError> {
    if !app.config.telemetry.metrics_enabled {
        return Err(ApiError::not_found("metrics are off: set METRICS_ENABLED=true"));
    }
    let gateway = app.gate.directory().ok().map(|directory| directory.gateway());
    let text = app.metrics.as_ref().map(|metrics| metrics.text(gateway)).transpose();
    let text = text.map_err(|_| ApiError::internal())?.unwrap_or_default();
    Ok(HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(text))
}
