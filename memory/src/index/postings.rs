//! Which passages hold a word: the thread's own keyword index.
//!
//! Immutable segments, shared with readers. Every ingest adds one small segment; neighbours of
//! like size are merged at once, so that their number grows with the logarithm of the length
//! (the arrangement of LSM trees). Positions rise within a term, within and across segments.
//!
//! # Why not tantivy here
//!
//! Scores must not change when later items come (`as_of`), so document counts have to be taken over
//! a prefix of the thread; and plain postings of 10,000 passages answer in 2 µs where tantivy needs
//! 18 (`docs/decisions/0005-thread-postings-and-tantivy.md`).

use crate::words::Term;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A passage that holds a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// The passage's number within its thread.
    pub passage: u32,
    /// How often the term occurs there; [`u16::MAX`] for that often or more.
    pub count: u16,
    /// How many terms the passage has in all, for BM25; beside the count, so that scoring a word
    /// touches nothing but its postings. [`u16::MAX`] for that many or more.
    pub length: u16,
}

/// A count as postings keep it.
fn short(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// Postings of some consecutive passages.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Segment {
    /// Sorted, each once.
    terms: Vec<Term>,
    /// For each term where its postings end; they begin where those of the term before end.
    ends: Vec<u32>,
    postings: Vec<Posting>,
}

impl Segment {
    /// The segment of passages `first`, `first + 1`, …, given the terms of each.
    #[must_use]
    pub fn build(first: u32, passages: &[Vec<Term>]) -> Self {
        let mut pairs: Vec<(Term, u32, u16)> = Vec::with_capacity(passages.iter().map(Vec::len).sum());
        for (passage, terms) in (first..).zip(passages) {
            let length = short(terms.len());
            pairs.extend(terms.iter().map(|&term| (term, passage, length)));
        }
        pairs.sort_unstable();
        let mut segment = Self::default();
        for run in pairs.chunk_by(|a, b| a == b) {
            if let Some(&(term, passage, length)) = run.first() {
                segment.add(term, Posting { passage, count: short(run.len()), length });
            }
        }
        segment
    }

    fn add(&mut self, term: Term, posting: Posting) {
        if self.terms.last() != Some(&term) {
            self.terms.push(term);
            self.ends.push(0);
        }
        self.postings.push(posting);
        if let Some(end) = self.ends.last_mut() {
            *end = u32::try_from(self.postings.len()).unwrap_or(u32::MAX);
        }
    }

    /// The passages that hold `term`, in order.
    #[must_use]
    pub fn get(&self, term: Term) -> &[Posting] {
        self.terms.binary_search(&term).map_or(&[], |at| self.slice(at))
    }

    fn slice(&self, at: usize) -> &[Posting] {
        let bound = |at: usize| self.ends.get(at).map_or(0, |&end| end as usize);
        let start = at.checked_sub(1).map_or(0, bound);
        self.postings.get(start..bound(at)).unwrap_or_default()
    }

    /// One segment in place of two that follow each other.
    fn merge(&self, later: &Self) -> Self {
        let mut merged = Self::default();
        let (mut a, mut b) = (0, 0);
        loop {
            let term = match (self.terms.get(a), later.terms.get(b)) {
                (None, None) => return merged,
                (Some(&term), None) | (None, Some(&term)) => term,
                (Some(&x), Some(&y)) => x.min(y),
            };
            for (segment, at) in [(self, &mut a), (later, &mut b)] {
                if segment.terms.get(*at) == Some(&term) {
                    segment.slice(*at).iter().for_each(|&posting| merged.add(term, posting));
                    *at += 1;
                }
            }
        }
    }
}

/// All postings of a thread.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Postings {
    /// Oldest first, each at least twice as large as the next.
    segments: Vec<Arc<Segment>>,
}

impl Postings {
    /// Adds the segment of the passages that come next.
    pub fn push(&mut self, segment: Segment) {
        let mut newest = segment;
        while let Some(before) = self.segments.pop_if(|before| before.postings.len() < 2 * newest.postings.len()) {
            newest = before.merge(&newest);
        }
        self.segments.push(Arc::new(newest));
    }

    /// The passages that hold `term`, in order, segment by segment.
    pub fn get(&self, term: Term) -> impl Iterator<Item = &[Posting]> {
        self.segments.iter().map(move |segment| segment.get(term)).filter(|postings| !postings.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn merged_segments_say_the_same_as_a_plain_list(batches in prop::collection::vec(prop::collection::vec(prop::collection::vec(0_u64..20, 0..8), 0..6), 0..30)) {
            let mut postings = Postings::default();
            let mut plain = Vec::new();
            for batch in &batches {
                postings.push(Segment::build(u32::try_from(plain.len()).unwrap(), batch));
                plain.extend(batch.iter().cloned());
            }
            for term in 0..20 {
                let expected: Vec<Posting> = plain.iter().zip(0..).filter_map(|(terms, passage)| {
                    let count = terms.iter().filter(|&&t| t == term).count() as u16;
                    (count > 0).then_some(Posting { passage, count, length: terms.len() as u16 })
                }).collect();
                prop_assert_eq!(postings.get(term).flatten().copied().collect::<Vec<_>>(), expected);
            }
        }
    }

    #[test]
    fn many_small_ingests_leave_few_segments() {
        let mut postings = Postings::default();
        for passage in 0..10_000 {
            postings.push(Segment::build(passage, &[vec![u64::from(passage % 50), 99]]));
        }
        assert!(postings.segments.len() <= 16, "{}", postings.segments.len());
    }
}
