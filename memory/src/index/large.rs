//! Large scopes: which threads of a workspace are worth scoring for a query.
//!
//! Below a limit all threads of a workspace are scored, exactly. Above it the workspace's indexes
//! *route*: they name the threads with the best passages, and only those are scored, by the same
//! ranker and exactly. So an index decides where to look and never how much something is worth.
//!
//! # Promises
//!
//! - A recall right after an ingest sees it: a thread with passages that an index has not covered is
//!   always routed (the overlay).
//! - The same indexes, threads and query: the same route. Ties go to the thread with the lower number.
//!
//! # Use
//!
//! Keep it behind a lock, and let one supervisor call [`LargeScope::update`] in steps of about
//! [`STEP`] passages; a step holds the lock for up to a second. A reader that finds it locked scores
//! all threads, as it does for a request with `as_of`: the indexes know only the present.
//!
//! # Deliberately absent
//!
//! The ranker, locks, and the limit above which any of this is used.

use super::Found;
use super::graph::GraphIndex;
use super::lexical::{LexicalError, LexicalIndex};
use crate::recall::query::Query;
use crate::thread::Thread;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Passages for one [`LargeScope::update`]: few enough to hold a lock for, enough to be worth a commit.
pub const STEP: usize = 500;

/// Passages that each index is asked for.
const CANDIDATES: usize = 2_000;

/// Which indexes a workspace keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Keywords, by tantivy.
    pub lexical: bool,
    /// Vectors, by a graph.
    pub graph: bool,
}

/// A thread that could be scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadSummary {
    /// Its number within the workspace.
    pub no: u32,
    /// How many passages it has, as the reader sees it.
    pub passages: u32,
}

/// The indexes of a workspace.
#[derive(Debug)]
pub struct LargeScope {
    lexical: Option<LexicalIndex>,
    graph: Option<GraphIndex>,
    /// The graph that is being built in place of one with too many dead.
    next_graph: Option<GraphIndex>,
}

impl LargeScope {
    /// Empty indexes.
    ///
    /// # Errors
    ///
    /// See [`LexicalIndex::new`].
    pub fn new(choice: Choice) -> Result<Self, LexicalError> {
        Ok(Self {
            lexical: choice.lexical.then(LexicalIndex::new).transpose()?,
            graph: choice.graph.then(GraphIndex::new),
            next_graph: None,
        })
    }

    /// Takes in up to `at_most` passages of `threads` on each side, takes out what holds no longer,
    /// and goes on with the rebuild of a graph that has too many dead. True when nothing is left to do.
    ///
    /// # Errors
    ///
    /// When tantivy fails; its side is empty then, and the next call begins to fill it again.
    pub fn update(&mut self, threads: &[Arc<Thread>], at_most: usize) -> Result<bool, LexicalError> {
        let graph = self.update_graph(threads, at_most);
        let lexical = self.lexical.as_mut().map_or(Ok(true), |lexical| lexical.update(threads, at_most))?;
        Ok(graph && lexical)
    }

    fn update_graph(&mut self, threads: &[Arc<Thread>], at_most: usize) -> bool {
        let Some(graph) = &mut self.graph else { return true };
        let complete = graph.update(threads, at_most);
        if graph.needs_rebuild() {
            // The present one answers until the next one has caught up.
            let next = self.next_graph.get_or_insert_with(|| graph.successor());
            if !next.update(threads, at_most) {
                return false;
            }
            if let Some(next) = self.next_graph.take() {
                *graph = next;
                return true;
            }
        }
        complete
    }

    /// Forgets a thread at once and for ever.
    pub fn remove_thread(&mut self, no: u32) {
        if let Some(lexical) = &mut self.lexical {
            lexical.remove_thread(no);
        }
        for graph in [&mut self.graph, &mut self.next_graph].into_iter().flatten() {
            graph.remove_thread(no);
        }
    }

    /// The keyword index, where there is one.
    #[must_use]
    pub fn lexical(&self) -> Option<&LexicalIndex> {
        self.lexical.as_ref()
    }

