//! What an upstream says when it fails, in whichever dialect and at whichever place it says so.
//!
//! # Invariants
//!
//! - A body that is no JSON never becomes part of a message.
//! - A message is at most [`LONGEST`] bytes long.
//!
//! # Deliberately absent
//!
//! What to do about it ([`crate::retry`]), and which words the client gets: the caller's.

use crate::lenient::{Count, Flag, Object, Text, TextOr, plain};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::{Duration, SystemTime};

/// The most bytes of an upstream's message that are kept.
pub const LONGEST: usize = 4096;
/// The longest time that a `Retry-After` may ask for; what is beyond a day is no answer to a request.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);
/// What stands in the place of a secret.
const HIDDEN: &str = "***";

/// A failure in the upstream's own words.
#[derive(Debug, Clone)]
pub struct UpstreamError {
    /// The status that tells the truth: the answer's own, or the one that the error names inside a 200.
    pub status: u16,
    /// The upstream's `code`, as text.
    pub code: Option<String>,
    /// OpenRouter's stable `error_type`, or else the dialect's `type`.
    pub error_type: Option<String>,
    /// What went wrong, in the upstream's words.
    pub message: String,
    /// Whether the upstream says that trying again helps.
    pub retryable: Option<bool>,
    /// How long the upstream asks to wait.
    pub retry_after: Option<Duration>,
    /// Which limit was hit, where OpenRouter says so; see [`UpstreamError::in_flight_budget`].
    pub limit_source: Option<String>,
    /// The upstream's own `error` object, for passing on.
    pub object: Option<Box<RawValue>>,
}

impl UpstreamError {
    /// Finds the error of an answer: by its status, or within a body or chunk that came with a 200.
    /// `None` when all is well.
    #[must_use]
    pub fn read(status: u16, headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let holder = serde_json::from_slice::<Object<Holder<'_>>>(body).unwrap_or_default().0.unwrap_or_default();
        let failed = !(200..300).contains(&status);
        let mut error = match holder.error(failed) {
            Some(raw) => Self::of(raw, &holder),
            None if failed => Self::plain(status),
            None => return None,
        };
        if failed {
            error.status = status;
        }
        error.retry_after = wait(headers).or(error.retry_after);
        Some(error)
    }

    /// True for the 402 that passes by itself: the budget is held by requests under way.
    #[must_use]
    pub fn in_flight_budget(&self) -> bool {
        self.limit_source.as_deref() == Some("openrouter_in_flight_budget")
    }

    /// Hides a secret wherever it stands.
    pub fn hide(&mut self, secret: &str) {
        self.message = scrub(&self.message, secret);
        for text in [&mut self.code, &mut self.error_type, &mut self.limit_source].into_iter().flatten() {
            *text = scrub(text, secret);
        }
        if let Some(object) = self.object.as_ref().filter(|object| holds(object.get(), secret)) {
            self.object = RawValue::from_string(scrub(object.get(), secret)).ok();
        }
    }

    /// An error without a body worth reading.
    fn plain(status: u16) -> Self {
        Self {
            status,
            code: None,
            error_type: None,
            message: format!("the upstream answered with status {status}"),
            retryable: None,
            retry_after: None,
            limit_source: None,
            object: None,
        }
    }

    fn of(raw: &RawValue, holder: &Holder<'_>) -> Self {
        let own = serde_json::from_str::<TextOr<'_, Object<Written<'_>>>>(raw.get()).unwrap_or_default();
        let mut error = Self::plain(0);
        match own {
            TextOr::Text(text) => error.message = shorten(&text),
            TextOr::Value(Object(Some(written))) => written.fill(&mut error),
            TextOr::Value(Object(None)) | TextOr::Nothing => {}
        }
        // The responses API writes code and message beside the type of its `error` event.
        if error.code.is_none() {
            error.code = holder.code.and_then(plain).map(Cow::into_owned);
        }
        if error.status == 0 {
            error.status = error
                .code
                .as_deref()
                .and_then(named)
                .or_else(|| error.error_type.as_deref().and_then(named))
                .unwrap_or(502);
        }
        if error.message.is_empty() {
            error.message = Self::plain(error.status).message;
        }
        error.object = raw.get().starts_with('{').then(|| raw.to_owned());
        error
    }
}

/// Where an error may stand.
#[derive(Default, Deserialize)]
struct Holder<'a> {
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    response: Object<Nested<'a>>,
    #[serde(default, borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(default, borrow)]
    code: Option<&'a RawValue>,
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
}

/// A response within an event.
#[derive(Default, Deserialize)]
struct Nested<'a> {
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

impl<'a> Holder<'a> {
    /// The error, or what stands for one: the bare message of an `error` event or of an answer that failed.
    fn error(&self, failed: bool) -> Option<&'a RawValue> {
        let nested = self.response.0.as_ref().and_then(|response| response.error);
        let bare = self.message.filter(|_| failed || self.kind.get() == Some("error"));
        [self.error, nested, bare].into_iter().flatten().find(|raw| is_error(raw))
    }
}

