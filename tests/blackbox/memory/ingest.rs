//! Ingest: what an answer of 200 promises about what was sent.

use super::{episodic, id, ids, says, text, workspace};
use crate::support::{encoded, stories};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn the_example_of_the_interface_gives_the_promised_shape() {
    let client = workspace();

    let receipt = client.post("/v1/ingest", &stories::example("session-123")).done();

    assert_eq!(receipt["thread_id"], "session-123");
    let added = ids(&receipt, "added_ids");
    for wanted in ["E1", "E2", "E3", "E4", "S1"] {
        assert!(
            added.contains(&wanted),
            "two turns, a hunk, a log event and a decision are {wanted} and others: {added:?}"
        );
    }
    assert_eq!(episodic(&added), 4, "nothing else happened: {added:?}");
    let numbers: BTreeSet<u32> = added.iter().filter_map(|id| id.strip_prefix('S')?.parse().ok()).collect();
    assert_eq!(
        numbers.iter().copied().collect::<Vec<_>>(),
        (1..=numbers.len() as u32).collect::<Vec<_>>(),
        "{added:?}"
    );
    assert_eq!(ids(&receipt, "updated_ids"), [""; 0]);
    assert_eq!(receipt["redactions"], json!({"email": 1}));
    let summary = receipt["summary"].as_str().unwrap();
    for part in ["2 chat turns", "1 diff hunk", "1 log event", "1 e-mail address redacted"] {
        assert!(summary.contains(part), "the summary says {part}: {summary}");
    }
    assert!(receipt["token_count"].as_u64().unwrap() > 10, "{receipt}");
    assert!(receipt["took_us"].is_u64(), "{receipt}");
}

#[test]
fn the_very_next_recall_sees_what_was_ingested() {
    let client = workspace();
    for round in 0..30 {
        let words = format!("The password of locker {round} is {}", 7919 * (round + 1));

        client.ingest("visible", json!({"chat": [{"role": "user", "content": words}]}));

        let items = client.find("visible", &format!("password of locker {round}"));
        assert!(says(&items, &words), "round {round}: the recall right after the 200 misses it: {items:?}");
    }
}

