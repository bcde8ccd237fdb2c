//! What an answer used: tokens, and the cost that the upstream itself names.
//!
//! # Invariants
//!
//! - The figures are the upstream's; nothing is estimated here.
//! - `prompt_tokens` are all tokens of the prompt, those from and into a cache among them, in whatever
//!   dialect they were reported.
//! - Reports of one answer are merged by the larger figure, so a later and poorer one takes nothing away.
//!
//! # Deliberately absent
//!
//! Prices: the catalogue's.

use crate::lenient::{Count, Object, plain};
use crate::money::Nanos;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What one answer used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All tokens of the prompt.
    pub prompt_tokens: u64,
    /// All tokens of the answer, its reasoning among them.
    pub completion_tokens: u64,
    /// Both together.
    pub total_tokens: u64,
    /// Those of the prompt that came from a cache.
    pub cached_tokens: u64,
    /// Those of the prompt that were written into a cache.
    pub cache_write_tokens: u64,
    /// Those of the answer that were reasoning.
    pub reasoning_tokens: u64,
    /// What the upstream charged, if it says so.
    pub cost: Option<Nanos>,
}

impl Usage {
    /// Reads the usage of an answer, of one chunk of it or of one event; `None` when it reports none.
    ///
    /// Understood are the chat, embeddings and responses APIs of OpenAI, the messages API of Anthropic,
    /// and what OpenRouter adds to them.
    #[must_use]
    pub fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Object<Holder<'_>>>(json).ok()?.0?.usage()
    }

    /// Takes in a further report of the same answer: the larger figure of each field.
    pub fn merge(&mut self, other: Self) {
        self.prompt_tokens = self.prompt_tokens.max(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.max(other.completion_tokens);
        self.cached_tokens = self.cached_tokens.max(other.cached_tokens);
        self.cache_write_tokens = self.cache_write_tokens.max(other.cache_write_tokens);
        self.reasoning_tokens = self.reasoning_tokens.max(other.reasoning_tokens);
        self.cost = self.cost.max(other.cost);
        let parts = self.prompt_tokens.saturating_add(self.completion_tokens);
        self.total_tokens = self.total_tokens.max(other.total_tokens).max(parts);
    }
}

/// What may hold a usage, in whichever dialect.
#[derive(Deserialize)]
struct Holder<'a> {
    #[serde(default, borrow)]
    usage: Object<Report<'a>>,
    #[serde(default, borrow)]
    response: Object<Nested<'a>>,
    #[serde(default, borrow)]
    message: Object<Nested<'a>>,
}

/// An answer within an event.
#[derive(Deserialize)]
struct Nested<'a> {
    #[serde(default, borrow)]
    usage: Object<Report<'a>>,
}

impl Holder<'_> {
    fn usage(self) -> Option<Usage> {
        let nested = [self.response, self.message].into_iter().filter_map(|nested| nested.0?.usage.0);
        self.usage.0.into_iter().chain(nested).filter_map(|report| report.usage()).reduce(|mut all, next| {
            all.merge(next);
            all
        })
    }
}

/// A usage as it is written, the dialects side by side.
#[derive(Debug, Deserialize)]
pub(crate) struct Report<'a> {
    #[serde(default)]
    prompt_tokens: Count,
    #[serde(default)]
    completion_tokens: Count,
    #[serde(default)]
    total_tokens: Count,
    #[serde(default)]
    prompt_tokens_details: Object<Details>,
    #[serde(default)]
    completion_tokens_details: Object<Details>,
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
    #[serde(default)]
    input_tokens_details: Object<Details>,
    #[serde(default)]
    output_tokens_details: Object<Details>,
    #[serde(default)]
    cache_read_input_tokens: Count,
    #[serde(default)]
    cache_creation_input_tokens: Count,
    #[serde(default, borrow)]
    cost: Option<&'a RawValue>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Count,
    #[serde(default)]
    cache_write_tokens: Count,
    #[serde(default)]
    reasoning_tokens: Count,
}

