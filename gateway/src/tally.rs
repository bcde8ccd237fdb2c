//! What is known of one answer, gathered while it passes: who made it, what it used, how it ended.
//!
//! # Invariants
//!
//! - Usage is taken from any chunk, whether it has choices or not.
//! - At most [`LONGEST_TEXT`] bytes of the answer's text are kept, and it is said when some were cut.
//! - The text is never part of `Debug`.
//!
//! # Deliberately absent
//!
//! The chunks themselves: they are on their way to the client.

use crate::error::{UpstreamError, is_error};
use crate::lenient::{Count, List, Object, Text, TextOr, mend};
use crate::usage::{Report, Usage};
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::fmt;
use std::time::Duration;

/// The most bytes of an answer's text that are kept.
pub const LONGEST_TEXT: usize = 1024 * 1024;

/// Events after which a stream of the named dialect is complete, `[DONE]` or not.
const LAST_EVENTS: [&str; 8] = [
    "response.completed",
    "response.incomplete",
    "response.failed",
    "message_stop",
    "speech.audio.done",
    "transcript.text.done",
    "image_generation.completed",
    "image_edit.completed",
];

/// What is known of an answer.
#[derive(Clone, Default)]
pub struct Tally {
    /// The upstream's id of the answer, by which it can be asked for its cost later: the first one that is named.
    pub generation_id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The provider that ran it.
    pub provider: Option<String>,
    /// Why the first choice ended (the dialect's own word).
    pub finish_reason: Option<String>,
    /// What it used.
    pub usage: Option<Usage>,
    /// The visible text of the first choice.
    pub text: String,
    /// The text was longer than what is kept of it.
    pub text_cut: bool,
    /// A tool was called.
    pub tool_calls: bool,
    /// Chunks (or events with a payload) that came; 1 for a whole answer.
    pub chunks: u64,
    /// From the call's begin, retries included, to the first payload (or the whole answer's head).
    pub first_byte: Option<Duration>,
    /// The error that came within the answer.
    pub last_error: Option<UpstreamError>,
    /// An event that ends its dialect's stream has come.
    pub(crate) last_event: bool,
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally")
            .field("generation_id", &self.generation_id)
            .field("model", &self.model)
            .field("provider", &self.provider)
            .field("finish_reason", &self.finish_reason)
            .field("usage", &self.usage)
            .field("text_bytes", &self.text.len())
            .field("text_cut", &self.text_cut)
            .field("tool_calls", &self.tool_calls)
            .field("chunks", &self.chunks)
            .field("first_byte", &self.first_byte)
            .field("error_status", &self.last_error.as_ref().map(|error| error.status))
            .finish_non_exhaustive()
    }
}

impl Tally {
    /// Takes in one chunk of a stream; false when it is no JSON.
    pub fn chunk(&mut self, json: &[u8]) -> bool {
        self.take(json)
    }

    /// Takes in a whole answer; false when it is no JSON.
    pub fn whole(&mut self, json: &[u8]) -> bool {
        self.take(json)
    }

