//! The errors that OpenRouter answers with before it has begun: one table, a row for each.
//!
//! # Deliberately absent
//!
//! Errors within an answer of status 200: those are written by the dialect they stand in.

use crate::answers::Answer;
use crate::answers::http::{Head, whole};
use serde_json::{Value, json};

/// An error that is a whole answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its behaviour's name.
    pub name: &'static str,
    /// The HTTP status, and the error's `code`.
    pub status: u16,
    /// OpenRouter's stable name of the error.
    pub error_type: &'static str,
    /// The words.
    pub message: &'static str,
    /// Its headers beside those of every answer.
    pub fields: &'static [(&'static str, &'static str)],
    /// What its body has beyond the common.
    pub shape: Shape,
}

/// What an error's body has beyond code, message and type.
#[derive(Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing.
    Plain,
    /// `metadata.limit_source`: the budget of requests under way.
    InFlight,
    /// What moderation found.
    Moderation,
    /// `availability`, with `error_type` and `http_status` in place of metadata and `code`.
    Availability,
}

const NONE: &[(&str, &str)] = &[];
const AGAIN: &[(&str, &str)] = &[("retry-after", "1")];
const LIMITED: &[(&str, &str)] = &[
    ("retry-after", "1"),
    ("x-ratelimit-limit", "20"),
    ("x-ratelimit-remaining", "0"),
    ("x-ratelimit-reset", "1893456000000"),
];

/// Every refusal.
pub(crate) const REFUSALS: &[Refusal] = &[
    row("400", 400, "invalid_request", "the request is not valid", NONE, Shape::Plain),
    row("401", 401, "authentication", "User not found.", NONE, Shape::Plain),
    row("402", 402, "payment_required", "Insufficient credits.", NONE, Shape::Plain),
    row("402-inflight", 402, "payment_required", "Too much is under way.", AGAIN, Shape::InFlight),
    row("403", 403, "permission_denied", "This key may not do that.", NONE, Shape::Plain),
    row("moderation", 403, "content_policy_violation", "Your input was flagged.", NONE, Shape::Moderation),
    row("404", 404, "not_found", "No endpoints found.", NONE, Shape::Plain),
    row("408", 408, "timeout", "The request timed out.", NONE, Shape::Plain),
    row("413", 413, "payload_too_large", "The request is too large.", NONE, Shape::Plain),
    row("422", 422, "unprocessable", "The request cannot be processed.", NONE, Shape::Plain),
    row("429", 429, "rate_limit_exceeded", "Rate limit exceeded.", LIMITED, Shape::Plain),
    row("500", 500, "server", "Internal Server Error", NONE, Shape::Plain),
    row("502", 502, "provider_unavailable", "Provider returned error", NONE, Shape::Plain),
    row("503", 503, "provider_unavailable", "No provider is available.", AGAIN, Shape::Plain),
    row("availability", 503, "provider_unavailable", "The model is unavailable.", AGAIN, Shape::Availability),
    row("524", 524, "timeout", "The provider timed out.", NONE, Shape::Plain),
    row("529", 529, "provider_overloaded", "The provider is overloaded.", NONE, Shape::Plain),
];

const fn row(
    name: &'static str,
    status: u16,
    error_type: &'static str,
    message: &'static str,
    fields: &'static [(&'static str, &'static str)],
    shape: Shape,
) -> Refusal {
    Refusal { name, status, error_type, message, fields, shape }
}

impl Refusal {
    /// The answer to a request for `model`.
    pub(crate) fn answer(&self, model: &str) -> Answer {
        let body = json!({ "error": self.error(model), "user_id": "user_standin" });
        whole(&Head { status: self.status, fields: self.fields, ..Head::json(None) }, &body.to_string())
    }

    fn error(&self, model: &str) -> Value {
        let metadata = match self.shape {
            Shape::Plain => json!({ "error_type": self.error_type }),
            Shape::InFlight => {
                json!({ "error_type": self.error_type, "limit_source": "openrouter_in_flight_budget" })
            }
            Shape::Moderation => json!({
                "error_type": self.error_type,
                "reasons": ["harassment"],
                "flagged_input": "…",
                "provider_name": "StandIn",
                "model_slug": model,
            }),
            Shape::Availability => return self.availability(model),
        };
        json!({ "code": self.status, "message": self.message, "metadata": metadata })
    }

    fn availability(&self, model: &str) -> Value {
        json!({
            "message": self.message,
            "error_type": self.error_type,
            "http_status": self.status,
            "availability": {
                "code": "no_endpoint_available",
                "retryable": true,
                "retry_after": 1,
                "requested_models": [model],
                "fallback_models": ["standin/ok"],
            },
        })
    }
}

/// An error that no behaviour asked for: the request itself is wrong.
pub(crate) fn plain(status: u16, error_type: &str, message: &str) -> Answer {
    let body = json!({
        "error": { "code": status, "message": message, "metadata": { "error_type": error_type } },
        "user_id": "user_standin",
    });
    whole(&Head { status, ..Head::json(None) }, &body.to_string())
}
