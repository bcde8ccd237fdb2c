//! Chat completions: one object, or a stream of chunks.

use super::Turn;
use super::stream::{DONE, Frames, data};
use crate::script::{Content, Fault, Reported};
use serde_json::{Value, json};

/// The answer as one object.
pub(crate) fn object(turn: &Turn<'_>) -> Value {
    let mut object = json!({
        "id": turn.id,
        "object": "chat.completion",
        "created": turn.created,
        "model": turn.model,
        "provider": "StandIn",
        "choices": [{
            "index": 0,
            "message": message(turn),
            "logprobs": null,
            "finish_reason": finish(turn),
            "native_finish_reason": finish(turn),
        }],
    });
    if turn.script.usage != Reported::Never {
        put(&mut object, "usage", turn.usage().chat());
    }
    if turn.script.fault == Fault::ErrorMid {
        put(&mut object, "error", error());
    }
    object
}

/// The answer as a stream.
pub(crate) fn frames(turn: &Turn<'_>) -> Frames {
    Frames {
        opening: Vec::new(),
        content: deltas(turn).into_iter().map(|delta| data(&chunk(turn, delta, None))).collect(),
        closing: closing(turn),
        error: error_frame(turn),
    }
}

/// What is wrong, in an answer of status 200.
pub(crate) fn error() -> Value {
    json!({
        "code": 502,
        "message": "Provider disconnected",
        "metadata": { "error_type": "provider_unavailable", "provider_code": "server_error" },
    })
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}

fn finish(turn: &Turn<'_>) -> Value {
    match (turn.script.finish, turn.script.fault, turn.script.content) {
        (false, _, _) => Value::Null,
        (_, Fault::ErrorMid, _) => json!("error"),
        (_, _, Content::Tools) => json!("tool_calls"),
        _ => json!("stop"),
    }
}

fn message(turn: &Turn<'_>) -> Value {
    match turn.script.content {
        Content::Text => json!({ "role": "assistant", "content": turn.text(), "refusal": null, "reasoning": null }),
        Content::Tools => json!({ "role": "assistant", "content": null, "refusal": null, "tool_calls": calls() }),
        Content::Reasoning => json!({
            "role": "assistant",
            "content": turn.text(),
            "refusal": null,
            "reasoning": THOUGHT,
            "reasoning_details": [thought(THOUGHT), sealed()],
        }),
    }
}

/// What changes with each frame of content.
fn deltas(turn: &Turn<'_>) -> Vec<Value> {
    let said = turn.words.iter().map(|word| json!({ "role": "assistant", "content": word }));
    match turn.script.content {
        Content::Text => said.collect(),
        Content::Tools => call_deltas(),
        Content::Reasoning => thoughts().into_iter().chain(said).collect(),
    }
}

/// The arguments of the two calls.
const CITIES: [&str; 2] = ["Paris", "Rome"];

fn call(index: usize, arguments: &str) -> Value {
    json!({
        "index": index,
        "id": format!("call_standin_{index}"),
        "type": "function",
        "function": { "name": "get_weather", "arguments": arguments },
    })
}

fn calls() -> Vec<Value> {
    CITIES.iter().enumerate().map(|(index, city)| call(index, &format!("{{\"city\":\"{city}\"}}"))).collect()
}

/// Each call begins with its name, and its arguments come in two parts.
fn call_deltas() -> Vec<Value> {
    let more = |index: usize, part: String| json!({ "index": index, "function": { "arguments": part } });
    let parts = CITIES.iter().enumerate().flat_map(|(index, city)| {
        [call(index, ""), more(index, "{\"city\":".to_owned()), more(index, format!("\"{city}\"}}"))]
    });
    parts.map(|part| json!({ "role": "assistant", "content": null, "tool_calls": [part] })).collect()
}

const THOUGHT: &str = "First think, then speak.";

fn thought(text: &str) -> Value {
    json!({ "type": "reasoning.text", "text": text, "format": "standin-v1", "index": 0 })
}

/// Reasoning that only its provider can read, and that has to go back unchanged.
fn sealed() -> Value {
    json!({ "type": "reasoning.encrypted", "data": "c2VhbGVk", "id": "rs_standin", "format": "standin-v1", "index": 1 })
}

fn thoughts() -> Vec<Value> {
    let delta = |text: &str, detail: Value| json!({ "role": "assistant", "content": "", "reasoning": text, "reasoning_details": [detail] });
    let spoken = THOUGHT.split_inclusive(", ").map(|part| delta(part, thought(part)));
    spoken.chain([delta("", sealed())]).collect()
}

fn chunk(turn: &Turn<'_>, delta: Value, finish: Option<Value>) -> Value {
    let finish = finish.unwrap_or_default();
    chunk_of(
        turn,
        json!([{
            "index": 0,
            "delta": delta,
            "logprobs": null,
            "finish_reason": finish,
            "native_finish_reason": finish,
        }]),
    )
}

fn chunk_of(turn: &Turn<'_>, choices: Value) -> Value {
    json!({
        "id": turn.id,
        "object": "chat.completion.chunk",
        "created": turn.created,
        "model": turn.model,
        "provider": "StandIn",
        "choices": choices,
    })
}

fn closing(turn: &Turn<'_>) -> Vec<String> {
    let mut last = chunk(turn, json!({ "role": "assistant", "content": "" }), Some(finish(turn)));
    if turn.script.usage == Reported::WithChoices {
        put(&mut last, "usage", turn.usage().chat());
    }
    let mut closing = vec![data(&last)];
    if turn.script.usage == Reported::Alone {
        let mut usage = chunk_of(turn, json!([]));
        put(&mut usage, "usage", turn.usage().chat());
        closing.push(data(&usage));
    }
    if turn.script.done {
        closing.push(DONE.to_owned());
    }
    closing
}

fn error_frame(turn: &Turn<'_>) -> String {
    let mut chunk = chunk_of(
        turn,
        json!([{ "index": 0, "delta": { "content": "" }, "finish_reason": "error", "native_finish_reason": "error" }]),
    );
    put(&mut chunk, "error", error());
    data(&chunk)
}