    fn take(&mut self, json: &[u8]) -> bool {
        let mended;
        let answer = match serde_json::from_slice::<Object<Answer<'_>>>(json) {
            Ok(Object(answer)) => answer,
            Err(_) if serde_json::from_slice::<IgnoredAny>(json).is_err() => return false,
            // JSON, but with half a character in a text, as some providers cut them; or with a key twice:
            // then it passes, and says nothing.
            Err(_) => {
                mended = mend(json);
                serde_json::from_slice::<Object<Answer<'_>>>(&mended).unwrap_or_default().0
            }
        };
        self.chunks += 1;
        if let Some(answer) = answer {
            self.answer(&answer, json);
        }
        true
    }

    fn answer(&mut self, answer: &Answer<'_>, json: &[u8]) {
        if answer.may_fail() {
            self.last_error = UpstreamError::read(200, &HeaderMap::new(), json).or_else(|| self.last_error.take());
        }
        self.event(answer);
        for choice in &answer.choices.0 {
            self.choice(choice);
        }
        for nested in [&answer.response, &answer.message].into_iter().filter_map(|nested| nested.0.as_deref()) {
            self.holder(nested);
        }
        self.holder(answer);
    }

    /// What only events of the responses and messages APIs hold.
    fn event(&mut self, answer: &Answer<'_>) {
        let kind = answer.kind.get().unwrap_or_default();
        self.last_event |= LAST_EVENTS.contains(&kind);
        match &answer.delta {
            TextOr::Text(text) if kind == "response.output_text.delta" => self.push(text),
            TextOr::Value(Object(Some(delta))) => {
                if let Some(text) = delta.text.get().filter(|_| delta.kind.get() == Some("text_delta")) {
                    self.push(text);
                }
                replace(&mut self.finish_reason, &delta.stop_reason);
            }
            _ => {}
        }
        for part in [&answer.item, &answer.content_block].into_iter().filter_map(|part| part.0.as_ref()) {
            self.tool_calls |= part.is_tool();
        }
    }

    fn choice(&mut self, choice: &Choice<'_>) {
        let first = choice.index.0.unwrap_or(0) == 0;
        if first || self.finish_reason.is_none() {
            replace(&mut self.finish_reason, &choice.finish_reason);
        }
        for message in [&choice.delta, &choice.message].into_iter().filter_map(|message| message.0.as_ref()) {
            self.tool_calls |= !message.tool_calls.0.is_empty() || message.function_call.0.is_some();
            match &message.content {
                TextOr::Text(text) if first => self.push(text),
                TextOr::Value(parts) if first => self.parts(parts),
                _ => {}
            }
        }
        if let Some(text) = choice.text.get().filter(|_| first) {
            self.push(text);
        }
    }

    /// An answer, an event, or the answer within an event.
    fn holder(&mut self, holder: &Answer<'_>) {
        if self.generation_id.is_none() {
            self.generation_id = holder.id.owned();
        }
        replace(&mut self.model, &holder.model);
        replace(&mut self.provider, &holder.provider);
        replace(&mut self.finish_reason, &holder.stop_reason);
        if holder.object.get() == Some("response") {
            replace(&mut self.finish_reason, &holder.status);
        }
        // An answer within an event repeats what its deltas said already.
        let fresh = self.text.is_empty();
        for part in holder.output.0.iter().chain(&holder.content.0) {
            self.tool_calls |= part.is_tool();
            if fresh {
                self.part(part);
            }
        }
        if let Some(usage) = holder.usage.0.as_ref().and_then(Report::usage) {
            self.usage.get_or_insert_default().merge(usage);
        }
    }

    fn parts(&mut self, parts: &List<Part<'_>>) {
        for part in &parts.0 {
            self.part(part);
        }
    }

    fn part(&mut self, part: &Part<'_>) {
        if let Some(text) = part.text.get().filter(|_| matches!(part.kind.get(), Some("text" | "output_text"))) {
            self.push(text);
        }
        for inner in &part.content.0 {
            if let Some(text) = inner.text.get().filter(|_| inner.kind.get() == Some("output_text")) {
                self.push(text);
            }
        }
    }

    fn push(&mut self, text: &str) {
        let room = LONGEST_TEXT.saturating_sub(self.text.len());
        let end = text.floor_char_boundary(room);
        if !self.text_cut {
            self.text.push_str(text.get(..end).unwrap_or_default());
        }
        self.text_cut |= end < text.len();
    }
}

fn replace(field: &mut Option<String>, text: &Text<'_>) {
    if let Some(text) = text.get().filter(|text| field.as_deref() != Some(text)) {
        *field = Some(text.to_owned());
    }
}

/// An answer, a chunk or an event, or the answer within an event; the dialects side by side.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default, borrow)]
    id: Text<'a>,
    #[serde(default, borrow)]
    object: Text<'a>,
    #[serde(default, borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(default, borrow)]
    model: Text<'a>,
    #[serde(default, borrow)]
    provider: Text<'a>,
    #[serde(default, borrow)]
    choices: List<Choice<'a>>,
    #[serde(default, borrow)]
    usage: Object<Report<'a>>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    status: Text<'a>,
    #[serde(default, borrow)]
    stop_reason: Text<'a>,
    #[serde(default, borrow)]
    output: List<Part<'a>>,
    #[serde(default, borrow)]
    content: List<Part<'a>>,
    #[serde(default, borrow)]
    delta: TextOr<'a, Object<Delta<'a>>>,
    #[serde(default, borrow)]
    response: Object<Box<Answer<'a>>>,
    #[serde(default, borrow)]
    message: Object<Box<Answer<'a>>>,
    #[serde(default, borrow)]
    item: Object<Part<'a>>,
    #[serde(default, borrow)]
    content_block: Object<Part<'a>>,
}

impl Answer<'_> {
    /// Whether it is worth looking for an error in it.
    fn may_fail(&self) -> bool {
        let nested = self.response.0.as_deref().and_then(|response| response.error);
        self.kind.get() == Some("error") || [self.error, nested].into_iter().flatten().any(is_error)
    }
}

