//! Requests and answers, typed just enough that a test reads like what a user does.

use reqwest::Method;
use reqwest::blocking::{Client as Http, RequestBuilder};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::time::Duration;

/// Who asks, and where.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    bearer: Option<String>,
}

/// An answer, with the request that it belongs to.
pub(crate) struct Answer {
    /// The request in a few words, for messages.
    pub(crate) to: String,
    /// The status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// A request that could not be answered at all.
pub(crate) type Sent = Result<Answer, reqwest::Error>;

fn http() -> &'static Http {
    static HTTP: OnceLock<Http> = OnceLock::new();
    HTTP.get_or_init(|| {
        Http::builder()
            .timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::limited(3))
            .no_proxy()
            .build()
            .unwrap()
    })
}

impl Client {
    /// A client of this server with this bearer token.
    pub(crate) fn new(base: String, bearer: Option<String>) -> Self {
        Self { base, bearer }
    }

    /// The token it sends.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.bearer.as_deref()
    }

    /// A request of any kind, to be filled in.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = http().request(method, format!("{}{path}", self.base));
        match &self.bearer {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends a request that was filled in.
    pub(crate) fn try_send(request: RequestBuilder) -> Sent {
        let request = request.build()?;
        let to = format!("{} {}", request.method(), request.url().path());
        let answer = http().execute(request)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Answer { to, status, headers, body: answer.bytes()?.to_vec() })
    }

    /// Sends a request that must be answered.
    pub(crate) fn send(request: RequestBuilder) -> Answer {
        Self::try_send(request).unwrap_or_else(|error| panic!("the server gave no answer: {error:?}"))
    }

    /// GET that may fail to connect.
    pub(crate) fn try_get(&self, path: &str) -> Sent {
        Self::try_send(self.request("GET", path))
    }

    /// GET.
    pub(crate) fn get(&self, path: &str) -> Answer {
        Self::send(self.request("GET", path))
    }

    /// DELETE.
    pub(crate) fn delete(&self, path: &str) -> Answer {
        Self::send(self.request("DELETE", path))
    }

    /// POST of JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.json("POST", path, body)
    }

    /// PATCH of JSON.
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Answer {
        self.json("PATCH", path, body)
    }

    /// Any method with a JSON body.
    pub(crate) fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        Self::send(self.request(method, path).json(body))
    }

    /// A JSON body as these very bytes.
    pub(crate) fn raw(&self, method: &str, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        Self::send(self.request(method, path).header("content-type", "application/json").body(body.into()))
    }

    /// Ingests materials into a thread; the receipt.
    pub(crate) fn ingest(&self, thread: &str, materials: Value) -> Value {
        self.post("/v1/ingest", &json!({"thread_id": thread, "materials": materials})).done()
    }

    /// Ingests turns of a conversation, given as a `chat` array.
    pub(crate) fn chat(&self, thread: &str, turns: &[Value]) -> Value {
        self.ingest(thread, json!({"chat": turns}))
    }

    /// A recall with any fields; the whole answer.
    pub(crate) fn recall(&self, request: &Value) -> Value {
        self.post("/v1/recall", request).done()
    }

    /// What a thread gives for a purpose.
    pub(crate) fn find(&self, thread: &str, purpose: &str) -> Vec<Value> {
        items_of(&self.recall(&json!({"thread_id": thread, "purpose": purpose})))
    }

    /// Every item of a thread, over all pages.
    pub(crate) fn items(&self, thread: &str) -> Vec<Value> {
        self.pages(&format!("/v1/threads/{}/items", super::encoded(thread)), 500)
    }

    /// Every element of a list, over all pages.
    pub(crate) fn pages(&self, path: &str, limit: usize) -> Vec<Value> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{path}?limit={limit}{cursor}")).done();
            assert_eq!(page["object"], "list", "a list says that it is one: {page}");
            let data = page["data"].as_array().unwrap_or_else(|| panic!("a list has `data`: {page}"));
            assert!(data.len() <= limit, "{path}: a page of {limit} holds {}", data.len());
            all.extend(data.iter().cloned());
            match &page["next_cursor"] {
                Value::Null => return all,
                Value::String(next) => cursor = format!("&cursor={}", super::encoded(next)),
                other => panic!("{path}: `next_cursor` is {other}"),
            }
            assert!(!data.is_empty(), "{path}: an empty page that promises another one");
            assert!(all.len() < 1_000_000, "{path}: the pages never end");
        }
    }

    /// The thread as its export writes it, line by line.
    pub(crate) fn export(&self, thread: &str) -> Vec<String> {
        let answer = self.get(&format!("/v1/threads/{}/export", super::encoded(thread)));
        assert_eq!(answer.status, 200, "{answer}");
        answer.text().lines().map(str::to_owned).collect()
    }

    /// Imports NDJSON into a thread.
    pub(crate) fn import(&self, thread: &str, lines: &[String]) -> Answer {
        let request = self.request("POST", &format!("/v1/threads/{}/import", super::encoded(thread)));
        Self::send(request.header("content-type", "application/x-ndjson").body(lines.join("\n") + "\n"))
    }
}

