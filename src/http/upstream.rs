//! Between HTTP and the gateway: which headers pass, and what a refusal or a failure of an upstream looks like.
//!
//! # Invariants
//!
//! - Of a caller's headers only those on `PASSED` go to the upstream: never its key, its cookies, its address.
//! - An error of an upstream keeps its own fields, and has ours beside them; its credentials never come out.

use crate::http::error::{ApiError, whole_seconds};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, HttpResponseBuilder};
use cmg_actors::gateway::limits::{Budget, Holder, LimitError};
use cmg_actors::gateway::{GatewayError, PoolError};
use cmg_gateway::client::Failure;
use serde_json::{Map, Value, json};
use std::time::Duration;
use utoipa::ToSchema;

/// The body of an error on a route of an upstream: our own, or the upstream's with our fields beside its.
#[derive(Debug, ToSchema)]
pub struct UpstreamErrorBody {
    /// What went wrong.
    pub error: UpstreamErrorFields,
}

/// What went wrong at an upstream, in its own fields and in ours.
#[derive(Debug, ToSchema)]
pub struct UpstreamErrorFields {
    /// What went wrong, for people.
    pub message: String,
    /// The family of the error.
    #[schema(rename = "type")]
    pub kind: String,
    /// The upstream's own code, a number or a text; ours where it gave none.
    pub code: Value,
    /// The field that is wrong, where one is named.
    pub param: Value,
    /// Our code, whatever the upstream's is.
    pub gateway_code: Option<String>,
    /// What the upstream said beside it, and how many attempts were made.
    pub metadata: Option<Value>,
    /// The id of the request.
    pub request_id: Option<String>,
}

/// Headers of a caller that go to the upstream, by their beginnings.
const PASSED: [&str; 8] = [
    "http-referer",
    "x-title",
    "x-openrouter-",
    "x-session-id",
    "openai-",
    "anthropic-",
    "x-anthropic-",
    "accept-language",
];

/// The caller's headers that go to the upstream.
#[must_use]
pub fn passed(headers: &HeaderMap) -> http::HeaderMap {
    let passes = |name: &HeaderName| PASSED.iter().any(|start| name.as_str().starts_with(start));
    let mut all = http::HeaderMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| passes(name)) {
        let name = http::HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, http::HeaderValue::from_bytes(value.as_bytes())) {
            all.append(name, value);
        }
    }
    all
}

/// Puts the upstream's headers on an answer.
pub fn take_over(answer: &mut HttpResponseBuilder, headers: &http::HeaderMap) {
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            answer.append_header((name, value));
        }
    }
}

/// What a failed call answers: the upstream's own error where there is one, with our code and the request's id.
#[must_use]
pub fn failed(failure: &Failure, request_id: &str) -> HttpResponse {
    let (code, status) = (failure.code, failure.status);
    let mut error = own_fields(failure);
    error.insert("message".into(), json!(failure.message));
    error.entry("type").or_insert_with(|| json!(kind_of(status)));
    error.entry("param").or_insert(Value::Null);
    error.entry("code").or_insert_with(|| json!(code));
    error.insert("gateway_code".into(), json!(code));
    error.insert("request_id".into(), json!(request_id));
    let metadata = error.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.entry("error_type").or_insert_with(|| json!(failure.error_type));
        metadata.insert("attempts".into(), json!(failure.attempts));
    }
    let mut answer = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY));
    take_over(&mut answer, &failure.headers);
    if let Some(wait) = failure.retry_after {
        answer.insert_header((RETRY_AFTER, whole_seconds(wait)));
    }
    answer.content_type("application/json").body(json!({ "error": error }).to_string())
}

/// The fields of the upstream's error, as it gave them.
fn own_fields(failure: &Failure) -> Map<String, Value> {
    let object = failure.upstream.as_ref().and_then(|error| error.object.as_ref());
    object.and_then(|object| serde_json::from_str(object.get()).ok()).unwrap_or_default()
}

/// The family of a status, as `OpenAI` clients know it.
const fn kind_of(status: u16) -> &'static str {
    match status {
        400 | 408 | 413 | 422 => "invalid_request_error",
        402 => "quota_exceeded",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        _ => "upstream_error",
    }
}

impl From<GatewayError> for ApiError {
    fn from(error: GatewayError) -> Self {
        match error {
            GatewayError::NotConfigured => Self::new(
                "upstream_not_configured",
                "no upstream is configured for this model: set OPENROUTER_API_KEY, or OPENROUTER_API_BASE, or UPSTREAMS",
            ),
            GatewayError::NoModel => Self::missing_field(
                "model",
                "`model` is missing, and neither this key nor the server has a default: name one, such as openai/gpt-5-mini",
            ),
            GatewayError::ModelNotAllowed(model) => {
                Self::at("model_not_allowed", "model", format!("this API key may not use the model {model}"))
            }
            GatewayError::Limit(error) => error.into(),
        }
    }
}

impl From<PoolError> for ApiError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Full => Self::later(
                "overloaded",
                Duration::from_secs(1),
                "too many calls to upstreams are under way: try again",
            ),
            PoolError::Gone => Self::not_ready(),
            PoolError::Failed(failure) => Self::new("upstream_error", failure.message.clone()),
        }
    }
}

impl From<LimitError> for ApiError {
    fn from(error: LimitError) -> Self {
        let budget = |budget: Budget| match budget {
            Budget::DayTokens => "daily token quota",
            Budget::DayCost => "daily budget",
            Budget::MonthCost => "monthly budget",
        };
        let whose = |holder: Holder| match holder {
            Holder::Key => "of this API key",
            Holder::Workspace => "of this workspace",
        };
        match error {
            LimitError::Rate { retry_after, state } => Self::later(
                "rate_limited",
                retry_after,
                format!(
                    "this API key makes too many requests, its limit is {} in a window: wait as long as retry-after says",
                    state.limit
                ),
            ),
            LimitError::Concurrent { limit } => Self::later(
                "too_many_concurrent",
                Duration::from_secs(1),
                format!("this API key has {limit} calls under way, which is its limit: wait for one of them to end"),
            ),
            LimitError::Spent { budget: what, holder, limit, resets_at } => Self::new(
                "quota_exceeded",
                format!(
                    "the {} {} is spent ({limit}); there is a new one at {}",
                    budget(what),
                    whose(holder),
                    resets_at.to_rfc3339()
                ),
            ),
            LimitError::Held { budget: what, holder } => Self::later(
                "budget_reserved",
                Duration::from_secs(1),
                format!(
                    "what is left of the {} {} is reserved by calls under way: wait for one of them to end",
                    budget(what),
                    whose(holder)
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_secrets_do_not_pass() {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "cookie", "x-api-key", "x-cmg-thread", "x-forwarded-for", "idempotency-key"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("secret"));
        }
        for name in ["http-referer", "x-openrouter-title", "x-title", "anthropic-version"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("fine"));
        }

        let passed = passed(&headers);

        assert_eq!(passed.len(), 4);
        assert!(passed.values().all(|value| value == "fine"));
    }
}
