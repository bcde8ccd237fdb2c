//! The promises of the crate, each test named by the one it holds it to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may panic and talk"
)]

mod contract;
mod crash;
mod damage;
mod properties;
mod sealed;
mod snapshots;
mod support;
