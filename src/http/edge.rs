//! The edge: what happens to every request around its handler, whatever becomes of it.
//!
//! ```text
//! request id → preflight → gate → time limit, contained panics → headers → log line
//! ```
//!
//! # Invariants
//!
//! - Every answer carries `x-request-id` and the security headers: 404s, 405s, 413s, 503s and 504s too.
//! - A panic in a handler ends that request with a 500 and nothing else.
//! - A log line holds no body, no query string and no header but the request id.

use crate::http::app::{App, Phase};
use crate::http::cors;
use crate::http::error::ApiError;
use crate::http::rate_headers;
use crate::http::request_id::{self, X_REQUEST_ID};
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{
    CACHE_CONTROL, CONNECTION, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse, ResponseError};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

/// Headers of every answer that does not set them itself.
const ALWAYS: [(HeaderName, &str); 4] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
];

/// Paths that answer before recovery is done and while the server drains.
fn is_always_open(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/health" | "/health/detailed" | "/metrics" | "/openapi.json" | "/docs")
        || path.starts_with("/docs/")
}

/// Paths that wait for an upstream, which has time limits of its own.
fn has_own_deadline(path: &str) -> bool {
    crate::http::UPSTREAM_PATHS.contains(&path) || path == "/admin/models/fetch"
}

/// A method as a label: those of the table, and one word for all others.
fn named(method: &Method) -> &str {
    match *method {
        Method::GET | Method::POST | Method::PATCH | Method::DELETE | Method::HEAD | Method::OPTIONS => method.as_str(),
        _ => "other",
    }
}

/// What the log says of a request, and what its answer carries.
struct Seen {
    app: Data<App>,
    id: HeaderValue,
    method: Method,
    origin: Option<HeaderValue>,
    begun: Instant,
}

/// Carries a request to its handler and its answer back.
///
/// # Errors
///
/// Only answers that a lower layer hands over as an error; they are complete answers too.
pub async fn edge<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let Some(app) = request.app_data::<Data<App>>().cloned() else { return Err(ApiError::internal().into()) };
    let seen = Seen {
        id: request_id::of(request.headers()),
        method: request.method().clone(),
        origin: cors::allowed(&app.config.server.cors_origins, request.headers()),
        begun: Instant::now(),
        app: app.clone(),
    };
    request_id::note(&request, seen.id.clone());
    let _inside = app.gate.enter();
    if let Some(answer) = cors::preflight(&seen.origin, &request) {
        return Ok(seen.leaves(request.into_response(answer).map_into_right_body()));
    }
    if app.gate.phase() != Phase::Ready && !is_always_open(request.path()) {
        let answer = ApiError::not_ready().error_response();
        return Ok(seen.leaves(request.into_response(answer).map_into_right_body()));
    }
    let limit = if has_own_deadline(request.path()) { app.gateway_timeout() } else { app.request_timeout() };
    let handled = AssertUnwindSafe(next.call(request)).catch_unwind();
    match tokio::time::timeout(limit, handled).await {
        Ok(Ok(Ok(response))) => Ok(seen.leaves(response.map_into_left_body())),
        Ok(Ok(Err(error))) => Err(seen.fails(error.error_response())),
        Ok(Err(_panic)) => Err(seen.fails(ApiError::internal().error_response())),
        Err(_elapsed) => Err(seen.fails(ApiError::request_timeout(limit).error_response())),
    }
}

impl Seen {
    /// An answer that has its request still.
    fn leaves<B>(&self, mut response: ServiceResponse<B>) -> ServiceResponse<B> {
        self.mark(response.headers_mut());
        let request = response.request().clone();
        rate_headers::mark(&request, response.headers_mut());
        let route = response.request().match_pattern();
        self.log(route.as_deref().unwrap_or("-"), response.status());
        response
    }

    /// An answer whose request is gone.
    fn fails(&self, mut answer: HttpResponse) -> Error {
        self.mark(answer.headers_mut());
        self.log("-", answer.status());
        InternalError::from_response("answered at the edge", answer).into()
    }

    fn mark(&self, headers: &mut HeaderMap) {
        headers.insert(X_REQUEST_ID, self.id.clone());
        for (name, value) in ALWAYS {
            if !headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        if let Some(origin) = &self.origin {
            cors::mark(headers, origin);
        }
        if self.app.gate.phase() == Phase::Draining {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    fn log(&self, route: &str, status: StatusCode) {
        let request_id = self.id.to_str().unwrap_or_default();
        let took_us = crate::http::wire::took_us(self.begun);
        let (method, status) = (self.method.as_str(), status.as_u16());
        if let Some(metrics) = &self.app.metrics {
            metrics.request(named(&self.method), route, status, self.begun.elapsed());
        }
        if matches!(route, "/healthz" | "/readyz") {
            tracing::debug!(request_id, method, route, status, took_us, "request");
        } else if status >= 500 {
            tracing::warn!(request_id, method, route, status, took_us, "request");
        } else {
            tracing::info!(request_id, method, route, status, took_us, "request");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::configure;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service, try_call_service};
    use actix_web::{App as Service, web};
    use cmg_config::Config;

    async fn panics() -> HttpResponse {
        panic!("what a user wrote")
    }

    /// The answer of a server that is not ready to a request, with a route that panics at `/docs/panic`.
    async fn answer(request: TestRequest) -> HttpResponse {
        let app = Data::new(App::new(Config::default()));
        let service = Service::new().app_data(app).wrap(from_fn(edge)).route("/docs/panic", web::get().to(panics));
        let service = init_service(service.configure(configure)).await;
        match try_call_service(&service, request.to_request()).await {
            Ok(response) => response.into_parts().1.map_into_boxed_body(),
            Err(error) => error.error_response(),
        }
    }

    #[actix_web::test]
    async fn a_panic_is_a_500_like_every_other_answer() {
        let answer = answer(TestRequest::get().uri("/docs/panic").insert_header((X_REQUEST_ID, "me"))).await;

        assert_eq!(answer.status(), 500);
        assert_eq!(answer.headers().get(X_REQUEST_ID).unwrap(), "me");
        assert_eq!(answer.headers().get(X_CONTENT_TYPE_OPTIONS).unwrap(), "nosniff");
    }

    #[actix_web::test]
    async fn before_recovery_it_lives_and_is_not_ready() {
        for (path, status) in
            [("/healthz", 200), ("/readyz", 503), ("/openapi.json", 200), ("/v1/threads", 503), ("/nowhere", 503)]
        {
            let answer = answer(TestRequest::get().uri(path)).await;
            assert_eq!(answer.status(), status, "{path}");
            assert!(answer.headers().contains_key(X_REQUEST_ID), "{path}");
        }
    }

    #[actix_web::test]
    async fn another_method_is_a_405_that_says_which_there_are() {
        let answer = answer(TestRequest::post().uri("/healthz")).await;

        assert_eq!(answer.status(), 405);
        assert_eq!(answer.headers().get(actix_web::http::header::ALLOW).unwrap(), "GET");
    }
}