    /// The graph that answers, where there is one.
    #[must_use]
    pub fn graph(&self) -> Option<&GraphIndex> {
        self.graph.as_ref()
    }

    /// How many leading passages of a thread all indexes have covered; [`u32::MAX`] without any index.
    #[must_use]
    pub fn covered(&self, no: u32) -> u32 {
        let lexical = self.lexical.as_ref().map_or(u32::MAX, |lexical| lexical.covered(no));
        let graph = self.graph.as_ref().map_or(u32::MAX, |graph| graph.covered(no));
        lexical.min(graph)
    }

    /// The numbers, in order, of those among `threads` that are worth scoring for `query`: all that
    /// are not wholly covered; then covered ones by the rank of their best passage in either index,
    /// until they hold `passage_limit` passages together (the last one may go beyond).
    ///
    /// Where nothing is found at all, the newest covered threads stand in. Without any index, or when
    /// one fails to answer, all threads are worth scoring.
    #[must_use]
    pub fn route(&self, threads: &[ThreadSummary], query: &Query, passage_limit: usize) -> Vec<u32> {
        let found = match self.candidates(query) {
            Ok(found) if self.lexical.is_some() || self.graph.is_some() => found,
            _ => return in_order(threads.iter().map(|thread| thread.no).collect()),
        };
        let (covered, overlay): (Vec<ThreadSummary>, Vec<ThreadSummary>) =
            threads.iter().partition(|thread| self.covered(thread.no) >= thread.passages);
        let mut ranks: BTreeMap<u32, usize> = BTreeMap::new();
        for (rank, found) in found.iter().flat_map(|found| found.iter().enumerate()) {
            ranks.entry(found.thread).and_modify(|best| *best = rank.min(*best)).or_insert(rank);
        }
        let mut order: Vec<(usize, ThreadSummary)> =
            covered.iter().filter_map(|thread| ranks.get(&thread.no).map(|&rank| (rank, *thread))).collect();
        if ranks.is_empty() {
            order = covered.iter().map(|thread| ((u32::MAX - thread.no) as usize, *thread)).collect();
        }
        order.sort_unstable_by_key(|&(rank, thread)| (rank, thread.no));
        let mut routed: Vec<u32> = overlay.iter().map(|thread| thread.no).collect();
        let mut passages = 0_usize;
        for (_, thread) in order {
            if passages >= passage_limit {
                break;
            }
            passages = passages.saturating_add(thread.passages as usize);
            routed.push(thread.no);
        }
        in_order(routed)
    }

    /// The best passages on each side, best first.
    fn candidates(&self, query: &Query) -> Result<[Vec<Found>; 2], LexicalError> {
        let words = self.lexical.as_ref().map(|lexical| lexical.search(&query.terms, CANDIDATES)).transpose()?;
        let vectors = self.graph.as_ref().zip(query.direction.as_ref());
        let vectors = vectors.map(|(graph, direction)| graph.search(direction, CANDIDATES));
        Ok([words.unwrap_or_default(), vectors.unwrap_or_default()])
    }
}

