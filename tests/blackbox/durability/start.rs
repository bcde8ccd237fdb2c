//! Starts that must not succeed.

use crate::support::Server;
use serde_json::json;

#[test]
fn a_wrong_secret_key_is_refused_and_the_right_one_opens_again() {
    let mut server = Server::start();
    server.client().chat("sealed", &[json!({"role": "user", "content": "Only for those who hold the key."})]);
    server.stop();

    server.set("SECRET_KEY", "another-secret-key-that-never-sealed-anything");
    let refused = server.run(&["serve"]);

    assert!(refused.refused(), "{}", refused.said());
    assert!(refused.said().contains("SECRET_KEY"), "the message names what is wrong: {}", refused.said());
    assert!(!refused.said().contains("another-secret-key"), "and keeps it to itself: {}", refused.said());

    server.set("SECRET_KEY", crate::support::server::SECRET_KEY);
    server.launch();
    assert_eq!(server.client().items("sealed").len(), 1, "nothing was harmed");
}

#[test]
fn two_servers_on_one_folder_are_one_too_many() {
    let mut server = Server::start();
    server.client().chat("mine", &[json!({"role": "user", "content": "I was here first."})]);

    let second = server.run(&["serve"]);

    assert!(second.refused(), "{}", second.said());
    let words = second.said().to_lowercase();
    assert!(
        ["use", "another", "lock", "open"].iter().any(|word| words.contains(word)),
        "it says why: {}",
        second.said()
    );
    assert!(server.runs(), "the first one runs on");
    server.client().chat("mine", &[json!({"role": "user", "content": "And I still am."})]);
    assert_eq!(server.client().items("mine").len(), 2);
    server.stop();
}

#[test]
fn a_port_that_is_taken_is_told_apart_from_everything_else() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let server = Server::at_rest(&[("SERVER_PORT", &port)]);

    let refused = server.run(&["serve"]);

    assert!(refused.refused(), "{}", refused.said());
    assert!(refused.said().contains(&port), "the message names the port: {}", refused.said());
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let mut server = Server::at_rest(&[]);
    let file = server.folder().join("in-the-way");
    std::fs::write(&file, "a file where a folder should be").unwrap();
    server.set("DATABASE_URL", &format!("sled:{}/data", file.display()));

    let refused = server.run(&["serve"]);

    assert!(refused.refused(), "{}", refused.said());
    assert!(refused.said().contains("in-the-way"), "{}", refused.said());
}
