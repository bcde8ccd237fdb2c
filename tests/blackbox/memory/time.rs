//! Time: what was known at an instant stays known as it was.

use super::{id, says, workspace};
use crate::support::{Client, stories, wait_for, without_time};
use serde_json::{Value, json};

/// An instant that everything so far lies before and everything later behind.
fn now(client: &Client, thread: &str) -> String {
    let last = client.items(thread).iter().map(|item| item["created_at"].as_str().unwrap().to_owned()).max().unwrap();
    // The next item must not be learnt in the same instant: ask until the clock has moved on.
    wait_for("the clock to move on", 5, || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        (since > millis(&last)).then_some(())
    });
    last
}

/// Milliseconds since 1970, rounded up, of an RFC 3339 text in UTC.
fn millis(time: &str) -> u128 {
    let number = |range: std::ops::Range<usize>| time[range].parse::<i64>().unwrap();
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + number(11..13) * 3600 + number(14..16) * 60 + number(17..19);
    let fraction = time[19..].trim_end_matches('Z').trim_start_matches('.');
    let micros: i64 = format!("{fraction:0<6}")[..6].parse().unwrap();
    u128::try_from(seconds * 1000 + micros.div_euclid(1000) + 1).unwrap()
}

/// The bytes of the answer to a request, but for the time it took.
fn bytes(client: &Client, path: &str, request: &Value) -> String {
    let answer = client.post(path, request);
    answer.done();
    without_time(&answer.text())
}

#[test]
fn an_answer_as_of_an_instant_does_not_change_when_more_is_learnt() {
    let client = workspace();
    let turns = stories::pantry();
    client.chat("history", &turns[..70]);
    let then = now(&client, "history");
    let requests: Vec<Value> =
        ["Which database do we use?", "Who is allergic to raisins?", "expiry colours", "barcode scanning"]
            .iter()
            .map(|purpose| json!({"thread_id": "history", "purpose": purpose, "as_of": then, "token_budget": 600}))
            .collect();
    let ask = || -> Vec<String> {
        let both = requests.iter().flat_map(|request| ["/v1/recall", "/v1/workingset"].map(|path| (path, request)));
        both.map(|(path, request)| bytes(&client, path, request)).collect()
    };
    let before = ask();

    client.chat("history", &turns[70..]);
    client.ingest("history", json!({"chat": "User: We now use Postgres instead of SQLite for the database.\nUser: Selin is no longer allergic to raisins.",
        "logs": stories::LOG, "items": [{"kind": "decision", "title": "Database", "body": "The database is DuckDB."}]}));

    for (no, (before, after)) in before.iter().zip(ask()).enumerate() {
        assert_eq!(*before, after, "answer {no}: as of {then} the memory stands as it stood then");
    }
}

#[test]
fn items_learnt_later_are_absent_as_of_before() {
    let client = workspace();
    client.chat("later", &[json!({"role": "user", "content": "The bakery opens at six."})]);
    let then = now(&client, "later");
    client.chat("later", &[json!({"role": "user", "content": "The bakery opens at seven in winter.", "timestamp": "2020-01-01T00:00:00Z"})]);

    let find = |as_of: Value| {
        let answer =
            client.recall(&json!({"thread_id": "later", "purpose": "When does the bakery open?", "as_of": as_of}));
        answer["items"].as_array().unwrap().clone()
    };

    assert!(says(&find(Value::Null), "in winter"));
    let before = find(json!(then));
    assert!(says(&before, "at six") && !says(&before, "in winter"), "{before:?}");
    let long_ago = find(json!("2001-01-01T00:00:00Z"));
    assert_eq!(long_ago, [Value::Null; 0], "in 2001 nothing was known");
}

#[test]
fn a_superseded_decision_is_valid_again_as_of_before() {
    let client = workspace();
    client.chat("super", &[json!({"role": "user", "content": "We decided to use MySQL for the database."})]);
    let then = now(&client, "super");
    client.chat("super", &[json!({"role": "user", "content": "We now use SQLite instead of MySQL for the database."})]);
    let decisions = |as_of: Value| {
        let set = client
            .post("/v1/workingset", &json!({"thread_id": "super", "purpose": "Which database?", "as_of": as_of}))
            .done();
        set["focus_decisions"].to_string()
    };

    let today = decisions(Value::Null);
    assert!(
        today.contains("SQLite") && !today.contains("decided to use MySQL"),
        "the later decision holds now: {today}"
    );
    let before = decisions(json!(then));
    assert!(before.contains("MySQL") && !before.contains("SQLite"), "the earlier one held then: {before}");

    let all: Vec<Value> = client.items("super").into_iter().filter(|item| item["kind"] == "decision").collect();
    let old =
        all.iter().find(|item| item["status"] == "superseded").unwrap_or_else(|| panic!("one is superseded: {all:?}"));
    let new = all.iter().find(|item| item["status"] != "superseded").unwrap_or_else(|| panic!("one holds: {all:?}"));
    for (one, other) in [(old, new), (new, old)] {
        let expanded = client.get(&format!("/v1/expand/{}", id(one))).done().to_string();
        assert!(expanded.contains(&format!("\"{}\"", id(other))), "both are linked: {expanded}");
    }
}

#[test]
fn edits_and_feedback_of_later_do_not_reach_back() {
    let client = workspace();
    client.chat("edits", &stories::pantry()[..30]);
    let then = now(&client, "edits");
    let request = json!({"thread_id": "edits", "purpose": "Which database do we use?", "as_of": then});
    let before = bytes(&client, "/v1/recall", &request);
    let first = client.recall(&request)["focus_ids"][0].as_str().unwrap().to_owned();

    client.patch(&format!("/v1/items/{first}"), &json!({"text": "Something else altogether."})).done();
    client.post("/v1/feedback", &json!({"item_id": first, "feedback_type": "wrong", "value": 1.0})).done();

    assert_eq!(bytes(&client, "/v1/recall", &request), before, "as of {then} nobody had edited {first} yet");
}
