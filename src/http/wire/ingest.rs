//! `POST /v1/ingest`: what is handed in, and what became of it.

use super::materials::{Chat, Fields, ItemBody, MessageBody, Text, Texts, chat_schema, texts_schema};
use crate::http::check;
use crate::http::error::ApiError;
use cmg_actors::IngestReceipt;
use cmg_memory::ids::ItemId;
use cmg_memory::ingest::{ChatMaterial, ItemMaterial, Materials, Message, TextMaterial};
use cmg_memory::kind::{Kind, Status};
use cmg_memory::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Materials for a thread.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IngestBody {
    /// The thread, of any name; it begins with its first material.
    pub thread_id: String,
    /// What happened; at least one of them.
    #[schema(inline)]
    pub materials: MaterialsBody,
    /// What the caller is at.
    pub purpose: Option<String>,
    /// When it happened, for all that does not say so itself.
    #[schema(value_type = Option<String>)]
    pub observed_at: Option<Timestamp>,
    /// The caller's own fields, for all items.
    #[schema(value_type = Object)]
    #[serde(default)]
    pub metadata: Fields,
}

/// What happened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaterialsBody {
    /// A conversation: a text with `Name:` prefixes, or an array of messages.
    #[schema(schema_with = chat_schema)]
    pub chat: Option<Chat>,
    /// Unified diffs.
    #[schema(schema_with = texts_schema)]
    pub diffs: Option<Texts>,
    /// Logs, stack traces and test output.
    #[schema(schema_with = texts_schema)]
    pub logs: Option<Texts>,
    /// Items that the caller has made up its mind about.
    pub items: Option<Vec<ItemBody>>,
}

impl IngestBody {
    /// The thread's id and its materials, checked.
    ///
    /// # Errors
    ///
    /// 400 that names the field.
    pub fn validate(self) -> Result<(String, Materials), ApiError> {
        check::name("thread_id", &self.thread_id)?;
        check::metadata("metadata", &self.metadata.0)?;
        if let Some(purpose) = &self.purpose {
            check::purpose(purpose)?;
        }
        let materials = Materials {
            chat: self.materials.chat.map(chat).transpose()?.flatten(),
            diffs: texts("materials.diffs", self.materials.diffs)?,
            logs: texts("materials.logs", self.materials.logs)?,
            items: items(self.materials.items.unwrap_or_default())?,
            observed_at: self.observed_at,
            metadata: self.metadata.0,
            purpose: self.purpose,
        };
        let empty = materials.chat.is_none() && materials.diffs.is_empty() && materials.logs.is_empty();
        if empty && materials.items.is_empty() {
            return Err(ApiError::empty_materials());
        }
        Ok((self.thread_id, materials))
    }
}

/// The conversation, unless it says nothing.
fn chat(chat: Chat) -> Result<Option<ChatMaterial>, ApiError> {
    let messages = match chat {
        Chat::Transcript(text) => {
            check::text("materials.chat", &text)?;
            return Ok((!text.trim().is_empty()).then_some(ChatMaterial::Transcript(text)));
        }
        Chat::Messages(messages) => messages,
    };
    let mut said = Vec::with_capacity(messages.len());
    for (at, message) in messages.into_iter().enumerate() {
        let message = turn(at, message)?;
        if !message.content.trim().is_empty() {
            said.push(message);
        }
    }
    Ok((!said.is_empty()).then_some(ChatMaterial::Messages(said)))
}

fn turn(at: usize, message: MessageBody) -> Result<Message, ApiError> {
    let param = |name: &str| format!("materials.chat[{at}].{name}");
    check::name(&param("role"), &message.role)?;
    check::optional_name(&param("name"), message.name.as_ref())?;
    check::optional_name(&param("id"), message.id.as_ref())?;
    check::text(&param("content"), &message.content)?;
    let MessageBody { role, content, name, timestamp, id } = message;
    Ok(Message { role, content, name, timestamp, id })
}

