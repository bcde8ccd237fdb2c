//! The README's first session: every command is run as it stands, and answers what the page shows.
//!
//! The page may leave fields out; what it shows has to be so.

use crate::support::server::{API_KEY, Server};
use serde_json::Value;
use std::process::Command;

/// The pairs of a shell block that asks the server and the JSON block behind it.
fn session() -> Vec<(String, Value)> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README is there");
    let (_, rest) = page.split_once("<!-- session: begin -->").expect("the session begins");
    let (session, _) = rest.split_once("<!-- session: end -->").expect("the session ends");
    let pair = |(command, rest): (&str, &str)| {
        let answer = rest.trim_start().strip_prefix("```json\n")?.split("\n```").next()?;
        let answer = serde_json::from_str(answer).unwrap_or_else(|error| panic!("not JSON: {error}: {answer}"));
        Some((command.to_owned(), answer))
    };
    session.split("```sh\n").skip(1).filter_map(|block| pair(block.split_once("\n```\n")?)).collect()
}

/// Panics unless everything that is shown is so.
fn assert_shown(shown: &Value, real: &Value, place: &str) {
    match (shown, real) {
        (Value::Object(shown), Value::Object(real)) => {
            for (key, value) in shown {
                let found = real.get(key).unwrap_or_else(|| panic!("{place}: the answer has no {key}: {real:?}"));
                assert_shown(value, found, &format!("{place}.{key}"));
            }
        }
        (Value::Array(shown), Value::Array(real)) => {
            assert_eq!(shown.len(), real.len(), "{place}: {shown:?} is shown, {real:?} was answered");
            for (at, (shown, real)) in shown.iter().zip(real).enumerate() {
                assert_shown(shown, real, &format!("{place}[{at}]"));
            }
        }
        (Value::Number(shown), Value::Number(real)) => {
            let (shown, real) = (shown.as_f64().unwrap(), real.as_f64().unwrap());
            assert!((shown - real).abs() < 1e-6, "{place}: {shown} is shown, {real} was answered");
        }
        _ => assert_eq!(shown, real, "{place}"),
    }
}

#[test]
fn the_first_session_of_the_readme_answers_what_it_shows() {
    let server = Server::start();
    let session = session();
    assert_eq!(session.len(), 6, "the page promises six steps");

    for (command, shown) in session {
        let output = Command::new("bash")
            .args(["-euc", &command])
            .env("URL", server.url())
            .env("KEY", API_KEY)
            .output()
            .expect("bash and curl are here");

        let text = String::from_utf8_lossy(&output.stdout);
        let real: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}\nto {command}"));
        assert_shown(&shown, &real, command.lines().next().unwrap_or_default());
    }
}
