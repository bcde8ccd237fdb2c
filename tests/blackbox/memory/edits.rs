//! Expand, feedback, edits and deletion: everything one may do with an item.

use super::{id, ids, says, text, workspace};
use crate::support::{Client, Server, encoded, stories};
use serde_json::{Value, json};

fn feedback(client: &Client, item: &str, kind: &str, value: f64) -> f64 {
    let answer = client.post("/v1/feedback", &json!({"item_id": item, "feedback_type": kind, "value": value})).done();
    assert_eq!((&answer["success"], &answer["item_id"]), (&json!(true), &json!(item)), "{answer}");
    assert!(answer["message"].is_string(), "{answer}");
    answer["salience"].as_f64().unwrap_or_else(|| panic!("the new salience: {answer}"))
}

#[test]
fn expand_shows_an_item_with_what_belongs_to_it() {
    let client = workspace();
    client.chat("expand", &stories::pantry());
    let found = client.find("expand", "QR sticker in the cupboard replaces the fridge code");
    let turn = found.iter().find(|item| text(item).contains("replaces the fridge code")).expect("the turn");

    let expanded = client.get(&format!("/v1/expand/{}", id(turn))).done();

    let whole = expanded.to_string();
    assert!(whole.contains("from now on a QR sticker in the cupboard"), "the words: {whole}");
    for part in ["sources", "links", "history", "neighbours"] {
        assert!(expanded.get(part).is_some(), "expand has `{part}`: {whole}");
    }
    let around = expanded["neighbours"].to_string();
    assert!(around.contains("128 bits") && around.contains("copy shop"), "the turns before and after: {around}");
}

#[test]
fn an_artifact_opens_by_its_percent_encoded_id() {
    let client = workspace();
    client.ingest("code", json!({"diffs": stories::commits(), "logs": stories::PYTHON_TRACE}));
    let refs =
        client.recall(&json!({"thread_id": "code", "purpose": "How are photo thumbnails made?"}))["artifact_refs"]
            .clone();
    let refs: Vec<&str> = refs.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(refs.iter().any(|one| one.starts_with("CODE:larder/photos.py#L")), "{refs:?}");

    for artifact in refs {
        assert!(artifact.starts_with("CODE:") && artifact.contains("#L"), "{artifact}");
        let expanded = client.get(&format!("/v1/expand/{}", encoded(artifact)));
        assert_eq!(expanded.status, 200, "{artifact} opens: {expanded}");
        assert!(expanded.text().contains("\"E"), "an artifact names the items that name it: {expanded}");
    }
}

#[test]
fn an_id_may_be_written_with_any_percent_encoding() {
    let client = workspace();
    client.chat("a/b #ü?%", &[json!({"role": "user", "content": "The odd thread has an odd name."})]);

    let plain = client.get("/v1/expand/E1").done();

    assert_eq!(client.get("/v1/expand/%451").done(), plain, "%45 is E");
    assert_eq!(client.get("/v1/items/%45%31").status, 200);
    let thread = client.get(&format!("/v1/threads/{}", encoded("a/b #ü?%"))).done();
    assert_eq!(thread["thread_id"], "a/b #ü?%", "{thread}");
    assert_eq!(client.items("a/b #ü?%").len(), 1);
}

#[test]
fn feedback_moves_salience_and_never_out_of_bounds() {
    let client = workspace();
    client.chat("salience", &[json!({"role": "user", "content": "The ladder is in the shed."})]);

    let up = feedback(&client, "E1", "helpful", 1.0);
    let down = feedback(&client, "E1", "not_helpful", 1.0);
    assert!(up > down, "helpful raises ({up}), not_helpful lowers ({down})");

    let mut last = down;
    for _ in 0..30 {
        let next = feedback(&client, "E1", "helpful", 1.0);
        assert!((0.0..=1.0).contains(&next) && next >= last, "{last} → {next}");
        last = next;
    }
    for kind in ["wrong", "outdated", "not_useful"].into_iter().cycle().take(30) {
        let next = feedback(&client, "E1", kind, 1.0);
        assert!((0.0..=1.0).contains(&next) && next <= last, "{kind}: {last} → {next}");
        last = next;
    }
    assert!(feedback(&client, "E1", "click", 1.0) >= last);
    assert!(feedback(&client, "E1", "reference", 0.5) >= last);
}

