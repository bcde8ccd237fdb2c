//! `cmg-actors`: who owns what, and when.
//!
//! | actor | owns |
//! | --- | --- |
//! | thread | one thread's items: plans, journals, applies, publishes |
//! | workspace | order and ids, the journal's single writer, which threads there are |
//! | supervisor | rest of idle threads, snapshots, indexes, re-embedding; restart of the fallen |
//! | gateway worker | an HTTP client to the upstreams, and the calls that it makes |
//! | ledger | what every call cost, the catalogue of models, answers to be repeated |
//!
//! Requests come in through [`Directory`]. Readers get published threads from it and wait for
//! nobody; writers go through the mailbox of the one actor that owns the thread.
//!
//! # Deliberately absent
//!
//! HTTP, status codes and JSON bodies.

pub mod clock;
mod directory;
mod error;
pub mod gateway;
mod keys;
pub mod ledger;
mod supervisor;
mod system;
#[cfg(test)]
mod tests;
mod thread;
mod workspace;

pub use directory::{Directory, IngestReceipt, Scope, ThreadInfo, WorkspaceId};
pub use error::MemoryError;
pub use keys::{Caller, KeyError, KeyInfo, KeyLimits, KeyPatch, KeyRing, KeyScope, NewKey};
pub use system::{StartError, System, open_keys};
