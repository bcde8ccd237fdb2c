//! Headers: request ids, what an answer may carry, what browsers may do.

use super::{server, workspace};
use crate::support::{Answer, Client};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Every header that an answer of ours may carry; a new one is a decision, so it is written down here.
const ALLOWED: &[&str] = &[
    "allow",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "connection",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "idempotent-replayed",
    "permissions-policy",
    "referrer-policy",
    "retry-after",
    "strict-transport-security",
    "transfer-encoding",
    "vary",
    "x-content-type-options",
    "x-frame-options",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-request-id",
    "www-authenticate",
];

fn request_id(answer: &Answer) -> String {
    answer.header("x-request-id").unwrap_or_else(|| panic!("no x-request-id: {answer}")).to_owned()
}

#[test]
fn every_answer_carries_a_request_id_of_its_own() {
    let client = workspace();
    client.ingest("t", json!({"chat": "User: hi"}));
    let mut seen = BTreeSet::new();

    for path in [
        "/v1/threads",
        "/v1/items/E1",
        "/v1/expand/E1/raw",
        "/v1/threads/t/export",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/none",
        "/v1/items/E999",
        "/v1/ingest",
    ] {
        for client in [&client, &server().anonymous()] {
            let id = request_id(&client.get(path));
            assert!(id.len() >= 8 && id.len() <= 128, "{path}: {id}");
            assert!(seen.insert(id.clone()), "{path}: {id} was given to another request");
        }
    }
    request_id(&client.raw("POST", "/v1/ingest", "nonsense"));
}

#[test]
fn a_sane_request_id_comes_back_and_any_other_does_not() {
    let client = workspace();
    let send = |id: &[u8]| {
        let value = reqwest::header::HeaderValue::from_bytes(id).unwrap();
        request_id(&Client::send(client.request("GET", "/v1/threads").header("x-request-id", value)))
    };

    for sane in ["abc-123", "req_0195f2b1.7", "7b0e9c1a-55d2-4f0e-9a37-0c2f7d1e8b44"] {
        assert_eq!(send(sane.as_bytes()), sane);
    }
    let long = "x".repeat(4000);
    for odd in [&b""[..], b"a b", b"<script>", b"a\"b", b"a\tb", "ümlaut".as_bytes(), long.as_bytes(), b"{}", b"a,b;c"]
    {
        let given = send(odd);
        assert_ne!(given.as_bytes(), odd, "not sane, so not echoed");
        assert!(given.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{given}");
    }
}

#[test]
fn answers_carry_no_header_that_is_not_meant() {
    let client = workspace();
    client.ingest("t", json!({"chat": "User: hi"}));
    let answers = [
        client.post("/v1/recall", &json!({"thread_id": "t", "purpose": "x"})),
        client.post("/v1/ingest", &json!({"thread_id": "t", "materials": {"chat": "User: hi"}})),
        client.get("/v1/threads"),
        client.get("/v1/expand/E1/raw"),
        client.get("/v1/threads/t/export"),
        client.get("/v1/items/E999"),
        client.get("/none"),
        client.raw("POST", "/v1/ingest", "nonsense"),
        server().anonymous().get("/v1/threads"),
        server().anonymous().get("/healthz"),
        server().admin().get("/admin/api/keys"),
    ];
    for answer in answers {
        for name in answer.headers.keys() {
            assert!(ALLOWED.contains(&name.as_str()), "`{name}` is new, or tells too much: {answer}");
        }
        assert!(answer.header("server").is_none() && answer.header("x-powered-by").is_none(), "{answer}");
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "stored text is never taken for a page: {answer}"
        );
    }
}

#[test]
fn browsers_of_other_sites_may_not_read_anything() {
    let client = workspace();
    let ask = |method: &str| {
        let request = client
            .request(method, "/v1/threads")
            .header("origin", "https://evil.example")
            .header("access-control-request-method", "GET");
        Client::send(request)
    };

    for answer in [ask("GET"), ask("OPTIONS")] {
        assert!(answer.header("access-control-allow-origin").is_none(), "CORS is closed by default: {answer}");
    }
}

#[test]
fn control_bytes_in_headers_never_come_back() {
    let server = server();
    for header in [
        "x-request-id: a\r\tb\x01c",
        "x-request-id: a\x00b",
        "idempotency-key: \x7f\x1b[2J",
        "authorization: Bearer \x1b[31m",
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        write!(stream, "GET /v1/threads HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n\r\n").unwrap();

        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);

        let head = String::from_utf8_lossy(&bytes).split("\r\n\r\n").next().unwrap_or_default().to_owned();
        assert!(head.starts_with("HTTP/1.1 4"), "`{}` is refused, one way or another: {head}", header.escape_debug());
        assert!(!head.bytes().any(|b| b < 0x20 && !b"\r\n".contains(&b) || b == 0x7f), "{}", head.escape_debug());
    }
    assert_eq!(server.anonymous().get("/healthz").status, 200);
}
