//! Answers: what is written to the connection, step by step, and how each dialect says it.
//!
//! # Invariants
//!
//! - An answer is built before its first byte is written; writing it needs no further thought.
//! - Steps that follow each other without a pause are one write, unless bytes are to come in pieces.

pub(crate) mod catalogue;
pub(crate) mod chat;
pub(crate) mod embeddings;
pub(crate) mod http;
pub(crate) mod messages;
pub(crate) mod responses;
pub(crate) mod stream;

use crate::script::{Script, Text};
use bytes::Bytes;
use memchr::memmem;
use serde_json::{Value, json};
use std::time::Duration;

/// One thing to do for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Write these bytes.
    Send(Bytes),
    /// Write nothing for so long.
    Wait(Duration),
    /// Write nothing until the client goes away.
    Silence,
    /// Close the connection, the answer being incomplete.
    Close,
}

/// An answer, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) steps: Vec<Step>,
    /// The connection is closed afterwards.
    pub(crate) closes: bool,
}

/// The bytes of a generation id: `gen-` and ten digits, always as many, so that an answer can be kept and
/// given out again under another id.
const ID_BYTES: usize = 14;
/// The id of answers that are kept.
pub(crate) const PLACEHOLDER: &str = "gen-0000000000";

/// The id of the `number`th generation.
pub(crate) fn generation_id(number: u64) -> String {
    format!("gen-{:010}", number % 10_000_000_000)
}

/// An answer that is given out again and again, each time under a new generation id.
pub(crate) struct Template {
    answer: Answer,
    /// For each step, where [`PLACEHOLDER`] begins in its bytes.
    places: Vec<Vec<usize>>,
}

impl Template {
    /// Keeps an answer that was built for [`PLACEHOLDER`].
    pub(crate) fn of(answer: Answer) -> Self {
        let places = answer.steps.iter().map(Step::places).collect();
        Self { answer, places }
    }

    /// The answer under `id`.
    pub(crate) fn with(&self, id: &str) -> Answer {
        let steps = self.answer.steps.iter().zip(&self.places).map(|(step, places)| step.with(places, id));
        Answer { steps: steps.collect(), closes: self.answer.closes }
    }
}

impl Step {
    fn places(&self) -> Vec<usize> {
        match self {
            Self::Send(bytes) => memmem::find_iter(bytes, PLACEHOLDER).collect(),
            _ => Vec::new(),
        }
    }

    fn with(&self, places: &[usize], id: &str) -> Self {
        let Self::Send(bytes) = self else { return self.clone() };
        if places.is_empty() {
            return self.clone();
        }
        let mut bytes = bytes.to_vec();
        for place in places {
            if let Some(old) = bytes.get_mut(*place..*place + ID_BYTES)
                && old.len() == id.len()
            {
                old.copy_from_slice(id.as_bytes());
            }
        }
        Self::Send(bytes.into())
    }
}

/// What every dialect has to know to say something.
pub(crate) struct Turn<'a> {
    /// The generation id.
    pub(crate) id: &'a str,
    /// The model that answers.
    pub(crate) model: &'a str,
    /// Unix seconds.
    pub(crate) created: u64,
    pub(crate) script: &'a Script,
    /// What is said, a frame of content each.
    pub(crate) words: Vec<String>,
}

impl Turn<'_> {
    /// Everything that is said.
    pub(crate) fn text(&self) -> String {
        self.words.concat()
    }

    /// The tokens and the price of an answer, the same for every text: 100 tokens in and 20 out, which at the
    /// catalogue's prices of `standin/ok` cost 0.00014.
    pub(crate) fn usage(&self) -> Usage {
        let reasoning = if self.script.content == crate::script::Content::Reasoning { 12 } else { 0 };
        match self.script.cached {
            false => Usage { prompt: 100, cached: 0, completion: 20, reasoning, cost: 0.000_14 },
            true => Usage { prompt: 1000, cached: 900, completion: 20, reasoning, cost: 0.000_23 },
        }
    }
}

/// Tokens, and dollars.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) prompt: u32,
    pub(crate) cached: u32,
    pub(crate) completion: u32,
    pub(crate) reasoning: u32,
    pub(crate) cost: f64,
}

impl Usage {
    /// As chat completions report it.
    pub(crate) fn chat(self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": { "cached_tokens": self.cached, "cache_write_tokens": 0, "audio_tokens": 0 },
            "completion_tokens_details": { "reasoning_tokens": self.reasoning },
            "cost": self.cost,
            "cost_details": { "upstream_inference_cost": null },
            "is_byok": false,
        })
    }
}

/// What a script has to say to a request whose last user message is `asked`, a frame of content each.
pub(crate) fn words(script: &Script, asked: &str) -> Vec<String> {
    match (&script.text, script.chunks) {
        (Text::Filler(kib), _) => vec!["x".repeat(1024); *kib],
        (Text::Echo, _) => split(asked),
        (Text::Fixed(_), Some(chunks)) => (0..chunks).map(|number| format!("word-{number} ")).collect(),
        (Text::Fixed(text), None) => split(text),
    }
}

/// A text in words, each with the white space behind it.
fn split(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_answer_goes_out_under_its_new_id_everywhere() {
        let bytes = Bytes::from(format!("x: {PLACEHOLDER}\r\n\r\n{{\"id\":\"{PLACEHOLDER}\"}}"));
        let answer = Answer { steps: vec![Step::Silence, Step::Send(bytes)], closes: true };

        let given = Template::of(answer).with(&generation_id(42));

        let expected = Bytes::from("x: gen-0000000042\r\n\r\n{\"id\":\"gen-0000000042\"}");
        assert_eq!(given, Answer { steps: vec![Step::Silence, Step::Send(expected)], closes: true });
    }

    #[test]
    fn the_placeholder_is_as_long_as_every_id() {
        for number in [0, 1, u64::MAX] {
            assert_eq!(generation_id(number).len(), ID_BYTES);
        }
        assert_eq!(generation_id(0), PLACEHOLDER);
    }
}
