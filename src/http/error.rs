//! Errors of the interface: the only place where an error becomes a status and a message.
//!
//! # Invariants
//!
//! - Every error has one shape, `{"error": {"message", "type", "code", "param"}}`, and a code of
//!   [`CODES`]; each code has its page in `docs/errors/`.
//! - No message holds a path of this machine, a key, or what a panic said.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use cmg_actors::{KeyError, MemoryError};
use cmg_memory::plan::ImportError;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// Every public code with its status and its type.
pub const CODES: &[(&str, u16, &str)] = &[
    ("invalid_json", 400, "invalid_request_error"),
    ("unknown_field", 400, "invalid_request_error"),
    ("missing_field", 400, "invalid_request_error"),
    ("invalid_value", 400, "invalid_request_error"),
    ("empty_purpose", 400, "invalid_request_error"),
    ("empty_materials", 400, "invalid_request_error"),
    ("invalid_id", 400, "invalid_request_error"),
    ("invalid_cursor", 400, "invalid_request_error"),
    ("missing_api_key", 401, "authentication_error"),
    ("invalid_api_key", 401, "authentication_error"),
    ("expired_api_key", 401, "authentication_error"),
    ("admin_token_required", 401, "authentication_error"),
    ("quota_exceeded", 402, "quota_exceeded"),
    ("insufficient_scope", 403, "permission_error"),
    ("model_not_allowed", 403, "permission_error"),
    ("not_found", 404, "not_found_error"),
    ("model_not_found", 404, "not_found_error"),
    ("method_not_allowed", 405, "invalid_request_error"),
    ("conflict", 409, "conflict_error"),
    ("idempotency_mismatch", 409, "conflict_error"),
    ("body_too_large", 413, "invalid_request_error"),
    ("unsupported_media_type", 415, "invalid_request_error"),
    ("sensitive_data", 422, "invalid_request_error"),
    ("rate_limited", 429, "rate_limit_error"),
    ("too_many_concurrent", 429, "rate_limit_error"),
    ("budget_reserved", 429, "rate_limit_error"),
    ("internal_error", 500, "server_error"),
    ("upstream_error", 502, "upstream_error"),
    ("upstream_unreachable", 502, "upstream_error"),
    ("upstream_malformed", 502, "upstream_error"),
    ("upstream_cut", 502, "upstream_error"),
    ("upstream_too_large", 502, "upstream_error"),
    ("overloaded", 503, "overloaded_error"),
    ("not_ready", 503, "overloaded_error"),
    ("storage_unavailable", 503, "server_error"),
    ("upstream_not_configured", 503, "upstream_error"),
    ("upstream_resting", 503, "upstream_error"),
    ("request_timeout", 504, "server_error"),
    ("upstream_first_byte_timeout", 504, "upstream_error"),
    ("upstream_idle_timeout", 504, "upstream_error"),
    ("upstream_total_timeout", 504, "upstream_error"),
    ("storage_full", 507, "server_error"),
];

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    code: &'static str,
    message: Cow<'static, str>,
    param: Option<String>,
    retry_after: Option<u64>,
    allow: Option<String>,
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody<'a> {
    /// What went wrong.
    #[schema(inline)]
    pub error: ErrorFields<'a>,
}

/// What went wrong, in words and in codes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorFields<'a> {
    /// What is wrong and what would be right, for people.
    pub message: &'a str,
    /// The family of the error, as `OpenAI` clients know it.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The error's own name; its page is `docs/errors/<code>.md`.
    pub code: &'a str,
    /// The field, parameter or header that is wrong, where there is one.
    pub param: Option<&'a str>,
}

