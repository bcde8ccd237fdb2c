//! A request's body: read where it must be read, changed where it must be changed, and otherwise passed
//! on byte for byte.
//!
//! # Invariants
//!
//! - An unchanged body leaves as the very bytes that came.
//! - A value that is not changed keeps its bytes; nothing is re-serialised.
//! - Of a key that occurs twice the last one counts, for the reader here and for the upstream alike: the
//!   earlier one is not passed on.
//! - No error and no `Debug` shows any of the text.
//!
//! # Deliberately absent
//!
//! A schema: what is not known is passed on.

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use thiserror::Error;

/// Why a body cannot be taken, and where. Lines and columns count from 1; both are 0 at the very beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BodyError {
    /// It is not JSON.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    Syntax {
        /// The line.
        line: usize,
        /// The column, in bytes.
        column: usize,
    },
    /// It ends before its JSON does.
    #[error("the body ends before its JSON is complete (line {line}, column {column})")]
    Incomplete {
        /// The line.
        line: usize,
        /// The column, in bytes.
        column: usize,
    },
    /// It is JSON, but no object.
    #[error("the body must be a JSON object")]
    NotAnObject,
}

impl From<serde_json::Error> for BodyError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Eof => Self::Incomplete { line, column },
            Category::Data => Self::NotAnObject,
            Category::Syntax | Category::Io => Self::Syntax { line, column },
        }
    }
}

/// One key with the bytes of its value.
struct Entry {
    key: String,
    /// Valid JSON.
    value: Bytes,
}

/// A JSON object whose values keep their bytes.
pub struct Body {
    source: Bytes,
    entries: Vec<Entry>,
    /// The source no longer says what the entries say.
    changed: bool,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("bytes", &self.source.len()).field("keys", &self.entries.len()).finish()
    }
}

impl Body {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// See [`BodyError`].
    pub fn parse(source: &Bytes) -> Result<Self, BodyError> {
        let Members(members) = serde_json::from_slice(source)?;
        let all = members.len();
        let mut places = HashMap::with_capacity(all);
        for (place, (key, _)) in members.iter().enumerate() {
            places.insert(key.clone(), place);
        }
        let entries: Vec<Entry> = members
            .into_iter()
            .enumerate()
            .filter(|(place, (key, _))| places.get(key) == Some(place))
            .map(|(_, (key, value))| Entry { key: key.into_owned(), value: source.slice_ref(value.get().as_bytes()) })
            .collect();
        Ok(Self { source: source.clone(), changed: entries.len() != all, entries })
    }

    /// The string under a key; `None` when there is none or it is something else.
    #[must_use]
    pub fn str(&self, key: &str) -> Option<Cow<'_, str>> {
        serde_json::from_slice::<crate::lenient::Text<'_>>(self.bytes(key)?).ok()?.0
    }

    /// The flag under a key; `None` when there is none or it is something else.
    #[must_use]
    pub fn bool(&self, key: &str) -> Option<bool> {
        serde_json::from_slice(self.bytes(key)?).ok()
    }

    /// The JSON under a key. Each call reads through the value's bytes once.
    #[must_use]
    pub fn raw(&self, key: &str) -> Option<&RawValue> {
        serde_json::from_slice(self.bytes(key)?).ok()
    }

    /// True when the key is there, even as `null`.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.bytes(key).is_some()
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.as_str())
    }

    /// Puts a value under a key: in the place of the old one, or at the end.
    pub fn set(&mut self, key: &str, value: Box<RawValue>) {
        let value = Bytes::from(Box::<str>::from(value).into_boxed_bytes());
        self.changed = true;
        match self.entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => entry.value = value,
            None => self.entries.push(Entry { key: key.to_owned(), value }),
        }
    }

    /// Puts a string under a key.
    pub fn set_str(&mut self, key: &str, text: &str) {
        if let Ok(value) = serde_json::value::to_raw_value(text) {
            self.set(key, value);
        }
    }

    /// Takes a key out, and gives its value.
    pub fn remove(&mut self, key: &str) -> Option<Box<RawValue>> {
        let place = self.entries.iter().position(|entry| entry.key == key)?;
        self.changed = true;
        let entry = self.entries.remove(place);
        serde_json::from_slice::<&RawValue>(&entry.value).ok().map(ToOwned::to_owned)
    }

    /// The body for the upstream: the very bytes that came, unless something was changed.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        if !self.changed {
            return self.source;
        }
        let mut out =
            Vec::with_capacity(self.entries.iter().map(|e| e.key.len() + e.value.len() + 4).sum::<usize>() + 2);
        out.push(b'{');
        for (place, entry) in self.entries.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            quote(&entry.key, &mut out);
            out.push(b':');
            out.extend_from_slice(&entry.value);
        }
        out.push(b'}');
        Bytes::from(out)
    }

    fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_ref())
    }
}

