//! Questions about a conversation, commits and logs come back right.

use super::{text, workspace};
use crate::support::client::items_of;
use crate::support::{Client, stories};
use serde_json::{Value, json};

/// A right answer stands among this many.
const TOP: usize = 5;

/// Asks each question; all must be answered among the first [`TOP`], but for so many.
fn ask(client: &Client, thread: &str, questions: &[(&str, &[&str])], spared: usize) {
    let mut missed = Vec::new();
    for (question, answers) in questions {
        let answer = client.recall(&json!({"thread_id": thread, "purpose": question, "top_k": TOP}));
        let items = items_of(&answer);
        assert!(items.len() <= TOP, "{question}: top_k is {TOP}, {} came", items.len());
        let right = |item: &Value| answers.iter().any(|words| text(item).contains(words));
        if !items.iter().any(right) {
            let got: Vec<_> = items.iter().map(|item| text(item).chars().take(70).collect::<String>()).collect();
            missed.push(format!("{question}\n    {}", got.join("\n    ")));
        }
    }
    assert!(
        missed.len() <= spared,
        "{} of {} questions missed:\n  {}",
        missed.len(),
        questions.len(),
        missed.join("\n  ")
    );
}

#[test]
fn questions_about_six_weeks_of_conversation_come_back_right() {
    let client = workspace();
    client.chat("pantry", &stories::pantry());

    ask(&client, "pantry", stories::PANTRY_QUESTIONS, 2);
}

#[test]
fn questions_about_commits_come_back_right() {
    let client = workspace();
    client.ingest("commits", json!({"diffs": stories::commits()}));

    ask(&client, "commits", stories::COMMIT_QUESTIONS, 0);
}

#[test]
fn questions_about_logs_come_back_right() {
    let client = workspace();
    client.ingest("logs", json!({"logs": stories::LOG}));

    ask(&client, "logs", stories::LOG_QUESTIONS, 0);
}

#[test]
fn everything_in_one_thread_is_still_found() {
    let client = workspace();
    let materials = json!({"chat": stories::pantry(), "diffs": stories::commits(),
        "logs": [stories::LOG, stories::PYTHON_TRACE, stories::JAVA_TRACE, stories::PYTEST]});
    client.ingest("all", materials);

    ask(&client, "all", stories::PANTRY_QUESTIONS, 3);
    ask(
        &client,
        "all",
        &[
            ("TypeError in shopping_list, int and NoneType", &["Traceback"]),
            ("Why did the label printer fail?", &["paper tray is empty"]),
            ("Which test fails, and with which assertion?", &["test_red_on_the_day_itself"]),
            ("def make_thumbnail", &["THUMBNAIL_PIXELS"]),
            ("storage box 507 no backup", &["storage box answered 507", "no backup since"]),
        ],
        0,
    );
}

#[test]
fn what_is_recalled_leads_back_to_what_was_sent() {
    let client = workspace();
    let turns = stories::pantry();
    client.chat("back", &turns);

    for item in client.find("back", "Which barcode library did we pick?") {
        let Some(external) = item["external_id"].as_str() else { continue };
        let sent = turns.iter().find(|turn| turn["id"] == external).expect("an id that was sent");
        assert_eq!(item["text"], sent["content"], "{external} carries the words that were sent under it");
        assert_eq!(item["observed_at"], sent["timestamp"], "{external} carries its time");
    }
}

#[test]
fn a_purpose_that_nothing_fits_gives_nothing_rather_than_everything() {
    let client = workspace();
    client.chat("nonsense", &stories::pantry());

    for purpose in ["zxqv blorptang wibbleflux", "¿¡…—", "🦑🦑🦑", "0xDEADBEEF 9f8e7d"] {
        let items = client.find("nonsense", purpose);
        assert!(items.len() <= 10, "{purpose}: an empty or short list, not {} items", items.len());
    }
}

#[test]
fn explain_adds_the_parts_of_the_score() {
    let client = workspace();
    client.chat("explain", &stories::pantry()[..20]);
    let request = |explain: bool| json!({"thread_id": "explain", "purpose": "Which database?", "explain": explain});

    let (plain, explained) = (items_of(&client.recall(&request(false))), items_of(&client.recall(&request(true))));

    assert!(!explained.is_empty());
    let order = |items: &[Value]| items.iter().map(|item| item["id"].clone()).collect::<Vec<_>>();
    assert_eq!(order(&plain), order(&explained), "an explanation changes nothing");
    for (before, after) in plain.iter().zip(&explained) {
        assert!(
            before.as_object().unwrap().len() < after.as_object().unwrap().len(),
            "explain adds something: {after}"
        );
    }
}
