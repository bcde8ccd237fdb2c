//! Indexes over passages: all of them can be rebuilt from a thread's items.
//!
//! | module | scope | what it is |
//! | --- | --- | --- |
//! | [`passage`] | thread | what ranking needs to know of each passage, in arrays |
//! | [`dense`] | thread | the columns of passages that every recall reads |
//! | [`postings`] | thread | which passages hold a word, exact, shared with readers |
//! | [`vector`] | thread | int8 vectors and the exact scan over them |
//! | [`lexical`] | workspace | tantivy, for scopes too large to scan |
//! | [`graph`] | workspace | hnsw_rs, for scopes too large to scan |
//! | [`large`] | workspace | both of them, and which threads they say are worth scoring |

pub mod dense;
pub mod graph;
pub mod large;
pub mod lexical;
pub mod passage;
pub mod postings;
pub mod vector;

#[cfg(test)]
mod sample;

use std::cmp::Ordering;

/// A passage that an index over a workspace found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// The number of its thread.
    pub thread: u32,
    /// Its number within the thread.
    pub passage: u32,
    /// How well it fits; comparable within one index only.
    pub score: f32,
}

impl Found {
    /// Better ones first; ties by thread and passage, so that an order never depends on chance.
    fn rank(&self, other: &Self) -> Ordering {
        let place = |found: &Self| (found.thread, found.passage);
        other.score.total_cmp(&self.score).then_with(|| place(self).cmp(&place(other)))
    }
}

/// The best `limit` of `all`, in order.
fn best(mut all: Vec<Found>, limit: usize) -> Vec<Found> {
    if limit < all.len() {
        all.select_nth_unstable_by(limit, Found::rank);
        all.truncate(limit);
    }
    all.sort_unstable_by(Found::rank);
    all
}
