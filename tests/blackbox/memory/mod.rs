//! What goes in comes out: ingest, recall, working sets, and everything that one may do with an item.

mod budgets;
mod edits;
mod filters;
mod ingest;
mod lists;
mod questions;
mod time;
mod transfer;
mod workingset;

use crate::support::{Client, Server};
use serde_json::Value;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The server that the tests of this module share; each one takes a workspace of its own.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

/// A client of a workspace that nobody else uses.
fn workspace() -> Client {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    server().workspace(&format!("memory-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
}

/// Whether one of the items holds these words.
fn says(items: &[Value], words: &str) -> bool {
    items.iter().any(|item| text(item).contains(words))
}

/// The words of an item.
fn text(item: &Value) -> &str {
    item["text"].as_str().unwrap_or_else(|| panic!("an item has `text`: {item}"))
}

/// The id of an item.
fn id(item: &Value) -> &str {
    item["id"].as_str().unwrap_or_else(|| panic!("an item has `id`: {item}"))
}

/// The ids in a field of a receipt.
fn ids<'a>(receipt: &'a Value, field: &str) -> Vec<&'a str> {
    let list = receipt[field].as_array().unwrap_or_else(|| panic!("a receipt has `{field}`: {receipt}"));
    list.iter().map(|id| id.as_str().unwrap()).collect()
}

/// Those of the ids that name what happened.
fn episodic(ids: &[&str]) -> usize {
    ids.iter().filter(|id| id.starts_with('E')).count()
}
