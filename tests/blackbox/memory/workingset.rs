//! The working set: short, stable, and nothing in it that nobody said.

use super::workspace;
use crate::support::{Client, Server, stories, without_time};
use serde_json::{Value, json};

fn ask(client: &Client, purpose: &str) -> String {
    let answer =
        client.post("/v1/workingset", &json!({"thread_id": "pantry", "purpose": purpose, "token_budget": 2000}));
    answer.done();
    without_time(&answer.text())
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array()
        .unwrap_or_else(|| panic!("a list, not {list}"))
        .iter()
        .map(|one| one.as_str().unwrap().to_owned())
        .collect()
}

/// White space of any kind as one blank.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_same_memory_and_purpose_give_the_same_bytes_even_after_a_restart() {
    let mut server = Server::start();
    server.client().chat("pantry", &stories::pantry());
    server.client().ingest("pantry", json!({"diffs": stories::commits(), "logs": stories::LOG}));
    let purpose = "Continue with barcode scanning";
    let first = ask(&server.client(), purpose);

    assert_eq!(ask(&server.client(), purpose), first, "twice the same");
    ask(&server.client(), "something else in between");
    assert_eq!(ask(&server.client(), purpose), first, "another question changes nothing");

    server.restart();

    assert_eq!(ask(&server.client(), purpose), first, "a restart changes nothing");
}

#[test]
fn the_stable_part_is_a_prefix_that_does_not_depend_on_the_purpose() {
    let client = workspace();
    client.chat("pantry", &stories::pantry());
    let prompt = |purpose: &str| {
        let set: Value =
            serde_json::from_str(&ask(&client, purpose).replace("\"took_us\":_", "\"took_us\":0")).unwrap();
        set
    };

    let (one, other) = (prompt("barcode scanning"), prompt("How are backups restored?"));

    let (a, b) = (one["prompt"].as_str().unwrap(), other["prompt"].as_str().unwrap());
    let same: usize = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    assert_ne!(a, b, "two purposes, two prompts");
    for set in [&one, &other] {
        for line in strings(&set["constraints"]).iter().chain(&strings(&set["runbook"]["steps"])) {
            assert!(
                a[..same].contains(line),
                "`{line}` stands before the first difference, so that a prompt cache hits:\n{a}"
            );
        }
    }
}

#[test]
fn every_section_is_there_and_every_word_in_it_was_said() {
    let client = workspace();
    client.chat("pantry", &stories::pantry());
    client.ingest("pantry", json!({"diffs": stories::commits(), "logs": [stories::LOG, stories::PYTEST]}));

    let set = client
        .post(
            "/v1/workingset",
            &json!({"thread_id": "pantry", "purpose": "Continue with the shopping list", "token_budget": 3000}),
        )
        .done();

    for field in [
        "mission",
        "constraints",
        "focus_decisions",
        "focus_tasks",
        "runbook",
        "artifacts",
        "citations",
        "open_questions",
        "evidence",
        "prompt",
        "token_estimate",
        "took_us",
    ] {
        assert!(set.get(field).is_some(), "`{field}` is missing: {set}");
    }
    let cited = strings(&set["citations"]);
    assert!(!cited.is_empty(), "a conversation of six weeks gives something to cite");
    let mut said = String::new();
    for id in &cited {
        let raw = client.get(&format!("/v1/expand/{id}/raw"));
        assert_eq!(raw.status, 200, "a citation opens: {raw}");
        said.push_str(&plain(&raw.text()));
        said.push('\n');
    }
    let mut lines = strings(&set["constraints"]);
    lines.extend(strings(&set["open_questions"]));
    lines.extend(strings(&set["runbook"]["steps"]));
    lines.extend([set["mission"].as_str().unwrap().to_owned(), set["runbook"]["summary"].as_str().unwrap().to_owned()]);
    for line in lines.iter().filter(|line| !line.is_empty()) {
        assert!(said.contains(&plain(line)), "nobody said `{line}`");
    }
    for evidence in set["evidence"].as_array().unwrap() {
        assert!(said.contains(&plain(evidence["text"].as_str().unwrap())), "{evidence}");
        assert!(cited.contains(&evidence["id"].as_str().unwrap().to_owned()), "{evidence} is not cited");
    }
    for decision in set["focus_decisions"].as_array().unwrap() {
        for field in ["id", "title", "status", "impact", "rationale"] {
            assert!(decision.get(field).is_some(), "`{field}` is missing: {decision}");
        }
    }
    let prompt = set["prompt"].as_str().unwrap();
    for id in prompt.lines().filter_map(|line| line.strip_prefix("- [")?.split_once(']').map(|(id, _)| id)) {
        assert!(cited.iter().any(|cited| cited == id), "the prompt cites {id}, the citations do not");
    }
    let evidence = set["evidence"].as_array().unwrap();
    assert!(
        evidence.iter().all(|one| plain(prompt).contains(&plain(one["text"].as_str().unwrap()))),
        "the prompt is the same as Markdown"
    );
}

#[test]
fn decisions_and_tasks_follow_what_was_said_later() {
    let client = workspace();
    client.chat("pantry", &stories::pantry());

    let set = client
        .post("/v1/workingset", &json!({"thread_id": "pantry", "purpose": "Which database?", "token_budget": 8000}))
        .done();

    let decisions = set["focus_decisions"].to_string();
    assert!(!decisions.contains("decided to use MySQL"), "MySQL was given up: {decisions}");
    assert!(decisions.contains("SQLite"), "SQLite took its place: {decisions}");
    let tasks = set["focus_tasks"].to_string();
    assert!(!tasks.contains("import of the old spreadsheet"), "the import was done on the 13th: {tasks}");
}

#[test]
fn a_section_with_nothing_to_say_is_empty() {
    let client = workspace();
    client.chat("pantry", &[json!({"role": "user", "content": "Blue paint dries slowly."})]);

    let set = client.post("/v1/workingset", &json!({"thread_id": "pantry", "purpose": "paint"})).done();

    assert_eq!((&set["mission"], &set["runbook"]["summary"]), (&json!(""), &json!("")));
    for field in ["constraints", "focus_decisions", "focus_tasks", "artifacts", "open_questions"] {
        assert_eq!(set[field], json!([]), "`{field}` has nothing to say");
    }
    assert_eq!(set["runbook"]["steps"], json!([]));
    assert!(set["prompt"].as_str().unwrap().contains("Blue paint dries slowly."), "{set}");
}