impl ApiError {
    pub(super) fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), param: None, retry_after: None, allow: None }
    }

    pub(super) fn at(code: &'static str, param: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { param: Some(param.into()), ..Self::new(code, message) }
    }

    pub(super) fn later(code: &'static str, after: Duration, message: impl Into<Cow<'static, str>>) -> Self {
        Self { retry_after: Some(whole_seconds(after)), ..Self::new(code, message) }
    }

    /// The same about a part of a larger whole.
    #[must_use]
    pub fn within(self, whole: &str) -> Self {
        let param = self.param.as_deref().map_or_else(|| whole.to_owned(), |part| format!("{whole}.{part}"));
        Self { param: Some(param), ..self }
    }

    /// The error's own name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The field, parameter or header that is wrong.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        self.param.as_deref()
    }

    /// What is wrong, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The body is not JSON.
    pub fn invalid_json(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("invalid_json", message)
    }

    /// The body or the query holds something that the route does not know.
    pub fn unknown_field(param: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::at("unknown_field", param, message)
    }

    /// Something that the route needs is not there.
    pub fn missing_field(param: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::at("missing_field", param, message)
    }

    /// A field has a type or a value that is not allowed.
    pub fn invalid_value(param: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::at("invalid_value", param, message)
    }

    /// The purpose says nothing.
    #[must_use]
    pub fn empty_purpose() -> Self {
        Self::at("empty_purpose", "purpose", "purpose is empty: say in words what the memory is needed for")
    }

    /// Nothing was handed in.
    #[must_use]
    pub fn empty_materials() -> Self {
        Self::at(
            "empty_materials",
            "materials",
            "no material was given: fill at least one of chat, diffs, logs and items",
        )
    }

    /// The body is too large.
    #[must_use]
    pub fn body_too_large(limit: usize) -> Self {
        Self::new("body_too_large", format!("the body is larger than {limit} bytes: send it in several requests"))
    }

    /// The body is announced as something that the route does not read.
    pub fn unsupported_media_type(param: &str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::at("unsupported_media_type", param, message)
    }

    /// The id in the path is none.
    #[must_use]
    pub fn invalid_id(what: &'static str) -> Self {
        Self::at("invalid_id", "id", what)
    }

    /// The cursor is not of this list.
    #[must_use]
    pub fn invalid_cursor() -> Self {
        Self::at(
            "invalid_cursor",
            "cursor",
            "this cursor does not belong to this list: take next_cursor of its last page, or leave it out",
        )
    }

    /// No key was sent.
    #[must_use]
    pub fn missing_api_key() -> Self {
        Self::at(
            "missing_api_key",
            "authorization",
            "no API key was sent: add the header `Authorization: Bearer cmg_…`",
        )
    }

    /// The admin token was not sent, or is another one.
    #[must_use]
    pub fn admin_token_required() -> Self {
        Self::at(
            "admin_token_required",
            "authorization",
            "this route needs the header `Authorization: Bearer <ADMIN_TOKEN>`",
        )
    }

    /// There is no admin token, and so no admin API.
    #[must_use]
    pub fn admin_is_off() -> Self {
        Self::at("admin_token_required", "authorization", "the admin API is off: start the server with ADMIN_TOKEN set")
    }

    /// The key may not do this.
    #[must_use]
    pub fn insufficient_scope(needed: &str) -> Self {
        Self::new("insufficient_scope", format!("this API key has no `{needed}` scope: use another key"))
    }

    /// There is no such thing for this caller.
    #[must_use]
    pub fn not_found(what: &'static str) -> Self {
        Self::new("not_found", what)
    }

    /// The path is there, the method is not.
    #[must_use]
    pub fn method_not_allowed(allow: &str) -> Self {
        let message = format!("this path does not take this method; it takes {allow}");
        Self { allow: Some(allow.to_owned()), ..Self::new("method_not_allowed", message) }
    }

    /// The request contradicts what is there.
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("conflict", message)
    }

    /// The idempotency key was used for something else.
    #[must_use]
    pub fn idempotency_mismatch() -> Self {
        Self::at(
            "idempotency_mismatch",
            "idempotency-key",
            "this Idempotency-Key was used within 24 hours with another body: use a new one",
        )
    }

    /// The materials hold what this server refuses.
    fn sensitive_data(counts: &BTreeMap<String, u32>) -> Self {
        let found: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let found = found.join(", ");
        Self::at(
            "sensitive_data",
            "materials",
            format!("the materials hold sensitive data ({found}), and this server refuses it: remove it"),
        )
    }

    /// Something went wrong that is not the caller's fault.
    #[must_use]
    pub fn internal() -> Self {
        Self::new("internal_error", "something went wrong inside the server; quote x-request-id when you report it")
    }

    /// There is no such model in the catalogue.
    #[must_use]
    pub fn model_not_found(id: &str) -> Self {
        let shown: String = id.chars().take(200).collect();
        Self::at("model_not_found", "model", format!("there is no model {shown} in the catalogue: see /v1/models"))
    }

    /// The upstream did not do what we asked of it for ourselves.
    #[must_use]
    pub fn upstream(what: String) -> Self {
        Self::new("upstream_error", what)
    }

    /// Starting or stopping.
    #[must_use]
    pub fn not_ready() -> Self {
        Self::later("not_ready", Duration::from_secs(1), "the server is starting or stopping: try again")
    }

    /// It took too long.
    #[must_use]
    pub fn request_timeout(limit: Duration) -> Self {
        Self::new(
            "request_timeout",
            format!(
                "the request took longer than {} seconds; it may or may not have been carried out",
                limit.as_secs()
            ),
        )
    }

    /// The status and the type of the code.
    #[must_use]
    pub fn row(&self) -> (u16, &'static str) {
        let row = CODES.iter().find(|(code, ..)| *code == self.code);
        row.map_or((500, "server_error"), |&(_, status, kind)| (status, kind))
    }
}

