//! Isolation: what lies in another workspace answers exactly as what does not exist.

use crate::support::{Answer, Client, Server, encoded};
use serde_json::{Value, json};
use std::sync::OnceLock;

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

/// A request that takes an id: a name, the method, the path and the body.
type Route = (String, &'static str, String, Option<Value>);

/// Every route that takes the id of an item, an artifact or a thread.
fn routes(item: &str, artifact: &str, thread: &str, exported: &str) -> Vec<Route> {
    let (item_path, artifact_path, thread_path) = (encoded(item), encoded(artifact), encoded(thread));
    let mut routes = vec![
        ("GET", format!("/v1/items/{item_path}"), None),
        ("GET", format!("/v1/expand/{item_path}"), None),
        ("GET", format!("/v1/expand/{item_path}/raw"), None),
        ("GET", format!("/v1/expand/{artifact_path}"), None),
        ("GET", format!("/v1/expand/{artifact_path}/raw"), None),
        ("POST", "/v1/feedback".to_owned(), Some(json!({"item_id": item, "feedback_type": "helpful", "value": 0.5}))),
        ("PATCH", format!("/v1/items/{item_path}"), Some(json!({"tags": ["seen"]}))),
        ("GET", format!("/v1/threads/{thread_path}"), None),
        ("GET", format!("/v1/threads/{thread_path}/items"), None),
        ("GET", format!("/v1/threads/{thread_path}/items?limit=1"), None),
        ("GET", format!("/v1/threads/{thread_path}/export"), None),
        ("POST", "/v1/recall".to_owned(), Some(json!({"thread_id": thread, "purpose": "treasure"}))),
        ("POST", "/v1/workingset".to_owned(), Some(json!({"thread_id": thread, "purpose": "treasure"}))),
        ("GET", "/v1/threads".to_owned(), None),
        ("POST", "/v1/recall".to_owned(), Some(json!({"scope": "workspace", "purpose": "treasure"}))),
        ("POST", "/v1/workingset".to_owned(), Some(json!({"scope": "workspace", "purpose": "treasure"}))),
        ("DELETE", format!("/v1/items/{item_path}"), None),
        ("DELETE", format!("/v1/threads/{thread_path}"), None),
    ];
    routes.push(("POST", format!("/v1/threads/{thread_path}/import"), Some(json!(exported))));
    routes.into_iter().map(|(method, path, body)| (format!("{method} {path}"), method, path, body)).collect()
}

fn send(client: &Client, (_, method, path, body): &Route) -> Answer {
    let request = client.request(method, path);
    Client::send(match body {
        Some(Value::String(lines)) => request.header("content-type", "application/x-ndjson").body(lines.clone()),
        Some(body) => request.json(body),
        None => request,
    })
}

/// All of an answer that its receiver sees, but for what names this very request and moment.
fn seen(answer: &Answer) -> String {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["x-request-id", "date", "content-length"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    format!("{} {headers:?} {}", answer.status, crate::support::without_time(&answer.text()))
}

#[test]
fn what_is_anothers_answers_exactly_as_what_does_not_exist() {
    let (owner, stranger) = (server().workspace("isolation-owner"), server().workspace("isolation-stranger"));
    // The stranger asks for the same ids twice: before the owner has them, and after.
    let (item, artifact, thread) = ("E1", "CODE:vault/door.py#L1-L2", "the treasure map");
    let routes = routes(item, artifact, thread, "not an export");
    let missing: Vec<String> = routes.iter().map(|route| seen(&send(&stranger, route))).collect();
    owner.ingest(thread, json!({"diffs": "diff --git a/vault/door.py b/vault/door.py\n--- a/vault/door.py\n+++ b/vault/door.py\n@@ -1,1 +1,2 @@\n door = 1\n+treasure = 2\n"}));

    let foreign: Vec<String> = routes.iter().map(|route| seen(&send(&stranger, route))).collect();

    for ((route, missing), foreign) in routes.iter().zip(&missing).zip(&foreign) {
        assert_eq!(missing, foreign, "{}: a stranger can tell that it exists", route.0);
        assert!(!foreign.contains("vault"), "{}: {foreign}", route.0);
    }
    for (route, foreign) in routes.iter().zip(&foreign) {
        let lists = route.2 == "/v1/threads" || route.3.as_ref().is_some_and(|body| body["scope"] == "workspace");
        let imports = route.2.ends_with("/import");
        assert!(
            foreign.starts_with(if lists {
                "200"
            } else if imports {
                "400"
            } else {
                "404"
            }),
            "{}: {foreign}",
            route.0
        );
    }
    for route in routes.iter().filter(|route| !route.2.ends_with("/import")) {
        // The thread goes last, and its item just before it.
        let own = send(&owner, route);
        assert!((200..300).contains(&own.status), "its owner is let in: {own}");
    }
}

#[test]
fn a_stranger_changes_nothing() {
    let (owner, stranger) = (server().workspace("change-owner"), server().workspace("change-stranger"));
    owner.chat("diary", &[json!({"role": "user", "content": "The lamp stood by the window."})]);
    let before = owner.export("diary");

    for (method, path, body) in [
        ("PATCH", "/v1/items/E1", json!({"text": "The lamp is mine."})),
        ("DELETE", "/v1/items/E1", Value::Null),
        ("DELETE", "/v1/threads/diary", Value::Null),
        ("POST", "/v1/feedback", json!({"item_id": "E1", "feedback_type": "wrong", "value": 1.0})),
    ] {
        stranger.json(method, path, &body).refused(404, "not_found");
    }
    stranger.chat("diary", &[json!({"role": "user", "content": "My own diary of the same name."})]);

    assert_eq!(owner.export("diary"), before, "the owner's thread is as it was");
    assert_eq!(stranger.items("diary").len(), 1, "two workspaces may have threads of one name");
}

#[test]
fn a_cursor_of_another_workspace_opens_nothing() {
    let (owner, stranger) = (server().workspace("cursor-owner"), server().workspace("cursor-stranger"));
    let turns: Vec<Value> = (0..5).map(|n| json!({"role": "user", "content": format!("secret {n}")})).collect();
    owner.chat("list", &turns);
    stranger.chat("list", &[json!({"role": "user", "content": "plain"})]);
    let page = owner.get("/v1/threads/list/items?limit=2").done();

    let answer =
        stranger.get(&format!("/v1/threads/list/items?cursor={}", encoded(page["next_cursor"].as_str().unwrap())));

    assert!(!answer.text().contains("secret"), "{answer}");
    assert!(answer.status < 500, "{answer}");
}

#[test]
fn a_deleted_item_answers_its_owner_as_one_that_never_was() {
    let client = server().workspace("deleted");
    let missing = seen(&client.get("/v1/items/E1"));
    client.chat("gone", &[json!({"role": "user", "content": "Short-lived."})]);
    client.delete("/v1/items/E1").done();

    assert_eq!(seen(&client.get("/v1/items/E1")), missing);
}
