//! Keys over the admin API: made, listed, changed, revoked, expired, and held to their scopes.

use crate::support::{Client, Server, wait_for};
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

fn listed(id: &Value) -> Option<Value> {
    server().admin().pages("/admin/api/keys", 100).into_iter().find(|key| key["id"] == *id)
}

/// RFC 3339 of an instant this far from now.
fn in_seconds(seconds: u64) -> String {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(seconds);
    let (days, rest) = (at.as_secs() / 86_400, at.as_secs() % 86_400);
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest % 3600 / 60, rest % 60)
}

#[test]
fn a_key_is_shown_once_and_never_again() {
    let made = server()
        .new_key(&json!({"workspace_id": "once", "name": "CI", "rpm_limit": 60, "daily_quota_tokens": 1000,
        "model_allowlist": ["a/b"], "model_blocklist": ["c/d"], "default_model": "a/b"}));
    let key = made["key"].as_str().unwrap().to_owned();
    let secret = key.strip_prefix("cmg_").expect("a key begins with cmg_");
    assert!(secret.len() >= 43, "32 random bytes take 43 characters: {}", secret.len());

    let shown = listed(&made["id"]).expect("the new key is listed");

    assert_eq!(
        (&shown["workspace_id"], &shown["name"], &shown["rpm_limit"]),
        (&json!("once"), &json!("CI"), &json!(60))
    );
    assert!(shown.get("key").is_none_or(Value::is_null), "a list never shows a key: {shown}");
    let list = server().admin().get("/admin/api/keys").text();
    assert!(!list.contains(secret) && !list.contains(&secret[12..]), "not even most of it");
    assert_eq!(server().with_key(&key).get("/v1/threads").status, 200, "and it works");
}

#[test]
fn two_keys_of_one_workspace_see_the_same_and_are_different() {
    let (one, other) = (server().workspace("shared-keys"), server().workspace("shared-keys"));
    one.chat("t", &[json!({"role": "user", "content": "We share this."})]);

    assert_eq!(other.items("t").len(), 1);
}

#[test]
fn a_key_can_be_changed() {
    let made = server().new_key(&json!({"workspace_id": "patched", "name": "before"}));
    let path = format!("/admin/api/keys/{}", made["id"].as_str().unwrap());

    server().admin().patch(&path, &json!({"name": "after", "rpm_limit": 5})).done();

    let shown = listed(&made["id"]).unwrap();
    assert_eq!(
        (&shown["name"], &shown["rpm_limit"], &shown["workspace_id"]),
        (&json!("after"), &json!(5), &json!("patched"))
    );
    server().admin().patch(&path, &json!({"workspace_id": "another"})).refused(400, "unknown_field");
    server().admin().patch(&path, &json!({"key": "cmg_mine"})).refused(400, "unknown_field");
    assert_eq!(
        server().with_key(made["key"].as_str().unwrap()).get("/v1/threads").status,
        200,
        "it stays the same key"
    );
}

#[test]
fn a_revoked_key_is_dead_at_once() {
    let made = server().new_key(&json!({"workspace_id": "revoked", "name": "short"}));
    let client = server().with_key(made["key"].as_str().unwrap());
    assert_eq!(client.get("/v1/threads").status, 200);

    let revoked = server().admin().delete(&format!("/admin/api/keys/{}", made["id"].as_str().unwrap()));

    assert!([200, 204].contains(&revoked.status), "{revoked}");
    client.get("/v1/threads").refused(401, "invalid_api_key");
    client
        .post("/v1/ingest", &json!({"thread_id": "t", "materials": {"chat": "User: x"}}))
        .refused(401, "invalid_api_key");
    if let Some(shown) = listed(&made["id"]) {
        assert!(shown["revoked_at"].is_string(), "a list says that it is revoked: {shown}");
    }
}