/// Whole seconds, never too few: what `retry-after` says.
#[must_use]
pub fn whole_seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.row().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(seconds) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if let Some(allow) = &self.allow {
            response.insert_header((ALLOW, allow.as_str()));
        }
        if self.status_code() == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        let (_, kind) = self.row();
        let error = ErrorFields { message: &self.message, kind, code: self.code, param: self.param() };
        response.json(ErrorBody { error })
    }
}

impl From<MemoryError> for ApiError {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::NoThread => Self::not_found("there is no thread with this id"),
            MemoryError::NoItem => Self::not_found("there is no item with this id"),
            MemoryError::Sensitive(counts) => Self::sensitive_data(&counts),
            MemoryError::Materials(what) => Self::invalid_value("materials", what),
            MemoryError::Import(error @ ImportError::Line { .. }) => Self::new("invalid_value", error.to_string()),
            MemoryError::Import(error @ ImportError::NotEmpty { .. }) => Self::conflict(error.to_string()),
            MemoryError::Overloaded { retry_after } => {
                Self::later("overloaded", retry_after, "too many requests are waiting: try again")
            }
            MemoryError::NotReady => Self::not_ready(),
            MemoryError::Full => {
                Self::new("storage_full", "the server has no room left to store this; reading still works")
            }
            MemoryError::Storage => Self::later(
                "storage_unavailable",
                Duration::from_secs(1),
                "storage failed; the change may or may not have been kept: read before you repeat it",
            ),
            MemoryError::Damaged | MemoryError::Internal => Self::internal(),
        }
    }
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unknown => Self::at(
                "invalid_api_key",
                "authorization",
                "this API key is not valid: check that it is whole and was not revoked",
            ),
            KeyError::Expired => {
                Self::at("expired_api_key", "authorization", "this API key has expired: ask for a new one")
            }
            KeyError::NoKey => Self::not_found("there is no key with this id"),
            KeyError::Storage => {
                Self::later("storage_unavailable", Duration::from_secs(1), "keys cannot be stored now: try again")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_once_and_has_a_type_that_was_promised() {
        let types = [
            "invalid_request_error",
            "authentication_error",
            "permission_error",
            "not_found_error",
            "conflict_error",
            "rate_limit_error",
            "quota_exceeded",
            "upstream_error",
            "overloaded_error",
            "server_error",
        ];
        let mut seen = std::collections::BTreeSet::new();
        for (code, status, kind) in CODES {
            assert!(seen.insert(code), "{code} stands twice");
            assert!((400..600).contains(status), "{code}");
            assert!(types.contains(kind), "{code}: {kind}");
        }
    }

    #[test]
    fn every_error_of_memory_has_a_code_of_the_table() {
        let errors = [
            MemoryError::NoThread,
            MemoryError::NoItem,
            MemoryError::Sensitive(BTreeMap::from([("email".to_owned(), 1)])),
            MemoryError::Materials("x".into()),
            MemoryError::Import(ImportError::NotEmpty { items: 1 }),
            MemoryError::Import(ImportError::Line { line: 1, what: "x".into() }),
            MemoryError::Overloaded { retry_after: Duration::from_millis(10) },
            MemoryError::NotReady,
            MemoryError::Full,
            MemoryError::Storage,
            MemoryError::Damaged,
            MemoryError::Internal,
        ];
        for error in errors {
            let api = ApiError::from(error.clone());
            assert!(CODES.iter().any(|(code, ..)| *code == api.code()), "{error:?}");
        }
    }

    #[test]
    fn what_is_worth_repeating_says_when() {
        let response =
            ApiError::from(MemoryError::Overloaded { retry_after: Duration::from_millis(1500) }).error_response();

        assert_eq!(response.status(), 503);
        assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), "2");
    }
}
