//! Checks that several routes share: names, texts, tags, fields, numbers and ids.

use crate::http::error::ApiError;
use cmg_actors::WorkspaceId;
use cmg_memory::ids::ItemId;
use cmg_memory::kind::Kind;
use serde_json::Value;
use std::collections::BTreeMap;

/// Characters of a thread's id, a caller's id, a tag, a name.
const LONGEST_NAME: usize = 256;
/// Characters of a purpose.
pub const LONGEST_PURPOSE: usize = 8192;
/// Fields of `metadata`.
const MOST_FIELDS: usize = 64;
/// Tags of an item.
const MOST_TAGS: usize = 64;

/// A name: 1 to 256 characters, not blank, none of them a control character.
///
/// # Errors
///
/// 400 `invalid_value` at `param`.
pub fn name(param: &str, text: &str) -> Result<(), ApiError> {
    if text.trim().is_empty() || text.chars().count() > LONGEST_NAME || text.chars().any(char::is_control) {
        let message = format!("`{param}` has 1 to {LONGEST_NAME} characters, not all blank, none a control character");
        return Err(ApiError::invalid_value(param, message));
    }
    Ok(())
}

/// [`name`], where there is one.
///
/// # Errors
///
/// 400 `invalid_value` at `param`.
pub fn optional_name(param: &str, text: Option<&String>) -> Result<(), ApiError> {
    text.map_or(Ok(()), |text| name(param, text))
}

/// A text: anything but NUL.
///
/// # Errors
///
/// 400 `invalid_value` at `param`.
pub fn text(param: &str, text: &str) -> Result<(), ApiError> {
    if text.contains('\0') {
        return Err(ApiError::invalid_value(param, format!("`{param}` holds the character U+0000: remove it")));
    }
    Ok(())
}

/// A purpose: not blank, at most [`LONGEST_PURPOSE`] characters.
///
/// # Errors
///
/// 400 `empty_purpose` or `invalid_value`.
pub fn purpose(purpose: &str) -> Result<(), ApiError> {
    if purpose.trim().is_empty() {
        return Err(ApiError::empty_purpose());
    }
    if purpose.chars().nth(LONGEST_PURPOSE).is_some() {
        return Err(ApiError::invalid_value("purpose", format!("`purpose` has at most {LONGEST_PURPOSE} characters")));
    }
    text("purpose", purpose)
}

/// Fields of the caller's own: at most `MOST_FIELDS`.
///
/// # Errors
///
/// 400 `invalid_value` at `param`.
pub fn metadata(param: &str, metadata: &BTreeMap<String, Value>) -> Result<(), ApiError> {
    if metadata.len() > MOST_FIELDS {
        return Err(ApiError::invalid_value(param, format!("`{param}` has at most {MOST_FIELDS} fields")));
    }
    metadata.keys().try_for_each(|key| name(param, key))
}

/// Tags.
///
/// # Errors
///
/// 400 `invalid_value` at `param`.
pub fn tags(param: &str, tags: &[String]) -> Result<(), ApiError> {
    if tags.len() > MOST_TAGS {
        return Err(ApiError::invalid_value(param, format!("`{param}` has at most {MOST_TAGS} tags")));
    }
    tags.iter().try_for_each(|tag| name(param, tag))
}

/// A number from `least` to `most`.
///
/// # Errors
///
/// 400 `invalid_value` at `param`.
pub fn within(param: &str, value: u64, least: u64, most: u64) -> Result<(), ApiError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(ApiError::invalid_value(param, format!("`{param}` is a whole number from {least} to {most}")))
}

/// The id of an item from a path.
///
/// # Errors
///
/// 400 `invalid_id`.
pub fn item_id(text: &str) -> Result<ItemId, ApiError> {
    ItemId::parse(text).ok_or_else(|| ApiError::invalid_id("this is not an item id such as E1 or S1"))
}

/// The id of a place in code from a path, as it is.
///
/// # Errors
///
/// 400 `invalid_id`.
pub fn artifact_id(text: &str) -> Result<&str, ApiError> {
    let number = |text: &str, letter: char| text.strip_prefix(letter).is_some_and(|n| n.parse::<u32>().is_ok());
    let lines = |lines: &str| lines.split_once('-').is_some_and(|(a, b)| number(a, 'L') && number(b, 'L'));
    let place = text.strip_prefix("CODE:").and_then(|place| place.rsplit_once('#'));
    let fits = place.is_some_and(|(path, range)| !path.is_empty() && lines(range));
    if fits {
        Ok(text)
    } else {
        Err(ApiError::invalid_id("this is not the id of a place in code such as CODE:app/main.py#L1-L7"))
    }
}

/// A kind by its public name.
///
/// # Errors
///
/// 400 `invalid_value` at `param`, naming all kinds.
pub fn kind(param: &str, text: &str) -> Result<Kind, ApiError> {
    Kind::parse(text).ok_or_else(|| one_of(param, Kind::ALL.iter().map(|kind| kind.as_str())))
}

/// The error for a word that is not one of these.
pub fn one_of<'a>(param: &str, words: impl Iterator<Item = &'a str>) -> ApiError {
    let words = words.collect::<Vec<_>>().join(", ");
    ApiError::invalid_value(param, format!("`{param}` is one of {words}"))
}

/// A workspace by its name.
///
/// # Errors
///
/// 400 `invalid_value`.
pub fn workspace(text: &str) -> Result<WorkspaceId, ApiError> {
    let message = "`workspace_id` has 1 to 64 characters: letters, digits, `_`, `-` and `.`";
    WorkspaceId::parse(text).ok_or_else(|| ApiError::invalid_value("workspace_id", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_at_the_limit_and_not_beyond() {
        assert!(name("a", &"ä".repeat(256)).is_ok());
        assert!(name("a", &"a".repeat(257)).is_err());
        assert!(name("a", " ").is_err() && name("a", "a\nb").is_err() && name("a", "").is_err());
        assert!(purpose(&"p".repeat(LONGEST_PURPOSE)).is_ok());
        assert!(purpose(&"p".repeat(LONGEST_PURPOSE + 1)).is_err());
        assert_eq!(purpose(" \n").unwrap_err().code(), "empty_purpose");
        assert!(within("n", 1, 1, 500).is_ok() && within("n", 500, 1, 500).is_ok());
        assert!(within("n", 0, 1, 500).is_err() && within("n", 501, 1, 500).is_err());
    }
}
