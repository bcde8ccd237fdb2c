//! Finds what is secret by the name it is assigned to: `api_key = …`, `"password": "…"`,
//! `Authorization: Bearer …`, "the password is …".
//!
//! The hard part is code that merely handles secrets: `password: str`, `token = next(it)`,
//! `login(password=password)` hold no secret and stay as they are. So a value must look like one:
//! quoted, or with digits or signs that a name has not.
//!
//! Not here: keys known by their own form (`keys`).

use super::{Hit, Sensitive, at, before, run, run_back};
use aho_corasick::AhoCorasick;
use std::sync::LazyLock;

/// How far an unquoted value is looked at before it is believed.
const LOOK: usize = 256;
/// The longest value that is taken out whole.
const LONGEST: usize = 8192;

/// What a key's last word says about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    /// Any value is a secret, short and simple ones too.
    Password,
    /// Values are long and random.
    Token,
    /// A scheme and a value follow.
    Authorization,
    /// The value follows after a blank.
    Bearer,
}

const LABELS: &[(&str, Label)] = &[
    ("password", Label::Password),
    ("passwd", Label::Password),
    ("passphrase", Label::Password),
    ("pwd", Label::Password),
    ("secret", Label::Token),
    ("secret_key", Label::Token),
    ("secret-key", Label::Token),
    ("secretkey", Label::Token),
    ("token", Label::Token),
    ("api_key", Label::Token),
    ("api-key", Label::Token),
    ("api key", Label::Token),
    ("apikey", Label::Token),
    ("access_key", Label::Token),
    ("access-key", Label::Token),
    ("access key", Label::Token),
    ("accesskey", Label::Token),
    ("auth_key", Label::Token),
    ("private_key", Label::Token),
    ("signing_key", Label::Token),
    ("encryption_key", Label::Token),
    ("accountkey", Label::Token),
    ("account_key", Label::Token),
    ("credential", Label::Token),
    ("credentials", Label::Token),
    ("authorization", Label::Authorization),
    ("bearer", Label::Bearer),
];

static LABEL_FINDER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(aho_corasick::MatchKind::LeftmostLongest)
        .build(LABELS.iter().map(|(word, _)| *word))
        .ok()
});

/// Values that stand for a value: types, states and samples, sorted.
const NO_SECRETS: &[&str] = &[
    "any",
    "api_key",
    "apikey",
    "bearer",
    "bool",
    "boolean",
    "bytes",
    "changed",
    "char",
    "default",
    "empty",
    "enabled",
    "expired",
    "false",
    "hidden",
    "incorrect",
    "int",
    "integer",
    "invalid",
    "missing",
    "nil",
    "none",
    "null",
    "object",
    "optional",
    "pass",
    "password",
    "redacted",
    "required",
    "secret",
    "str",
    "string",
    "text",
    "token",
    "true",
    "undefined",
    "unknown",
    "username",
    "valid",
    "varchar",
    "wrong",
];

/// Adds everything that is secret by its name.
pub(super) fn find(text: &str, hits: &mut Vec<Hit>) {
    let Some(finder) = &*LABEL_FINDER else { return };
    let mut done = 0;
    for found in finder.find_iter(text) {
        let Some((_, label)) = LABELS.get(found.pattern().as_usize()) else { continue };
        if found.start() < done {
            continue;
        }
        let key = Key { text, start: found.start(), end: found.end(), label: *label };
        if let Some(hit) = key.value() {
            done = hit.end;
            hits.push(hit);
        }
    }
}

/// The type of a value that stands under a secret's name, for structured data (metadata).
pub(super) fn secret_under(name: &str, value: &str) -> Option<Sensitive> {
    let name = name.to_ascii_lowercase();
    let (_, label) = LABELS.iter().rev().find(|(word, _)| name.ends_with(word))?;
    let secret = match label {
        Label::Password => is_quoted_password(value),
        Label::Token | Label::Authorization | Label::Bearer => is_token(value),
    };
    secret.then_some(label.sensitive())
}