fn in_order(mut numbers: Vec<u32>) -> Vec<u32> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::sample::{Numbers, Writer, query, word};

    const BOTH: Choice = Choice { lexical: true, graph: true };
    const CHOICES: [Choice; 3] = [BOTH, Choice { lexical: true, graph: false }, Choice { lexical: false, graph: true }];

    /// Twenty threads of ten passages; thread n says `word(1000 + n)` in one of them.
    fn workspace() -> Vec<Writer> {
        let mut numbers = Numbers(1);
        let thread = |no: u32| {
            let mut writer = Writer::new(no);
            for at in 0..10 {
                let text = numbers.text(6, 300);
                let own = if at == 4 { word(1000 + no as usize) } else { String::new() };
                writer.add(&format!("{text} {own} {own}"));
            }
            writer
        };
        (0..20).map(thread).collect()
    }

    fn publish(writers: &[Writer]) -> Vec<Arc<Thread>> {
        writers.iter().map(Writer::publish).collect()
    }

    fn summaries(threads: &[Arc<Thread>]) -> Vec<ThreadSummary> {
        threads.iter().map(|thread| ThreadSummary { no: thread.no, passages: thread.passages().len() as u32 }).collect()
    }

    fn scope(choice: Choice, threads: &[Arc<Thread>]) -> LargeScope {
        let mut scope = LargeScope::new(choice).unwrap();
        assert!(scope.update(threads, usize::MAX).unwrap());
        scope
    }

    #[test]
    fn the_thread_with_the_best_passage_is_routed_first() {
        let threads = publish(&workspace());
        for choice in CHOICES {
            let scope = scope(choice, &threads);
            for no in 0..20 {
                let query = query(&word(1000 + no as usize));
                assert_eq!(scope.route(&summaries(&threads), &query, 1), [no], "{choice:?}");
            }
        }
    }

    #[test]
    fn the_limit_of_passages_holds_for_covered_threads_and_numbers_come_in_order() {
        let threads = publish(&workspace());
        let scope = scope(BOTH, &threads);
        let query = query(&format!("{} {}", word(1013), word(1004)));
        assert_eq!(scope.route(&summaries(&threads), &query, 11), [4, 13]);
        assert_eq!(scope.route(&summaries(&threads), &query, 45).len(), 5);
        assert!(scope.route(&summaries(&threads), &query, usize::MAX).is_sorted());
    }

    #[test]
    fn a_thread_with_anything_uncovered_is_always_routed() {
        let mut writers = workspace();
        let scope = scope(BOTH, &publish(&writers));
        writers[17].add("something else");
        writers.push(Writer::of(20, &["a new thread"]));
        let threads = publish(&writers);
        assert_eq!(scope.route(&summaries(&threads), &query(&word(1003)), 1), [3, 17, 20]);
    }

    #[test]
    fn a_removed_thread_is_not_covered_any_more() {
        let threads = publish(&workspace());
        let mut scope = scope(BOTH, &threads);
        scope.remove_thread(3);
        assert!(scope.update(&threads, usize::MAX).unwrap());
        let (words, vectors) = (query(&word(1003)), scope.candidates(&query(&word(1003))).unwrap());
        assert!(vectors.iter().flatten().all(|found| found.thread != 3));
        let left: Vec<ThreadSummary> = summaries(&threads).into_iter().filter(|thread| thread.no != 3).collect();
        assert!(!scope.route(&left, &words, usize::MAX).contains(&3));
        assert_eq!(scope.covered(3), 0);
    }

    #[test]
    fn a_graph_with_too_many_dead_is_replaced_step_by_step_while_it_answers() {
        let mut writers = workspace();
        let mut scope = scope(BOTH, &publish(&writers));
        for slot in 0..4 {
            writers.iter_mut().for_each(|writer| writer.erase(slot));
        }
        let threads = publish(&writers);
        let mut steps = 0;
        while !scope.update(&threads, 50).unwrap() {
            steps += 1;
            assert_eq!(scope.route(&summaries(&threads), &query(&word(1007)), 1), [7], "it answers all the while");
        }
        assert_eq!(steps, 2, "120 passages in steps of 50");
        assert!(scope.next_graph.is_none() && !scope.graph.as_ref().unwrap().needs_rebuild());
        assert_eq!(scope.route(&summaries(&threads), &query(&word(1007)), 1), [7]);
    }

    #[test]
    fn a_query_that_finds_nothing_gets_the_newest_threads() {
        let threads = publish(&workspace());
        assert_eq!(scope(BOTH, &threads).route(&summaries(&threads), &query("?"), 15), [18, 19]);
    }

    #[test]
    fn without_any_index_all_threads_are_scored() {
        let threads = publish(&workspace());
        let scope = scope(Choice { lexical: false, graph: false }, &threads);
        assert_eq!(scope.route(&summaries(&threads), &query(&word(1003)), 1).len(), 20);
    }

    #[test]
    fn an_empty_scope_routes_nothing() {
        assert!(LargeScope::new(BOTH).unwrap().route(&[], &query("anything"), 10).is_empty());
    }
}
