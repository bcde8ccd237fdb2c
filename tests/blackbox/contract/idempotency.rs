//! `Idempotency-Key`: a request sent again is answered again, and done once.

use super::{server, workspace};
use crate::support::{Answer, Client};
use serde_json::{Value, json};

fn ingest(client: &Client, key: &str, body: &Value) -> Answer {
    Client::send(client.request("POST", "/v1/ingest").header("idempotency-key", key).json(body))
}

fn body(words: &str) -> Value {
    json!({"thread_id": "t", "materials": {"chat": [{"role": "user", "content": words}]}})
}

#[test]
fn the_same_key_and_body_give_the_stored_answer() {
    let client = workspace();
    let first = ingest(&client, "key-1", &body("once"));
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, None), "{first}");

    let second = ingest(&client, "key-1", &body("once"));

    assert_eq!((second.status, second.header("idempotent-replayed")), (200, Some("true")), "{second}");
    assert_eq!(second.text(), first.text(), "the very same answer, byte for byte");
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"), "but another request");
    assert_eq!(client.items("t").len(), 1);
}

#[test]
fn the_same_key_with_another_body_is_refused_and_does_nothing() {
    let client = workspace();
    ingest(&client, "key-2", &body("the first")).done();

    ingest(&client, "key-2", &body("the second")).refused(409, "idempotency_mismatch");

    assert_eq!(client.items("t").len(), 1, "nothing was added");
    assert_eq!(
        ingest(&client, "key-2", &body("the first")).header("idempotent-replayed"),
        Some("true"),
        "the first answer stays"
    );
}

#[test]
fn a_key_belongs_to_its_workspace() {
    let (one, other) = (workspace(), workspace());
    ingest(&one, "shared", &body("of the one")).done();

    let answer = ingest(&other, "shared", &body("of the other"));

    assert_eq!((answer.status, answer.header("idempotent-replayed")), (200, None), "{answer}");
    assert_eq!(other.items("t")[0]["text"], "of the other");
}

#[test]
fn a_refused_request_may_be_put_right_under_its_key() {
    let client = workspace();
    ingest(&client, "key-3", &json!({"thread_id": "t", "materials": {}})).refused(400, "empty_materials");

    let answer = ingest(&client, "key-3", &body("now with words"));

    assert_eq!(answer.status, 200, "nothing was done under this key yet: {answer}");
}

#[test]
fn twenty_at_once_under_one_key_are_done_once() {
    let client = workspace();
    let turns: Vec<Value> = (0..50).map(|n| json!({"role": "user", "content": format!("turn {n}")})).collect();
    let request = json!({"thread_id": "t", "materials": {"chat": turns}});

    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let sent: Vec<_> = (0..20).map(|_| scope.spawn(|| ingest(&client, "key-4", &request))).collect();
        sent.into_iter().map(|one| one.join().unwrap()).collect()
    });

    // Who comes while the first one is still being done may be told to come again.
    assert!(answers.iter().all(|answer| [200, 409, 503].contains(&answer.status)), "{}", answers[0]);
    let done: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert!(!done.is_empty());
    assert!(done.iter().all(|answer| answer.text() == done[0].text()), "all who were answered got the same answer");
    assert_eq!(client.items("t").iter().filter(|item| item["kind"] == "chat").count(), 50, "and it was done once");
}

#[test]
fn a_key_that_is_no_key_is_refused_or_ignored() {
    let client = workspace();
    for (no, key) in ["", " ", "x".repeat(5000).as_str(), "ü"].iter().enumerate() {
        let value = reqwest::header::HeaderValue::from_bytes(key.as_bytes()).unwrap();
        let answer = Client::send(
            client.request("POST", "/v1/ingest").header("idempotency-key", value).json(&body(&format!("n{no}"))),
        );
        assert!([200, 400].contains(&answer.status), "{answer}");
    }
    assert_eq!(server().anonymous().get("/healthz").status, 200);
}
