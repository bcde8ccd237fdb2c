//! Sensitive data out, typed placeholders in, before anything is stored, indexed or logged.
//!
//! `Mail ann@example.org` becomes `Mail [EMAIL_1]`: the text keeps its meaning, and the same value
//! has the same number wherever it appears in one thread ([`Numbering`]).
//!
//! # Promise
//!
//! Found are: e-mail addresses, phone numbers, IP addresses, card numbers (issuer and Luhn), IBANs
//! (country, length, mod 97), national ids of unmistakable form (US SSN, Brazilian CPF, spaced UK
//! NINO), API keys and tokens by their known prefixes, JSON web tokens, secrets by the key they are
//! assigned to (`api_key = …`, `password=…`), passwords in URLs and private key blocks.
//!
//! Left alone are, on purpose: git hashes, UUIDs, version numbers, timestamps, order numbers,
//! `user@decorator`, npm scopes and versions (`@foo/bar@1.2.3`), the `git@host` of clone addresses,
//! code that merely handles a secret (`password = read_password()`), loopback and unspecified
//! addresses and netmasks (`127.*`, `0.0.0.0`, `::1`, `255.255.*`), which name no machine.
//!
//! # Invariants
//!
//! - Redacting twice is redacting once: a placeholder is never found again.
//! - [`Numbering`] holds keyed fingerprints, never a value.
//! - Every look around a hit is bounded, so time is linear in the text.
//!
//! # Deliberately absent
//!
//! Names, addresses and dates of birth: no rule tells them from other words. Which mode a
//! workspace wants is the caller's to know.

mod context;
mod keys;
mod numbers;

use super::draft::Draft;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What to do about sensitive data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing: texts stay as they are.
    Off,
    /// Replace it by placeholders.
    #[default]
    Redact,
    /// Refuse the whole request ([`super::IngestError`]).
    Reject,
}

/// A kind of sensitive data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Sensitive {
    PrivateKey,
    Password,
    ApiKey,
    Secret,
    Email,
    Iban,
    Card,
    NationalId,
    Ip,
    Phone,
}

impl Sensitive {
    /// The name in counts; in capitals it is the word in the placeholder.
    const fn name(self) -> &'static str {
        match self {
            Self::PrivateKey => "private_key",
            Self::Password => "password",
            Self::ApiKey => "api_key",
            Self::Secret => "secret",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Card => "card",
            Self::NationalId => "national_id",
            Self::Ip => "ip",
            Self::Phone => "phone",
        }
    }

    /// The form in which two spellings of one value are equal.
    fn normalised(self, value: &str) -> String {
        match self {
            Self::Email => value.to_ascii_lowercase(),
            Self::Iban | Self::Card | Self::NationalId | Self::Phone => {
                value.chars().filter(char::is_ascii_alphanumeric).collect()
            }
            Self::PrivateKey | Self::Password | Self::ApiKey | Self::Secret | Self::Ip => value.to_owned(),
        }
    }
}

/// A place in a text that must not be kept: bytes `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    start: usize,
    end: usize,
    what: Sensitive,
}

/// Which value got which number in one thread. It goes with the thread's state and holds no value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbering {
    /// By type, then by fingerprint.
    numbers: BTreeMap<String, BTreeMap<String, u32>>,
}

impl Numbering {
    /// The number of this fingerprint: the one it has, or the next one.
    fn number(&mut self, what: Sensitive, fingerprint: String) -> u32 {
        if !self.numbers.contains_key(what.name()) {
            self.numbers.insert(what.name().to_owned(), BTreeMap::new());
        }
        let Some(known) = self.numbers.get_mut(what.name()) else { return 0 };
        let next = u32::try_from(known.len()).unwrap_or(u32::MAX).saturating_add(1);
        *known.entry(fingerprint).or_insert(next)
    }
}

/// A text without its sensitive data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted<'t> {
    /// The text; borrowed where nothing was found.
    pub text: Cow<'t, str>,
    /// How many places of each type were found.
    pub counts: BTreeMap<&'static str, u32>,
}

/// Finds sensitive data and puts placeholders in its place.
#[derive(Debug, Clone)]
pub struct Redactor {
    mode: Mode,
    key: [u8; 32],
}

