//! `cmg keys`: on the data folder while the server rests, and against a running one.

use crate::support::server::ADMIN_TOKEN;
use crate::support::{Run, Server};
use serde_json::{Value, json};

fn value(run: &Run) -> Value {
    assert_eq!(run.code(), Some(0), "{}", run.said());
    serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("--json is for programs: {error}: {}", run.said()))
}

/// The keys that `cmg keys list --json` prints: one list, or an object on each line.
fn keys(run: &Run) -> Vec<Value> {
    assert_eq!(run.code(), Some(0), "{}", run.said());
    let read = serde_json::Deserializer::from_str(&run.out).into_iter::<Value>().collect::<Result<Vec<_>, _>>();
    let values = read.unwrap_or_else(|error| panic!("--json is for programs: {error}: {}", run.said()));
    let one = |value: Value| match value {
        Value::Array(keys) => keys,
        value if value["data"].is_array() => value["data"].as_array().unwrap().clone(),
        value => vec![value],
    };
    values.into_iter().flat_map(one).collect()
}

#[test]
fn keys_are_made_listed_and_revoked_while_the_server_rests() {
    let mut server = Server::start();
    server.stop();

    let made = value(&server.run(&["keys", "create", "--workspace", "offline", "--name", "made offline", "--json"]));
    let key = made["key"].as_str().expect("the key, shown this once").to_owned();
    let id = made["id"].as_str().expect("its id").to_owned();
    let shown = keys(&server.run(&["keys", "list", "--json"]));
    assert!(shown.iter().any(|one| one["id"] == id && one["workspace_id"] == "offline"), "{shown:?}");
    assert!(!json!(shown).to_string().contains(&key));

    server.launch();
    server.with_key(&key).chat("t", &[json!({"role": "user", "content": "It works."})]);
    server.stop();
    let revoked = server.run(&["keys", "revoke", &id]);
    assert_eq!(revoked.code(), Some(0), "{}", revoked.said());
    server.launch();

    server.with_key(&key).get("/v1/threads").refused(401, "invalid_api_key");
}

#[test]
fn keys_are_made_listed_and_revoked_on_a_running_server() {
    let server = Server::start();
    let url = server.url();

    let made = value(&server.run(&[
        "keys",
        "create",
        "--workspace",
        "online",
        "--name",
        "made online",
        "--json",
        "--url",
        &url,
    ]));
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());

    assert_eq!(server.with_key(key).get("/v1/threads").status, 200, "it works at once");
    let shown = keys(&server.run(&["keys", "list", "--json", "--url", &url]));
    assert!(shown.iter().any(|one| one["id"] == id), "{shown:?}");
    let revoked = server.run(&["keys", "revoke", id, "--url", &url]);
    assert_eq!(revoked.code(), Some(0), "{}", revoked.said());
    server.with_key(key).get("/v1/threads").refused(401, "invalid_api_key");
}

#[test]
fn the_data_folder_of_a_running_server_is_left_alone() {
    let server = Server::start();

    let refused = server.run(&["keys", "create", "--workspace", "w", "--name", "n"]);

    assert_eq!(refused.code(), Some(1), "{}", refused.said());
    assert!(refused.err.contains("--url"), "the message says what to do instead: {}", refused.said());
    assert_eq!(server.client().get("/v1/threads").status, 200);
}

#[test]
fn revoking_what_is_not_there_fails_and_wrong_use_is_told_apart() {
    let server = Server::start();
    let url = server.url();

    assert_eq!(server.run(&["keys", "revoke", "nobody", "--url", &url]).code(), Some(1));
    assert_eq!(server.run(&["keys", "create", "--colour", "red"]).code(), Some(2));
    assert_eq!(server.run(&["nonsense"]).code(), Some(2));
    assert!(!server.run(&["keys", "revoke", "nobody", "--url", &url]).said().contains(ADMIN_TOKEN));
}

#[test]
fn people_get_words_and_the_key_on_a_line_of_its_own() {
    let mut server = Server::start();
    server.stop();

    let made = server.run(&["keys", "create", "--workspace", "people", "--name", "n"]);

    assert_eq!(made.code(), Some(0), "{}", made.said());
    assert!(made.said().split_whitespace().any(|word| word.starts_with("cmg_") && word.len() >= 47), "{}", made.said());
}
