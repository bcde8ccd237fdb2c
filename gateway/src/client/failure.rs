//! What a call fails with, in words for the client and in terms of the retry table.

use crate::client::Upstream;
use crate::error::{UpstreamError, scrub};
use crate::retry::{Cause, Phase};
use reqwest::header::HeaderMap;
use std::error::Error as _;
use std::time::Duration;
use thiserror::Error;

/// How a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// There was no connection, or not in time.
    Connect,
    /// Nothing of worth came in time.
    FirstByteTimeout,
    /// An answer that had begun fell silent.
    IdleTimeout,
    /// The whole call took too long.
    TotalTimeout,
    /// The upstream said no, by its status or within a 200.
    Refused,
    /// What came was no answer.
    Malformed,
    /// The breaker is open: the upstream was not asked.
    BreakerOpen,
    /// The connection broke before the answer was whole.
    Cut,
    /// The answer is larger than allowed.
    TooLarge,
    /// The request cannot be sent: its path or the upstream's address is no good.
    Unsendable,
}

/// A call that failed before anything could be passed on.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct Failure {
    /// How.
    pub kind: FailureKind,
    /// The status for the client.
    pub status: u16,
    /// Our public name for it, such as `upstream_first_byte_timeout`.
    pub code: &'static str,
    /// OpenRouter's name for it, or the upstream's own.
    pub error_type: String,
    /// What went wrong, in words.
    pub message: String,
    /// How long the upstream (or the breaker) asks to wait.
    pub retry_after: Option<Duration>,
    /// The upstream's own error, where it gave one.
    pub upstream: Option<UpstreamError>,
    /// The headers of the answer, as far as there was one.
    pub headers: HeaderMap,
    /// The attempts that were made.
    pub attempts: u32,
}

impl Failure {
    fn new(kind: FailureKind, status: u16, code: &'static str, error_type: &str, message: String) -> Self {
        Self {
            kind,
            status,
            code,
            error_type: error_type.to_owned(),
            message,
            retry_after: None,
            upstream: None,
            headers: HeaderMap::new(),
            attempts: 0,
        }
    }

    pub(super) fn breaker_open(name: &str, wait: Duration) -> Self {
        let message = format!("{name} has failed repeatedly for this model and is left alone for a while");
        let failure = Self::new(FailureKind::BreakerOpen, 503, "upstream_resting", "provider_unavailable", message);
        Self { retry_after: Some(wait), ..failure }
    }

    pub(super) fn unsendable(name: &str) -> Self {
        let message = format!("this path cannot be asked of {name}");
        Self::new(FailureKind::Unsendable, 400, "invalid_value", "invalid_request", message)
    }
}

/// The failure of one attempt.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    pub(super) phase: Phase,
    pub(super) cause: Cause,
}

impl Failed {
    fn new(failure: Failure, phase: Phase, cause: Cause, headers: HeaderMap) -> Self {
        Self { failure: Failure { headers, ..failure }, phase, cause }
    }

    /// The request brought no answer at all.
    pub(super) fn unsent(upstream: &Upstream, error: &reqwest::Error) -> Self {
        let name = &upstream.name;
        if error.is_builder() {
            return Self::new(Failure::unsendable(name), Phase::AfterFirstByte, Cause::Malformed, HeaderMap::new());
        }
        if !error.is_connect() {
            let message = format!("the connection to {name} broke before it answered: {}", reason(upstream, error));
            let failure = Failure::new(FailureKind::Cut, 502, "upstream_cut", "provider_unavailable", message);
            return Self::new(failure, Phase::BeforeFirstByte, Cause::Transport, HeaderMap::new());
        }
        let (status, code, error_type) = if error.is_timeout() {
            (502, "upstream_unreachable", "timeout")
        } else {
            (502, "upstream_unreachable", "provider_unavailable")
        };
        let message = format!("no connection to {name}: {}", reason(upstream, error));
        let failure = Failure::new(FailureKind::Connect, status, code, error_type, message);
        Self::new(failure, Phase::Connect, Cause::Transport, HeaderMap::new())
    }

    /// Nothing of worth came in time.
    pub(super) fn late(upstream: &Upstream, kind: FailureKind, headers: HeaderMap) -> Self {
        Self::new(timeout(&upstream.name, kind), Phase::BeforeFirstByte, Cause::Timeout, headers)
    }

