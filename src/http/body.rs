//! Bodies of requests: size-limited, strict JSON, and errors that name the field and the fix.
//!
//! # Invariants
//!
//! - A body never takes more memory than its limit, whatever its headers claim.
//! - Compressed bodies are refused: nothing here inflates.
//! - An unknown field is an error that names it by its dotted path.

use crate::http::app::App;
use crate::http::error::ApiError;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName};
use actix_web::web::{Bytes, BytesMut, Data};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

/// How many times the limit of a body an import may have.
const IMPORT_FACTOR: usize = 8;
/// Characters of a message that quotes the request.
const LONGEST_MESSAGE: usize = 400;

/// A whole body that was announced as JSON, not parsed yet.
pub struct Raw(pub Bytes);
/// A body as `T`.
pub struct Json<T>(pub T);
/// A body of JSON lines, with the larger limit of imports.
pub struct Ndjson(pub String);

impl Raw {
    /// The body as `T`.
    ///
    /// # Errors
    ///
    /// 400 that says where it is wrong and what would be right.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        parse(&self.0)
    }
}

impl FromRequest for Raw {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = collect(request, payload, 1, &["application/json"]);
        Box::pin(async move { body.await.map(Self) })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = collect(request, payload, 1, &["application/json"]);
        Box::pin(async move { parse(&body.await?).map(Self) })
    }
}

impl FromRequest for Ndjson {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let types = ["application/x-ndjson", "application/ndjson", "application/jsonl"];
        let body = collect(request, payload, IMPORT_FACTOR, &types);
        Box::pin(async move {
            let text = String::from_utf8(Vec::from(body.await?));
            text.map(Self).map_err(|_| ApiError::invalid_json("the body is not UTF-8"))
        })
    }
}

/// Reads a body of one of these types, within `factor` times the limit.
fn collect(
    request: &HttpRequest,
    payload: &mut Payload,
    factor: usize,
    types: &[&str],
) -> impl Future<Output = Result<Bytes, ApiError>> + 'static {
    let limit =
        request.app_data::<Data<App>>().map_or(0, |app| app.config.server.max_body_bytes.saturating_mul(factor));
    let announced = check(request.headers(), limit, types);
    let mut payload = payload.take();
    async move {
        announced?;
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| ApiError::invalid_json("the body ended before it was whole"))?;
            if body.len() + chunk.len() > limit {
                return Err(ApiError::body_too_large(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

/// What can be refused before the first byte is read.
fn check(headers: &HeaderMap, limit: usize, types: &[&str]) -> Result<(), ApiError> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?").trim());
    let kind = text(CONTENT_TYPE).unwrap_or_default();
    let media = kind.split(';').next().unwrap_or_default().trim();
    if !media.is_empty() && !types.iter().any(|known| media.eq_ignore_ascii_case(known)) {
        let wanted = types.first().copied().unwrap_or_default();
        return Err(ApiError::unsupported_media_type(
            "content-type",
            format!("this route reads {wanted}: send that as content-type"),
        ));
    }
    if text(CONTENT_ENCODING).is_some_and(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity")) {
        return Err(ApiError::unsupported_media_type(
            "content-encoding",
            "compressed bodies are not read: send the body as it is",
        ));
    }
    let length = text(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(ApiError::body_too_large(limit));
    }
    Ok(())
}

/// Reads JSON; only when that fails it is read again, with the path to what is wrong.
///
/// # Errors
///
/// 400 that says where it is wrong and what would be right.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // A list would be taken for the fields of an object in their order, which nobody means.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(explain::<T>(body));
    }
    serde_json::from_slice(body).map_err(|_| explain::<T>(body))
}

/// Why a body was not taken: what is no JSON first, then which field is wrong.
fn explain<T: DeserializeOwned>(body: &[u8]) -> ApiError {
    if body.iter().all(u8::is_ascii_whitespace) {
        return ApiError::invalid_json("the body is empty: send a JSON object");
    }
    match serde_json::from_slice::<serde_json::Value>(body) {
        Err(error) => return malformed(&error),
        Ok(value) if !value.is_object() => return ApiError::invalid_json("the body is not a JSON object"),
        Ok(_) => {}
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Ok(_) => ApiError::invalid_json("the body is not one JSON object"),
        Err(error) if error.inner().is_data() => refused(&error.path().to_string(), &bare(error.inner())),
        Err(error) => malformed(error.inner()),
    }
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let (what, line, column) = (bare(error), error.line(), error.column());
    ApiError::invalid_json(format!("the body is not valid JSON: {what} at line {line}, column {column}"))
}

