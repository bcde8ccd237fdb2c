//! Anthropic's Messages: a `message` object, or the events that build it. Text only.
//!
//! As with Anthropic, tokens read from the cache are not among `input_tokens`.

use super::stream::{Frames, event};
use super::{Turn, Usage};
use crate::script::Reported;
use serde_json::{Value, json};

/// The answer as one object.
pub(crate) fn object(turn: &Turn<'_>) -> Value {
    let usage = turn.usage();
    message(turn, json!([{ "type": "text", "text": turn.text() }]), stop(turn), counted(turn, usage, usage.completion))
}

/// The answer as a stream; without `done` it has no `message_stop`.
pub(crate) fn frames(turn: &Turn<'_>) -> Frames {
    let empty = message(turn, json!([]), Value::Null, counted(turn, turn.usage(), 1));
    Frames {
        opening: vec![
            typed("message_start", json!({ "message": empty })),
            typed("content_block_start", json!({ "index": 0, "content_block": { "type": "text", "text": "" } })),
        ],
        content: turn.words.iter().map(|word| delta(word)).collect(),
        closing: closing(turn),
        error: typed("error", json!({ "error": { "type": "api_error", "message": "Provider disconnected" } })),
    }
}

fn closing(turn: &Turn<'_>) -> Vec<String> {
    let mut change = json!({ "delta": { "stop_reason": stop(turn), "stop_sequence": null } });
    if turn.script.usage != Reported::Never
        && let Some(fields) = change.as_object_mut()
    {
        let usage = turn.usage();
        fields.insert("usage".to_owned(), json!({ "output_tokens": usage.completion, "cost": usage.cost }));
    }
    let mut closing = vec![typed("content_block_stop", json!({ "index": 0 })), typed("message_delta", change)];
    if turn.script.done {
        closing.push(typed("message_stop", json!({})));
    }
    closing
}

fn delta(word: &str) -> String {
    typed("content_block_delta", json!({ "index": 0, "delta": { "type": "text_delta", "text": word } }))
}

/// An event whose data repeats its name.
fn typed(name: &str, mut value: Value) -> String {
    if let Some(fields) = value.as_object_mut() {
        fields.insert("type".to_owned(), json!(name));
    }
    event(name, &value)
}

fn stop(turn: &Turn<'_>) -> Value {
    if turn.script.finish { json!("end_turn") } else { Value::Null }
}

fn message(turn: &Turn<'_>, content: Value, stop: Value, usage: Value) -> Value {
    json!({
        "id": turn.id,
        "type": "message",
        "role": "assistant",
        "model": turn.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": null,
        "usage": usage,
    })
}

fn counted(turn: &Turn<'_>, usage: Usage, output: u32) -> Value {
    if turn.script.usage == Reported::Never {
        return Value::Null;
    }
    json!({
        "input_tokens": usage.prompt - usage.cached,
        "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": output,
        "cost": usage.cost,
    })
}
