//! Which answer a request gets.
//!
//! # Deliberately absent
//!
//! Keys are not checked: `standin/401` says no to everyone, and what was sent can be read in what was seen.

use crate::answers::http::{Head, chunked, page, whole, whole_by};
use crate::answers::stream::{Frames, plan};
use crate::answers::{Answer, Step, Turn, catalogue, chat, embeddings, messages, responses, words};
use crate::refusal::plain;
use crate::script::{Fault, Reported, Script, Text};
use crate::seen::RequestHead;
use crate::state::Shared;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// What stands before every path.
pub(crate) const BASE: &str = "/api/v1";

/// The kind of a stream.
const EVENTS: &str = "text/event-stream";

/// The answer to a request.
pub(crate) fn answer(shared: &Shared, head: &RequestHead<'_>, body: &[u8]) -> Answer {
    let (path, query) = head.target.split_once('?').unwrap_or((head.target, ""));
    let Some(path) = path.strip_prefix(BASE) else { return not_found() };
    match head.method {
        "POST" => posted(shared, path, body),
        "GET" if path == "/generation" => generation(shared, query),
        "GET" => catalogue::body(path).map_or_else(not_found, |body| ok(&body)),
        _ => not_found(),
    }
}

fn ok(body: &Value) -> Answer {
    whole(&Head::json(None), &body.to_string())
}

fn not_found() -> Answer {
    plain(404, "not_found", "Not Found")
}

fn generation(shared: &Shared, query: &str) -> Answer {
    let id = query.split('&').find_map(|pair| pair.strip_prefix("id="));
    let known = id.and_then(|id| shared.desk().settled.get(id).cloned());
    known.map_or_else(|| plain(404, "not_found", "Generation not found"), |data| ok(&json!({ "data": data })))
}

/// The dialect that a path speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Chat,
    Responses,
    Messages,
    Embeddings,
    /// Anything else that is posted; it need not be JSON, nor name a model.
    Other,
}

impl Dialect {
    fn of(path: &str) -> Self {
        match path {
            "/chat/completions" => Self::Chat,
            "/responses" => Self::Responses,
            "/messages" => Self::Messages,
            "/embeddings" => Self::Embeddings,
            _ => Self::Other,
        }
    }

    const fn can_stream(self) -> bool {
        matches!(self, Self::Chat | Self::Responses | Self::Messages)
    }
}

/// A request, as far as it was read.
struct Asked<'a> {
    dialect: Dialect,
    path: &'a str,
    model: String,
    streamed: bool,
    body: &'a [u8],
}

/// Skims a body: the fields of an object, none of them read. `None` when it is no object.
fn skim(body: &[u8]) -> Option<HashMap<String, &RawValue>> {
    serde_json::from_slice(body).ok()
}

fn posted(shared: &Shared, path: &str, body: &[u8]) -> Answer {
    let dialect = Dialect::of(path);
    let fields = match skim(body) {
        Some(fields) => fields,
        None if dialect == Dialect::Other => HashMap::new(),
        None => return plain(400, "invalid_request", "the body is not a JSON object"),
    };
    let model = fields.get("model").and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let streamed = dialect.can_stream() && fields.get("stream").is_some_and(|raw| raw.get() == "true");
    let script = match (&model, dialect) {
        (Some(model), _) => shared.next_script(model),
        (None, Dialect::Other) => Some(Script::default()),
        (None, _) => return plain(400, "invalid_request", "No models provided"),
    };
    let model = model.unwrap_or_default();
    let Some(script) = script else {
        return plain(400, "invalid_request", &format!("{model} is not a valid model ID"));
    };
    given(shared, &Asked { dialect, path, model, streamed, body }, &script)
}

/// A kept answer where there may be one, else one that is built for this request.
fn given(shared: &Shared, asked: &Asked<'_>, script: &Script) -> Answer {
    if !is_repeatable(asked, script) {
        return build(asked, script, &shared.next_id());
    }
    let key = (asked.path.to_owned(), asked.streamed, script.refusal.is_some(), asked.model.clone());
    shared.kept(key, |id| build(asked, script, id))
}

