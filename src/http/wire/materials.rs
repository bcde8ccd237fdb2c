//! Materials as callers write them: a string or an array, a string or an object.
//!
//! The readers are written by hand, so that an error says which forms there are.

use cmg_memory::time::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref, Type};
use utoipa::openapi::{RefOr, Schema};

/// A conversation.
#[derive(Debug)]
pub enum Chat {
    /// One text with `Name:` prefixes.
    Transcript(String),
    /// One element a turn.
    Messages(Vec<MessageBody>),
}

/// One turn.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageBody {
    /// `user`, `assistant`, `system`, `tool`, or a name.
    pub role: String,
    /// The words.
    pub content: String,
    /// The speaker's name.
    pub name: Option<String>,
    /// When it was said.
    #[schema(value_type = Option<String>)]
    pub timestamp: Option<Timestamp>,
    /// The caller's own id; comes back as `external_id`.
    pub id: Option<String>,
}

/// A diff or a log.
#[derive(Debug)]
pub struct Text(pub TextBody);

/// A diff or a log with what is known about it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TextBody {
    /// The text.
    pub content: String,
    /// The file that it is about or comes from.
    pub path: Option<String>,
    /// When it happened.
    #[schema(value_type = Option<String>)]
    pub timestamp: Option<Timestamp>,
    /// The caller's own id; comes back as `external_id`.
    pub id: Option<String>,
}

/// Diffs or logs: one text, or several.
#[derive(Debug, Default)]
pub struct Texts(pub Vec<Text>);

/// An item that the caller has made up its mind about.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemBody {
    /// `decision`, `requirement`, `constraint`, `task`, `question`, `fact`, `preference`, `instruction` or `note`.
    pub kind: String,
    /// Its header.
    pub title: Option<String>,
    /// Its words.
    pub body: String,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// `provisional`, `accepted`, `done`, `superseded` or `rejected`.
    pub status: Option<String>,
    /// The caller's own id; comes back as `external_id`.
    pub id: Option<String>,
    /// When it happened.
    #[schema(value_type = Option<String>)]
    pub timestamp: Option<Timestamp>,
    /// The caller's own fields.
    #[schema(value_type = Object)]
    #[serde(default)]
    pub metadata: Fields,
    /// Items that it cites.
    #[serde(default)]
    pub sources: Vec<String>,
    /// What it is about: a later item of the same kind and subject takes its place.
    pub subject: Option<String>,
}

/// The caller's own fields, each given once; `null` is none at all.
#[derive(Debug, Clone, Default)]
pub struct Fields(pub BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Fields, E> {
        Ok(Fields::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if fields.insert(name.clone(), value).is_some() {
                return Err(de::Error::custom(format!("the field {name:?} stands twice")));
            }
        }
        Ok(Fields(fields))
    }
}

impl<'de> Deserialize<'de> for Chat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ChatVisitor;
        impl<'de> Visitor<'de> for ChatVisitor {
            type Value = Chat;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a string with `Name:` prefixes or an array of messages {role, content, name?, timestamp?, id?}",
                )
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Chat, E> {
                Ok(Chat::Transcript(text.to_owned()))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<Chat, E> {
                Ok(Chat::Transcript(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Chat, A::Error> {
                all(seq).map(Chat::Messages)
            }
        }
        deserializer.deserialize_any(ChatVisitor)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an object {content, path?, timestamp?, id?}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(plain(text.to_owned()))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<Text, E> {
                Ok(plain(text))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Text, A::Error> {
                TextBody::deserialize(MapAccessDeserializer::new(map)).map(Text)
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;
        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = Texts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings or of objects {content, path?, timestamp?, id?}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![plain(text.to_owned())]))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<Texts, E> {
                Ok(Texts(vec![plain(text)]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Texts, A::Error> {
                all(seq).map(Texts)
            }
        }
        deserializer.deserialize_any(TextsVisitor)
    }
}

fn plain(content: String) -> Text {
    Text(TextBody { content, ..TextBody::default() })
}

fn all<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(mut seq: A) -> Result<Vec<T>, A::Error> {
    let mut elements = Vec::new();
    while let Some(element) = seq.next_element()? {
        elements.push(element);
    }
    Ok(elements)
}

/// Reads a field that may be left out, `null`, or a value: a patch tells the three apart.
///
/// # Errors
///
/// Those of the value.
pub fn patched<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// The schema of [`Chat`].
#[must_use]
pub fn chat_schema() -> RefOr<Schema> {
    let messages = ArrayBuilder::new().items(Ref::from_schema_name("MessageBody"));
    Schema::OneOf(OneOfBuilder::new().item(string()).item(messages).build()).into()
}

/// The schema of [`Texts`].
#[must_use]
pub fn texts_schema() -> RefOr<Schema> {
    let one = OneOfBuilder::new().item(string()).item(Ref::from_schema_name("TextBody"));
    let many = ArrayBuilder::new().items(RefOr::T(Schema::OneOf(one.build())));
    Schema::OneOf(OneOfBuilder::new().item(string()).item(many).build()).into()
}