/// True for an object and for a text; `null`, `false` and `""` say that there is no error.
pub(crate) fn is_error(raw: &RawValue) -> bool {
    let text = raw.get();
    text.starts_with('{') || (text.starts_with('"') && text != "\"\"")
}

/// An error object as it is written, the dialects side by side.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(default, borrow)]
    code: Option<&'a RawValue>,
    #[serde(default, borrow)]
    message: Text<'a>,
    #[serde(default, borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(default, borrow)]
    error_type: Text<'a>,
    #[serde(default)]
    http_status: Count,
    #[serde(default)]
    status: Count,
    #[serde(default)]
    retryable: Flag,
    #[serde(default, borrow)]
    metadata: Object<Metadata<'a>>,
    #[serde(default, borrow)]
    availability: Object<Availability<'a>>,
}

#[derive(Default, Deserialize)]
struct Metadata<'a> {
    #[serde(default, borrow)]
    error_type: Text<'a>,
    #[serde(default, borrow)]
    limit_source: Text<'a>,
    #[serde(default)]
    retryable: Flag,
    #[serde(default, borrow)]
    retry_after: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Availability<'a> {
    #[serde(default, borrow)]
    code: Option<&'a RawValue>,
    #[serde(default)]
    retryable: Flag,
    #[serde(default, borrow)]
    retry_after: Option<&'a RawValue>,
}

impl Written<'_> {
    fn fill(self, error: &mut UpstreamError) {
        let metadata = self.metadata.0.unwrap_or_default();
        let availability = self.availability.0.unwrap_or_default();
        let code = self.code.and_then(plain).or_else(|| availability.code.and_then(plain));
        let number = code.as_deref().and_then(|code| code.parse::<u64>().ok());
        error.status = [number, self.http_status.0, self.status.0]
            .into_iter()
            .flatten()
            .filter_map(|status| u16::try_from(status).ok())
            .find(|status| (400..600).contains(status))
            .unwrap_or(0);
        error.code = code.map(Cow::into_owned);
        error.error_type = [metadata.error_type, self.error_type, self.kind].iter().find_map(Text::owned);
        error.message = self.message.get().map(shorten).unwrap_or_default();
        error.retryable = availability.retryable.0.or(metadata.retryable.0).or(self.retryable.0);
        error.limit_source = metadata.limit_source.owned();
        let after = availability.retry_after.or(metadata.retry_after);
        error.retry_after = after.and_then(plain).and_then(|text| seconds(&text));
    }
}

/// The status that a code or type in words stands for; what is unknown is the upstream's own failure.
fn named(word: &str) -> Option<u16> {
    Some(match word {
        "context_length_exceeded"
        | "max_tokens_exceeded"
        | "token_limit_exceeded"
        | "string_too_long"
        | "invalid_request"
        | "invalid_request_error"
        | "invalid_prompt"
        | "invalid_image" => 400,
        "authentication" | "authentication_error" | "invalid_api_key" => 401,
        "payment_required" | "billing_error" | "insufficient_quota" => 402,
        "permission_denied" | "permission_error" | "content_policy_violation" | "refusal" => 403,
        "not_found" | "not_found_error" => 404,
        "precondition_failed" => 412,
        "payload_too_large" | "request_too_large" => 413,
        "unprocessable" => 422,
        "rate_limit_exceeded" | "rate_limit_error" => 429,
        "server" | "server_error" | "api_error" | "internal_error" => 500,
        "provider_unavailable" => 503,
        "timeout" | "timeout_error" => 524,
        "provider_overloaded" | "overloaded_error" => 529,
        _ => return None,
    })
}

/// How long an answer asks to wait, from `retry-after-ms` or `retry-after` in seconds or as a date.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(|text| text.parse::<u64>().ok()) {
        return Some(Duration::from_millis(millis).min(LONGEST_WAIT));
    }
    let text = text(RETRY_AFTER.as_str())?;
    seconds(text).or_else(|| {
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(SystemTime::now()).unwrap_or_default().min(LONGEST_WAIT))
    })
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT))
}

fn shorten(text: &str) -> String {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text).to_owned()
}

/// A text without a secret, wherever it stands in it, plain or as JSON writes it.
#[must_use]
pub fn scrub(text: &str, secret: &str) -> String {
    if !holds(text, secret) {
        return text.to_owned();
    }
    text.replace(secret, HIDDEN).replace(&escaped(secret), HIDDEN)
}

/// True when a text holds a secret, plain or as JSON writes it.
pub(crate) fn holds(text: &str, secret: &str) -> bool {
    !secret.is_empty() && (text.contains(secret) || text.contains(&escaped(secret)))
}

