//! The Responses API: a `response` object, or the events that build it. Text only.

use super::stream::{Frames, event};
use super::{Turn, Usage};
use crate::script::Reported;
use serde_json::{Value, json};

/// The answer as one object.
pub(crate) fn object(turn: &Turn<'_>) -> Value {
    response(turn, "completed", &turn.text(), turn.script.usage != Reported::Never)
}

/// The answer as a stream; it ends with `response.completed`, or with `response.incomplete` if there is to be
/// no finish.
pub(crate) fn frames(turn: &Turn<'_>) -> Frames {
    let delta = |word: &String| {
        event(
            "response.output_text.delta",
            &json!({
                "type": "response.output_text.delta",
                "item_id": "msg_standin",
                "output_index": 0,
                "content_index": 0,
                "delta": word,
            }),
        )
    };
    Frames {
        opening: vec![about("response.created", response(turn, "in_progress", "", false))],
        content: turn.words.iter().map(delta).collect(),
        closing: closing(turn),
        error: event("error", &json!({ "type": "error", "code": "server_error", "message": "Provider disconnected" })),
    }
}

fn closing(turn: &Turn<'_>) -> Vec<String> {
    let status = if turn.script.finish { "completed" } else { "incomplete" };
    let response = response(turn, status, &turn.text(), turn.script.usage != Reported::Never);
    if turn.script.done { vec![about(&format!("response.{status}"), response)] } else { Vec::new() }
}

fn about(name: &str, response: Value) -> String {
    event(name, &json!({ "type": name, "response": response }))
}

fn response(turn: &Turn<'_>, status: &str, text: &str, counted: bool) -> Value {
    json!({
        "id": turn.id,
        "object": "response",
        "created_at": turn.created,
        "status": status,
        "model": turn.model,
        "output": [{
            "type": "message",
            "id": "msg_standin",
            "role": "assistant",
            "status": status,
            "content": [{ "type": "output_text", "text": text, "annotations": [] }],
        }],
        "usage": if counted { usage(turn.usage()) } else { Value::Null },
    })
}

fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.prompt,
        "input_tokens_details": { "cached_tokens": usage.cached },
        "output_tokens": usage.completion,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning },
        "total_tokens": usage.prompt + usage.completion,
        "cost": usage.cost,
    })
}
