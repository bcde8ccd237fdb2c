//! From ranked candidates to what fits the budget.
//!
//! Rank order; an item that does not fit is skipped and the following ones are tried; no item is
//! ever cut; near-duplicates of what is already in are dropped.

use super::{Answer, Candidate, Hit, Request};
use crate::thread::Thread;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Ids of items left out that an answer names at most.
const NEXT_BEST: usize = 5;

/// The hits behind the candidates, in the same order: the item itself where it passes the filter,
/// else the semantic items found in it that do.
pub(super) fn hits(threads: &[Arc<Thread>], best: &[Candidate], request: &Request) -> Vec<Hit> {
    let mut hits = Vec::with_capacity(best.len());
    for candidate in best.iter().filter(|candidate| candidate.score >= request.min_score) {
        let Some(thread) = threads.get(candidate.thread) else { continue };
        let Some(item) = thread.slot(candidate.slot).filter(|item| item.is_known_at(request.as_of)) else { continue };
        let hit = |item: &Arc<crate::item::Item>| Hit {
            thread: Arc::clone(&thread.id),
            item: Arc::clone(item),
            score: candidate.score,
            tokens: item.words_at(request.as_of).2,
            parts: None,
        };
        if request.filter.admits(item) {
            hits.push(hit(item));
        } else {
            hits.extend(request.filter.derived(item, thread, request.as_of).map(hit));
        }
    }
    hits
}

/// Packs hits, best first, into the request's budget and `top_k`.
pub(super) fn within_budget(hits: Vec<Hit>, request: &Request) -> Answer {
    let mut answer = Answer::default();
    let mut likenesses = BTreeSet::new();
    for hit in hits {
        // A likeness of 0 says that the item has no letters to compare.
        if hit.item.likeness != 0 && !likenesses.insert(hit.item.likeness) {
            continue;
        }
        let tokens = answer.token_estimate.saturating_add(hit.tokens);
        if answer.hits.len() < request.top_k && tokens <= request.token_budget {
            answer.token_estimate = tokens;
            answer.hits.push(hit);
        } else {
            answer.truncated = true;
            if answer.next_best.len() < NEXT_BEST {
                answer.next_best.push(hit.item.id);
            }
        }
    }
    answer
}