/// True when the answer depends on nothing but what tells kept answers apart, is small, and has its id in one
/// piece.
fn is_repeatable(asked: &Asked<'_>, script: &Script) -> bool {
    let small = !matches!(script.text, Text::Echo | Text::Filler(257..)) && script.chunks.is_none_or(|n| n <= 1024);
    small && asked.dialect.can_stream() && script.pieces.is_none()
}

fn build(asked: &Asked<'_>, script: &Script, id: &str) -> Answer {
    let mut answer = instead(asked, script).unwrap_or_else(|| said(asked, script, id));
    if !script.wait.is_zero() {
        answer.steps.insert(0, Step::Wait(script.wait));
    }
    answer.closes |= script.closes;
    answer
}

/// What comes in place of a dialect's own answer.
fn instead(asked: &Asked<'_>, script: &Script) -> Option<Answer> {
    if let Some(refusal) = script.refusal {
        return Some(refusal.answer(&asked.model));
    }
    match script.fault {
        Fault::Html => Some(page(502)),
        Fault::HtmlOk => Some(page(200)),
        Fault::Hang => Some(Answer { steps: vec![Step::Silence], closes: true }),
        Fault::ErrorOk => Some(failed()),
        Fault::ErrorFirst if !asked.streamed => Some(failed()),
        _ => None,
    }
}

fn failed() -> Answer {
    ok(&json!({ "error": chat::error(), "user_id": "user_standin" }))
}

/// The dialect's own answer.
fn said(asked: &Asked<'_>, script: &Script, id: &str) -> Answer {
    let text = if script.text == Text::Echo { last_words(asked.body) } else { String::new() };
    let model = script.answered_by.as_deref().unwrap_or(&asked.model);
    let turn = Turn { id, model, created: now(), script, words: words(script, &text) };
    match asked.streamed {
        true => {
            chunked(&Head { kind: EVENTS, ..Head::json(Some(id)) }, plan(&frames(asked, &turn), script), script.pieces)
        }
        false => whole_by(script, &Head::json(Some(id)), &object(asked, &turn).to_string()),
    }
}

fn frames(asked: &Asked<'_>, turn: &Turn<'_>) -> Frames {
    match asked.dialect {
        Dialect::Responses => responses::frames(turn),
        Dialect::Messages => messages::frames(turn),
        Dialect::Chat | Dialect::Embeddings | Dialect::Other => chat::frames(turn),
    }
}

fn object(asked: &Asked<'_>, turn: &Turn<'_>) -> Value {
    match asked.dialect {
        Dialect::Chat => chat::object(turn),
        Dialect::Responses => responses::object(turn),
        Dialect::Messages => messages::object(turn),
        Dialect::Embeddings => {
            let body = serde_json::from_slice(asked.body).unwrap_or_default();
            embeddings::object(turn.id, turn.model, &body, turn.script.usage != Reported::Never)
        }
        Dialect::Other => other(asked, turn),
    }
}

/// What any other path says: what came, and what it cost.
fn other(asked: &Asked<'_>, turn: &Turn<'_>) -> Value {
    let usage = if turn.script.usage == Reported::Never { Value::Null } else { turn.usage().chat() };
    json!({
        "id": turn.id,
        "object": "standin.other",
        "path": asked.path,
        "model": turn.model,
        "body_bytes": asked.body.len(),
        "usage": usage,
    })
}

/// The text of the user's last message: among `messages`, or in `input`.
fn last_words(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(said) = body.get("messages").or_else(|| body.get("input")) else { return String::new() };
    let Some(items) = said.as_array() else { return text_of(said) };
    let of_user = |item: &&Value| item.get("role").and_then(Value::as_str) == Some("user");
    items.iter().rfind(of_user).and_then(|item| item.get("content")).map(text_of).unwrap_or_default()
}

/// A content that is a text, or has parts with texts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
