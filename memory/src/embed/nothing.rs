//! No model: memory by keywords alone (`EMBEDDING_MODEL=none`).

use super::{Embedder, Embedding};

/// Points nowhere, whatever the text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Embedder for Nothing {
    fn id(&self) -> &str {
        "none"
    }

    fn embed(&self, _: &str) -> Embedding {
        Embedding::ZERO
    }
}