impl Label {
    const fn sensitive(self) -> Sensitive {
        match self {
            Self::Password => Sensitive::Password,
            Self::Token | Self::Authorization | Self::Bearer => Sensitive::Secret,
        }
    }
}

/// A key-like word in a text.
struct Key<'t> {
    text: &'t str,
    start: usize,
    end: usize,
    label: Label,
}

/// How a value is attached to its key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// `key=value`
    Tight,
    /// `key = value`, `key: value`, `key => value`
    Loose,
    /// `the password is value`
    Prose,
}

impl Key<'_> {
    fn value(&self) -> Option<Hit> {
        if self.is_marker() {
            return None;
        }
        if self.label == Label::Bearer {
            return self.bearer();
        }
        let (joint, at_value) = self.joint()?;
        if self.label == Label::Authorization {
            return self.authorization(at_value);
        }
        let bytes = self.text.as_bytes();
        let quote = at(bytes, at_value);
        if matches!(quote, b'"' | b'\'' | b'`') {
            return self.quoted(at_value + 1, quote);
        }
        // An escaped quote, as JSON in a string has it.
        if quote == b'\\' && matches!(at(bytes, at_value + 1), b'"' | b'\'') {
            return self.quoted(at_value + 2, b'\\');
        }
        self.bare(joint, at_value)
    }

    /// True for keys whose tokens only mark a place: `next_token`, `pageToken`, `eos_token`.
    fn is_marker(&self) -> bool {
        const MARKERS: [&str; 9] =
            ["next", "page", "continuation", "cursor", "sync", "eos", "bos", "pad", "cancellation"];
        let bytes = self.text.as_bytes();
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let length = run_back(bytes, self.start, 32, in_name);
        let head = self.text.get(self.start - length..self.start).unwrap_or_default().to_ascii_lowercase();
        MARKERS.contains(&head.trim_end_matches(['_', '-']))
    }

    /// What stands between key and value, and where the value begins.
    fn joint(&self) -> Option<(Joint, usize)> {
        let bytes = self.text.as_bytes();
        let is_blank = |byte: u8| matches!(byte, b' ' | b'\t');
        let mut place = self.end + run(bytes, self.end, 2, |byte| matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b']'));
        let blanks = run(bytes, place, 3, is_blank);
        place += blanks;
        let sign = run(bytes, place, 2, |byte| matches!(byte, b'=' | b':' | b'>'));
        let joined = self.text.get(place..place + sign)?;
        match joined {
            "=" | ":" | ":=" | "=>" => {}
            // `==` compares, `::` is a path; "password is x" needs a blank on both sides.
            "" if blanks > 0 && self.label == Label::Password => {
                let rest = self.text.get(place..)?;
                let verb = ["is ", "is: ", "was "].iter().find(|verb| rest.starts_with(*verb))?;
                return Some((Joint::Prose, place + verb.len()));
            }
            _ => return None,
        }
        place += sign;
        let after = run(bytes, place, 3, is_blank);
        let tight = joined == "=" && blanks == 0 && after == 0;
        Some((if tight { Joint::Tight } else { Joint::Loose }, place + after))
    }

    fn hit(&self, start: usize, end: usize) -> Hit {
        Hit { start, end, what: self.label.sensitive() }
    }

    fn quoted(&self, start: usize, quote: u8) -> Option<Hit> {
        let length = run(self.text.as_bytes(), start, LOOK, |byte| byte != quote && byte != b'\n');
        if at(self.text.as_bytes(), start + length) != quote {
            return None;
        }
        let value = self.text.get(start..start + length)?;
        let secret = match self.label {
            Label::Password => is_quoted_password(value),
            Label::Token | Label::Authorization | Label::Bearer => is_token(value),
        };
        secret.then(|| self.hit(start, start + length))
    }

    fn bare(&self, joint: Joint, start: usize) -> Option<Hit> {
        let bytes = self.text.as_bytes();
        let in_value = |byte: u8| {
            !byte.is_ascii_whitespace()
                && !matches!(byte, b'"' | b'\'' | b'`' | b',' | b';' | b'|' | b'<')
                && (byte != b'&' || joint != Joint::Tight)
        };
        let length = run(bytes, start, LOOK, in_value);
        let value = self.text.get(start..start + length)?;
        // Brackets end a value that did not open one: `(password=x1y2)`, `{token: x1y2}`.
        let value = value.trim_end_matches(['.', ')', ']', '}', '!', '?', ':']);
        let secret = !is_reference(value)
            && !value.contains(['(', '[', '{'])
            && match self.label {
                Label::Password => self.is_bare_password(joint, value, start + length),
                Label::Token | Label::Authorization | Label::Bearer => is_token(value) && !is_path(value),
            };
        if !secret {
            return None;
        }
        let end =
            if value.len() == length { start + run(bytes, start, LONGEST, in_value) } else { start + value.len() };
        let end = (start..=end).rev().find(|&end| self.text.is_char_boundary(end))?;
        Some(self.hit(start, end))
    }

    fn is_bare_password(&self, joint: Joint, value: &str, end: usize) -> bool {
        if value.len() < 4 || is_no_secret(value) || is_path(value) && value.contains(['.', ':']) {
            return false;
        }
        let digits = value.bytes().filter(u8::is_ascii_digit).count();
        let signs = value.bytes().filter(|byte| byte.is_ascii_punctuation() && !b"_.-/:".contains(byte)).count();
        let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
        match joint {
            Joint::Prose => letters > 0 && digits + signs > 0,
            Joint::Loose => digits + signs > 0,
            Joint::Tight if digits + signs > 0 => true,
            // Only letters: a setting or a query (`?password=letmein&`), or an argument of a call?
            Joint::Tight => {
                let bytes = self.text.as_bytes();
                let word =
                    run_back(bytes, self.start, 64, |byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
                let opens = before(bytes, self.start - word);
                let closes = at(bytes, end);
                matches!(opens, 0 | b' ' | b'\n' | b'\t' | b'?' | b'&' | b';')
                    && (matches!(closes, 0 | b'&' | b';' | b'|') || closes.is_ascii_whitespace())
                    && !value.contains('_')
            }
        }
    }

    /// `Bearer abc…` anywhere.
    fn bearer(&self) -> Option<Hit> {
        let bytes = self.text.as_bytes();
        if at(bytes, self.end) != b' ' || before(bytes, self.start).is_ascii_alphanumeric() {
            return None;
        }
        let start = self.end + 1;
        let end = start + run(bytes, start, LONGEST, is_token_byte);
        let value = self.text.get(start..end)?.trim_end_matches(['.', ':']);
        (value.len() >= 12 && is_token(value)).then(|| self.hit(start, start + value.len()))
    }

    /// `Authorization: Basic abc…`: the part after the scheme.
    fn authorization(&self, at_value: usize) -> Option<Hit> {
        let bytes = self.text.as_bytes();
        let place = at_value + run(bytes, at_value, 1, |byte| matches!(byte, b'"' | b'\''));
        let scheme = run(bytes, place, 16, |byte| byte.is_ascii_alphabetic());
        let start = place + scheme + 1;
        if at(bytes, place + scheme) != b' ' {
            return None;
        }
        let end = start + run(bytes, start, LONGEST, is_token_byte);
        let value = self.text.get(start..end)?.trim_end_matches('.');
        let named = ["basic", "bearer", "token", "digest", "apikey"];
        let scheme = self.text.get(place..place + scheme)?.to_ascii_lowercase();
        (named.contains(&scheme.as_str()) && value.len() >= 8 && !is_no_secret(value) && !is_reference(value))
            .then(|| self.hit(start, start + value.len()))
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-+/=.~".contains(&byte)
}

fn is_no_secret(value: &str) -> bool {
    NO_SECRETS.binary_search(&value.to_ascii_lowercase().as_str()).is_ok()
}

/// True for what only points to a value: `$VAR`, `${VAR}`, `{{x}}`, `<password>`, `%s`, `***`,
/// `[SECRET_1]`, `your-key-here`, `...`.
pub(super) fn is_reference(value: &str) -> bool {
    let masked = value.bytes().all(|byte| matches!(byte, b'*' | b'.' | b'x' | b'X' | b'-' | b'_'));
    let pointed = value.starts_with(['$', '{', '<', '%', '[', '@', '(']);
    let sample = ["your", "YOUR", "my-", "example", "EXAMPLE"].iter().any(|word| value.starts_with(word));
    // Our own placeholders inside of a value keep it from being found twice.
    masked || pointed || sample || value.contains("…") || has_placeholder(value)
}

/// True if one of our placeholders stands in the text: capitals, `_`, digits in brackets.
fn has_placeholder(value: &str) -> bool {
    memchr::memchr_iter(b'[', value.as_bytes()).any(|open| {
        let bytes = value.as_bytes();
        let name = run(bytes, open + 1, 32, |byte| byte.is_ascii_uppercase() || byte == b'_' || byte.is_ascii_digit());
        name >= 4 && at(bytes, open + 1 + name) == b']'
    })
}

/// True for names and paths of code: `config.api_token`, `Secret::new`, `self.key2`.
fn is_path(value: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let dotted = value.contains('.') || value.contains("::") || value.contains("->");
    let wordy = !value.bytes().any(|byte| byte.is_ascii_digit());
    (dotted || wordy)
        && value.split(['.', ':', '>', '-']).all(|part| part.is_empty() || is_name(part))
        && value.split(['.', ':', '>', '-']).all(|part| part.len() < 24)
}

fn is_quoted_password(value: &str) -> bool {
    let length = (4..=128).contains(&value.len());
    let spoken = value.contains(' ') && !value.bytes().any(|byte| byte.is_ascii_digit());
    let format = value.starts_with(['/', '#']) || value.contains("://");
    length && !spoken && !format && !is_no_secret(value) && !is_reference(value)
}

/// True for what no person would choose as a name: letters and digits mixed, enough of them, and
/// with enough entropy.
fn is_token(value: &str) -> bool {
    if value.len() < 8 || !value.bytes().all(is_token_byte) || is_reference(value) || is_no_secret(value) {
        return false;
    }
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    let cases = value.bytes().any(|b| b.is_ascii_lowercase()) && value.bytes().any(|b| b.is_ascii_uppercase());
    let long = value.len() >= 16 && digits >= 1 && cases;
    let mixed = (digits >= 2 && letters >= 2) || long || (cases && value.len() >= 24 && !value.contains(['.', '/']));
    mixed && !is_dated(value) && entropy(value) >= if value.len() < 16 { 2.5 } else { 3.0 }
}

/// True for dates, versions and file names, which mix letters and digits too.
fn is_dated(value: &str) -> bool {
    let file = value.rsplit_once('.').is_some_and(|(_, end)| (1..=5).contains(&end.len()) && value.len() < 24);
    file || value.starts_with('/') || value.get(..10).is_some_and(|head| crate::time::Timestamp::parse(head).is_ok())
}

/// Shannon entropy in bits per byte.
fn entropy(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total = f64::from(u32::try_from(value.len()).unwrap_or(u32::MAX).max(1));
    let bits = |count: &u32| f64::from(*count) / total * (total / f64::from(*count)).log2();
    counts.iter().filter(|count| **count > 0).map(bits).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_order() {
        assert!(LABEL_FINDER.is_some(), "the labels build");
        assert!(NO_SECRETS.is_sorted(), "binary search needs order");
    }
}
