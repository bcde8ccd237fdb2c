//! Keywords of a workspace: tantivy in memory, for scopes too large to walk thread by thread.
//!
//! It holds the same terms as the threads' own postings ([`passage::index_terms`]) and counts BM25 as
//! the ranker does, so both sides agree; only the document's length is tantivy's, exact up to 40
//! terms and a few per cent coarse above.
//!
//! # Invariants
//!
//! - What [`LexicalIndex::covered`] says is searchable: counts move after the commit, and an index
//!   that failed in between forgets everything and covers nothing.
//! - A removed thread never comes back, whatever a late update hands in.
//!
//! # Deliberately absent
//!
//! `as_of`: the statistics know the whole present. And tantivy's own scorers: their k1 and b are
//! constants of another taste, and for thousands of hits the plain sum over postings is not slower.

use super::{Found, best, passage};
use crate::index::passage::Passage;
use crate::recall::weights::{B, K1};
use crate::thread::Thread;
use crate::words::Term;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Weak};
use tantivy::fieldnorm::FieldNormReader;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::postings::Postings as _;
use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{TextAnalyzer, WhitespaceTokenizer};
use tantivy::{DocSet as _, Index, IndexReader, IndexWriter, ReloadPolicy, SegmentReader, TERMINATED, TantivyDocument};

/// Bytes of a writer's arena: the least that tantivy accepts.
const ARENA: usize = 15_000_000;
/// Segments of like size that are merged into one.
const MERGED_SEGMENTS: usize = 4;
/// The share of deleted documents at which a segment is written anew.
const DEAD_SHARE: f32 = 0.1;

