//! `cmg-memory`: the deterministic heart. Materials in, ranked memory out.
//!
//! ```text
//! ingest   materials → ingest::parse → plan → Record (the owner makes it durable) → Thread::apply
//! recall   purpose + published threads → recall::recall → hits → workingset
//! ```
//!
//! # Deliberately absent
//!
//! I/O, clocks, randomness, async, actors and HTTP: time and ids come in as arguments, so that
//! replay, `as_of` and tests are exact.

pub mod catalogue;
pub mod chunks;
pub mod codec;
pub mod embed;
pub mod event;
pub mod ids;
pub mod index;
pub mod ingest;
pub mod item;
pub mod kind;
pub mod lang;
pub mod plan;
pub mod recall;
pub mod thread;
pub mod time;
pub mod tokens;
pub mod words;
pub mod workingset;
