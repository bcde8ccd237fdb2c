//! Finds what is secret by its own form: key prefixes, JSON web tokens, private key blocks, e-mail
//! addresses and passwords in URLs.
//!
//! Not here: secrets known by the name they are assigned to (`context`) and numbers (`numbers`).

use super::{Hit, Sensitive, at, before, run, run_back};
use aho_corasick::AhoCorasick;
use memchr::{memchr_iter, memmem};
use std::sync::LazyLock;

/// A vendor's prefix and the least number of random characters that follow it.
const PREFIXES: &[(&str, usize)] = &[
    ("sk-", 16),
    ("sk_live_", 12),
    ("sk_test_", 12),
    ("pk_live_", 12),
    ("pk_test_", 12),
    ("rk_live_", 12),
    ("rk_test_", 12),
    ("whsec_", 16),
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("ghr_", 16),
    ("github_pat_", 16),
    ("glpat-", 16),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxa-", 10),
    ("xoxr-", 10),
    ("xoxs-", 10),
    ("xapp-", 10),
    ("AIza", 30),
    ("hf_", 20),
    ("cmg_", 12),
    ("npm_", 30),
    ("pypi-", 16),
    ("ya29.", 20),
    ("dop_v1_", 30),
    ("shpat_", 20),
    ("lin_api_", 20),
    ("gsk_", 20),
    ("xai-", 20),
    ("pplx-", 20),
    ("nvapi-", 20),
    ("SG.", 20),
];

static PREFIX_FINDER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let words = PREFIXES.iter().map(|(prefix, _)| *prefix);
    AhoCorasick::builder().match_kind(aho_corasick::MatchKind::LeftmostLongest).build(words).ok()
});

/// Top-level names that are none: what follows the `@` of unit names, images and code files.
const NO_DOMAINS: &[&str] = &[
    "cfg", "conf", "cpp", "css", "csv", "gif", "html", "java", "jpeg", "jpg", "js", "json", "jsx", "lock", "log",
    "mount", "path", "png", "rb", "service", "slice", "socket", "sql", "svg", "tar", "target", "timer", "toml", "ts",
    "tsx", "txt", "webp", "xml", "yaml", "yml",
];