/// The keyword index failed. It has forgotten everything and covers nothing; the next update fills it again.
#[derive(Debug, thiserror::Error)]
#[error("the keyword index of the workspace failed: {0}")]
pub struct LexicalError(#[from] tantivy::TantivyError);

impl From<std::io::Error> for LexicalError {
    fn from(error: std::io::Error) -> Self {
        Self(error.into())
    }
}

/// How far the index has come with a thread.
#[derive(Default)]
struct Covered {
    /// The thread as it was when all of it was covered.
    view: Weak<Thread>,
    /// For each covered passage whether the index holds it.
    held: Vec<bool>,
    /// Passages held, and their index terms together.
    live: (u64, u64),
}

#[derive(Clone, Copy)]
struct Fields {
    thread: Field,
    /// Thread and passage in one number: by it a single passage is deleted.
    place: Field,
    terms: Field,
}

/// The keyword index of a workspace.
pub struct LexicalIndex {
    index: Index,
    reader: IndexReader,
    fields: Fields,
    threads: BTreeMap<u32, Covered>,
    removed: BTreeSet<u32>,
    /// Removed threads whose documents wait for the next commit.
    leaving: Vec<u32>,
}

impl std::fmt::Debug for LexicalIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LexicalIndex").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

impl LexicalIndex {
    /// An index of nothing.
    ///
    /// # Errors
    ///
    /// When tantivy refuses to open an index in memory.
    pub fn new() -> Result<Self, LexicalError> {
        let mut schema = Schema::builder();
        let indexing =
            TextFieldIndexing::default().set_tokenizer(TOKENIZER).set_index_option(IndexRecordOption::WithFreqs);
        let fields = Fields {
            thread: schema.add_u64_field("thread", INDEXED),
            place: schema.add_u64_field(PLACE, INDEXED | FAST),
            terms: schema.add_text_field("terms", TextOptions::default().set_indexing_options(indexing)),
        };
        let index = Index::builder().schema(schema.build()).create_in_ram()?;
        index.tokenizers().register(TOKENIZER, TextAnalyzer::from(WhitespaceTokenizer::default()));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { index, reader, fields, threads: BTreeMap::new(), removed: BTreeSet::new(), leaving: Vec::new() })
    }

    /// How many leading passages of a thread are searchable; 0 for one never seen or removed.
    #[must_use]
    pub fn covered(&self, thread: u32) -> u32 {
        self.threads.get(&thread).map_or(0, |covered| crate::thread::index(covered.held.len()))
    }

    /// Takes in up to `at_most` passages that came after the covered ones, takes out those that hold
    /// no longer, and makes both visible by one commit (some tens of ms; none when nothing changed).
    /// True when all of `threads` is covered.
    ///
    /// # Errors
    ///
    /// When tantivy fails. The index is empty then, and covers nothing.
    pub fn update(&mut self, threads: &[Arc<Thread>], at_most: usize) -> Result<bool, LexicalError> {
        self.try_update(threads, at_most).or_else(|error| {
            *self = Self { removed: std::mem::take(&mut self.removed), ..Self::new()? };
            Err(error)
        })
    }

    fn try_update(&mut self, threads: &[Arc<Thread>], at_most: usize) -> Result<bool, LexicalError> {
        let mut batch = Batch { index: &self.index, fields: self.fields, writer: None, left: at_most };
        for no in self.leaving.drain(..) {
            let of_thread = tantivy::Term::from_field_u64(self.fields.thread, u64::from(no));
            batch.writer()?.delete_term(of_thread);
        }
        let mut complete = true;
        for thread in threads.iter().filter(|thread| !self.removed.contains(&thread.no)) {
            complete &= batch.take(thread, self.threads.entry(thread.no).or_default())?;
        }
        if let Some(mut writer) = batch.writer {
            writer.commit()?;
            writer.wait_merging_threads()?;
            self.reader.reload()?;
        }
        Ok(complete)
    }

    /// Forgets a thread at once and for ever; its documents leave with the next update.
    pub fn remove_thread(&mut self, no: u32) {
        self.removed.insert(no);
        if self.threads.remove(&no).is_some() {
            self.leaving.push(no);
        }
    }

    /// The best `limit` passages by BM25 over the words of a query, best first.
    ///
    /// # Errors
    ///
    /// When tantivy cannot read its own segments.
    pub fn search(&self, terms: &[Term], limit: usize) -> Result<Vec<Found>, LexicalError> {
        let (passages, length) =
            self.threads.values().fold((0, 0), |sum, covered| (sum.0 + covered.live.0, sum.1 + covered.live.1));
        if passages == 0 || limit == 0 {
            return Ok(Vec::new());
        }
        let searcher = self.reader.searcher();
        let mut weights = Vec::with_capacity(terms.len());
        for &term in terms {
            let term = tantivy::Term::from_field_text(self.fields.terms, token(term).trim_end());
            // Deleted documents count until their segment is written anew.
            let found = searcher.doc_freq(&term)?.min(passages);
            let (n, found) = (to_f32(passages), to_f32(found));
            weights.push((term, (1.0 + (n - found + 0.5) / (found + 0.5)).ln()));
        }
        let saturation = saturation((to_f32(length) / to_f32(passages)).max(1.0));
        let mut all = Vec::new();
        for segment in searcher.segment_readers() {
            self.score(segment, &weights, &saturation, &mut all)?;
        }
        Ok(best(all, limit))
    }

    /// Appends the passages of a segment that hold any of the words, with their scores.
    fn score(
        &self,
        segment: &SegmentReader,
        weights: &[(tantivy::Term, f32)],
        saturation: &[f32; 256],
        all: &mut Vec<Found>,
    ) -> Result<(), LexicalError> {
        let inverted = segment.inverted_index(self.fields.terms)?;
        let lengths = segment.get_fieldnorms_reader(self.fields.terms)?;
        let places = segment.fast_fields().u64(PLACE)?;
        let mut sums = vec![0.0_f32; segment.max_doc() as usize];
        for (term, idf) in weights {
            let Some(mut postings) = inverted.read_postings(term, IndexRecordOption::WithFreqs)? else { continue };
            let mut doc = postings.doc();
            while doc != TERMINATED {
                let count = to_f32(u64::from(postings.term_freq()));
                let length = saturation.get(usize::from(lengths.fieldnorm_id(doc))).copied().unwrap_or(K1);
                if let Some(sum) = sums.get_mut(doc as usize) {
                    *sum += idf * count * (K1 + 1.0) / (count + length);
                }
                doc = postings.advance();
            }
        }
        let deleted = segment.alive_bitset();
        for (doc, &score) in (0..).zip(&sums) {
            if score <= 0.0 || deleted.is_some_and(|alive| !alive.is_alive(doc)) {
                continue;
            }
            let Some((thread, passage)) = places.first(doc).map(unplace) else { continue };
            if !self.removed.contains(&thread) {
                all.push(Found { thread, passage, score });
            }
        }
        Ok(())
    }
}

