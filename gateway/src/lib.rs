//! Protocol and policy towards upstreams: requests go out and answers come back byte for byte, every
//! token and every nano-dollar is counted on the way, and half an answer never looks like a whole one.
//!
//! # Invariants
//!
//! - What the upstream said is passed on as it came; this crate reads it, and never re-serialises it.
//! - Money is integers ([`money`]); a binary float never touches it.
//! - An upstream's key leaves in the `authorization` header and appears nowhere else.
//! - Nothing is tried again once a byte of an answer has come.
//!
//! # Deliberately absent
//!
//! Who the client is, what it may spend, where the ledger lies, and the web server: the caller's.

pub mod body;
pub mod breaker;
pub mod catalogue;
pub mod client;
pub mod error;
mod lenient;
pub mod money;
pub mod retry;
pub mod sse;
pub mod tally;
pub mod usage;

pub use body::{Body, BodyError};
pub use breaker::{Breakers, Pass, RetryAfter, State};
pub use catalogue::{Catalogue, CatalogueError, Model, PriceChange, Pricing};
pub use client::{
    BuildError, Call, ChunkKind, End, Failure, FailureKind, Gateway, Key, KeyError, Reply, Settings, Stream, Upstream,
    Whole,
};
pub use error::{UpstreamError, scrub};
pub use money::{MoneyError, Nanos, PerToken};
pub use retry::{Cause, Phase, Verdict};
pub use sse::{Frame, FrameKind, Splitter, TooLong};
pub use tally::Tally;
pub use usage::Usage;