/// The `items` of a recall.
pub(crate) fn items_of(recall: &Value) -> Vec<Value> {
    recall["items"].as_array().unwrap_or_else(|| panic!("a recall has `items`: {recall}")).clone()
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap_or_else(|_| panic!("{}: the body is not UTF-8", self.to))
    }

    /// The body as JSON.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{self}: not JSON: {error}"))
    }

    /// A header, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The body of an answer that must be a success.
    #[track_caller]
    pub(crate) fn done(&self) -> Value {
        assert!((200..300).contains(&self.status), "expected a success: {self}");
        if self.body.is_empty() { Value::Null } else { self.value() }
    }

    /// Checks that this is a failure of an upstream, by our code for it; the `error` object.
    #[track_caller]
    pub(crate) fn gateway_refused(&self, status: u16, code: &str) -> Value {
        let error = self.value()["error"].clone();
        let found = (self.status, error["gateway_code"].as_str().unwrap_or("none"));
        assert_eq!(found, (status, code), "{self}");
        assert!(error["message"].is_string() && error["type"].is_string(), "{self}");
        error
    }

    /// Checks that this is the promised error, in the one shape that errors have; the `error` object.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> Value {
        let error = self.shaped();
        assert_eq!((self.status, error["code"].as_str().unwrap_or("none")), (status, code), "{self}");
        error
    }

    /// Checks that this is an error in the one shape that errors have; the `error` object.
    #[track_caller]
    pub(crate) fn shaped(&self) -> Value {
        assert!(self.status >= 400, "expected an error: {self}");
        let body = self.value();
        let fields: Vec<_> = body.as_object().unwrap_or_else(|| panic!("{self}")).keys().collect();
        assert_eq!(fields, ["error"], "an error answer holds `error` alone: {self}");
        let error = &body["error"];
        let mut fields: Vec<_> = error.as_object().unwrap_or_else(|| panic!("{self}")).keys().collect();
        fields.sort();
        assert_eq!(fields, ["code", "message", "param", "type"], "{self}");
        let message = error["message"].as_str().unwrap_or_else(|| panic!("{self}"));
        assert!(!message.trim().is_empty(), "an error says what is wrong: {self}");
        for inside in ["panicked", "src/", ".rs:", "RUST_BACKTRACE", "/tmp/", "/home/"] {
            assert!(!message.contains(inside), "an error keeps our inside to itself ({inside}): {self}");
        }
        let code = error["code"].as_str().unwrap_or_else(|| panic!("{self}"));
        let kind = error["type"].as_str().unwrap_or_else(|| panic!("{self}"));
        assert_eq!(kind, type_of(self.status, code), "the type that belongs to {code}: {self}");
        assert!(error["param"].is_null() || error["param"].is_string(), "{self}");
        assert!(self.header("content-type").is_some_and(|kind| kind.starts_with("application/json")), "{self}");
        error.clone()
    }
}

/// The `type` that goes with a status and code.
fn type_of(status: u16, code: &str) -> &'static str {
    match (status, code) {
        (_, code) if code.starts_with("upstream_") => "upstream_error",
        (401, _) => "authentication_error",
        (403, _) => "permission_error",
        (404, _) => "not_found_error",
        (409, _) => "conflict_error",
        (429, _) => "rate_limit_error",
        (402, _) => "quota_exceeded",
        (503, "storage_unavailable") | (500 | 504 | 507, _) => "server_error",
        (503, _) => "overloaded_error",
        _ => "invalid_request_error",
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        let short: String = body.chars().take(1500).collect();
        write!(f, "{} → {} {short}", self.to, self.status)
    }
}