fn texts(param: &str, texts: Option<Texts>) -> Result<Vec<TextMaterial>, ApiError> {
    let mut materials = Vec::new();
    for (at, Text(text)) in texts.unwrap_or_default().0.into_iter().enumerate() {
        check::optional_name(&format!("{param}[{at}].id"), text.id.as_ref())?;
        check::text(&format!("{param}[{at}].path"), text.path.as_deref().unwrap_or_default())?;
        check::text(&format!("{param}[{at}].content"), &text.content)?;
        if !text.content.trim().is_empty() {
            materials.push(TextMaterial {
                content: text.content,
                path: text.path,
                timestamp: text.timestamp,
                id: text.id,
            });
        }
    }
    Ok(materials)
}

fn items(items: Vec<ItemBody>) -> Result<Vec<ItemMaterial>, ApiError> {
    items.into_iter().enumerate().map(|(at, item)| self::item(at, item)).collect()
}

fn item(at: usize, item: ItemBody) -> Result<ItemMaterial, ApiError> {
    let param = |name: &str| format!("materials.items[{at}].{name}");
    let kind = semantic(&param("kind"), &item.kind)?;
    let status = item.status.as_deref().map(|name| status(&param("status"), name)).transpose()?;
    if item.body.trim().is_empty() {
        return Err(ApiError::invalid_value(param("body"), format!("`{}` says nothing", param("body"))));
    }
    check::text(&param("body"), &item.body)?;
    check::text(&param("title"), item.title.as_deref().unwrap_or_default())?;
    check::tags(&param("tags"), &item.tags)?;
    check::optional_name(&param("id"), item.id.as_ref())?;
    check::optional_name(&param("subject"), item.subject.as_ref())?;
    check::metadata(&param("metadata"), &item.metadata.0)?;
    for source in &item.sources {
        let message = format!("`{}` holds ids of items such as E1", param("sources"));
        ItemId::parse(source).ok_or_else(|| ApiError::invalid_value(param("sources"), message))?;
    }
    let ItemBody { title, body, tags, id, timestamp, metadata, sources, subject, .. } = item;
    Ok(ItemMaterial { kind, title, body, tags, status, id, timestamp, metadata: metadata.0, sources, subject })
}

/// A kind that says what something means: what happened comes as chat, diffs or logs.
fn semantic(param: &str, name: &str) -> Result<Kind, ApiError> {
    let known = || Kind::ALL.iter().filter(|kind| !kind.is_episodic());
    let found = known().find(|kind| kind.as_str() == name).copied();
    found.ok_or_else(|| check::one_of(param, known().map(|kind| kind.as_str())))
}

/// A status by its public name.
///
/// # Errors
///
/// 400 `invalid_value` at `param`, naming all of them.
pub fn status(param: &str, name: &str) -> Result<Status, ApiError> {
    Status::parse(name).ok_or_else(|| check::one_of(param, Status::ALL.iter().map(|status| status.as_str())))
}

/// What an ingest did; the items are durable.
#[derive(Debug, Serialize, ToSchema)]
pub struct IngestAnswer<'a> {
    /// The thread.
    pub thread_id: &'a str,
    /// New items.
    #[schema(value_type = Vec<String>)]
    pub added_ids: &'a [ItemId],
    /// Known items that were touched.
    #[schema(value_type = Vec<String>)]
    pub updated_ids: &'a [ItemId],
    /// One sentence for people.
    pub summary: &'a str,
    /// Redacted values by type.
    #[schema(value_type = BTreeMap<String, u32>)]
    pub redactions: &'a BTreeMap<String, u32>,
    /// Tokens of the new items.
    pub token_count: u64,
    /// Microseconds that it took.
    pub took_us: u64,
}

