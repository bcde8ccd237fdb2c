//! The one table of settings: what each key is called, which values it takes, and what it means.
//!
//! Every room (one struct a section) is written with [`room!`], which makes three things of one text: the struct with
//! its documentation, the rows of the table that the parser uses, and the function that reads the struct from the
//! merged values. So the reference page, the parser and the types cannot drift apart.

use std::collections::BTreeMap;

use crate::error::Origin;
use crate::secret::{MASK, Secret};

/// One setting: a row of the table.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its path in a file, `section.name`.
    pub(crate) path: &'static str,
    /// The environment variable that sets it.
    pub(crate) env: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// What it means, in the words of the field's documentation.
    pub(crate) doc: &'static str,
}

/// What values a key takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// `true` or `false`; in the environment also `1`, `0`, `yes`, `no`, `on`, `off`.
    Bool,
    /// A whole number within bounds, both allowed.
    Integer { min: u64, max: u64 },
    /// A number within bounds, both allowed.
    Float { min: f64, max: f64 },
    /// One of a few words, in any case.
    OneOf(&'static [&'static str]),
    /// A text that passes a check; one that passes while empty may be "not set".
    Text { allowed: &'static str, check: fn(&str) -> bool },
    /// A list of texts that each pass a check; in the environment separated by commas, or a JSON list.
    List { allowed: &'static str, check: fn(&str) -> bool },
    /// A text that is never shown; empty means "not set".
    Secret { allowed: &'static str, check: fn(&str) -> bool },
}

/// A value that passed its key's check.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Bool(bool),
    Integer(u64),
    Float(f64),
    Text(String),
    List(Vec<String>),
    Secret(Secret),
}

/// A value and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

impl Setting {
    /// True when it is not the compiled-in value.
    pub(crate) fn is_changed(&self) -> bool {
        !matches!(self.origin, Origin::Default | Origin::BuiltIn(_))
    }
}

/// The merged settings by path; whoever is put in last wins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values(BTreeMap<&'static str, Setting>);

impl Values {
    pub(crate) fn put(&mut self, path: &'static str, value: Value, origin: Origin) {
        self.0.insert(path, Setting { value, origin });
    }

    pub(crate) fn setting(&self, path: &str) -> Option<&Setting> {
        self.0.get(path)
    }

    /// The typed value at `path`. `default.toml` holds every key (a test sees to it), so one is always there.
    pub(crate) fn get<T: FromValue>(&self, path: &str) -> T {
        debug_assert!(self.0.contains_key(path), "no value for {path}");
        T::from_value(self.0.get(path).map(|setting| &setting.value))
    }
}

/// How a field's type is made of a value of its kind. The kinds have checked bounds and words before.
pub(crate) trait FromValue {
    fn from_value(value: Option<&Value>) -> Self;
}

macro_rules! from_integer {
    ($($type:ty),*) => { $(impl FromValue for $type {
        fn from_value(value: Option<&Value>) -> Self {
            match value {
                Some(Value::Integer(n)) => <$type>::try_from(*n).unwrap_or(<$type>::MAX),
                _ => 0,
            }
        }
    })* };
}
from_integer!(u16, u32, u64, usize);

impl FromValue for bool {
    fn from_value(value: Option<&Value>) -> Self {
        matches!(value, Some(Value::Bool(true)))
    }
}

impl FromValue for f32 {
    fn from_value(value: Option<&Value>) -> Self {
        match value {
            #[expect(clippy::cast_possible_truncation, reason = "a setting needs no more digits than f32 has")]
            Some(Value::Float(x)) => *x as f32,
            _ => 0.0,
        }
    }
}

impl FromValue for String {
    fn from_value(value: Option<&Value>) -> Self {
        match value {
            Some(Value::Text(text)) => text.clone(),
            _ => Self::new(),
        }
    }
}

impl FromValue for Secret {
    fn from_value(value: Option<&Value>) -> Self {
        match value {
            Some(Value::Secret(secret)) => secret.clone(),
            _ => Self::new(""),
        }
    }
}

impl FromValue for Vec<String> {
    fn from_value(value: Option<&Value>) -> Self {
        match value {
            Some(Value::List(list)) => list.clone(),
            _ => Self::new(),
        }
    }
}

impl FromValue for Option<String> {
    fn from_value(value: Option<&Value>) -> Self {
        Some(String::from_value(value)).filter(|text| !text.is_empty())
    }
}

impl FromValue for Option<Secret> {
    fn from_value(value: Option<&Value>) -> Self {
        Some(Secret::from_value(value)).filter(|secret| !secret.is_empty())
    }
}

impl Kind {
    /// A short name of the type for the reference page.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Integer { .. } => "integer",
            Self::Float { .. } => "number",
            Self::OneOf(_) => "word",
            Self::Text { .. } => "text",
            Self::List { .. } => "list",
            Self::Secret { .. } => "secret",
        }
    }

    /// What is allowed, in words that complete "allowed is …".
    pub(crate) fn allowed(&self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Integer { min, max: u64::MAX } => format!("a whole number of at least {min}"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Float { min, max } => format!("a number from {min} to {max}"),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
            Self::List { allowed, .. } => format!("a list of {allowed}"),
            Self::Text { allowed, .. } | Self::Secret { allowed, .. } => (*allowed).to_owned(),
        }
    }

    /// True when a value of this kind must not be shown.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self, Self::Secret { .. })
    }

    /// Reads a value as it stands in the environment.
    pub(crate) fn read_text(&self, text: &str) -> Option<Value> {
        let text = text.trim();
        let value = match self {
            Self::Bool => Value::Bool(read_bool(text)?),
            Self::Integer { .. } => Value::Integer(text.replace('_', "").parse().ok()?),
            Self::Float { .. } => Value::Float(text.parse().ok()?),
            Self::List { .. } => Value::List(read_list(text)?),
            Self::OneOf(_) | Self::Text { .. } => Value::Text(text.to_owned()),
            Self::Secret { .. } => Value::Secret(Secret::new(text)),
        };
        self.check(value)
    }

    /// Reads a value as it stands in a file.
    pub(crate) fn read_toml(&self, value: &toml::de::DeValue<'_>) -> Option<Value> {
        use toml::de::DeValue as Toml;
        let value = match (self, value) {
            (Self::Bool, Toml::Boolean(b)) => Value::Bool(*b),
            (Self::Integer { .. }, Toml::Integer(n)) => {
                Value::Integer(u64::from_str_radix(n.as_str(), n.radix()).ok()?)
            }
            (Self::Float { .. }, Toml::Float(x)) => Value::Float(x.as_str().parse().ok()?),
            (Self::Float { .. }, Toml::Integer(n)) if n.radix() == 10 => Value::Float(n.as_str().parse().ok()?),
            (Self::List { .. }, Toml::Array(items)) => Value::List(strings(items)?),
            (Self::OneOf(_) | Self::Text { .. }, Toml::String(text)) => Value::Text(text.to_string()),
            (Self::Secret { .. }, Toml::String(text)) => Value::Secret(Secret::new(text.to_string())),
            _ => return None,
        };
        self.check(value)
    }

    /// The value if it is allowed, words in their one spelling.
    fn check(&self, value: Value) -> Option<Value> {
        let allowed = match (self, &value) {
            (Self::Bool, Value::Bool(_)) => true,
            (Self::Integer { min, max }, Value::Integer(n)) => (min..=max).contains(&n),
            (Self::Float { min, max }, Value::Float(x)) => (min..=max).contains(&x),
            (Self::OneOf(words), Value::Text(text)) => {
                return words
                    .iter()
                    .find(|word| word.eq_ignore_ascii_case(text))
                    .map(|word| Value::Text((*word).to_owned()));
            }
            (Self::Text { check, .. }, Value::Text(text)) => check(text),
            (Self::List { check, .. }, Value::List(list)) => list.iter().all(|text| check(text)),
            (Self::Secret { check, .. }, Value::Secret(secret)) => secret.is_empty() || check(secret.expose()),
            _ => false,
        };
        allowed.then_some(value)
    }
}

