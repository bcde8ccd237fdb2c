//! The server from outside: starts the real binary in a folder of its own and speaks HTTP to it.
//!
//! What is promised to users stands here, and nothing about how it is done: these tests know the interface, the
//! command line and the environment. Each test is named by the promise it keeps, and each one that fails says what
//! a user would have seen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod config;
mod contract;
mod durability;
mod gateway;
mod keys;
mod memory;
mod readme;
mod support;