impl<'a> IngestAnswer<'a> {
    /// The answer for a receipt.
    #[must_use]
    pub fn new(thread_id: &'a str, receipt: &'a IngestReceipt, took_us: u64) -> Self {
        Self {
            thread_id,
            added_ids: &receipt.added,
            updated_ids: &receipt.updated,
            summary: &receipt.summary,
            redactions: &receipt.redactions,
            token_count: receipt.tokens,
            took_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::parse;
    use serde_json::json;

    fn read(body: &serde_json::Value) -> Result<(String, Materials), ApiError> {
        parse::<IngestBody>(body.to_string().as_bytes()).and_then(IngestBody::validate)
    }

    fn refusal(materials: serde_json::Value) -> (String, String, String) {
        let error = read(&json!({"thread_id": "t", "materials": materials})).unwrap_err();
        (error.code().to_owned(), error.param().unwrap_or_default().to_owned(), error.message().to_owned())
    }

    #[test]
    fn every_form_of_material_is_read() {
        let body = json!({"thread_id": "t", "observed_at": "2025-01-20T10:30:00Z", "metadata": {"repo": "api"}, "materials": {
            "chat": [{"role": "user", "content": "hello", "id": "m1"}, {"role": "user", "content": " "}],
            "diffs": "@@ -1 +1 @@", "logs": ["one", {"content": "two", "path": "a.log"}],
            "items": [{"kind": "decision", "title": "Use JWT", "body": "because", "tags": ["auth"], "sources": ["E1"]}]}});

        let (thread, materials) = read(&body).unwrap();

        assert_eq!(thread, "t");
        assert!(matches!(materials.chat, Some(ChatMaterial::Messages(turns)) if turns.len() == 1));
        assert_eq!(materials.diffs.len(), 1);
        assert_eq!(materials.logs.iter().map(|log| log.content.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(materials.items.first().map(|item| item.kind), Some(Kind::Decision));
        assert_eq!(materials.metadata.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        for (materials, code, param) in [
            (json!({}), "empty_materials", "materials"),
            (json!({"chat": " ", "diffs": [], "logs": [""]}), "empty_materials", "materials"),
            (json!({"chats": "x"}), "unknown_field", "materials.chats"),
            (json!({"chat": 1}), "invalid_value", "materials.chat"),
            (json!({"chat": [{"role": "user"}]}), "missing_field", "materials.chat[0].content"),
            (json!({"chat": [{"role": "user", "content": "a", "when": 1}]}), "unknown_field", "materials.chat[0].when"),
            (json!({"logs": [{"text": "a"}]}), "unknown_field", "materials.logs[0].text"),
            (json!({"logs": [1]}), "invalid_value", "materials.logs[0]"),
            (json!({"chat": "a\u{0}b"}), "invalid_value", "materials.chat"),
            (json!({"items": [{"kind": "chat", "body": "a"}]}), "invalid_value", "materials.items[0].kind"),
            (json!({"items": [{"kind": "task", "body": " "}]}), "invalid_value", "materials.items[0].body"),
            (
                json!({"items": [{"kind": "task", "body": "a", "status": "open"}]}),
                "invalid_value",
                "materials.items[0].status",
            ),
            (
                json!({"items": [{"kind": "task", "body": "a", "timestamp": "now"}]}),
                "invalid_value",
                "materials.items[0].timestamp",
            ),
            (
                json!({"items": [{"kind": "task", "body": "a", "sources": ["x"]}]}),
                "invalid_value",
                "materials.items[0].sources",
            ),
        ] {
            let (found, at, message) = refusal(materials.clone());
            assert_eq!((found.as_str(), at.as_str()), (code, param), "{materials}: {message}");
        }
    }

    #[test]
    fn a_wrong_form_is_answered_with_the_right_ones() {
        assert!(refusal(json!({"chat": 1})).2.contains("an array of messages"));
        assert!(refusal(json!({"logs": 1})).2.contains("an array of strings"));
        assert!(refusal(json!({"items": [{"kind": "chat", "body": "a"}]})).2.contains("decision, requirement"));
    }

    #[test]
    fn a_field_may_stand_once_in_metadata() {
        let body = r#"{"thread_id":"t","materials":{"chat":"a"},"metadata":{"a":1,"a":2}}"#;

        let error = parse::<IngestBody>(body.as_bytes()).unwrap_err();

        assert_eq!((error.code(), error.param()), ("invalid_value", Some("metadata")));
    }
}