/// A choice of a chat answer or of one of its chunks.
#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Count,
    #[serde(default, borrow)]
    finish_reason: Text<'a>,
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(default, borrow)]
    delta: Object<Message<'a>>,
    #[serde(default, borrow)]
    message: Object<Message<'a>>,
}

/// A message, or a part of it.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    content: TextOr<'a, List<Part<'a>>>,
    #[serde(default)]
    tool_calls: List<Ignored>,
    #[serde(default)]
    function_call: Object<Ignored>,
}

/// A part of a content, or an item of an output.
#[derive(Deserialize)]
struct Part<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(default, borrow)]
    content: List<Inner<'a>>,
}

impl Part<'_> {
    fn is_tool(&self) -> bool {
        self.kind.get().is_some_and(|kind| kind == "tool_use" || kind.ends_with("_call"))
    }
}

/// A part of an output's item.
#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(default, borrow)]
    text: Text<'a>,
}

/// The difference that an event of the messages API reports.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(default, borrow)]
    stop_reason: Text<'a>,
}

/// An object of which only the presence counts.
#[derive(Deserialize)]
struct Ignored {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn tally(chunks: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for chunk in chunks {
            assert!(tally.chunk(chunk.as_bytes()), "{chunk}");
        }
        tally
    }

    #[test]
    fn a_chat_stream_is_gathered_from_its_chunks() {
        let tally = tally(&[
            r#"{"id":"gen-1","model":"a/b","provider":"P","choices":[{"index":0,"delta":{"role":"assistant","content":"He"}}]}"#,
            r#"{"id":"gen-1","choices":[{"index":1,"delta":{"content":"other"}},{"index":0,"delta":{"content":"llo"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"cost":0.1}}"#,
        ]);

        assert_eq!((tally.generation_id.as_deref(), tally.model.as_deref()), (Some("gen-1"), Some("a/b")));
        assert_eq!((tally.provider.as_deref(), tally.finish_reason.as_deref()), (Some("P"), Some("stop")));
        assert_eq!((tally.text.as_str(), tally.chunks, tally.tool_calls), ("Hello", 3, false));
        assert_eq!(tally.usage.unwrap().total_tokens, 5);
    }

    #[test]
    fn usage_counts_with_choices_and_without() {
        let with = tally(&[r#"{"choices":[{"delta":{}}],"usage":{"prompt_tokens":3}}"#]);
        let without = tally(&[r#"{"choices":[],"usage":{"prompt_tokens":3}}"#]);

        assert_eq!(with.usage, without.usage);
        assert_eq!(with.usage.unwrap().prompt_tokens, 3);
    }

    #[test]
    fn a_responses_stream_is_gathered_from_its_events() {
        let tally = tally(&[
            r#"{"type":"response.created","response":{"id":"resp_1","object":"response","status":"in_progress","model":"m","error":null,"output":[]}}"#,
            r#"{"type":"response.output_item.added","item":{"type":"function_call"}}"#,
            r#"{"type":"response.output_text.delta","delta":"Hi"}"#,
            r#"{"type":"response.completed","response":{"id":"resp_1","object":"response","status":"completed",
                "output":[{"type":"message","content":[{"type":"output_text","text":"Hi"}]}],"usage":{"input_tokens":4,"output_tokens":1}}}"#,
        ]);

        assert_eq!((tally.text.as_str(), tally.tool_calls, tally.last_event), ("Hi", true, true));
        assert_eq!(tally.finish_reason.as_deref(), Some("completed"));
        assert_eq!(tally.generation_id.as_deref(), Some("resp_1"));
        assert_eq!(tally.usage.unwrap().total_tokens, 5);
        assert!(tally.last_error.is_none());
    }

    #[test]
    fn a_messages_stream_is_gathered_from_its_events() {
        let tally = tally(&[
            r#"{"type":"message_start","message":{"id":"msg_1","model":"m","content":[],"usage":{"input_tokens":4,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","content_block":{"type":"tool_use"}}"#,
            r#"{"type":"content_block_delta","delta":{"type":"thinking_delta","text":"secret"}}"#,
            r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"Hi"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#,
            r#"{"type":"message_stop"}"#,
        ]);

        assert_eq!((tally.text.as_str(), tally.tool_calls, tally.last_event), ("Hi", true, true));
        assert_eq!((tally.finish_reason.as_deref(), tally.model.as_deref()), (Some("end_turn"), Some("m")));
        assert_eq!(tally.usage.unwrap().total_tokens, 13);
    }

    #[test]
    fn a_whole_answer_of_each_dialect_has_its_text() {
        for whole in [
            r#"{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"message":{"content":[{"type":"text","text":"Hi"}],"tool_calls":null},"finish_reason":"stop"}]}"#,
            r#"{"object":"response","status":"stop","output":[{"type":"reasoning","content":[{"type":"reasoning_text","text":"no"}]},
                {"type":"message","content":[{"type":"output_text","text":"Hi"}]}]}"#,
            r#"{"type":"message","stop_reason":"stop","content":[{"type":"text","text":"Hi"}]}"#,
            r#"{"object":"text_completion","choices":[{"text":"Hi","finish_reason":"stop"}]}"#,
        ] {
            let mut tally = Tally::default();

            assert!(tally.whole(whole.as_bytes()), "{whole}");

            assert_eq!((tally.text.as_str(), tally.tool_calls), ("Hi", false), "{whole}");
            assert_eq!(tally.finish_reason.as_deref(), Some("stop"));
        }
    }