#[test]
fn a_recall_answers_in_the_promised_shape() {
    let client = workspace();
    client.post("/v1/ingest", &stories::example("session-123")).done();

    let answer = client.recall(&json!({"thread_id": "session-123", "purpose": "Help user implement secure authentication", "token_budget": 4000}));

    assert_eq!(answer["thread_id"], "session-123");
    let globals = &answer["globals"];
    assert!(globals["mission"].is_string() && globals["constraints"].is_array(), "{globals}");
    assert!(globals["runbook"]["tasks"].is_array() && globals["runbook"]["decisions"].is_array(), "{globals}");
    assert!(answer["artifact_refs"].is_array() && answer["took_us"].is_u64(), "{answer}");
    let items = answer["items"].as_array().unwrap();
    assert!(!items.is_empty(), "the example finds something: {answer}");
    assert_eq!(
        answer["focus_ids"],
        json!(items.iter().map(|item| &item["id"]).collect::<Vec<_>>()),
        "the ids of the items, in order"
    );
    for item in items {
        for field in [
            "id",
            "kind",
            "title",
            "text",
            "score",
            "tokens",
            "thread_id",
            "external_id",
            "status",
            "observed_at",
            "created_at",
            "sources",
            "derived",
            "metadata",
        ] {
            assert!(item.get(field).is_some(), "`{field}` is missing in {item}");
        }
        assert_eq!(item["metadata"]["repo"], "api", "the request's metadata stands on its items: {item}");
        for time in ["observed_at", "created_at"] {
            assert!(item[time].as_str().is_some_and(|t| t.ends_with('Z')), "{time} is RFC 3339 in UTC: {item}");
        }
    }
    let scores: Vec<f64> = items.iter().map(|item| item["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "items come in rank order: {scores:?}");
    let decision = items.iter().find(|item| item["title"] == "Use JWT").expect("the decision that was given directly");
    assert!(id(decision).starts_with('S'), "{decision}");
    assert_eq!((&decision["kind"], &decision["status"]), (&json!("decision"), &json!("accepted")));
    let total: u64 = items.iter().map(|item| item["tokens"].as_u64().unwrap()).sum();
    assert_eq!(answer["token_estimate"].as_u64(), Some(total), "the estimate is the sum of the items");
}

#[test]
fn repeating_the_same_request_adds_nothing() {
    let client = workspace();
    let first = client.post("/v1/ingest", &stories::example("again")).done();
    let before = client.items("again");

    let second = client.post("/v1/ingest", &stories::example("again")).done();

    assert_eq!(ids(&second, "added_ids"), [""; 0], "the second time nothing is new");
    let (added, touched) = (ids(&first, "added_ids"), ids(&second, "updated_ids"));
    let episodes =
        |ids: &[&str]| ids.iter().filter(|id| id.starts_with('E')).map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(episodes(&touched), episodes(&added), "the receipt names what it touched");
    assert_eq!(client.items("again").len(), before.len());
}

#[test]
fn a_transcript_sent_again_with_three_new_turns_adds_three() {
    let client = workspace();
    let turn = |who: &str, words: &str| format!("{who}: {words}");
    let mut lines = vec![
        turn("User", "Where does the invoice template live?"),
        turn("Assistant", "In templates/invoice.html."),
        turn("User", "ok"),
        turn("Assistant", "Anything else?"),
        turn("User", "ok"),
    ];
    let first = client.ingest("growing", json!({"chat": lines.join("\n")}));
    assert_eq!(episodic(&ids(&first, "added_ids")), 5, "`ok` said twice stays two: {first}");

    lines.extend([
        turn("Assistant", "Then good night."),
        turn("User", "Wait, the logo is too large."),
        turn("Assistant", "ok"),
    ]);
    let second = client.ingest("growing", json!({"chat": lines.join("\n")}));

    assert_eq!(episodic(&ids(&second, "added_ids")), 3, "three new turns: {second}");
    let chats: Vec<_> = client.items("growing").into_iter().filter(|item| item["kind"] == "chat").collect();
    assert_eq!(chats.len(), 8);
    assert_eq!(
        chats.iter().filter(|item| text(item).trim_end().ends_with("ok")).count(),
        3,
        "each `ok` stands for itself"
    );
}

#[test]
fn an_array_without_ids_sent_again_with_three_new_turns_adds_three() {
    let client = workspace();
    let strip = |turn: &Value| json!({"role": turn["role"], "name": turn["name"], "content": turn["content"]});
    let turns: Vec<Value> = stories::pantry().iter().take(23).map(strip).collect();
    client.chat("array", &turns[..20]);

    let second = client.chat("array", &turns);

    assert_eq!(episodic(&ids(&second, "added_ids")), 3, "{second}");
}

#[test]
fn ok_said_twice_in_one_request_stays_two() {
    let client = workspace();

    let receipt =
        client.chat("ok", &[json!({"role": "user", "content": "ok"}), json!({"role": "user", "content": "ok"})]);

    assert_eq!(episodic(&ids(&receipt, "added_ids")), 2, "{receipt}");
    assert_eq!(client.items("ok").len(), 2);
}

#[test]
fn the_same_id_with_another_text_is_a_new_version() {
    let client = workspace();
    let turn = |words: &str| [json!({"role": "user", "content": words, "id": "msg-1"})];
    let first = client.chat("versions", &turn("The meeting is on Tuesday at ten."));
    let id = ids(&first, "added_ids")[0].to_owned();

    let second = client.chat("versions", &turn("The meeting is on Thursday at noon."));

    assert_eq!(episodic(&ids(&second, "added_ids")), 0, "no second item: {second}");
    assert!(ids(&second, "updated_ids").contains(&id.as_str()), "{second}");
    let items = client.find("versions", "When is the meeting?");
    assert!(
        says(&items, "Thursday at noon") && !says(&items, "Tuesday at ten"),
        "recall gives the new words: {items:?}"
    );
    let expanded = client.get(&format!("/v1/expand/{id}")).done();
    let history = serde_json::to_string(expanded.get("history").expect("expand has `history`")).unwrap();
    assert!(history.contains("Tuesday at ten"), "the words before stand in the history: {expanded}");
    assert_eq!(client.get(&format!("/v1/expand/{id}/raw")).text(), "The meeting is on Thursday at noon.");
}

#[test]
fn the_same_id_with_the_same_text_is_only_touched() {
    let client = workspace();
    let turn = [json!({"role": "user", "content": "The key is under the mat.", "id": "m-9"})];
    let first = client.chat("touched", &turn);

    let second = client.chat("touched", &turn);

    assert_eq!(ids(&second, "added_ids"), [""; 0]);
    assert!(ids(&second, "updated_ids").contains(&ids(&first, "added_ids")[0]), "{second}");
}

#[test]
fn the_callers_ids_come_back() {
    let client = workspace();
    client.ingest(
        "external",
        json!({
            "chat": [{"role": "user", "content": "The lighthouse keeper has two dogs.", "id": "chat/7 ü"}],
            "diffs": [{"content": stories::COMMITS[0], "id": "commit-1"}],
            "logs": [{"content": "2025-03-01 10:00:00 ERROR lamp 3 is broken", "id": "log-4"}],
            "items": [{"kind": "note", "body": "The ferry leaves at nine.", "id": "note-2"}],
        }),
    );

    let items = client.items("external");

    let external = |kind: &str| items.iter().find(|item| item["kind"] == kind).map(|item| item["external_id"].clone());
    assert_eq!(external("chat"), Some(json!("chat/7 ü")));
    assert_eq!(external("diff"), Some(json!("commit-1")));
    assert_eq!(external("log"), Some(json!("log-4")));
    assert_eq!(external("note"), Some(json!("note-2")));
}

#[test]
fn a_meaning_cites_the_episodes_it_came_from() {
    let client = workspace();
    client.chat("cites", &stories::pantry());

    let items = client.items("cites");

    let known: BTreeSet<&str> = items.iter().map(id).collect();
    let meanings: Vec<_> = items.iter().filter(|item| id(item).starts_with('S')).collect();
    assert!(meanings.len() >= 5, "six weeks of work hold decisions and tasks: {}", meanings.len());
    for item in meanings {
        let sources = item["sources"].as_array().unwrap();
        assert!(!sources.is_empty(), "{item} cites nothing");
        for source in sources {
            let source = source.as_str().unwrap();
            assert!(source.starts_with('E') && known.contains(source), "{item} cites {source}");
            let words = client.get(&format!("/v1/expand/{source}/raw")).text();
            assert!(words.contains(text(item).trim()), "the meaning is in the words of its source: {item} / {words}");
        }
    }
}

#[test]
fn sensitive_data_is_gone_before_anything_sees_it() {
    let client = workspace();
    let words =
        "Write to carla.w@example.org from 203.0.113.77, card 4111 1111 1111 1111, and carla.w@example.org again.";

    let receipt = client.ingest("redacted", json!({"chat": [{"role": "user", "content": words}]}));

    let redactions = receipt["redactions"].as_object().unwrap();
    assert!(redactions.contains_key("email"), "{receipt}");
    assert!(redactions.len() >= 3, "e-mail, address and card: {receipt}");
    let raw = client.get("/v1/expand/E1/raw").text();
    for secret in ["carla.w", "203.0.113.77", "4111"] {
        assert!(!raw.contains(secret), "{secret} is still there: {raw}");
    }
    assert_eq!(raw.matches("[EMAIL_1]").count(), 2, "the same value has the same number: {raw}");
    let seen = client.recall(&json!({"thread_id": "redacted", "purpose": "Whom do I write to?"}));
    assert!(!seen.to_string().contains("carla.w"), "{seen}");
}

#[test]
fn what_only_looks_sensitive_is_left_alone() {
    let client = workspace();
    let words = "Commit 4b1d0c9e7f7a2c1f0d6b8a9e5c3f1a2b4c6d8e0f bumps sled to 0.34.7 and the job 7b0e9c1a-55d2-4f0e-9a37-0c2f7d1e8b44 passed.";

    let receipt = client.ingest("harmless", json!({"chat": [{"role": "user", "content": words}]}));

    assert_eq!(receipt["redactions"], json!({}), "{receipt}");
    assert_eq!(client.get("/v1/expand/E1/raw").text(), words);
}

#[test]
fn words_come_back_byte_for_byte() {
    let client = workspace();
    let long = "One long turn with many words, tabs\tand  double  blanks. ".repeat(300);
    for (no, words) in [
        "Grüße, Ивáн! 你好 👩‍👩‍👧 \u{202e}abc\u{200b}",
        "line one\nline two\r\nline three\n\n  indented",
        long.trim_end(),
        "<script>alert('x')</script> {{7*7}} ${env}",
    ]
    .into_iter()
    .enumerate()
    {
        let receipt =
            client.ingest("bytes", json!({"chat": [{"role": "user", "content": words, "id": format!("b{no}")}]}));

        let id = ids(&receipt, "added_ids")[0].to_owned();
        let raw = client.get(&format!("/v1/expand/{}/raw", encoded(&id)));
        assert!(raw.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")), "{raw}");
        assert_eq!(raw.text(), words, "the words of {id}");
    }
}

#[test]
fn traces_and_failing_tests_are_kept_whole() {
    let client = workspace();

    client.ingest(
        "failures",
        json!({"logs": [stories::LOG, stories::PYTHON_TRACE, stories::JAVA_TRACE, stories::PYTEST]}),
    );

    let items = client.items("failures");
    let of = |kind: &str| items.iter().filter(|item| item["kind"] == kind).collect::<Vec<_>>();
    let stacks = of("stack");
    let python = stacks.iter().find(|item| text(item).contains("TypeError")).expect("the Python trace is an item");
    assert!(text(python).contains("Traceback") && text(python).contains("line 9, in shopping_list"), "{python}");
    let java =
        stacks.iter().find(|item| text(item).contains("IllegalStateException")).expect("the Java trace is an item");
    assert!(
        text(java).contains("Caused by: java.io.IOException") && text(java).contains("LabelPrinter.java:141"),
        "{java}"
    );
    let failing = of("test_fail");
    assert!(
        failing.iter().any(|item| text(item).contains("test_red_on_the_day_itself")),
        "the failing test: {failing:?}"
    );
    let refused = items.iter().find(|item| text(item).contains("upload of 48 MB")).expect("the refused upload");
    assert!(text(refused).contains("client said: image/heic"), "an event keeps its further lines: {refused}");
    assert!(of("log").iter().any(|item| item["observed_at"] == "2025-03-19T08:15:00.004Z"), "an event knows its time");
}