#[test]
fn the_aliases_of_feedback_mean_the_same() {
    let client = workspace();
    let turns = ["One.", "Two.", "Three.", "Four."].map(|words| json!({"role": "user", "content": words}));
    client.chat("aliases", &turns);

    assert_eq!(feedback(&client, "E1", "helpful", 1.0), feedback(&client, "E2", "useful", 1.0));
    assert_eq!(feedback(&client, "E3", "not_helpful", 0.7), feedback(&client, "E4", "not_useful", 0.7));
}

#[test]
fn feedback_moves_the_ranking() {
    let client = workspace();
    let turns: Vec<Value> = (0..6)
        .map(|n| json!({"role": "user", "content": format!("Option {n} for the garden gate: oak with iron hinges.")}))
        .collect();
    client.chat("rank", &turns);
    let order = || {
        client.find("rank", "garden gate oak iron hinges").iter().map(|item| id(item).to_owned()).collect::<Vec<_>>()
    };
    let before = order();
    let last = before.last().unwrap().clone();

    for _ in 0..10 {
        feedback(&client, &last, "helpful", 1.0);
    }

    let after = order();
    let place = |order: &[String]| order.iter().position(|id| *id == last).unwrap();
    assert!(place(&after) < place(&before), "praised ten times, {last} rises: {before:?} → {after:?}");
}

#[test]
fn feedback_survives_a_restart() {
    let mut server = Server::start();
    server.client().chat("durable", &[json!({"role": "user", "content": "The spare fuse is in the drawer."})]);
    for _ in 0..5 {
        feedback(&server.client(), "E1", "helpful", 1.0);
    }
    let before = feedback(&server.client(), "E1", "helpful", 0.0);

    server.kill9();
    server.launch();

    let after = feedback(&server.client(), "E1", "helpful", 0.0);
    assert!((before - after).abs() < 1e-6, "{before} before the crash, {after} after it");
    assert!(after > 0.6, "five times helpful is more than neutral: {after}");
}