    #[test]
    fn tool_calls_are_seen_in_deltas_and_messages() {
        let delta = tally(&[r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":""}}]}}]}"#]);
        let whole = tally(&[r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"c"}]}}]}"#]);
        let none = tally(&[r#"{"choices":[{"message":{"content":"x","tool_calls":[]}}]}"#]);

        assert!(delta.tool_calls && whole.tool_calls && !none.tool_calls);
    }

    #[test]
    fn an_error_within_the_stream_is_kept() {
        let tally = tally(&[
            r#"{"choices":[{"delta":{"content":"a"}}]}"#,
            r#"{"error":{"code":502,"message":"gone"},"choices":[{"finish_reason":"error"}]}"#,
        ]);

        assert_eq!(tally.last_error.unwrap().status, 502);
        assert_eq!(tally.finish_reason.as_deref(), Some("error"));
    }

    #[test]
    fn what_is_no_json_is_told_from_what_is_odd() {
        for (json, sound) in [
            ("{", false),
            ("<html>", false),
            ("", false),
            ("{} {}", false),
            ("[1,", false),
            ("[1]", true),
            ("7", true),
            (r#"{"id":1,"choices":{"a":1},"usage":[],"delta":7,"response":"x","error":3}"#, true),
            (r#"{"id":"a","id":"b"}"#, true),
            (r#"{"choices":[null,1,{"delta":[]}]}"#, true),
            (r#"{"usage":{"prompt_tokens":1e999}}"#, true),
        ] {
            assert_eq!(Tally::default().chunk(json.as_bytes()), sound, "{json}");
        }
    }

    #[test]
    fn half_a_character_in_a_text_costs_neither_the_stream_nor_the_usage() {
        let tally = tally(&[
            r#"{"choices":[{"delta":{"content":"a\\ud83d\ud83d\ude00 \ud83d"}}],"usage":{"prompt_tokens":3}}"#,
            r#"{"choices":[{"delta":{"content":"\ude00"},"finish_reason":"stop"}]}"#,
        ]);

        assert_eq!(tally.text, "a\\ud83d\u{1f600} \u{fffd}\u{fffd}");
        assert_eq!((tally.usage.unwrap().prompt_tokens, tally.finish_reason.as_deref()), (3, Some("stop")));
    }

    /// JSON of any shape, with the names that are looked for at any place.
    fn any_json() -> impl Strategy<Value = Value> {
        let names = "error|id|type|choices|usage|delta|message|response|content|text|index|code|metadata|cost|output";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "response.completed|error|text|.{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 60, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(names, inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_and_nothing_else_is(value in any_json(), bytes: Vec<u8>) {
            let json = serde_json::to_vec(&value).unwrap();

            prop_assert!(Tally::default().chunk(&json));
            prop_assert_eq!(Tally::default().chunk(&bytes), serde_json::from_slice::<IgnoredAny>(&bytes).is_ok());
            let _outcome = (Usage::read(&json), UpstreamError::read(500, &HeaderMap::new(), &json));
        }
    }

    #[test]
    fn a_text_without_end_is_cut_at_a_character_and_never_shown() {
        let chunk = format!(r#"{{"choices":[{{"delta":{{"content":"a{}"}}}}]}}"#, "é".repeat(300_000));
        let mut tally = tally(&[&chunk]);
        assert!(!tally.text_cut);

        tally.chunk(chunk.as_bytes());
        tally.chunk(br#"{"choices":[{"delta":{"content":"b"}}]}"#);

        assert!(tally.text_cut);
        assert!(tally.text.len() <= LONGEST_TEXT && tally.text.len() > LONGEST_TEXT - 4);
        assert!(!tally.text.ends_with('b'), "nothing follows a cut");
        assert!(!format!("{tally:?}").contains('é'));
    }
}
