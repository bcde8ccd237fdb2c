//! What of a gateway call is ours: the `memory` field, the headers beside it, and what the reservation needs to know.

use crate::http::check;
use crate::http::error::ApiError;
use actix_web::http::header::HeaderMap;
use cmg_actors::gateway::memory::{Mode, Wish};
use cmg_gateway::body::{Body, BodyError};
use serde::Deserialize;
use utoipa::ToSchema;

/// The headers that say what memory has to do with a call.
const THREAD: &str = "x-cmg-thread";
const MODE: &str = "x-cmg-memory";
const BUDGET: &str = "x-cmg-token-budget";
/// Tokens that memory may add to a prompt.
const LARGEST_BUDGET: u64 = 1_000_000;

/// What memory has to do with a call; never reaches the upstream.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryField {
    /// The thread.
    pub thread_id: Option<String>,
    /// `read`, `write`, `readwrite` (when left out) or `off`.
    pub mode: Option<String>,
    /// Tokens that memory may add to the prompt.
    pub token_budget: Option<u32>,
}

/// Any request of `OpenAI`'s or OpenRouter's chat API; what stands here is what the gateway itself reads.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CallBody {
    /// The model, or an alias of it; the key's or the server's default when left out.
    pub model: Option<String>,
    /// Whether the answer shall be a stream.
    pub stream: Option<bool>,
    /// What memory has to do with the call.
    pub memory: Option<MemoryField>,
}

/// Reads a body as an object whose bytes stay as they are.
///
/// # Errors
///
/// 400 that says where it is wrong.
pub fn read(bytes: &bytes::Bytes) -> Result<Body, ApiError> {
    Body::parse(bytes).map_err(|error: BodyError| ApiError::invalid_json(error.to_string()))
}

/// What memory has to do with the call: the field, which is taken off, before the headers; `off` in either wins.
///
/// # Errors
///
/// 400 that names the field or header.
pub fn wish(body: &mut Body, headers: &HeaderMap, default_budget: usize) -> Result<Option<Wish>, ApiError> {
    let field: MemoryField = match body.remove("memory") {
        Some(raw) if raw.get() == "null" => MemoryField::default(),
        Some(raw) => crate::http::body::parse(raw.get().as_bytes()).map_err(|error| error.within("memory"))?,
        None => MemoryField::default(),
    };
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?").trim().to_owned());
    let modes = [("memory.mode", field.mode), (MODE, header(MODE))];
    let mut mode = None;
    for (param, name) in modes.into_iter().filter_map(|(param, name)| Some((param, name?))) {
        let named = Mode::parse(&name)
            .ok_or_else(|| check::one_of(param, ["read", "write", "readwrite", "off"].into_iter()))?;
        let Some(named) = named else { return Ok(None) };
        mode = mode.or(Some(named));
    }
    let thread = field.thread_id.map(|id| ("memory.thread_id", id)).or_else(|| header(THREAD).map(|id| (THREAD, id)));
    let Some((param, thread)) = thread else {
        return match mode {
            None => Ok(None),
            Some(_) => Err(ApiError::missing_field(
                "memory.thread_id",
                "memory needs a thread: send `memory.thread_id` or the header x-cmg-thread",
            )),
        };
    };
    check::name(param, &thread)?;
    let told = match header(BUDGET) {
        Some(text) => Some(text.parse().map_err(|_| ApiError::invalid_value(BUDGET, "a number of tokens is needed"))?),
        None => None,
    };
    let budgets = [("memory.token_budget", field.token_budget), (BUDGET, told)];
    let budget = budgets.into_iter().find_map(|(param, budget)| Some((param, budget?)));
    if let Some((param, budget)) = budget {
        check::within(param, budget.into(), 1, LARGEST_BUDGET)?;
    }
    let budget = budget.map(|(_, budget)| budget);
    let default_budget = u32::try_from(default_budget).unwrap_or(u32::MAX);
    let mode = mode.unwrap_or(Mode::ReadWrite);
    Ok(Some(Wish { thread, mode, token_budget: budget.unwrap_or(default_budget) }))
}

/// The model that a body names.
///
/// # Errors
///
/// 400 for one that is no text.
pub fn model(body: &Body) -> Result<Option<String>, ApiError> {
    let named = body.raw("model").filter(|raw| raw.get() != "null");
    let text = named.map(|_| body.str("model").ok_or_else(|| ApiError::invalid_value("model", "`model` is a text")));
    let text = text.transpose()?.map(|text| text.into_owned());
    check::optional_name("model", text.as_ref())?;
    Ok(text)
}

/// The models that the upstream may fall back to.
///
/// # Errors
///
/// 400 for what is no list of names.
pub fn fallbacks(body: &Body) -> Result<Vec<String>, ApiError> {
    let Some(raw) = body.raw("models").filter(|raw| raw.get() != "null") else { return Ok(Vec::new()) };
    let wrong = |_| ApiError::invalid_value("models", "`models` is a list of names of models");
    let names: Vec<String> = serde_json::from_str(raw.get()).map_err(wrong)?;
    names.iter().try_for_each(|name| check::name("models", name))?;
    Ok(names)
}

/// The most tokens that the answer may have, where the body says so.
#[must_use]
pub fn max_tokens(body: &Body) -> Option<u64> {
    let number = |key: &str| body.raw(key).and_then(|raw| raw.get().parse::<u64>().ok());
    let most = ["max_completion_tokens", "max_tokens", "max_output_tokens"].into_iter().find_map(number)?;
    Some(most.saturating_mul(number("n").unwrap_or(1).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn wished(json: &str, headers: &[(&'static str, &'static str)]) -> Result<Option<Wish>, ApiError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut body = read(&bytes::Bytes::from(json.to_owned())).unwrap();
        let wish = wish(&mut body, &map, 4_000);
        assert!(!body.has("memory"), "the field never stays");
        wish
    }

    #[test]
    fn the_field_comes_before_the_headers_and_off_wins() {
        let both = wished(r#"{"memory":{"thread_id":"a","mode":"read"}}"#, &[(THREAD, "b"), (BUDGET, "7")]);
        let both = both.unwrap().unwrap();
        assert_eq!((both.thread.as_str(), both.mode, both.token_budget), ("a", Mode::Read, 7));
        let header = wished("{}", &[(THREAD, "b")]).unwrap().unwrap();
        assert_eq!((header.mode, header.token_budget), (Mode::ReadWrite, 4_000));
        assert!(wished(r#"{"memory":{"mode":"off"}}"#, &[(THREAD, "b"), (MODE, "read")]).unwrap().is_none());
        assert!(wished(r#"{"memory":{"thread_id":"a"}}"#, &[(MODE, "off")]).unwrap().is_none());
        assert!(wished("{}", &[]).unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, param) in [
            (r#"{"memory":{"mode":"read"}}"#, "memory.thread_id"),
            (r#"{"memory":{"thread_id":"a","mode":"both"}}"#, "memory.mode"),
            (r#"{"memory":{"thread":"a"}}"#, "memory.thread"),
            (r#"{"memory":{"thread_id":"a","token_budget":0}}"#, "memory.token_budget"),
        ] {
            assert_eq!(wished(json, &[]).err().unwrap().param(), Some(param), "{json}");
        }
    }
}
