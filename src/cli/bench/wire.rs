//! The bodies that the benchmarks send and read: the few fields of the public API that they need.

use serde::{Deserialize, Serialize};

/// The path that takes materials.
pub(super) const INGEST: &str = "/v1/ingest";
/// The path that answers a purpose.
pub(super) const RECALL: &str = "/v1/recall";
/// The path whose answer costs a server the least: the floor under every other figure.
pub(super) const FLOOR: &str = "/healthz";

/// Chat turns for a thread.
#[derive(Debug, Serialize)]
pub(super) struct IngestRequest<'a, Turn> {
    pub(super) thread_id: &'a str,
    pub(super) materials: Materials<'a, Turn>,
}

/// The one material that the benchmarks send.
#[derive(Debug, Serialize)]
pub(super) struct Materials<'a, Turn> {
    pub(super) chat: &'a [Turn],
}

/// What came of an ingest.
#[derive(Debug, Deserialize)]
pub(super) struct Receipt {
    pub(super) added_ids: Vec<serde::de::IgnoredAny>,
}

/// A purpose to recall for.
#[derive(Debug, Serialize)]
pub(super) struct RecallRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thread_id: Option<&'a str>,
    pub(super) purpose: &'a str,
    /// `o200k_base` tokens.
    pub(super) token_budget: u32,
    pub(super) top_k: u32,
    pub(super) scope: &'static str,
}

/// How much came back, and what the server says it took, in microseconds.
#[derive(Debug, Deserialize)]
pub(super) struct RecallSize {
    pub(super) items: Vec<serde::de::IgnoredAny>,
    pub(super) took_us: u64,
}

/// Which items came back, in rank order.
#[derive(Debug, Deserialize)]
pub(super) struct RecallRanks {
    pub(super) items: Vec<Ranked>,
}

/// One of them, by the id that it was sent with.
#[derive(Debug, Deserialize)]
pub(super) struct Ranked {
    pub(super) external_id: Option<String>,
}

/// A body; it cannot fail for the types of this module, and would be an empty one if it did.
pub(super) fn body(request: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(request).unwrap_or_default()
}
