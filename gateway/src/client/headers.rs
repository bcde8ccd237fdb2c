//! Which headers pass, in both directions.

use crate::client::{Call, Key};
use crate::error::holds;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

/// Headers that belong to one connection (RFC 9110, 7.6.1), and the framing of a body.
const HOP_BY_HOP: [&str; 11] = [
    "connection",
    "content-encoding",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// A client's headers that are meant for us.
const OURS: [&str; 9] = [
    "accept-encoding",
    "api-key",
    "authorization",
    "cookie",
    "expect",
    "host",
    "idempotency-key",
    "x-api-key",
    "x-goog-api-key",
];
/// An upstream's headers that are meant for us, or for visitors of its own site.
const THEIRS: [&str; 7] = ["alt-svc", "date", "nel", "report-to", "server", "set-cookie", "strict-transport-security"];
/// Headers of ours; nobody else may say them.
const OUR_PREFIX: &str = "x-cmg-";
const LIMITS: &str = "x-ratelimit-";
const GENERATION_ID: &str = "x-generation-id";

/// The headers of a request to an upstream.
pub(super) fn of_request(call: &Call) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(call.headers.len() + call.upstream.extra.len() + 3);
    let named = named(&call.headers);
    for (name, value) in &call.headers {
        if !drops(name, &named, &OURS) {
            headers.append(name.clone(), value.clone());
        }
    }
    if !call.body.is_empty() {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(bearer) = call.upstream.key.as_ref().and_then(bearer) {
        headers.insert(AUTHORIZATION, bearer);
    }
    for (name, value) in &call.upstream.extra {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    headers
}

/// The headers of an answer for the client.
pub(super) fn of_answer(answer: &HeaderMap, key: Option<&Key>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(answer.len());
    let named = named(answer);
    for (name, value) in answer {
        let text = name.as_str();
        let site = text.starts_with("access-control-") || text.starts_with("cf-");
        let tells = key.is_some_and(|key| holds(&String::from_utf8_lossy(value.as_bytes()), key.secret()));
        if site || tells || drops(name, &named, &THEIRS) {
            continue;
        }
        let renamed =
            text.strip_prefix(LIMITS).map(|rest| HeaderName::try_from(format!("x-upstream-ratelimit-{rest}")));
        match renamed {
            Some(Ok(renamed)) => headers.append(renamed, value.clone()),
            Some(Err(_)) => continue,
            None => headers.append(name.clone(), value.clone()),
        };
    }
    headers
}

/// The answer's id from its header: the id by which the upstream knows it, in every dialect.
pub(super) fn generation_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(GENERATION_ID)?.to_str().ok()?;
    (!id.is_empty()).then(|| id.to_owned())
}

fn bearer(key: &Key) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", key.secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The headers that `connection` declares to be of this connection alone.
fn named(headers: &HeaderMap) -> Vec<String> {
    let lists = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

fn drops(name: &HeaderName, named: &[String], more: &[&str]) -> bool {
    let name = name.as_str();
    HOP_BY_HOP.contains(&name)
        || more.contains(&name)
        || name.starts_with(OUR_PREFIX)
        || named.iter().any(|named| named == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{ChunkKind, Upstream};
    use bytes::Bytes;
    use reqwest::Method;
    use std::sync::Arc;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    fn call(headers: HeaderMap, key: Option<&str>) -> Call {
        Call {
            upstream: Arc::new(Upstream {
                name: "u".into(),
                base: "http://localhost".into(),
                key: key.map(|key| Key::new(key.into()).unwrap()),
                extra: vec![(HeaderName::from_static("x-title"), HeaderValue::from_static("ours"))],
            }),
            method: Method::POST,
            path: "/x".into(),
            headers,
            body: Bytes::from_static(b"{}"),
            model: String::new(),
            streamed: false,
            wants_chunks: ChunkKind::Chat,
        }
    }

    #[test]
    fn nothing_meant_for_us_goes_on() {
        let client = map(&[
            ("authorization", "Bearer ours"),
            ("x-api-key", "ours"),
            ("cookie", "c"),
            ("host", "us"),
            ("accept-encoding", "br"),
            ("content-length", "9"),
            ("idempotency-key", "k"),
            ("x-cmg-memory", "on"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("http-referer", "r"),
            ("x-title", "theirs"),
            ("x-openrouter-metadata", "enabled"),
        ]);

        let sent = of_request(&call(client, Some("sk-1")));

        let expected =
            ["accept-encoding", "authorization", "content-type", "http-referer", "x-openrouter-metadata", "x-title"];
        assert_eq!(names(&sent), expected);
        assert_eq!(
            (&sent["authorization"], &sent["accept-encoding"]),
            (&"Bearer sk-1".parse().unwrap(), &"identity".parse().unwrap())
        );
        assert_eq!(sent["x-title"], "theirs", "ours stands where the client sends none");
        assert!(!format!("{sent:?}").contains("sk-1"));
    }

    #[test]
    fn without_a_key_no_authorization_is_sent_and_a_content_type_is_kept() {
        let client = map(&[("authorization", "Bearer ours"), ("content-type", "multipart/form-data; boundary=x")]);

        let sent = of_request(&call(client, None));

        assert!(!sent.contains_key(AUTHORIZATION));
        assert_eq!(sent["content-type"], "multipart/form-data; boundary=x");
    }

    #[test]
    fn an_answers_headers_pass_but_for_those_of_its_site_and_connection() {
        let answer = map(&[
            ("content-type", "application/json"),
            ("content-length", "2"),
            ("content-encoding", "identity"),
            ("set-cookie", "c"),
            ("server", "s"),
            ("alt-svc", "a"),
            ("strict-transport-security", "x"),
            ("access-control-allow-origin", "*"),
            ("cf-ray", "r"),
            ("connection", "keep-alive"),
            ("x-generation-id", "gen-1"),
            ("retry-after", "1"),
            ("x-ratelimit-limit", "20"),
            ("x-openrouter-cache-status", "HIT"),
            ("x-unknown", "u"),
            ("x-cmg-cost", "forged"),
            ("x-echo", "sk-1"),
        ]);

        let passed = of_answer(&answer, Some(&Key::new("sk-1".into()).unwrap()));

        let expected = [
            "content-type",
            "retry-after",
            "x-generation-id",
            "x-openrouter-cache-status",
            "x-unknown",
            "x-upstream-ratelimit-limit",
        ];
        assert_eq!(names(&passed), expected);
    }
}
