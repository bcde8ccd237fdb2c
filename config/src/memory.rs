//! The room of the memory: budgets, indexes, the embedder and what is redacted.

use std::path::PathBuf;

use crate::table::{FromValue, Kind, Value, room, words};

/// The name of the embedder that is compiled in.
const BUILT_IN: &str = "static-minilm-256";

/// Which embedder makes the vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbeddingModel {
    /// `static-minilm-256`: the built-in static token embeddings, 256 dimensions.
    StaticMinilm256,
    /// `none`: no vectors, keywords alone.
    None,
    /// `file:<path>`: a model file of the built-in's format.
    File(PathBuf),
}

impl FromValue for EmbeddingModel {
    fn from_value(value: Option<&Value>) -> Self {
        let name = String::from_value(value);
        match name.strip_prefix("file:") {
            Some(path) => Self::File(PathBuf::from(path)),
            Option::None if name == "none" => Self::None,
            Option::None => Self::StaticMinilm256,
        }
    }
}

words! {
    /// Which vector index answers.
    VectorIndex {
        /// An exact scan, and the graph above `exact_limit_items`.
        Auto = "auto",
        /// Always an exact scan.
        Exact = "exact",
        /// The graph wherever there is one.
        Hnsw = "hnsw",
    }
}

words! {
    /// Which keyword index answers.
    KeywordIndex {
        /// The threads' own postings, and tantivy above `exact_limit_items`.
        Auto = "auto",
        /// Always the threads' own postings.
        Exact = "exact",
        /// Tantivy wherever there is one.
        Tantivy = "tantivy",
    }
}

words! {
    /// What happens to sensitive data in what is ingested.
    Redaction {
        /// It is replaced by a placeholder before anything is stored.
        Redact = "redact",
        /// It is stored as it came.
        Off = "off",
        /// The request is refused with 422 `sensitive_data`.
        Reject = "reject",
    }
}

room! {
    /// How memory is kept, found and handed back.
    Memory in "memory" {
        /// The embedder: `static-minilm-256` (built in), `none` (keywords alone) or `file:` and a model file.
        embedding_model: EmbeddingModel = "EMBEDDING_MODEL",
            Kind::Text { allowed: "static-minilm-256, none, or `file:` and the path of a model file", check: is_model };
        /// Tokens that a recall or working set may spend when the request does not say.
        default_token_budget: usize = "DEFAULT_TOKEN_BUDGET", Kind::Integer { min: 1, max: 10_000_000 };
        /// Items that a recall may answer when the request does not say (`top_k`).
        max_context_items: usize = "MAX_CONTEXT_ITEMS", Kind::Integer { min: 1, max: 10_000 };
        /// Days after which episodic items that no semantic item cites expire; `0` keeps everything. Read by the
        /// clean-up job.
        context_expiration_days: u32 = "CONTEXT_EXPIRATION_DAYS", Kind::Integer { min: 0, max: 36_500 };
        /// MiB that awake threads may take together before the longest idle ones are put to rest.
        budget_mb: u64 = "MEMORY_BUDGET_MB", Kind::Integer { min: 16, max: 16_777_216 };
        /// Seconds without a request after which a thread is put to rest.
        thread_idle_seconds: u64 = "CMG_MEMORY_THREAD_IDLE_SECONDS", Kind::Integer { min: 1, max: 31_536_000 };
        /// Writes of one workspace that may wait; beyond that callers get 503 `overloaded`.
        queue_per_workspace: usize = "CMG_MEMORY_QUEUE_PER_WORKSPACE", Kind::Integer { min: 1, max: 1_000_000 };
        /// Vector index of workspace scopes: `auto` scans exactly up to `exact_limit_items` and uses the graph above.
        vector_index: VectorIndex = "CMG_MEMORY_VECTOR_INDEX", Kind::OneOf(VectorIndex::WORDS);
        /// Keyword index of workspace scopes: `auto` uses the threads' postings up to `exact_limit_items` and tantivy
        /// above.
        keyword_index: KeywordIndex = "CMG_MEMORY_KEYWORD_INDEX", Kind::OneOf(KeywordIndex::WORDS);
        /// Items of a workspace above which `auto` uses the indexes instead of exact scans.
        exact_limit_items: usize = "CMG_MEMORY_EXACT_LIMIT_ITEMS", Kind::Integer { min: 0, max: 1_000_000_000 };
        /// What happens to sensitive data before anything is stored: `redact`, `off` or `reject`.
        redaction: Redaction = "CMG_MEMORY_REDACTION", Kind::OneOf(Redaction::WORDS);
        /// Score below which a recall leaves an item out rather than pad its answer; `-10` leaves out nothing.
        min_score: f32 = "CMG_MEMORY_MIN_SCORE", Kind::Float { min: -10.0, max: 10.0 };
    }
}

fn is_model(text: &str) -> bool {
    text == BUILT_IN || text == "none" || text.strip_prefix("file:").is_some_and(|path| !path.trim().is_empty())
}