/// One update: the writer is opened by the first change, and closed with the batch.
struct Batch<'a> {
    index: &'a Index,
    fields: Fields,
    writer: Option<IndexWriter>,
    /// Passages that may still come in.
    left: usize,
}

impl Batch<'_> {
    fn writer(&mut self) -> Result<&mut IndexWriter, LexicalError> {
        if self.writer.is_none() {
            let options = IndexWriterOptions::builder()
                .memory_budget_per_thread(ARENA)
                .num_worker_threads(1)
                .num_merge_threads(1)
                .build();
            let writer = self.index.writer_with_options(options)?;
            let mut policy = LogMergePolicy::default();
            policy.set_min_num_segments(MERGED_SEGMENTS);
            policy.set_del_docs_ratio_before_merge(DEAD_SHARE);
            writer.set_merge_policy(Box::new(policy));
            self.writer = Some(writer);
        }
        let none = || tantivy::TantivyError::InternalError("the writer was opened the line before".to_owned());
        self.writer.as_mut().ok_or_else(none).map_err(LexicalError)
    }

    /// Brings the index up to a thread as far as the batch allows; true when it got to the end.
    fn take(&mut self, thread: &Arc<Thread>, covered: &mut Covered) -> Result<bool, LexicalError> {
        if std::ptr::eq(covered.view.as_ptr(), Arc::as_ptr(thread)) {
            return Ok(true);
        }
        for ((number, passage), held) in (0..).zip(thread.passages().iter()).zip(&mut covered.held) {
            if *held && !holds(passage) {
                *held = false;
                covered.live =
                    (covered.live.0.saturating_sub(1), covered.live.1.saturating_sub(u64::from(passage.length)));
                let term = tantivy::Term::from_field_u64(self.fields.place, place(thread.no, number));
                self.writer()?.delete_term(term);
            }
        }
        let mut number = crate::thread::index(covered.held.len());
        while let Some(passage) = thread.passages().get(number as usize) {
            if self.left == 0 {
                return Ok(false);
            }
            self.left -= 1;
            let held = holds(passage);
            if held {
                self.add(thread, number, passage)?;
                covered.live = (covered.live.0 + 1, covered.live.1 + u64::from(passage.length));
            }
            covered.held.push(held);
            number += 1;
        }
        covered.view = Arc::downgrade(thread);
        Ok(true)
    }

    fn add(&mut self, thread: &Thread, number: u32, passage: &Passage) -> Result<(), LexicalError> {
        let Some(item) = thread.slot(passage.slot) else { return Ok(()) };
        let words = item.text.get(passage.start as usize..passage.end as usize).unwrap_or_default();
        let text: String = passage::index_terms(item, words).into_iter().map(token).collect();
        let mut document = TantivyDocument::default();
        document.add_u64(self.fields.thread, u64::from(thread.no));
        document.add_u64(self.fields.place, place(thread.no, number));
        document.add_text(self.fields.terms, text);
        self.writer()?.add_document(document)?;
        Ok(())
    }
}

