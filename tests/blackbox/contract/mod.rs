//! The interface's small print: errors, headers, limits, repeated requests, hostile input, the description of itself.

mod errors;
mod headers;
mod hostile;
mod idempotency;
mod openapi;

use crate::support::{Client, Server};
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
    server().workspace(&format!("contract-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
}
