//! Ids of items: `E<n>` for what happened, `S<n>` for what it means.
//!
//! # Invariants
//!
//! - `n` counts up within a workspace, from 1, and is never given twice; who counts is the
//!   workspace's owner, not this crate.
//! - Text formats hold `E1`, binary formats a pair of bytes and number.

use crate::kind::Kind;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// The id of an item within its workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemId {
    /// What happened, verbatim.
    Episodic(u64),
    /// What it means.
    Semantic(u64),
}

impl ItemId {
    /// The id of an item of this kind with this number.
    #[must_use]
    pub const fn of(kind: Kind, number: u64) -> Self {
        if kind.is_episodic() { Self::Episodic(number) } else { Self::Semantic(number) }
    }

    /// The number behind the letter.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::Episodic(number) | Self::Semantic(number) => number,
        }
    }

    /// True for `E<n>`.
    #[must_use]
    pub const fn is_episodic(self) -> bool {
        matches!(self, Self::Episodic(_))
    }

    /// Reads `E12` or `S3`; `None` for anything else, leading zeros and signs included.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (letter, digits) = text.split_at_checked(1)?;
        let canonical = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| canonical)?;
        match letter {
            "E" => Some(Self::Episodic(number)),
            "S" => Some(Self::Semantic(number)),
            _ => None,
        }
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Episodic(number) => write!(f, "E{number}"),
            Self::Semantic(number) => write!(f, "S{number}"),
        }
    }
}

impl Serialize for ItemId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.is_episodic(), self.number()).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for ItemId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            Self::parse(&text).ok_or_else(|| de::Error::custom("not an item id such as E1 or S1"))
        } else {
            let (episodic, number) = <(bool, u64)>::deserialize(deserializer)?;
            Ok(if episodic { Self::Episodic(number) } else { Self::Semantic(number) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_is_an_id() {
        assert_eq!(ItemId::parse("E12"), Some(ItemId::Episodic(12)));
        assert_eq!(ItemId::parse("S3").map(|id| id.to_string()).as_deref(), Some("S3"));
        for wrong in ["", "E", "E0", "E01", "e1", "X1", "E+1", "E1 ", "E99999999999999999999", "ä1"] {
            assert_eq!(ItemId::parse(wrong), None, "{wrong}");
        }
    }
}