impl Report<'_> {
    /// The figures; `None` when there is not one.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let prompt = self.prompt_tokens_details.0.or(self.input_tokens_details.0).unwrap_or_default();
        let completion = self.completion_tokens_details.0.or(self.output_tokens_details.0).unwrap_or_default();
        let cost = self.cost.and_then(plain).and_then(|text| Nanos::parse_usd(&text).ok());
        let (read, written) = (self.cache_read_input_tokens.0, self.cache_creation_input_tokens.0);
        let named = [self.prompt_tokens.0, self.completion_tokens.0, self.total_tokens.0];
        let other = [self.input_tokens.0, self.output_tokens.0, read, written];
        if cost.is_none() && named.iter().chain(&other).all(Option::is_none) {
            return None;
        }
        let prompt_tokens = self.prompt_tokens.0.unwrap_or_else(|| self.input(read, written));
        let completion_tokens = self.completion_tokens.0.or(self.output_tokens.0).unwrap_or_default();
        let parts = prompt_tokens.saturating_add(completion_tokens);
        Some(Usage {
            prompt_tokens,
            completion_tokens,
            total_tokens: self.total_tokens.0.unwrap_or_default().max(parts),
            cached_tokens: prompt.cached_tokens.0.or(read).unwrap_or_default(),
            cache_write_tokens: prompt.cache_write_tokens.0.or(written).unwrap_or_default(),
            reasoning_tokens: completion.reasoning_tokens.0.unwrap_or_default(),
            cost,
        })
    }

    /// Anthropic's `input_tokens` leave out what went through a cache; OpenAI's hold it.
    fn input(&self, read: Option<u64>, written: Option<u64>) -> u64 {
        let cache = [read, written].into_iter().flatten().fold(0, u64::saturating_add);
        self.input_tokens.0.unwrap_or_default().saturating_add(cache)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Usage {
        Usage::read(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_chat_usage_is_read_with_its_details_and_its_exact_cost() {
        let usage = read(
            r#"{"choices":[{"delta":{}}],"usage":{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1050,
            "prompt_tokens_details":{"cached_tokens":900,"cache_write_tokens":7},"cost":1.4e-4,
            "completion_tokens_details":{"reasoning_tokens":20},"is_byok":false}}"#,
        );

        let expected = Usage {
            prompt_tokens: 1000,
            completion_tokens: 50,
            total_tokens: 1050,
            cached_tokens: 900,
            cache_write_tokens: 7,
            reasoning_tokens: 20,
            cost: Some(Nanos(140_000)),
        };
        assert_eq!(usage, expected);
    }

    #[test]
    fn a_responses_usage_is_read_at_either_place_and_whatever_the_end() {
        let inner = r#"{"input_tokens":10,"output_tokens":4,"total_tokens":14,"input_tokens_details":{"cached_tokens":6},
            "output_tokens_details":{"reasoning_tokens":3},"cost":"0.002"}"#;

        let nested = read(&format!(r#"{{"type":"response.incomplete","response":{{"usage":{inner}}}}}"#));
        let whole = read(&format!(r#"{{"object":"response","usage":{inner}}}"#));

        assert_eq!(nested, whole);
        assert_eq!((nested.prompt_tokens, nested.completion_tokens, nested.total_tokens), (10, 4, 14));
        assert_eq!((nested.cached_tokens, nested.reasoning_tokens), (6, 3));
        assert_eq!(nested.cost, Some(Nanos(2_000_000)));
    }

    #[test]
    fn anthropics_two_reports_are_one_usage_and_cached_tokens_belong_to_the_prompt() {
        let mut usage = read(
            r#"{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_read_input_tokens":80,
            "cache_creation_input_tokens":5,"output_tokens":1}}}"#,
        );

        usage.merge(read(r#"{"type":"message_delta","usage":{"output_tokens":40}}"#));

        assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (95, 40, 135));
        assert_eq!((usage.cached_tokens, usage.cache_write_tokens), (80, 5));
    }

    #[test]
    fn embeddings_use_a_prompt_alone() {
        let usage = read(r#"{"data":[],"usage":{"prompt_tokens":8,"total_tokens":8,"cost":0}}"#);

        assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (8, 0, 8));
        assert_eq!(usage.cost, Some(Nanos::ZERO));
    }

    #[test]
    fn no_report_is_no_usage() {
        for json in [r#"{"usage":null}"#, r#"{"usage":{}}"#, r#"{"usage":{"cost":null}}"#, "{}", "[]", "x", ""] {
            assert_eq!(Usage::read(json.as_bytes()), None, "{json}");
        }
    }

    #[test]
    fn an_odd_figure_takes_no_other_one_away() {
        let usage = read(r#"{"usage":{"prompt_tokens":"many","completion_tokens":3,"cost":-1,"total_tokens":null}}"#);

        assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (0, 3, 3));
        assert_eq!(usage.cost, None);
    }
}