#[test]
fn a_key_dies_at_its_end() {
    let past = json!({"workspace_id": "ends", "name": "old", "expires_at": "2020-01-01T00:00:00Z"});
    let error = server().admin().post("/admin/api/keys", &past).refused(400, "invalid_value");
    assert_eq!(error["param"], "expires_at", "a key that is over before it begins is a mistake");

    let soon = server().new_key(&json!({"workspace_id": "ends", "name": "soon", "expires_at": in_seconds(2)}));
    let client = server().with_key(soon["key"].as_str().unwrap());
    let answer = wait_for("a key to expire", 10, || {
        let answer = client.get("/v1/threads");
        (answer.status != 200).then_some(answer)
    });
    answer.refused(401, "expired_api_key");

    let later = server().new_key(&json!({"workspace_id": "ends", "name": "later", "expires_at": in_seconds(3600)}));
    assert_eq!(server().with_key(later["key"].as_str().unwrap()).get("/v1/threads").status, 200);
}

fn scoped(scopes: &[&str]) -> Client {
    let made = server().new_key(&json!({"workspace_id": "scopes", "name": "scoped", "scopes": scopes}));
    server().with_key(made["key"].as_str().unwrap())
}

#[test]
fn a_key_that_may_only_read_cannot_write() {
    let writer = scoped(&["read", "write"]);
    writer.chat("read-me", &[json!({"role": "user", "content": "The bell rings at noon."})]);
    let exported = writer.export("read-me");
    let item = writer.items("read-me")[0]["id"].as_str().unwrap().to_owned();

    let reader = scoped(&["read"]);

    for path in [
        "/v1/threads".to_owned(),
        "/v1/threads/read-me".to_owned(),
        "/v1/threads/read-me/items".to_owned(),
        "/v1/threads/read-me/export".to_owned(),
        format!("/v1/items/{item}"),
        format!("/v1/expand/{item}"),
        format!("/v1/expand/{item}/raw"),
    ] {
        assert_eq!(reader.get(&path).status, 200, "{path}");
    }
    for path in ["/v1/recall", "/v1/workingset"] {
        assert_eq!(reader.post(path, &json!({"thread_id": "read-me", "purpose": "bell"})).status, 200, "{path}");
    }
    for (method, path, body) in [
        ("POST", "/v1/ingest".to_owned(), json!({"thread_id": "read-me", "materials": {"chat": "User: x"}})),
        ("POST", "/v1/feedback".to_owned(), json!({"item_id": item, "feedback_type": "helpful", "value": 1.0})),
        ("PATCH", format!("/v1/items/{item}"), json!({"text": "x"})),
        ("DELETE", format!("/v1/items/{item}"), Value::Null),
        ("DELETE", "/v1/threads/read-me".to_owned(), Value::Null),
    ] {
        reader.json(method, &path, &body).refused(403, "insufficient_scope");
    }
    reader.import("another", &exported).refused(403, "insufficient_scope");
    assert_eq!(writer.export("read-me"), exported, "nothing changed");
}

#[test]
fn a_key_that_may_only_write_cannot_read() {
    let writer = scoped(&["write"]);

    writer.chat("write-me", &[json!({"role": "user", "content": "The bell rings at one."})]);

    writer.post("/v1/recall", &json!({"thread_id": "write-me", "purpose": "bell"})).refused(403, "insufficient_scope");
    writer.get("/v1/threads").refused(403, "insufficient_scope");
}

#[test]
fn keys_survive_a_crash() {
    let mut server = Server::start();
    let kept = server.new_key(&json!({"workspace_id": "kept", "name": "kept"}));
    let gone = server.new_key(&json!({"workspace_id": "kept", "name": "gone"}));
    server.admin().delete(&format!("/admin/api/keys/{}", gone["id"].as_str().unwrap())).done();

    server.kill9();
    server.launch();

    assert_eq!(server.with_key(kept["key"].as_str().unwrap()).get("/v1/threads").status, 200, "a made key stays made");
    server.with_key(gone["key"].as_str().unwrap()).get("/v1/threads").refused(401, "invalid_api_key");
}
