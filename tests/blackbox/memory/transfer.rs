//! Export and import: a thread moves from one workspace to another without losing anything.

use super::{says, workspace};
use crate::support::stories;
use serde_json::{Value, json};

#[test]
fn a_thread_moves_to_an_empty_workspace_without_losing_anything() {
    let (from, to) = (workspace(), workspace());
    from.chat("moving", &stories::pantry());
    from.ingest(
        "moving",
        json!({"diffs": stories::commits(), "logs": [stories::LOG, stories::JAVA_TRACE, stories::PYTEST]}),
    );
    from.ingest("moving", json!({"items": [{"kind": "constraint", "title": "Phones", "body": "Old phones have to work.", "tags": ["ui"], "id": "c-1"}]}));
    from.post("/v1/feedback", &json!({"item_id": "E7", "feedback_type": "helpful", "value": 1.0, "comment": "yes"}))
        .done();
    from.patch("/v1/items/S1", &json!({"tags": ["edited"], "text": "An edited sentence."})).done();
    let exported = from.export("moving");

    let imported = to.import("moving", &exported);

    imported.done();
    let again = to.export("moving");
    assert_eq!(again.len(), exported.len(), "as many lines");
    for (before, after) in exported.iter().zip(&again).skip(1) {
        assert_eq!(before, after, "a line changed on its way");
    }
    let head = |line: &String| {
        let mut head: Value = serde_json::from_str(line).unwrap();
        head.as_object_mut().unwrap().remove("updated_at");
        head
    };
    assert_eq!(head(&exported[0]), head(&again[0]), "the header");
    assert!(says(&to.find("moving", "Which barcode library did we pick?"), "zxing"), "what came in is found");
}

#[test]
fn every_line_of_an_export_is_json_and_the_type_says_so() {
    let client = workspace();
    client.chat("lines", &[json!({"role": "user", "content": "a line\nand another \u{2028} one"})]);

    let answer = client.get("/v1/threads/lines/export");

    assert!(
        answer.header("content-type").is_some_and(|kind| kind.starts_with("application/x-ndjson")),
        "{:?}",
        answer.headers
    );
    for line in answer.text().split_terminator('\n') {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[test]
fn ids_that_are_taken_are_replaced_and_links_follow() {
    let client = workspace();
    client.chat("original", &[json!({"role": "user", "content": "We decided to use oak for the table."})]);
    let exported = client.export("original");

    client.import("copy", &exported).done();

    let (before, after) = (client.items("original"), client.items("copy"));
    assert_eq!(before.len(), after.len());
    for item in &after {
        assert!(before.iter().all(|old| old["id"] != item["id"]), "an id belongs to one item alone: {item}");
        for source in item["sources"].as_array().unwrap() {
            assert!(after.iter().any(|other| other["id"] == *source), "{item} cites an item of its own thread");
        }
    }
}

#[test]
fn an_import_into_a_thread_that_holds_items_is_a_conflict() {
    let client = workspace();
    client.chat("full", &[json!({"role": "user", "content": "I was here first."})]);
    let exported = client.export("full");

    client.import("full", &exported).refused(409, "conflict");

    assert_eq!(client.items("full").len(), 1, "nothing was taken in");
}

#[test]
fn an_import_is_all_or_nothing() {
    let client = workspace();
    client.chat("good", &stories::pantry()[..6]);
    let mut lines = client.export("good");
    let broken = lines.len() - 1;
    lines[broken] = "{\"id\":\"E1\",".to_owned();

    let answer = client.import("bad", &lines);

    let error = answer.shaped();
    assert_eq!(answer.status, 400, "{answer}");
    assert!(
        error["message"].as_str().unwrap().contains(&format!("line {}", broken + 1)),
        "the message names the line: {answer}"
    );
    let after = client.get("/v1/threads/bad/items");
    assert!(after.status == 404 || after.done()["data"] == json!([]), "nothing was taken in: {after}");
}
