//! Recall: a purpose and a view of memory in, the items that matter within a token budget out.
//!
//! ```text
//! query (words, direction, names, dates) → statistics of the scope → scores of all passages
//!   → best items that pass the filter → bounded priors → packing by budget
//! ```
//!
//! # Promise
//!
//! Same memory, same request: same answer, to the bit. An answer as of an instant never changes,
//! whatever comes later (deletion apart). The tokens of the items never exceed the budget.
//!
//! # Deliberately absent
//!
//! Mailboxes, locks, clocks: ages are measured against the newest item of the scope.

pub mod query;
pub mod score;
pub mod weights;

mod filter;
mod pack;

pub use filter::Filter;

use crate::embed::Embedder;
use crate::ids::ItemId;
use crate::index::passage::{Passage, Stream, flag};
use crate::item::Item;
use crate::kind::Status;
use crate::thread::Thread;
use crate::time::Timestamp;
use query::Query;
use score::{Scorer, Statistics};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The purpose, in words.
    pub purpose: String,
    /// `o200k_base` tokens that the items may have together.
    pub token_budget: u32,
    /// Items at most.
    pub top_k: usize,
    /// The instant as of which to answer.
    pub as_of: Option<Timestamp>,
    /// What the items have to be.
    pub filter: Filter,
    /// Items that score less are left out.
    pub min_score: f32,
    /// Whether to say how the scores came about.
    pub explain: bool,
}

/// A found item, with its words and standing as of the asked-for instant.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The thread that it is in.
    pub thread: Arc<str>,
    /// The item.
    pub item: Arc<Item>,
    /// How well it fits; comparable over queries.
    pub score: f32,
    /// Its tokens, as of the instant.
    pub tokens: u32,
    /// Its features by name, and the prior, where `explain` was asked for.
    pub parts: Option<BTreeMap<&'static str, f32>>,
}

/// What recall found.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// In rank order.
    pub hits: Vec<Hit>,
    /// The tokens of the hits together.
    pub token_estimate: u32,
    /// True when items that fit the purpose were left out for the budget or `top_k`.
    pub truncated: bool,
    /// The best of those left out, at most five.
    pub next_best: Vec<ItemId>,
}

/// A candidate: a slot of one of the threads, and the passage by which it scored.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    score: f32,
    thread: usize,
    slot: u32,
    place: usize,
}

impl Eq for Candidate {}
impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Ties: the earlier item of the earlier thread first.
        self.score.total_cmp(&other.score).then_with(|| (other.thread, other.place).cmp(&(self.thread, self.place)))
    }
}

thread_local! {
    /// Arrays reused from query to query on the same worker.
    static SCORER: RefCell<Scorer> = RefCell::default();
}

/// Answers `request` over `threads`, which must be in order of their numbers.
#[must_use]
pub fn recall(threads: &[Arc<Thread>], request: &Request, embedder: &dyn Embedder) -> Answer {
    let newest = request.as_of.or_else(|| threads.iter().filter_map(|thread| thread.newest()).max());
    let speakers: Vec<&str> = threads.iter().flat_map(|thread| thread.speakers()).map(String::as_str).collect();
    let query = Query::new(&request.purpose, &speakers, newest, embedder);
    let statistics = Statistics::of(threads.iter().map(|thread| &**thread), &query, request.as_of);
    let mut best = best(threads, &query, &statistics, request);
    let ages = newest.or_else(|| threads.iter().filter_map(|thread| thread.newest()).max());
    for candidate in &mut best {
        candidate.score += prior(threads, *candidate, &query, request, ages);
    }
    best.sort_by_key(|candidate| Reverse(*candidate));
    let hits = pack::hits(threads, &best, request);
    let mut answer = pack::within_budget(hits, request);
    if request.explain {
        explain(threads, &best, &query, &statistics, request, &mut answer);
    }
    answer
}

/// Candidates that are worth a look at their priors, beside the `top_k` asked for.
const SPARE_CANDIDATES: usize = 64;

/// The best-scoring items that pass the filter.
fn best(threads: &[Arc<Thread>], query: &Query, statistics: &Statistics, request: &Request) -> Vec<Candidate> {
    let wanted = request.top_k.saturating_add(request.top_k / 2).saturating_add(SPARE_CANDIDATES);
    let mut best = Best::new(wanted);
    SCORER.with_borrow_mut(|scorer| {
        for (at, thread) in threads.iter().enumerate() {
            let scored = scorer.score(thread, query, statistics, request.as_of);
            scored.each_chunk(|first, scores| {
                for (place, &score) in (first..).zip(scores) {
                    // Nearly all end here: a comparison of two numbers.
                    if score < best.floor {
                        continue;
                    }
                    let Some(passage) = thread.passages().get(place) else { continue };
                    if scored.holds(passage) && passes(thread, passage, request) {
                        best.offer(Candidate { score, thread: at, slot: passage.slot, place });
                    }
                }
            });
        }
    });
    let mut best = best.into_sorted();
    let mut seen = std::collections::BTreeSet::new();
    best.retain(|candidate| seen.insert((candidate.thread, candidate.slot)));
    best
}

