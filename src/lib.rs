//! `cmg`, the delivery layer: HTTP, command line and wiring, and nothing else.
//!
//! A library beside the binary, so that tests and benchmarks can use its parts.
//!
//! # Deliberately absent
//!
//! Rules of memory: ranking, parsing and durability belong to the crates below.

pub mod cli;
pub mod http;
pub mod serve;
pub mod telemetry;
