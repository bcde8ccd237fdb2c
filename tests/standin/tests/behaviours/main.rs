//! Every behaviour, seen through a plain socket.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fall over: that is its way of saying no")]

mod client;
mod faults;
mod handle;
mod refusals;
mod right;
mod routes;
