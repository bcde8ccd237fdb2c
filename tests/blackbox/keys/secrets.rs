//! Secrets and stored words: nowhere on disk in clear, nowhere in the log.

use crate::support::server::{ADMIN_TOKEN, API_KEY, SECRET_KEY};
use crate::support::{Client, Server};
use serde_json::json;
use std::fs;
use std::path::Path;

const MAIL: &str = "canary.mail.7731@example.org";
const WORDS: &str = "canarywords-kingfisher-90210";
const TITLE: &str = "canarytitle-heron-4471";
const PURPOSE: &str = "canarypurpose-bittern-1188";
const PASSWORD: &str = "hunter2canary5521";

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

#[test]
fn neither_secrets_nor_words_stand_on_disk_or_in_the_log() {
    let mut server = Server::start_with(&[("LOG_LEVEL", "debug")]);
    let made = server.new_key(&json!({"workspace_id": "canary", "name": "a canary"}));
    let key = made["key"].as_str().unwrap().to_owned();
    for client in [server.client(), server.with_key(&key)] {
        let words = format!("{WORDS} and write to {MAIL}, password={PASSWORD}");
        client.ingest("canary", json!({"chat": [{"role": "user", "content": words}], "logs": format!("2025-01-01 00:00:00 ERROR {WORDS} {MAIL}"),
            "items": [{"kind": "decision", "title": TITLE, "body": words}]}));
        client.recall(&json!({"thread_id": "canary", "purpose": PURPOSE, "explain": true}));
        client.post("/v1/workingset", &json!({"thread_id": "canary", "purpose": WORDS})).done();
        client.get("/v1/expand/E1").done();
        client.export("canary");
        client.patch("/v1/items/S1", &json!({"text": format!("{WORDS} edited")})).done();
        client
            .post("/v1/feedback", &json!({"item_id": "E1", "feedback_type": "helpful", "value": 1.0, "comment": WORDS}))
            .done();
        // And what goes wrong: none of it may leave traces either.
        client.raw("POST", "/v1/ingest", format!("{{\"thread_id\": \"{WORDS} {MAIL}\", "));
        client.post("/v1/ingest", &json!({"thread_id": "t", "materials": {"chat": WORDS}, PURPOSE: MAIL}));
        client.post("/v1/recall", &json!({"thread_id": "t", "purpose": "x", "token_budget": WORDS}));
    }
    server.with_key(&format!("{key}x")).get("/v1/threads").refused(401, "invalid_api_key");
    server.with_key(&format!("{ADMIN_TOKEN}x")).get("/admin/api/keys").refused(401, "admin_token_required");
    Client::send(server.anonymous().request("GET", &format!("/v1/threads?api_key={key}")));
    server.restart();
    server.stop();

    let data = files(&server.folder().join("data"));
    assert!(!data.is_empty(), "there is a data folder");
    let log = server.log();
    for secret in
        [API_KEY, &API_KEY[4..], ADMIN_TOKEN, SECRET_KEY, &key, &key[4..], MAIL, WORDS, TITLE, PURPOSE, PASSWORD]
    {
        for (path, bytes) in &data {
            assert!(!holds(bytes, secret), "{path} holds `{secret}` in clear");
        }
        if let Some(line) = log.lines().find(|line| holds(line.as_bytes(), secret)) {
            panic!("the log holds `{secret}`: {line}");
        }
    }
}

#[test]
fn every_line_of_the_log_is_one_json_object() {
    let mut server = Server::start_with(&[("LOG_LEVEL", "debug")]);
    let client = server.client();
    client.ingest("log", json!({"chat": "User: line one\nAssistant: line \"two\"\u{2028} three"}));
    for path in ["/v1/threads/a%0a%7B%22level%22%3A%22error%22%7D", "/%0d%0aINFO%20forged", "/v1/items/%1b%5b31m"] {
        let _ = client.get(path);
    }
    server.stop();

    let log = server.log();
    assert!(!log.trim().is_empty(), "a server says something when it starts");
    for line in log.lines() {
        let parsed: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(line);
        assert!(parsed.is_ok(), "not a JSON object: {line}");
    }
}

/// Bytes of a stored value that are long enough not to be equal by chance.
const BLOCK: usize = 16;

#[test]
fn equal_words_do_not_look_equal_on_disk() {
    let mut server = Server::start();
    let words = "The same long sentence, stored over and over again, word for word. ".repeat(40);
    for n in 0..12 {
        server.client().chat(&format!("t{n}"), &[json!({"role": "user", "content": words})]);
    }
    server.stop();

    // Value by value, not byte by byte of the files: sled may write the same value to two places.
    let db = sled::open(server.folder().join("data").join("db")).unwrap();
    let mut values = 0;
    let mut seen = std::collections::BTreeMap::new();
    for tree in db.tree_names().iter().map(|name| db.open_tree(name).unwrap()) {
        for (key, value) in tree.iter().map(Result::unwrap).filter(|(_, value)| value.len() > 256) {
            values += 1;
            for block in value.windows(BLOCK).filter(|block| block.iter().any(|byte| *byte != block[0])) {
                let before = seen.insert(block.to_vec(), values);
                assert!(before.is_none_or(|before| before == values), "{key:?} shares {block:?} with another value");
            }
        }
    }
    assert!(values >= 12, "every thread's words are a value: {values}");
}