/// A secret as it stands within a JSON string.
fn escaped(secret: &str) -> String {
    let quoted = serde_json::Value::from(secret).to_string();
    quoted.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn read(status: u16, body: &str) -> UpstreamError {
        UpstreamError::read(status, &HeaderMap::new(), body.as_bytes()).unwrap()
    }

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn openrouters_error_is_read_with_its_stable_type() {
        let error = read(
            400,
            r#"{"error":{"code":400,"message":"too long","metadata":{"error_type":"context_length_exceeded"}},"user_id":"u"}"#,
        );

        assert_eq!((error.status, error.code.as_deref()), (400, Some("400")));
        assert_eq!(error.error_type.as_deref(), Some("context_length_exceeded"));
        assert_eq!(error.message, "too long");
        assert!(error.object.unwrap().get().starts_with("{\"code\":400"));
    }

    #[test]
    fn an_error_inside_a_200_has_its_own_status() {
        for (body, status) in [
            (r#"{"error":{"code":429,"message":"m"}}"#, 429),
            (r#"{"error":{"http_status":503,"error_type":"provider_unavailable"}}"#, 503),
            (r#"{"error":{"code":"rate_limit_exceeded"}}"#, 429),
            (r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#, 529),
            (r#"{"type":"error","code":"server_error","message":"m"}"#, 500),
            (r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"m"}}}"#, 500),
            (r#"{"error":"something"}"#, 502),
            (r#"{"error":{"code":200}}"#, 502),
            (r#"{"error":{}}"#, 502),
        ] {
            let error = read(200, body);

            assert_eq!(error.status, status, "{body}");
            assert!(!error.message.is_empty());
        }
    }

    #[test]
    fn an_answer_that_says_there_is_no_error_is_none() {
        for body in [r#"{"error":null,"id":"x"}"#, r#"{"error":false}"#, r#"{"error":""}"#, "{}", "<html>", "", "[1]"] {
            assert!(UpstreamError::read(200, &HeaderMap::new(), body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn availability_says_whether_and_when_to_try_again() {
        let error = read(
            503,
            r#"{"error":{"error_type":"provider_unavailable","http_status":503,"message":"m",
            "availability":{"code":"no_endpoints","retryable":true,"retry_after":2.5}}}"#,
        );

        assert_eq!((error.retryable, error.retry_after), (Some(true), Some(Duration::from_millis(2500))));
        assert_eq!(error.code.as_deref(), Some("no_endpoints"));
    }

    #[test]
    fn a_402_in_flight_is_told_from_an_empty_purse() {
        let passing = read(402, r#"{"error":{"code":402,"metadata":{"limit_source":"openrouter_in_flight_budget"}}}"#);
        let last = read(402, r#"{"error":{"code":402,"message":"no credits"}}"#);

        assert!(passing.in_flight_budget());
        assert!(!last.in_flight_budget());
    }

    #[test]
    fn a_bare_message_is_read_where_there_is_no_error_object() {
        let error = read(422, r#"{"object":"error","message":"odd","code":1300}"#);

        assert_eq!((error.status, error.message.as_str(), error.code.as_deref()), (422, "odd", Some("1300")));
        assert!(error.object.is_none());
        assert!(UpstreamError::read(200, &HeaderMap::new(), br#"{"message":"fine"}"#).is_none());
    }

    #[test]
    fn a_page_or_a_text_is_never_repeated() {
        for body in ["<html>secret page</html>", "secret text", "\"secret\"", "[\"secret\"]"] {
            let error = read(502, body);

            assert_eq!(error.message, "the upstream answered with status 502");
            assert!(!format!("{error:?}").contains("secret"));
        }
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms_and_the_header_wins() {
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let body = br#"{"error":{"availability":{"retry_after":9}}}"#;
        let after = |headers| UpstreamError::read(429, &headers, body).unwrap().retry_after.unwrap();

        assert_eq!(after(headers("retry-after", "3")), Duration::from_secs(3));
        assert_eq!(after(headers("retry-after", " 1.5 ")), Duration::from_millis(1500));
        assert_eq!(after(headers("retry-after-ms", "250")), Duration::from_millis(250));
        assert_eq!(after(headers("retry-after", "-1")), Duration::from_secs(9));
        assert_eq!(after(headers("retry-after", "nan")), Duration::from_secs(9));
        assert_eq!(after(headers("retry-after", "1e300")), LONGEST_WAIT);
        assert!(after(headers("retry-after", &soon)).abs_diff(Duration::from_secs(99)) <= Duration::from_secs(2));
        assert_eq!(after(headers("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT")), Duration::ZERO);
    }

    #[test]
    fn a_secret_is_hidden_in_every_place() {
        let mut error = read(401, r#"{"error":{"code":"sk-\"1","message":"bad key sk-\"1!","type":"sk-\"1"}}"#);

        error.hide("sk-\"1");

        assert_eq!(error.message, "bad key ***!");
        assert!(!format!("{error:?}").contains("sk-"), "{error:?}");
        assert_eq!(scrub("nothing", ""), "nothing");
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let error = read(400, &format!(r#"{{"error":{{"message":"{}"}}}}"#, "é".repeat(LONGEST)));

        assert_eq!(error.message.len(), LONGEST);
    }
}
