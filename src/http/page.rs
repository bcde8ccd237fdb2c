//! Query strings and pages of lists: `?limit=&cursor=`, and a cursor that says nothing to its bearer.

use crate::http::check;
use crate::http::error::ApiError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Entries of a page unless told otherwise.
const DEFAULT_LIMIT: usize = 50;
/// Entries of a page at most.
const LARGEST_LIMIT: u64 = 500;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// Always `list`.
    pub object: &'static str,
    /// The entries.
    pub data: Vec<T>,
    /// For the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The first `limit` of `rest`, and a cursor behind the last of them if there are more.
    pub fn of<E>(
        rest: impl Iterator<Item = E>,
        limit: usize,
        cursor: impl Fn(&E) -> String,
        view: impl Fn(E) -> T,
    ) -> Self {
        let mut entries: Vec<E> = rest.take(limit + 1).collect();
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next_cursor = entries.last().filter(|_| more).map(|last| encode(&cursor(last)));
        Self { object: "list", data: entries.into_iter().map(view).collect(), next_cursor }
    }
}

fn encode(position: &str) -> String {
    URL_SAFE_NO_PAD.encode(position)
}

/// The parameters of a query, each known and given once.
#[derive(Debug, Default)]
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads a query string that may hold `known` parameters.
    ///
    /// # Errors
    ///
    /// 400 `unknown_field` or `invalid_value`.
    pub fn read(query: &str, known: &[&str]) -> Result<Self, ApiError> {
        let mut found = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if !known.contains(&name.as_str()) {
                let message = format!("unknown parameter: this route knows {}", known.join(", "));
                return Err(ApiError::unknown_field(name, message));
            }
            if found.insert(name.clone(), value).is_some() {
                return Err(ApiError::invalid_value(name, "the parameter stands twice: give it once"));
            }
        }
        Ok(Self(found))
    }

    /// A parameter, if it was given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Entries of the page.
    ///
    /// # Errors
    ///
    /// 400 `invalid_value`.
    pub fn limit(&self) -> Result<usize, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(DEFAULT_LIMIT) };
        let limit = text.parse().unwrap_or(0);
        check::within("limit", limit, 1, LARGEST_LIMIT)?;
        Ok(usize::try_from(limit).unwrap_or(DEFAULT_LIMIT))
    }

    /// The position that the cursor holds, read by `position`.
    ///
    /// # Errors
    ///
    /// 400 `invalid_cursor`.
    pub fn cursor<T>(&self, position: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, ApiError> {
        let Some(text) = self.get("cursor") else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ApiError::invalid_cursor())?;
        let plain = String::from_utf8(bytes).map_err(|_| ApiError::invalid_cursor())?;
        position(&plain).map(Some).ok_or_else(ApiError::invalid_cursor)
    }
}

fn decode(text: &str) -> Result<String, ApiError> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().map(std::borrow::Cow::into_owned);
    decoded.map_err(|_| ApiError::invalid_value("query", "the query string is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gaps() {
        let mut all = Vec::new();
        let mut query = String::from("limit=3");
        loop {
            let read = Query::read(&query, &["limit", "cursor"]).unwrap();
            let after = read.cursor(|text| text.parse::<u32>().ok()).unwrap().unwrap_or(0);
            let page = Page::of((1..=7).filter(|n| *n > after), read.limit().unwrap(), u32::to_string, |n: u32| n);
            all.extend(page.data);
            let Some(next) = page.next_cursor else { break };
            query = format!("limit=3&cursor={next}");
        }

        assert_eq!(all, [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn what_is_not_known_is_named() {
        let code = |query: &str| Query::read(query, &["limit"]).err().map(|error| error.code());

        assert_eq!(code("limit=1"), None);
        assert_eq!(code("limits=1"), Some("unknown_field"));
        assert_eq!(code("limit=1&limit=2"), Some("invalid_value"));
        assert_eq!(code("limit=%ff"), Some("invalid_value"));
        let read = |query: &str| Query::read(query, &["limit", "cursor"]).unwrap();
        assert!(
            read("limit=0").limit().is_err() && read("limit=501").limit().is_err() && read("limit=x").limit().is_err()
        );
        assert_eq!(read("limit=500").limit().unwrap(), 500);
        assert!(read("cursor=!").cursor(|_| Some(())).is_err());
    }
}