/// Adds everything that is secret by its form.
pub(super) fn find(text: &str, hits: &mut Vec<Hit>) {
    find_prefixed(text, hits);
    find_amazon(text, hits);
    find_web_tokens(text, hits);
    find_private_keys(text, hits);
    find_urls(text, hits);
    find_emails(text, hits);
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn find_prefixed(text: &str, hits: &mut Vec<Hit>) {
    let Some(finder) = &*PREFIX_FINDER else { return };
    let bytes = text.as_bytes();
    let mut done = 0;
    for found in finder.find_iter(text) {
        let (start, body) = (found.start(), found.end());
        if start < done || is_token_byte(before(bytes, start)) {
            continue;
        }
        let dotted = matches!(before(bytes, body), b'.');
        let end = body + run(bytes, body, 4096, |byte| is_token_byte(byte) || (dotted && byte == b'.'));
        done = end;
        let least = PREFIXES.get(found.pattern().as_usize()).map_or(usize::MAX, |(_, least)| *least);
        if text.get(body..end).is_some_and(|body| looks_random(body, least)) {
            hits.push(Hit { start, end, what: Sensitive::ApiKey });
        }
    }
}

/// True if the text is long enough and one of its parts mixes letters and digits as no name does
/// (`sk-estimator-doc-link` and `cmg_http_requests_total` are names).
fn looks_random(body: &str, least: usize) -> bool {
    let mixed = |part: &str| {
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        let letters = part.bytes().filter(u8::is_ascii_alphabetic).count();
        let cases = part.bytes().any(|b| b.is_ascii_lowercase()) && part.bytes().any(|b| b.is_ascii_uppercase());
        part.len() >= 24
            || part.len() >= 10 && ((digits > 0 && letters > 0) || digits >= 10 || (cases && part.len() >= 20))
    };
    let repeated = body.bytes().all(|byte| byte.eq_ignore_ascii_case(&b'x') || !byte.is_ascii_alphanumeric());
    body.len() >= least && !repeated && body.split(['-', '_', '.']).any(mixed)
}

/// Access key ids of Amazon: `AKIA` or `ASIA` and exactly sixteen capitals or digits.
fn find_amazon(text: &str, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    for prefix in ["AKIA", "ASIA"] {
        for start in memmem::find_iter(bytes, prefix) {
            let body = run(bytes, start, 21, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
            let whole = !is_token_byte(before(bytes, start)) && !is_token_byte(at(bytes, start + body));
            if body == 20 && whole {
                hits.push(Hit { start, end: start + body, what: Sensitive::ApiKey });
            }
        }
    }
}

/// Three base64url parts, the first a JSON object (`eyJ` is `{"`).
fn find_web_tokens(text: &str, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for start in memmem::find_iter(bytes, "eyJ") {
        if start < done || is_token_byte(before(bytes, start)) {
            continue;
        }
        let mut end = start;
        let mut parts = [0; 3];
        for (index, length) in parts.iter_mut().enumerate() {
            if index > 0 {
                if at(bytes, end) != b'.' {
                    break;
                }
                end += 1;
            }
            *length = run(bytes, end, 16_384, is_token_byte);
            end += *length;
        }
        done = end;
        if parts.iter().all(|&length| length >= 8) {
            hits.push(Hit { start, end, what: Sensitive::ApiKey });
        }
    }
}

/// `-----BEGIN … PRIVATE KEY-----` to its end line, or to the end of what looks like its body.
fn find_private_keys(text: &str, hits: &mut Vec<Hit>) {
    const BEGIN: &str = "-----BEGIN ";
    const TAIL: &str = "PRIVATE KEY";
    let bytes = text.as_bytes();
    let end_finder = memmem::Finder::new("-----END ");
    let mut from = 0;
    while let Some(found) = bytes.get(from..).and_then(|rest| memmem::find(rest, BEGIN.as_bytes())) {
        let start = from + found;
        let label = start + BEGIN.len();
        let label_length = run(bytes, label, 64, |byte| byte != b'\n' && byte != b'-');
        from = label;
        if !text.get(label..label + label_length).is_some_and(|label| label.contains(TAIL)) {
            continue;
        }
        let Some(rest) = bytes.get(label..) else { break };
        let end = match end_finder.find(rest) {
            Some(close) => {
                let close = label + close + "-----END ".len();
                let name = run(bytes, close, 64, |byte| byte != b'\n' && byte != b'-');
                close + name + run(bytes, close + name, 5, |byte| byte == b'-')
            }
            // Cut off: everything after it may be key.
            None => text.len(),
        };
        hits.push(Hit { start, end, what: Sensitive::PrivateKey });
        from = end;
    }
}

/// `scheme://user:password@host`: the password.
fn find_urls(text: &str, hits: &mut Vec<Hit>) {
    const LONGEST: usize = 256;
    let bytes = text.as_bytes();
    for found in memmem::find_iter(bytes, "://") {
        let user = found + 3;
        let ends =
            |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>');
        let colon = user + run(bytes, user, LONGEST, |byte| !ends(byte) && byte != b':' && byte != b'@');
        if at(bytes, colon) != b':' {
            continue;
        }
        let start = colon + 1;
        // The last `@` closes the user part: passwords may hold an unescaped one.
        let length = run(bytes, start, LONGEST, |byte| !ends(byte));
        let Some(end) = bytes.get(start..start + length).and_then(|part| memchr::memrchr(b'@', part)) else { continue };
        let value = text.get(start..start + end).unwrap_or_default();
        if !value.is_empty()
            && !super::context::is_reference(value)
            && at(bytes, start + end + 1).is_ascii_alphanumeric()
        {
            hits.push(Hit { start, end: start + end, what: Sensitive::Password });
        }
    }
}

fn find_emails(text: &str, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    for sign in memchr_iter(b'@', bytes) {
        if let Some((start, end)) = email_around(text, sign) {
            hits.push(Hit { start, end, what: Sensitive::Email });
        }
    }
}

fn email_around(text: &str, sign: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let is_local = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-');
    let mut start = sign - run_back(bytes, sign, 65, is_local);
    // A sentence's or list's punctuation is not part of the address.
    start += run(bytes, start, 64, |byte| !byte.is_ascii_alphanumeric() && byte != b'_');
    let local = text.get(start..sign).filter(|local| !local.is_empty() && local.len() <= 64)?;
    if local == "git" || matches!(before(bytes, start), b'/' | b'@' | b'=') && text.get(..start)?.ends_with("://") {
        return None;
    }
    let is_domain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let length = run(bytes, sign + 1, 254, is_domain);
    let domain = text.get(sign + 1..sign + 1 + length)?.trim_end_matches(['.', '-']);
    let end = sign + 1 + domain.len();
    // `x@y.z(…)` and `x@y.z[…]` are code; `host:path` and `host:~` are a copy command or a prompt.
    let code = matches!(at(bytes, end), b'(' | b'[' | b'@' | b'_');
    let remote = at(bytes, end) == b':' && matches!(at(bytes, end + 1), b'/' | b'~');
    (!code && !remote && is_mail_domain(domain)).then_some((start, end))
}

fn is_mail_domain(domain: &str) -> bool {
    let Some((rest, top)) = domain.rsplit_once('.') else { return false };
    let top_is_name = (2..=24).contains(&top.len()) && top.bytes().all(|byte| byte.is_ascii_alphabetic());
    let labels_are_names =
        rest.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
    top_is_name && labels_are_names && NO_DOMAINS.binary_search(&top.to_ascii_lowercase().as_str()).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_order() {
        assert!(PREFIX_FINDER.is_some(), "the prefixes build");
        assert!(NO_DOMAINS.is_sorted(), "binary search needs order");
    }
}