/// Appends a JSON string.
fn quote(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

/// The members of an object, in order, as they were written.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(key), value)) = map.next_entry()? {
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// A key, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(text: &str) -> Body {
        Body::parse(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn an_unchanged_body_leaves_as_the_very_bytes_that_came() {
        let source = Bytes::from_static(b" {\"model\" : \"a/b\",\n\t\"x\":[1.0, 1e400 ,\"\\u00e9\"]} \n");

        let out = Body::parse(&source).unwrap().into_bytes();

        assert_eq!(out.as_ptr(), source.as_ptr());
        assert_eq!(out, source);
    }

    #[test]
    fn a_change_keeps_the_bytes_and_the_order_of_all_other_values() {
        let mut body = body(r#"{ "model": "a", "n": 1.00 , "deep": { "b" :2, "a":1e999 }, "k\"ey": "\/" }"#);

        body.set_str("model", "x/\"y\"");
        body.set("new", raw("[1, 2]"));

        let out = r#"{"model":"x/\"y\"","n":1.00,"deep":{ "b" :2, "a":1e999 },"k\"ey":"\/","new":[1, 2]}"#;
        assert_eq!(body.into_bytes(), out);
    }

    #[test]
    fn values_are_read_by_their_type() {
        let body = body(r#"{"model":"a\u002fb","stream":true,"n":null,"o":{"include_usage":true}}"#);

        assert_eq!(body.str("model").unwrap(), "a/b");
        assert_eq!(body.bool("stream"), Some(true));
        assert_eq!(body.raw("o").unwrap().get(), r#"{"include_usage":true}"#);
        assert_eq!((body.str("stream"), body.bool("model"), body.bool("n")), (None, None, None));
        assert!(body.has("n") && !body.has("absent"));
    }

    #[test]
    fn a_second_model_cannot_be_smuggled_in() {
        let body = body(r#"{"model":"dear","a":1,"mod\u0065l":"cheap","a":2}"#);

        assert_eq!(body.str("model").unwrap(), "cheap");
        assert_eq!(body.into_bytes(), r#"{"model":"cheap","a":2}"#);
    }

    #[test]
    fn what_is_taken_out_is_given_and_gone() {
        let mut body = body(r#"{"a":1,"b":[ 2 ]}"#);

        let taken = body.remove("b").unwrap();

        assert_eq!(taken.get(), "[ 2 ]");
        assert!(body.remove("b").is_none());
        assert_eq!(body.into_bytes(), r#"{"a":1}"#);
    }

    #[test]
    fn a_refusal_says_where_and_never_what() {
        for (text, error) in [
            ("{\n \"secret\": nonsense}", BodyError::Syntax { line: 2, column: 13 }),
            ("{\"secret\":", BodyError::Incomplete { line: 1, column: 10 }),
            ("\"secret\"", BodyError::NotAnObject),
            ("[\"secret\"]", BodyError::NotAnObject),
            ("{} secret", BodyError::Syntax { line: 1, column: 4 }),
            ("", BodyError::Incomplete { line: 1, column: 0 }),
        ] {
            let outcome = Body::parse(&Bytes::copy_from_slice(text.as_bytes())).unwrap_err();

            assert_eq!(outcome, error, "{text}");
            assert!(!format!("{outcome} {outcome:?}").contains("secret"));
        }
        assert!(!format!("{:?}", body(r#"{"secret":"secret"}"#)).contains("secret"));
    }

    #[test]
    fn a_body_that_is_no_utf8_or_nests_without_end_does_no_harm() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));

        assert!(Body::parse(&Bytes::from_static(b"{\"a\":\"\xff\"}")).is_err());
        assert_eq!(body(&deep).into_bytes(), deep);
    }

    #[test]
    fn many_keys_take_no_time_worth_naming() {
        let text = format!("{{{}}}", (0..200_000).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(","));

        let body = body(&text);

        assert_eq!(body.keys().count(), 200_000);
    }

    proptest! {
        #[test]
        fn any_object_survives_a_change_and_its_reversal(keys in proptest::collection::vec(".{0,6}", 0..8)) {
            let members: Vec<String> = keys.iter().enumerate()
                .map(|(n, key)| format!("{}:{n}", serde_json::to_string(key).unwrap())).collect();
            let text = format!("{{{}}}", members.join(","));
            let mut body = body(&text);

            body.set("a long key of its own", raw("0"));
            body.remove("a long key of its own");

            let (out, same): (serde_json::Value, serde_json::Value) =
                (serde_json::from_slice(&body.into_bytes()).unwrap(), serde_json::from_str(&text).unwrap());
            prop_assert_eq!(out, same);
        }
    }
}
