//! Reading JSON of which only a part is known: a field of another type than expected counts as missing,
//! and the rest of the answer is read all the same.
//!
//! # Invariants
//!
//! - Whatever JSON comes, reading it in this way fails only if it is no JSON.

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A string, or nothing.
#[derive(Debug, Default)]
pub(crate) struct Text<'a>(pub(crate) Option<Cow<'a, str>>);

impl Text<'_> {
    /// The string, unless it is missing or empty.
    pub(crate) fn get(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }

    pub(crate) fn owned(&self) -> Option<String> {
        self.get().map(str::to_owned)
    }
}

/// A whole number that is not negative, or nothing.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Count(pub(crate) Option<u64>);

/// True or false, or nothing.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Flag(pub(crate) Option<bool>);

/// An object, or nothing.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) Option<T>);

/// A list of what could be read; empty when it is something else.
#[derive(Debug)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

/// A string or a list, or nothing: the two forms of a message's content.
#[derive(Debug, Default)]
pub(crate) enum TextOr<'a, T> {
    Text(Cow<'a, str>),
    Value(T),
    #[default]
    Nothing,
}

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// The methods of a visitor for what is not wanted.
macro_rules! ignore {
    ($result:expr; $($method:ident: $type:ty),*) => {
        $(fn $method<E>(self, _: $type) -> Result<Self::Value, E> { Ok($result) })*
    };
    ($result:expr; unit) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok($result) }
    };
    ($result:expr; map) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($result)
        }
    };
    ($result:expr; seq) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($result)
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }
            ignore!(Text(None); visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
            ignore!(Text(None); unit);
            ignore!(Text(None); map);
            ignore!(Text(None); seq);
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Count;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }
            fn visit_u64<E>(self, number: u64) -> Result<Count, E> {
                Ok(Count(Some(number)))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Count, E> {
                // Some upstreams write whole numbers as 12.0; beyond 2⁵³ a float is no count.
                let whole = (0.0..9e15).contains(&number) && number.fract() == 0.0;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within bounds")]
                let count = whole.then_some(number as u64);
                Ok(Count(count))
            }
            ignore!(Count(None); visit_bool: bool, visit_i64: i64, visit_str: &str);
            ignore!(Count(None); unit);
            ignore!(Count(None); map);
            ignore!(Count(None); seq);
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Flag;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }
            fn visit_bool<E>(self, flag: bool) -> Result<Flag, E> {
                Ok(Flag(Some(flag)))
            }
            ignore!(Flag(None); visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
            ignore!(Flag(None); unit);
            ignore!(Flag(None); map);
            ignore!(Flag(None); seq);
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|object| Object(Some(object)))
            }
            ignore!(Object(None); visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
            ignore!(Object(None); unit);
            ignore!(Object(None); seq);
        }
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(Object(item)) = seq.next_element()? {
                    all.extend(item);
                }
                Ok(List(all))
            }
            ignore!(List(Vec::new()); visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
            ignore!(List(Vec::new()); unit);
            ignore!(List(Vec::new()); map);
        }
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for TextOr<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = TextOr<'de, T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, an object or a list")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(TextOr::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TextOr::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Value)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                T::deserialize(SeqAccessDeserializer::new(seq)).map(TextOr::Value)
            }
            ignore!(TextOr::Nothing; visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
            ignore!(TextOr::Nothing; unit);
        }
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

/// The text of a raw JSON value that is a string or a number.
pub(crate) fn plain(raw: &serde_json::value::RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    match text.bytes().next()? {
        b'"' => serde_json::from_str::<Text<'_>>(text).ok()?.0,
        b'-' | b'0'..=b'9' => Some(Cow::Borrowed(text)),
        _ => None,
    }
}

/// JSON whose texts hold no half characters: an escape of one surrogate without the other becomes that
/// of the replacement character.
pub(crate) fn mend(json: &[u8]) -> Vec<u8> {
    let mut mended = Vec::with_capacity(json.len());
    let mut left = json;
    while let Some(place) = memchr::memchr(b'\\', left) {
        let (before, escape) = left.split_at_checked(place).unwrap_or((left, &[]));
        mended.extend_from_slice(before);
        let (length, whole) = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, true),
            (Some(0xd800..=0xdfff), _) => (6, false),
            (Some(_), _) => (6, true),
            (None, _) => (2, true),
        };
        let (escape, rest) = escape.split_at_checked(length).unwrap_or((escape, &[]));
        mended.extend_from_slice(if whole { escape } else { br"\ufffd" });
        left = rest;
    }
    mended.extend_from_slice(left);
    mended
}

/// The UTF-16 unit of an escape such as `\u00e9` at the beginning of the bytes.
fn unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(br"\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Odd<'a> {
        #[serde(default, borrow)]
        text: Text<'a>,
        #[serde(default)]
        count: Count,
        #[serde(default)]
        flag: Flag,
        #[serde(default)]
        inner: Object<Inner>,
        #[serde(default)]
        list: List<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[serde(default)]
        count: Count,
    }

    #[test]
    fn a_field_of_another_type_is_missing_and_no_failure() {
        for odd in ["null", "true", "-1", "1.5", "{\"a\":[1]}", "[[1],{\"b\":2}]", "\"\\n\""] {
            let text =
                format!(r#"{{"text":{odd},"count":{odd},"flag":{odd},"inner":{odd},"list":{odd},"more":{odd}}}"#);

            let read: Odd<'_> = serde_json::from_str(&text).unwrap();

            assert_eq!(read.count.0, None, "{odd}");
            assert_eq!(read.text.0.is_some(), odd.starts_with('"'));
            assert_eq!(read.flag.0.is_some(), odd == "true");
            assert_eq!(read.inner.0.is_some(), odd.starts_with('{'));
            assert_eq!(read.list.0.len(), usize::from(odd.starts_with('[')));
        }
    }

    #[test]
    fn whole_floats_are_counts() {
        let read: Inner = serde_json::from_str(r#"{"count":12.0}"#).unwrap();

        assert_eq!(read.count.0, Some(12));
    }
}