/// The message without the place that `serde_json` adds.
fn bare(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    shortened(text.strip_suffix(&place).unwrap_or(&text))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// What serde says about a value at `path`, as an error of the interface.
fn refused(path: &str, what: &str) -> ApiError {
    if let Some((name, known)) = quoted(what, "unknown field `") {
        return unknown(&join(path, name), name, known);
    }
    if let Some((name, _)) = quoted(what, "missing field `") {
        let param = join(path, name);
        return ApiError::missing_field(param.clone(), format!("`{param}` is missing"));
    }
    if let Some((name, _)) = quoted(what, "duplicate field `") {
        let param = join(path, name);
        return ApiError::invalid_value(param.clone(), format!("`{param}` stands twice: give it once"));
    }
    if path == "." {
        return ApiError::invalid_json(format!("the body is not what this route reads: {what}"));
    }
    ApiError::invalid_value(path, format!("`{path}`: {what}"))
}

/// The name between a lead and the next backtick that ends it, and what follows.
fn quoted<'a>(what: &'a str, lead: &str) -> Option<(&'a str, &'a str)> {
    let rest = what.strip_prefix(lead)?;
    rest.split_once("`, ").or_else(|| rest.strip_suffix('`').map(|name| (name, "")))
}

fn join(path: &str, name: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or_default();
    match path {
        "." => name.to_owned(),
        _ if last == name => path.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

fn unknown(param: &str, name: &str, known: &str) -> ApiError {
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    let nearest =
        known.iter().copied().min_by_key(|field| distance(name, field)).filter(|field| distance(name, field) <= 2);
    let hint = match nearest {
        Some(field) => format!("did you mean `{field}`?"),
        None if known.is_empty() => "no field is known here".to_owned(),
        None => format!("known fields are {}", known.join(", ")),
    };
    ApiError::unknown_field(param, format!("unknown field `{param}`: {hint}"))
}

/// How many letters have to change, come or go (Levenshtein), over at most 64 of them.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, letter) in left.chars().take(64).enumerate() {
        let mut before = at + 1;
        let mut next = vec![before];
        for ((other, above), diagonal) in right.iter().zip(row.iter().skip(1)).zip(&row) {
            before = (before + 1).min(above + 1).min(diagonal + usize::from(*other != letter));
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by serde alone")]
    struct Outer {
        name: String,
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by serde alone")]
    struct Inner {
        chat: u32,
        diffs: Option<f64>,
    }

    fn error(body: &str) -> (&'static str, Option<String>, String) {
        let error = parse::<Outer>(body.as_bytes()).unwrap_err();
        (error.code(), error.param().map(str::to_owned), error.message().to_owned())
    }

    #[test]
    fn an_error_names_the_field_by_its_path() {
        for (body, code, param) in [
            (r#"{"name":"a","inner":[{"chat":1}],"more":1}"#, "unknown_field", Some("more")),
            (r#"{"name":"a","inner":[{"chats":1}]}"#, "unknown_field", Some("inner[0].chats")),
            (r#"{"name":"a"}"#, "missing_field", Some("inner")),
            (r#"{"name":"a","inner":[{}]}"#, "missing_field", Some("inner[0].chat")),
            (r#"{"name":1,"inner":[]}"#, "invalid_value", Some("name")),
            (r#"{"name":"a","inner":[{"chat":-1}]}"#, "invalid_value", Some("inner[0].chat")),
            (r#"{"name":"a","name":"b","inner":[]}"#, "invalid_value", Some("name")),
            ("{\"name\":\"a\",\n", "invalid_json", None),
            (r#"{"name":"a","inner":[]} x"#, "invalid_json", None),
            (r#"{"name":"\ud800","inner":[]}"#, "invalid_json", None),
            (r#"{"name":"a","inner":[{"chat":1,"diffs":1e400}]}"#, "invalid_json", None),
            ("", "invalid_json", None),
            ("\u{feff}{}", "invalid_json", None),
            ("[]", "invalid_json", None),
        ] {
            let (found, at, message) = error(body);
            assert_eq!((found, at.as_deref()), (code, param), "{body}: {message}");
        }
    }

    #[test]
    fn an_error_names_the_fix() {
        let near = error(r#"{"name":"a","inner":[{"chats":1}]}"#).2;
        let far = error(r#"{"name":"a","inner":[{"transcript":1}]}"#).2;
        let cut = error("{\"name\":\"a\",\n").2;

        assert!(near.contains("did you mean `chat`?"), "{near}");
        assert!(far.contains("known fields are chat, diffs"), "{far}");
        assert!(cut.contains("line 2"), "{cut}");
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));

        let error = parse::<serde_json::Value>(deep.as_bytes()).unwrap_err();

        assert_eq!(error.code(), "invalid_json");
    }

    #[test]
    fn headers_are_checked_before_a_byte_is_read() {
        let refusal = |name: HeaderName, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            check(&headers, 10, &["application/json"]).err().map(|error| error.code())
        };

        assert_eq!(refusal(CONTENT_TYPE, "application/json; charset=utf-8"), None);
        assert_eq!(refusal(CONTENT_TYPE, "Application/JSON"), None);
        assert_eq!(refusal(CONTENT_TYPE, "text/plain"), Some("unsupported_media_type"));
        assert_eq!(refusal(CONTENT_ENCODING, "gzip"), Some("unsupported_media_type"));
        assert_eq!(refusal(CONTENT_ENCODING, "identity"), None);
        assert_eq!(refusal(CONTENT_LENGTH, "10"), None);
        assert_eq!(refusal(CONTENT_LENGTH, "11"), Some("body_too_large"));
    }
}
