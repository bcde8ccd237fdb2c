//! Filters and scopes: what a recall may look at.

use super::{says, text, workspace};
use crate::support::client::items_of;
use crate::support::{Client, stories};
use serde_json::{Value, json};

fn filtered(client: &Client, thread: &str, purpose: &str, filters: Value) -> Vec<Value> {
    items_of(
        &client.recall(&json!({"thread_id": thread, "purpose": purpose, "filters": filters, "token_budget": 100_000})),
    )
}

#[test]
fn kinds_narrow_what_is_found() {
    let client = workspace();
    client.ingest(
        "kinds",
        json!({"chat": stories::pantry(), "diffs": stories::commits(), "logs": stories::LOG,
        "items": [{"kind": "decision", "title": "Storage", "body": "Backups go to a storage box."}]}),
    );
    let purpose = "backup storage database connection";

    for kinds in [vec!["diff"], vec!["log"], vec!["decision"], vec!["chat", "log"]] {
        let items = filtered(&client, "kinds", purpose, json!({"kinds": kinds}));
        assert!(!items.is_empty(), "{kinds:?} finds something");
        assert!(items.iter().all(|item| kinds.contains(&item["kind"].as_str().unwrap())), "{kinds:?}: {items:?}");
    }
}

#[test]
fn after_and_before_narrow_what_is_found() {
    let client = workspace();
    client.chat("dates", &stories::pantry());
    let (after, before) = ("2025-03-10T00:00:00Z", "2025-03-21T00:00:00Z");

    let items =
        filtered(&client, "dates", "What did we say about the kitchens?", json!({"after": after, "before": before}));

    assert!(items.len() >= 3, "those days had much to say: {}", items.len());
    for item in &items {
        let at = item["observed_at"].as_str().unwrap();
        assert!(after <= at && at < before, "{at} is outside: {item}");
    }
    let none =
        filtered(&client, "dates", "What did we say about the kitchens?", json!({"after": "2031-01-01T00:00:00Z"}));
    assert_eq!(none, [Value::Null; 0], "nothing was said in 2031");
}

#[test]
fn tags_narrow_what_is_found() {
    let client = workspace();
    client.ingest("tags", json!({"items": [
        {"kind": "decision", "title": "Tokens", "body": "Access tokens live fifteen minutes.", "tags": ["auth", "security"]},
        {"kind": "decision", "title": "Colours", "body": "Access to the palette is by CSS variables.", "tags": ["design"]},
    ]}));

    let items = filtered(&client, "tags", "access", json!({"tags": ["auth"]}));

    assert!(says(&items, "fifteen minutes"), "{items:?}");
    assert!(!says(&items, "palette"), "another tag stays out: {items:?}");
    assert_eq!(filtered(&client, "tags", "access", json!({"tags": ["nobody"]})), [Value::Null; 0]);
}

#[test]
fn metadata_narrows_what_is_found() {
    let client = workspace();
    for (repo, words) in [("api", "The retry limit is four."), ("web", "The retry button is green.")] {
        client.post("/v1/ingest", &json!({"thread_id": "meta", "materials": {"chat": [{"role": "user", "content": words}]}, "metadata": {"repo": repo, "n": 1}})).done();
    }

    let items = filtered(&client, "meta", "retry", json!({"metadata": {"repo": "api"}}));

    assert!(says(&items, "limit is four") && !says(&items, "button"), "{items:?}");
    assert_eq!(
        filtered(&client, "meta", "retry", json!({"metadata": {"repo": "api", "n": 2}})),
        [Value::Null; 0],
        "all of it must fit"
    );
}

#[test]
fn a_thread_sees_itself_and_a_workspace_all_its_threads() {
    let client = workspace();
    client.chat("left", &[json!({"role": "user", "content": "The harbour crane lifts forty tons."})]);
    client.chat("right", &[json!({"role": "user", "content": "The harbour crane was painted blue."})]);
    let purpose = "harbour crane";

    let left = client.find("left", purpose);
    let all = items_of(&client.recall(&json!({"scope": "workspace", "purpose": purpose})));
    let with_thread = items_of(&client.recall(&json!({"scope": "workspace", "thread_id": "left", "purpose": purpose})));

    assert!(says(&left, "forty tons") && !says(&left, "painted blue"), "a thread sees itself alone: {left:?}");
    for items in [&all, &with_thread] {
        assert!(says(items, "forty tons") && says(items, "painted blue"), "a workspace sees both: {items:?}");
    }
    let thread_of = |words: &str| all.iter().find(|item| text(item).contains(words)).unwrap()["thread_id"].clone();
    assert_eq!((thread_of("forty"), thread_of("painted")), (json!("left"), json!("right")));
}