/// The best `wanted` of the candidates offered: now and then the worse ones of a longer list are thrown away.
struct Best {
    wanted: usize,
    kept: Vec<Candidate>,
    /// What scores less cannot be among the best any more.
    floor: f32,
}

impl Best {
    fn new(wanted: usize) -> Self {
        Self { wanted, kept: Vec::new(), floor: f32::NEG_INFINITY }
    }

    fn offer(&mut self, candidate: Candidate) {
        self.kept.push(candidate);
        if self.kept.len() > self.wanted.saturating_mul(3) {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        if let Some(last) = self.wanted.checked_sub(1).filter(|last| *last < self.kept.len()) {
            let (_, worst, _) = self.kept.select_nth_unstable_by_key(last, |candidate| Reverse(*candidate));
            self.floor = worst.score;
            self.kept.truncate(self.wanted);
        }
    }

    fn into_sorted(mut self) -> Vec<Candidate> {
        self.shorten();
        self.kept.sort_unstable_by_key(|candidate| Reverse(*candidate));
        self.kept
    }
}

fn passes(thread: &Thread, passage: &Passage, request: &Request) -> bool {
    let passes = |item: &Arc<Item>| request.filter.passes(item, thread, request.as_of);
    request.filter.is_empty() || thread.slot(passage.slot).is_some_and(passes)
}

/// What is known of an item beside the query: small, and bounded, so that it moves a rank or so.
fn prior(
    threads: &[Arc<Thread>],
    candidate: Candidate,
    query: &Query,
    request: &Request,
    newest: Option<Timestamp>,
) -> f32 {
    let Some(thread) = threads.get(candidate.thread) else { return 0.0 };
    let Some(item) = thread.slot(candidate.slot) else { return 0.0 };
    let standing = item.standing_at(request.as_of);
    let mut prior = (standing.salience - crate::item::NEUTRAL_SALIENCE) * 2.0 * weights::SALIENCE;
    if matches!(standing.status, Some(Status::Superseded | Status::Rejected)) {
        prior += weights::CLOSED;
    }
    if let Some(newest) = newest {
        prior += weights::RECENCY * (-age_days(newest, item.observed_at) / weights::RECENCY_HALF_LIFE_DAYS).exp2();
    }
    let failure = thread
        .passages()
        .get(candidate.place)
        .is_some_and(|passage| passage.stream == Stream::Log && passage.is(flag::FAILURE));
    if query.about_failure && failure {
        prior += weights::FAILURE;
    }
    prior
}

#[expect(clippy::cast_precision_loss, reason = "an age in days; microseconds do not matter")]
fn age_days(newest: Timestamp, then: Timestamp) -> f32 {
    newest.0.saturating_sub(then.0).max(0) as f32 / 86_400e6
}

/// Adds to each hit the features of its best passage, and its prior.
fn explain(
    threads: &[Arc<Thread>],
    best: &[Candidate],
    query: &Query,
    statistics: &Statistics,
    request: &Request,
    answer: &mut Answer,
) {
    SCORER.with_borrow_mut(|scorer| {
        for (at, thread) in threads.iter().enumerate() {
            let scored = scorer.score(thread, query, statistics, request.as_of);
            for candidate in best.iter().filter(|candidate| candidate.thread == at) {
                let Some(passage) = thread.passages().get(candidate.place) else { continue };
                let features = scored.features(candidate.place, passage);
                let weighted = weights::of(passage.stream).iter().zip(features).map(|(weight, value)| weight * value);
                let mut parts: BTreeMap<&'static str, f32> = weights::NAMES.iter().copied().zip(weighted).collect();
                let sum: f32 = parts.values().sum();
                parts.insert("prior", candidate.score - sum);
                parts.retain(|_, part| *part != 0.0);
                let slot = thread.slot(candidate.slot).map(|item| item.id);
                for hit in &mut answer.hits {
                    let same = *hit.thread == *thread.id
                        && (Some(hit.item.id) == slot || hit.item.sources.iter().any(|id| Some(*id) == slot));
                    if same && hit.parts.is_none() {
                        hit.parts = Some(parts.clone());
                    }
                }
            }
        }
    });
}
