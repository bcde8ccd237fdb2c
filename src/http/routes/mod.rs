//! The handlers: three questions (who, what, where) and three lines each.
//!
//! # Deliberately absent
//!
//! Rules: checks of bodies are in `wire`, rules of memory in the crates below.

pub mod chat;
pub mod docs;
pub mod embeddings;
pub mod expand;
pub mod feedback;
pub mod health;
pub mod ingest;
pub mod items;
pub mod keys;
pub mod models;
pub mod recall;
pub mod threads;
pub mod transfer;
pub mod usage;
pub mod workingset;