    /// A whole answer broke off, fell silent, or does not fit.
    pub(super) fn within(upstream: &Upstream, kind: FailureKind, headers: HeaderMap) -> Self {
        let name = &upstream.name;
        let (failure, cause) = match kind {
            FailureKind::TooLarge => {
                let message = format!("the answer of {name} is larger than this gateway takes");
                (Failure::new(kind, 502, "upstream_too_large", "server", message), Cause::TooLarge)
            }
            FailureKind::Cut => {
                let message = format!("the answer of {name} broke off before it was whole");
                (Failure::new(kind, 502, "upstream_cut", "provider_unavailable", message), Cause::Transport)
            }
            _ => (timeout(name, kind), Cause::Timeout),
        };
        Self::new(failure, Phase::AfterFirstByte, cause, headers)
    }

    /// A stream broke off before its first real frame.
    pub(super) fn cut_early(upstream: &Upstream, headers: HeaderMap) -> Self {
        let failed = Self::within(upstream, FailureKind::Cut, headers);
        Self { phase: Phase::BeforeFirstByte, ..failed }
    }

    /// What came is no answer.
    pub(super) fn malformed(upstream: &Upstream, why: &str, headers: HeaderMap) -> Self {
        let message = format!("{} {why}", upstream.name);
        let failure = Failure::new(FailureKind::Malformed, 502, "upstream_malformed", "provider_unavailable", message);
        Self::new(failure, Phase::BeforeFirstByte, Cause::Malformed, headers)
    }

    /// The upstream said no.
    pub(super) fn refused(upstream: &Upstream, status: u16, error: Option<UpstreamError>, headers: HeaderMap) -> Self {
        let mut error = error;
        if let (Some(error), Some(key)) = (&mut error, &upstream.key) {
            error.hide(key.secret());
        }
        let error_type = error.as_ref().and_then(|error| error.error_type.clone());
        let message = error.as_ref().map(|error| error.message.clone());
        // What is neither success nor error (a redirect, say) is no answer for the client.
        let shown = if (400..600).contains(&status) { status } else { 502 };
        let failure = Failure::new(
            FailureKind::Refused,
            shown,
            "upstream_error",
            error_type.as_deref().unwrap_or_else(|| type_of(status)),
            message.unwrap_or_else(|| format!("{} answered with status {status}", upstream.name)),
        );
        let cause = match status {
            402 if error.as_ref().is_some_and(UpstreamError::in_flight_budget) => Cause::InFlightBudget,
            status => Cause::Status(status),
        };
        let retry_after = error.as_ref().and_then(|error| error.retry_after);
        Self::new(Failure { retry_after, upstream: error, ..failure }, Phase::BeforeFirstByte, cause, headers)
    }

    /// Whether the breaker counts it against the upstream; `None` when it says nothing either way.
    pub(super) fn blame(&self) -> Option<bool> {
        match self.failure.kind {
            FailureKind::Unsendable | FailureKind::BreakerOpen => None,
            FailureKind::TooLarge => Some(false),
            FailureKind::Refused => Some(matches!(self.cause, Cause::Status(500..))),
            _ => Some(true),
        }
    }
}

fn timeout(name: &str, kind: FailureKind) -> Failure {
    let (code, message) = match kind {
        FailureKind::FirstByteTimeout => {
            ("upstream_first_byte_timeout", format!("{name} did not begin to answer in time"))
        }
        FailureKind::IdleTimeout => ("upstream_idle_timeout", format!("{name} fell silent within its answer")),
        _ => ("upstream_total_timeout", format!("{name} did not answer within the time of the whole call")),
    };
    Failure::new(kind, 504, code, "timeout", message)
}

/// OpenRouter's word for a status, where the upstream gave none.
fn type_of(status: u16) -> &'static str {
    match status {
        400 => "invalid_request",
        401 => "authentication",
        402 => "payment_required",
        403 => "permission_denied",
        404 => "not_found",
        408 | 504 | 524 => "timeout",
        412 => "precondition_failed",
        413 => "payload_too_large",
        422 => "unprocessable",
        429 => "rate_limit_exceeded",
        502 | 503 => "provider_unavailable",
        529 => "provider_overloaded",
        500..=599 => "server",
        _ => "unmapped",
    }
}

/// The innermost reason of a transport's error: it names no address, and no secret.
fn reason(upstream: &Upstream, error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let text = if error.source().is_some() { inner.to_string() } else { "no reason given".to_owned() };
    upstream.key.as_ref().map_or_else(|| text.clone(), |key| scrub(&text, key.secret()))
}
