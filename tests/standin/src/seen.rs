//! What clients sent: requests are kept as their bytes, and read only when somebody asks.
//!
//! # Invariants
//!
//! - A request's header fields and body never stand in what `Debug` prints: keys and users' words are there.
//! - At most as many requests are kept as was asked for, the oldest going first.

use bytes::Bytes;
use serde_json::Value;
use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

/// A request as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Seen {
    /// The method, such as `POST`.
    pub method: String,
    /// The path with its query, such as `/api/v1/models?limit=5`.
    pub path: String,
    /// Names in small letters, and values, in their order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// When its last byte had been read.
    pub when: Instant,
}

impl Seen {
    /// The first value of a header field, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Seen")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The head of a request: its first line and its fields, not yet taken apart.
pub(crate) struct RequestHead<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    fields: &'a str,
}

impl<'a> RequestHead<'a> {
    /// Reads the bytes before the empty line; `None` when they are no request.
    pub(crate) fn parse(head: &'a [u8]) -> Option<Self> {
        let head = std::str::from_utf8(head).ok()?;
        let (first, fields) = head.split_once("\r\n").unwrap_or((head, ""));
        let mut words = first.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        words.next()?.starts_with("HTTP/1.").then_some(Self { method, target, fields })
    }

    /// Names and values, in their order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.fields.split("\r\n").filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()))
    }

    /// The first value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&'a str> {
        self.fields().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A request as it is kept.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) head: Bytes,
    pub(crate) body: Bytes,
    pub(crate) when: Instant,
}

impl Kept {
    fn read(&self) -> Option<Seen> {
        let head = RequestHead::parse(&self.head)?;
        Some(Seen {
            method: head.method.to_owned(),
            path: head.target.to_owned(),
            headers: head.fields().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
            body: self.body.clone(),
            when: self.when,
        })
    }
}

/// The last requests.
pub(crate) struct Log {
    kept: VecDeque<Kept>,
    most: usize,
}

impl Log {
    /// Room for `most` requests.
    pub(crate) const fn new(most: usize) -> Self {
        Self { kept: VecDeque::new(), most }
    }

    /// Keeps a request, the oldest one going if there is no room.
    pub(crate) fn keep(&mut self, request: Kept) {
        self.kept.push_back(request);
        while self.kept.len() > self.most {
            self.kept.pop_front();
        }
    }

    /// All that are kept, in the order of their coming.
    pub(crate) fn all(&self) -> Vec<Seen> {
        self.kept.iter().filter_map(Kept::read).collect()
    }

    /// The latest one.
    pub(crate) fn last(&self) -> Option<Seen> {
        self.kept.back().and_then(Kept::read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(number: usize) -> Kept {
        let head = format!("POST /{number} HTTP/1.1\r\nAuthorization: Bearer secret\r\nHost: x");
        Kept { head: head.into(), body: Bytes::from_static(b"private words"), when: Instant::now() }
    }

    #[test]
    fn the_oldest_request_goes_when_there_is_no_room() {
        let mut log = Log::new(2);

        (0..5).for_each(|number| log.keep(kept(number)));

        let paths: Vec<String> = log.all().into_iter().map(|seen| seen.path).collect();
        assert_eq!(paths, ["/3", "/4"]);
        assert_eq!(log.last().map(|seen| seen.path).as_deref(), Some("/4"));
    }

    #[test]
    fn debug_shows_neither_keys_nor_bodies() {
        let seen = kept(1).read().unwrap();

        let shown = format!("{seen:?}");

        assert_eq!(seen.header("AUTHORIZATION"), Some("Bearer secret"));
        assert!(shown.contains("authorization"), "{shown}");
        assert!(!shown.contains("secret") && !shown.contains("private"), "{shown}");
    }

    #[test]
    fn what_is_no_request_is_not_read_as_one() {
        for head in ["", "GET", "GET /", "GET / SPDY/3", "\u{fe}"] {
            assert!(RequestHead::parse(head.as_bytes()).is_none(), "{head:?}");
        }
    }
}