impl Value {
    /// The value as TOML text, a secret as a mask.
    pub(crate) fn show(&self) -> String {
        match self {
            Self::Bool(b) => b.to_string(),
            Self::Integer(n) => n.to_string(),
            Self::Float(x) => format!("{x:?}"),
            Self::Text(text) => quote(text),
            Self::List(list) => format!("[{}]", list.iter().map(|text| quote(text)).collect::<Vec<_>>().join(", ")),
            Self::Secret(secret) => quote(if secret.is_empty() { "" } else { MASK }),
        }
    }

    /// True for a text, list or secret that stands for "not set".
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Bool(_) | Self::Integer(_) | Self::Float(_) => false,
            Self::Text(text) => text.is_empty(),
            Self::List(list) => list.is_empty(),
            Self::Secret(secret) => secret.is_empty(),
        }
    }
}

fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn read_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// `a, b` or `["a", "b"]`.
fn read_list(text: &str) -> Option<Vec<String>> {
    if !text.starts_with('[') {
        return Some(text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect());
    }
    match toml::de::DeValue::parse(text).ok()?.get_ref() {
        toml::de::DeValue::Array(items) => strings(items),
        _ => None,
    }
}

fn strings(items: &toml::de::DeArray<'_>) -> Option<Vec<String>> {
    items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
}

/// Writes a room: its struct, its rows of the table, and how it is read.
macro_rules! room {
    (
        $(#[doc = $about:literal])+
        $room:ident in $section:literal {
            $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $env:literal, $kind:expr;)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone)]
        pub struct $room {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl $room {
            /// The rows of this room, in the order of its fields.
            pub(crate) const KEYS: &'static [$crate::table::Key] = &[$($crate::table::Key {
                path: concat!($section, ".", stringify!($field)),
                env: $env,
                kind: $kind,
                doc: concat!($($doc),+),
            }),+];

            /// Reads the room from the merged values.
            pub(crate) fn read(values: &$crate::table::Values) -> Self {
                Self { $($field: values.get(concat!($section, ".", stringify!($field))),)+ }
            }
        }

        impl Default for $room {
            /// The compiled-in defaults of development, without any file or variable.
            fn default() -> Self {
                Self::read(&$crate::layers::development())
            }
        }
    };
}
pub(crate) use room;

/// Writes an enum whose values are words in a file.
macro_rules! words {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $doc])+ $variant,)+ }

        impl $name {
            /// Every word there is.
            pub const WORDS: &'static [&'static str] = &[$($word),+];
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands for it in files and in the environment.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::table::FromValue for $name {
            fn from_value(value: Option<&$crate::table::Value>) -> Self {
                let word = String::from_value(value);
                let known = Self::ALL.iter().copied().find(|one| one.as_str() == word);
                debug_assert!(known.is_some(), "{word} is no word of {}", stringify!($name));
                known.unwrap_or(words!(@first $($variant)+))
            }
        }
    };
    (@first $first:ident $($rest:ident)*) => { Self::$first };
}
pub(crate) use words;