#[test]
fn an_edit_is_found_and_what_was_before_is_history() {
    let client = workspace();
    client.ingest("patch", json!({"items": [{"kind": "decision", "title": "Port", "body": "The service listens on port 4040.", "tags": ["net"]}]}));

    client.patch("/v1/items/S1", &json!({"title": "Listener", "text": "The service listens on a Unix socket.", "tags": ["ipc"], "metadata": {"by": "Ivo"}})).done();

    let item = client.get("/v1/items/S1").done();
    assert_eq!(
        (text(&item), &item["title"], &item["metadata"]["by"]),
        ("The service listens on a Unix socket.", &json!("Listener"), &json!("Ivo"))
    );
    let items = client.find("patch", "Where does the service listen, a Unix socket?");
    assert!(says(&items, "Unix socket") && !says(&items, "4040"), "{items:?}");
    assert!(client.get("/v1/expand/S1").done()["history"].to_string().contains("port 4040"), "history keeps the words");
    let by_tag = |tag: &str| {
        client.recall(&json!({"thread_id": "patch", "purpose": "service listens", "filters": {"tags": [tag]}}))["items"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!((by_tag("ipc"), by_tag("net")), (1, 0), "tags are replaced");
}

#[test]
fn a_status_can_be_set_by_hand() {
    let client = workspace();
    client.ingest("status", json!({"items": [{"kind": "task", "title": "Paint", "body": "Paint the fence green."}]}));
    let tasks = || {
        client.post("/v1/workingset", &json!({"thread_id": "status", "purpose": "fence"})).done()["focus_tasks"]
            .to_string()
    };
    assert!(tasks().contains("Paint"), "{}", tasks());

    let item = client.patch("/v1/items/S1", &json!({"status": "done"})).done();

    assert_eq!(item["status"], "done", "{item}");
    assert_eq!(tasks(), "[]", "what is done is no open task");
}

#[test]
fn a_deleted_item_is_gone_from_every_answer() {
    let client = workspace();
    let canary = "the walrus password is Tangerine";
    let receipt = client.chat(
        "delete",
        &[
            json!({"role": "user", "content": "Hello there, how is the zoo?"}),
            json!({"role": "user", "content": format!("We decided that {canary} from now on.")}),
            json!({"role": "user", "content": "Good, see you at the seals."}),
        ],
    );
    let gone = ids(&receipt, "added_ids")
        .into_iter()
        .find(|id| client.get(&format!("/v1/expand/{id}/raw")).text().contains(canary) && id.starts_with('E'))
        .unwrap();
    let holding: Vec<String> = client
        .items("delete")
        .iter()
        .filter(|item| text(item).contains("Tangerine"))
        .map(|item| id(item).to_owned())
        .collect();

    let deleted = client.delete(&format!("/v1/items/{gone}"));

    assert!([200, 204].contains(&deleted.status), "{deleted}");
    for one in &holding {
        client.get(&format!("/v1/items/{one}")).refused(404, "not_found");
        client.get(&format!("/v1/expand/{one}")).refused(404, "not_found");
        client.get(&format!("/v1/expand/{one}/raw")).refused(404, "not_found");
        client
            .post("/v1/feedback", &json!({"item_id": one, "feedback_type": "helpful", "value": 1.0}))
            .refused(404, "not_found");
        client.patch(&format!("/v1/items/{one}"), &json!({"text": "I am back"})).refused(404, "not_found");
        client.delete(&format!("/v1/items/{one}")).refused(404, "not_found");
    }
    let request = json!({"thread_id": "delete", "purpose": "walrus password Tangerine", "explain": true});
    let answers = [
        client.post("/v1/recall", &request).text(),
        client.post("/v1/workingset", &json!({"thread_id": "delete", "purpose": "walrus password"})).text(),
        client.post("/v1/recall", &json!({"scope": "workspace", "purpose": "walrus password Tangerine"})).text(),
        client.export("delete").join("\n"),
        json!(client.items("delete")).to_string(),
        client.get("/v1/threads/delete").text(),
        client.get("/v1/expand/E1").text(),
        client.get("/v1/expand/E3").text(),
    ];
    for answer in answers {
        assert!(!answer.contains("Tangerine"), "the deleted words are still said: {answer}");
    }
}

#[test]
fn an_id_is_never_given_again() {
    let client = workspace();
    let turn = |words: &str| [json!({"role": "user", "content": words})];
    client.chat("ids", &turn("First."));
    client.chat("ids", &turn("Second."));
    client.delete("/v1/items/E2").done();
    client.delete("/v1/threads/ids").done();

    let receipt = client.chat("ids", &turn("Third."));

    assert_eq!(ids(&receipt, "added_ids"), ["E3"], "E1 and E2 were given before");
}

#[test]
fn a_deleted_thread_is_gone_and_others_stay() {
    let client = workspace();
    client.chat("doomed", &[json!({"role": "user", "content": "The comet passes in October."})]);
    client.chat("spared", &[json!({"role": "user", "content": "The comet has a green tail."})]);

    let deleted = client.delete("/v1/threads/doomed");

    assert!([200, 204].contains(&deleted.status), "{deleted}");
    for path in
        ["/v1/threads/doomed", "/v1/threads/doomed/items", "/v1/threads/doomed/export", "/v1/items/E1", "/v1/expand/E1"]
    {
        client.get(path).refused(404, "not_found");
    }
    client.post("/v1/recall", &json!({"thread_id": "doomed", "purpose": "comet"})).refused(404, "not_found");
    let threads: Vec<Value> =
        client.pages("/v1/threads", 10).into_iter().map(|thread| thread["thread_id"].clone()).collect();
    assert_eq!(threads, [json!("spared")]);
    let all = client.recall(&json!({"scope": "workspace", "purpose": "comet October"}));
    assert!(!all.to_string().contains("October"), "{all}");
    assert!(says(&client.find("spared", "comet tail"), "green tail"));
}