impl Redactor {
    /// A redactor whose fingerprints are keyed with a constant.
    ///
    /// Short values (phone numbers, addresses) can be guessed from unkeyed fingerprints, so give
    /// it the workspace's own key with [`Redactor::with_key`] wherever there is one.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self { mode, key: blake3::derive_key("cmg 2026 redaction numbering", b"") }
    }

    /// The same with fingerprints keyed by `key`; numbers only agree under the same key.
    #[must_use]
    pub fn with_key(mut self, key: &[u8]) -> Self {
        self.key = blake3::derive_key("cmg 2026 redaction numbering", key);
        self
    }

    /// What it does about sensitive data.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The text with placeholders, and what was found. With [`Mode::Off`] nothing is looked for;
    /// with [`Mode::Reject`] the result is the same as with [`Mode::Redact`], for the caller to
    /// refuse.
    pub fn redact<'t>(&self, text: &'t str, numbering: &mut Numbering) -> Redacted<'t> {
        let mut counts = BTreeMap::new();
        if self.mode == Mode::Off {
            return Redacted { text: Cow::Borrowed(text), counts };
        }
        let hits = hits(text);
        if hits.is_empty() {
            return Redacted { text: Cow::Borrowed(text), counts };
        }
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for hit in hits {
            out.push_str(text.get(done..hit.start).unwrap_or_default());
            out.push_str(&self.placeholder(hit.what, text.get(hit.start..hit.end).unwrap_or_default(), numbering));
            *counts.entry(hit.what.name()).or_insert(0) += 1;
            done = hit.end;
        }
        out.push_str(text.get(done..).unwrap_or_default());
        Redacted { text: Cow::Owned(out), counts }
    }

    /// Redacts every word of a draft: text, header, names, ids, tags and metadata (values and
    /// keys). Call it before anything is extracted: places in `found` are not moved.
    ///
    /// Adds what was found to `counts`.
    pub fn redact_draft(&self, draft: &mut Draft, numbering: &mut Numbering, counts: &mut BTreeMap<String, u32>) {
        self.redact_string(&mut draft.text, numbering, counts);
        self.redact_labels(draft, numbering, counts);
    }

    /// [`Redactor::redact_draft`] without the text, for texts that were redacted before the split.
    pub(crate) fn redact_labels(
        &self,
        draft: &mut Draft,
        numbering: &mut Numbering,
        counts: &mut BTreeMap<String, u32>,
    ) {
        let optional = [
            &mut draft.title,
            &mut draft.speaker,
            &mut draft.path,
            &mut draft.external_id,
            &mut draft.session,
            &mut draft.subject,
        ];
        let listed = draft.tags.iter_mut().chain(&mut draft.sources);
        for text in optional.into_iter().flatten().chain(listed) {
            self.redact_string(text, numbering, counts);
        }
        self.redact_metadata(&mut draft.metadata, numbering, counts);
    }

    /// Redacts the keys and the values, however deep.
    pub fn redact_metadata(
        &self,
        metadata: &mut BTreeMap<String, Value>,
        numbering: &mut Numbering,
        counts: &mut BTreeMap<String, u32>,
    ) {
        for (mut key, mut value) in std::mem::take(metadata) {
            self.redact_pair(&mut key, &mut value, numbering, counts);
            metadata.insert(key, value);
        }
    }

    /// A value under a secret's name (`{"password": "x"}`) is secret by its key.
    fn redact_pair(
        &self,
        key: &mut String,
        value: &mut Value,
        numbering: &mut Numbering,
        counts: &mut BTreeMap<String, u32>,
    ) {
        let keyed = value.as_str().filter(|_| self.mode != Mode::Off).and_then(|text| context::secret_under(key, text));
        match (keyed, &mut *value) {
            (Some(what), Value::String(text)) => {
                *text = self.placeholder(what, text, numbering);
                *counts.entry(what.name().to_owned()).or_insert(0) += 1;
            }
            _ => self.redact_value(value, numbering, counts),
        }
        self.redact_string(key, numbering, counts);
    }

    fn redact_value(&self, value: &mut Value, numbering: &mut Numbering, counts: &mut BTreeMap<String, u32>) {
        match value {
            Value::String(text) => self.redact_string(text, numbering, counts),
            Value::Array(values) => {
                for value in values {
                    self.redact_value(value, numbering, counts);
                }
            }
            Value::Object(pairs) => {
                for (mut key, mut value) in std::mem::take(pairs) {
                    self.redact_pair(&mut key, &mut value, numbering, counts);
                    pairs.insert(key, value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Redacts one string in place.
    pub(crate) fn redact_string(
        &self,
        text: &mut String,
        numbering: &mut Numbering,
        counts: &mut BTreeMap<String, u32>,
    ) {
        let redacted = self.redact(text, numbering);
        for (name, count) in redacted.counts {
            *counts.entry(name.to_owned()).or_insert(0) += count;
        }
        if let Cow::Owned(clean) = redacted.text {
            *text = clean;
        }
    }

    fn placeholder(&self, what: Sensitive, value: &str, numbering: &mut Numbering) -> String {
        let hash = blake3::keyed_hash(&self.key, what.normalised(value).as_bytes()).to_hex();
        // 64 bits keep two values of one thread apart; a longer one would only tell a guesser more.
        let fingerprint = hash.get(..16).unwrap_or_default().to_owned();
        format!("[{}_{}]", what.name().to_ascii_uppercase(), numbering.number(what, fingerprint))
    }
}

/// All places that must not be kept, in order and without overlap.
///
/// Where two overlap, the one that starts first stays; of two that start together, the more telling
/// type (the order of [`Sensitive`]).
fn hits(text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    keys::find(text, &mut hits);
    context::find(text, &mut hits);
    numbers::find(text, &mut hits);
    hits.sort_by_key(|hit| (hit.start, hit.what));
    let mut end = 0;
    hits.retain(|hit| {
        let free = hit.start >= end && hit.end > hit.start;
        if free {
            end = hit.end;
        }
        free
    });
    hits
}

/// The byte at a place, 0 outside the text: for looks around a hit.
fn at(bytes: &[u8], index: usize) -> u8 {
    bytes.get(index).copied().unwrap_or(0)
}

/// The byte before a place, 0 at the start.
fn before(bytes: &[u8], index: usize) -> u8 {
    index.checked_sub(1).map_or(0, |index| at(bytes, index))
}

/// How many bytes from `start` on satisfy `keep`, at most `most`.
fn run(bytes: &[u8], start: usize, most: usize, keep: impl Fn(u8) -> bool) -> usize {
    bytes.get(start..).unwrap_or_default().iter().take(most).take_while(|&&byte| keep(byte)).count()
}

/// How many bytes right before `end` satisfy `keep`, at most `most`.
fn run_back(bytes: &[u8], end: usize, most: usize, keep: impl Fn(u8) -> bool) -> usize {
    bytes.get(..end).unwrap_or_default().iter().rev().take(most).take_while(|&&byte| keep(byte)).count()
}

#[cfg(test)]
mod tests;