const TOKENIZER: &str = "terms";
const PLACE: &str = "place";

/// A term as tantivy sees it: its hash in hexadecimal digits, and the space that ends it.
fn token(term: Term) -> String {
    let mut token = String::with_capacity(17);
    // Writing to a string cannot fail.
    let _ = write!(token, "{term:016x} ");
    token
}

fn place(thread: u32, passage: u32) -> u64 {
    u64::from(thread) << 32 | u64::from(passage)
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of 64 bits")]
const fn unplace(place: u64) -> (u32, u32) {
    ((place >> 32) as u32, place as u32)
}

/// True for words that are still an item's present ones.
fn holds(passage: &Passage) -> bool {
    passage.holds_at(i64::MAX - 1)
}

/// BM25's part that depends on a passage's length, by tantivy's code of the length.
fn saturation(mean_length: f32) -> [f32; 256] {
    let mut code = 0_u8;
    std::array::from_fn(|_| {
        let length = FieldNormReader::id_to_fieldnorm(code);
        code = code.wrapping_add(1);
        K1 * (1.0 - B + B * to_f32(u64::from(length)) / mean_length)
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts of passages and words; the eighth digit is noise")]
const fn to_f32(count: u64) -> f32 {
    count as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::sample::{Numbers, Writer, query, word};
    use crate::recall::score::{Scorer, Statistics};

    /// `passages` passages in ten threads.
    fn corpus(passages: usize) -> Vec<Writer> {
        let mut numbers = Numbers(1);
        let mut writers: Vec<Writer> = (0..10).map(Writer::new).collect();
        for at in 0..passages {
            let words = 5 + numbers.below(30);
            writers[at % 10].add(&numbers.text(words, 400));
        }
        writers
    }

    fn publish(writers: &[Writer]) -> Vec<Arc<Thread>> {
        writers.iter().map(Writer::publish).collect()
    }

    fn index(threads: &[Arc<Thread>]) -> LexicalIndex {
        let mut index = LexicalIndex::new().unwrap();
        assert!(index.update(threads, usize::MAX).unwrap());
        index
    }

    /// BM25 as the ranker counts it, best first.
    fn plain(threads: &[Arc<Thread>], purpose: &str) -> Vec<Found> {
        let query = query(purpose);
        let statistics = Statistics::of(threads.iter().map(|thread| &**thread), &query, None);
        let mut scorer = Scorer::default();
        let mut all = Vec::new();
        for thread in threads {
            let scored = scorer.score(thread, &query, &statistics, None);
            for (place, passage) in thread.passages().iter().enumerate().filter(|(_, passage)| scored.holds(passage)) {
                let score = scored.features(place, passage)[2];
                all.push(Found { thread: thread.no, passage: u32::try_from(place).unwrap(), score });
            }
        }
        all.retain(|found| found.score > 0.0);
        best(all, usize::MAX)
    }

    fn places(found: &[Found]) -> Vec<(u32, u32)> {
        found.iter().map(|found| (found.thread, found.passage)).collect()
    }

    #[test]
    fn a_search_finds_what_plain_bm25_finds() {
        let threads = publish(&corpus(500));
        let index = index(&threads);
        let mut numbers = Numbers(2);
        for _ in 0..50 {
            let purpose = numbers.text(4, 400);
            let expected = plain(&threads, &purpose);
            let found = index.search(&query(&purpose).terms, usize::MAX).unwrap();
            assert_eq!(found.len(), expected.len(), "{purpose}");
            // Up to 40 terms tantivy keeps lengths exactly: equal but for the order of summation.
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found.score - expected.score).abs() < 1e-4, "{purpose}: {found:?} for {expected:?}");
            }
            assert!(
                expected.iter().take(1).all(|first| places(&found[..1]) == [(first.thread, first.passage)]),
                "{purpose}"
            );
            assert_eq!(index.search(&query(&purpose).terms, 7).unwrap(), found[..7.min(found.len())]);
        }
    }

    #[test]
    fn many_small_updates_find_the_same_as_one() {
        let mut writers = corpus(40);
        let mut stepwise = LexicalIndex::new().unwrap();
        let mut numbers = Numbers(3);
        for round in 0..12 {
            stepwise.update(&publish(&writers), 15).unwrap();
            writers[round % 10].add(&numbers.text(10, 400));
        }
        let threads = publish(&writers);
        while !stepwise.update(&threads, 15).unwrap() {}
        let terms = query(&numbers.text(6, 50)).terms;
        assert_eq!(stepwise.search(&terms, 50).unwrap(), index(&threads).search(&terms, 50).unwrap());
        assert!(stepwise.reader.searcher().segment_readers().len() < 8, "segments are merged");
    }

    #[test]
    fn an_empty_index_finds_nothing() {
        let index = LexicalIndex::new().unwrap();
        assert!(index.search(&query("anything").terms, 10).unwrap().is_empty());
        assert_eq!(index.covered(0), 0);
    }

    #[test]
    fn what_is_covered_is_searchable_and_nothing_else() {
        let writer = Writer::of(7, &["zubok one", "zubok two", "zubok three"]);
        let mut index = LexicalIndex::new().unwrap();
        assert!(!index.update(&[writer.publish()], 2).unwrap());
        assert_eq!((index.covered(7), index.search(&query("zubok").terms, 9).unwrap().len()), (2, 2));
        assert!(index.update(&[writer.publish()], 2).unwrap());
        assert_eq!((index.covered(7), index.search(&query("zubok").terms, 9).unwrap().len()), (3, 3));
    }

    #[test]
    fn a_removed_thread_never_comes_back() {
        let threads = publish(&[Writer::of(1, &["zubok"]), Writer::of(2, &["zubok"])]);
        let mut index = index(&threads);
        index.remove_thread(1);
        assert_eq!(places(&index.search(&query("zubok").terms, 9).unwrap()), [(2, 0)]);
        // A late update still has it in hand.
        index.update(&threads, usize::MAX).unwrap();
        assert_eq!(places(&index.search(&query("zubok").terms, 9).unwrap()), [(2, 0)]);
        assert_eq!(index.covered(1), 0);
        assert_eq!(index.reader.searcher().num_docs(), 1, "its documents are gone");
    }

    #[test]
    fn reworded_and_deleted_passages_leave_with_the_next_update() {
        let mut writer = Writer::of(1, &["zubok", "zudok", "zufok"]);
        let mut index = index(&[writer.publish()]);
        writer.reword(0, &word(77));
        writer.erase(1);
        assert!(index.update(&[writer.publish()], usize::MAX).unwrap());
        assert_eq!(places(&index.search(&query("zubok zudok zufok").terms, 9).unwrap()), [(1, 2)]);
        assert_eq!(places(&index.search(&query(&word(77)).terms, 9).unwrap()), [(1, 3)]);
        let covered = index.threads.get(&1).unwrap();
        assert_eq!(covered.live, writer.thread.live());
    }

    #[test]
    fn a_failed_update_leaves_an_index_that_covers_nothing() {
        let threads = publish(&[Writer::of(1, &["zubok"])]);
        let mut index = index(&threads);
        index.remove_thread(9);
        let blocked: IndexWriter = index.index.writer_with_num_threads(1, ARENA).unwrap();
        assert!(index.update(&publish(&[Writer::of(2, &["zudok"])]), usize::MAX).is_err(), "another writer is open");
        assert_eq!((index.covered(1), index.covered(2)), (0, 0));
        drop(blocked);
        assert!(index.update(&threads, usize::MAX).unwrap());
        assert_eq!(places(&index.search(&query("zubok").terms, 9).unwrap()), [(1, 0)]);
        assert!(index.removed.contains(&9));
    }
}
