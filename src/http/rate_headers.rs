//! `x-ratelimit-*`: how a key stands with its rate and its tokens, on successes and refusals alike.
//!
//! Values as OpenAI's clients know them: a limit and what remains as numbers, a reset as a time such as `1.2s`.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};
use cmg_actors::gateway::limits::{LimitError, RateState, TokenState};
use std::time::Duration;

/// What a request learnt of its key's rate and tokens.
#[derive(Debug, Clone, Copy, Default)]
struct Noted {
    rate: Option<RateState>,
    tokens: Option<TokenState>,
}

const LIMIT_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-limit-requests");
const REMAINING_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-remaining-requests");
const RESET_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-reset-requests");
const LIMIT_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-limit-tokens");
const REMAINING_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-remaining-tokens");
const RESET_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-reset-tokens");

/// Notes how the key stands with its rate.
pub fn note(request: &HttpRequest, rate: Result<&Option<RateState>, &LimitError>) {
    let state = match rate {
        Ok(state) => *state,
        Err(LimitError::Rate { state, .. }) => Some(*state),
        Err(_) => None,
    };
    if state.is_some() {
        change(request, |noted| noted.rate = state);
    }
}

/// Notes how the key stands with its tokens of the day.
pub fn note_tokens(request: &HttpRequest, tokens: Option<TokenState>) {
    if tokens.is_some() {
        change(request, |noted| noted.tokens = tokens);
    }
}

fn change(request: &HttpRequest, change: impl FnOnce(&mut Noted)) {
    let mut all = request.extensions_mut();
    let mut noted = all.get::<Noted>().copied().unwrap_or_default();
    change(&mut noted);
    all.insert(noted);
}

/// Puts what was noted on the answer.
pub fn mark(request: &HttpRequest, headers: &mut HeaderMap) {
    let Some(noted) = request.extensions().get::<Noted>().copied() else { return };
    if let Some(RateState { limit, remaining, reset }) = noted.rate {
        headers.insert(LIMIT_REQUESTS, limit.into());
        headers.insert(REMAINING_REQUESTS, remaining.into());
        headers.insert(RESET_REQUESTS, time(reset));
    }
    if let Some(TokenState { limit, remaining, reset }) = noted.tokens {
        headers.insert(LIMIT_TOKENS, limit.into());
        headers.insert(REMAINING_TOKENS, remaining.into());
        headers.insert(RESET_TOKENS, time(reset));
    }
}

fn time(time: Duration) -> HeaderValue {
    HeaderValue::from_str(&format!("{:.3}s", time.as_secs_f64())).unwrap_or(HeaderValue::from_static("0s"))
}
