//! Features and scores of all passages of a thread.
//!
//! Three passes over arrays: one scan of the vectors, one walk over the postings of the query's
//! words, one weighted sum. No candidate lists: nothing is missed, and neighbours and sessions can
//! lend each other score.
//!
//! # Invariants
//!
//! - Only passages learnt by the asked-for instant take part, in scores and in statistics: an
//!   answer as of an instant never changes.
//! - The order of summation is fixed, so equal memory gives equal bits.

use super::query::Query;
use super::weights::{self, B, FEATURES, K1, feature};
use crate::chunks::CHUNK;
use crate::index::dense::{self, Place, Said};
use crate::index::passage::{MAX_NAMES, NONE, Passage, flag};
use crate::index::postings::Posting;
use crate::thread::Thread;
use crate::time::Timestamp;
use std::ops::Range;
use std::sync::LazyLock;

/// Word statistics of a scope: what BM25 needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// For every term of the query its inverse document frequency (Lucene's form).
    pub idf: Vec<f32>,
    /// The mean number of index terms in a passage.
    pub mean_length: f32,
}

/// The number of leading passages learnt by `as_of`.
#[must_use]
pub fn known(thread: &Thread, as_of: Option<Timestamp>) -> usize {
    match as_of {
        Some(at) => thread.passages().partition_point(|passage| passage.created_at <= at.0),
        None => thread.passages().len(),
    }
}

/// The instant by which passages have to hold, µs.
fn instant(as_of: Option<Timestamp>) -> i64 {
    as_of.map_or(i64::MAX - 1, |at| at.0)
}

impl Statistics {
    /// The statistics of the query's words over `threads` as of an instant.
    #[must_use]
    pub fn of<'a>(threads: impl Iterator<Item = &'a Thread>, query: &Query, as_of: Option<Timestamp>) -> Self {
        let (mut passages, mut length) = (0_u64, 0_u64);
        let mut found = vec![0_u64; query.terms.len()];
        for thread in threads {
            let limit = known(thread, as_of);
            let (live, live_length) = if as_of.is_none() { thread.live() } else { live_at(thread, limit, as_of) };
            passages += live;
            length += live_length;
            for (&term, found) in query.terms.iter().zip(&mut found) {
                holding(thread, term, limit, as_of, |postings| *found += postings.len() as u64);
            }
        }
        let n = to_f32(passages);
        let idf = found.iter().map(|&found| (1.0 + (n - to_f32(found) + 0.5) / (to_f32(found) + 0.5)).ln()).collect();
        Self { idf, mean_length: if passages == 0 { 1.0 } else { (to_f32(length) / n).max(1.0) } }
    }
}

fn live_at(thread: &Thread, limit: usize, as_of: Option<Timestamp>) -> (u64, u64) {
    let at = instant(as_of);
    let holding = thread.passages().iter().take(limit).filter(|passage| passage.holds_at(at));
    holding.fold((0, 0), |(passages, length), passage| (passages + 1, length + u64::from(passage.length)))
}

/// The postings of a term in passages that were known and held at the instant.
fn holding(thread: &Thread, term: u64, limit: usize, as_of: Option<Timestamp>, mut take: impl FnMut(&[Posting])) {
    let at = instant(as_of);
    let holds = |posting: &Posting| {
        let place = posting.passage as usize;
        place < limit && thread.passages().get(place).is_some_and(|passage| passage.holds_at(at))
    };
    for postings in thread.postings().get(term) {
        // Nearly always nothing was ever reworded or deleted: then the passages need no look.
        if limit == thread.passages().len() && thread.all_hold() {
            take(postings);
        } else {
            postings
                .chunk_by(|a, b| holds(a) == holds(b))
                .filter(|run| run.first().is_some_and(holds))
                .for_each(&mut take);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of passages and words; the eighth digit is noise")]
const fn to_f32(count: u64) -> f32 {
    count as f32
}

/// Sums of idf over sets of query terms, by bytes of the set's mask.
struct Shares {
    tables: Vec<[f32; 256]>,
}

impl Shares {
    fn new(idf: &[f32]) -> Self {
        let total: f32 = idf.iter().sum();
        let share = |idf: f32| if total > 0.0 { idf / total } else { 0.0 };
        Self { tables: idf.chunks(8).map(|eight| sums_of_sets(eight, share)).collect() }
    }

    fn of(&self, mask: u64) -> f32 {
        if mask == 0 {
            return 0.0;
        }
        let byte = |at: usize| (mask >> (8 * at) & 255) as usize;
        self.tables.iter().enumerate().filter_map(|(at, table)| table.get(byte(at))).sum()
    }
}

/// For every set of at most eight terms the sum of their shares: each set is a smaller one and its highest term.
fn sums_of_sets(eight: &[f32], share: impl Fn(f32) -> f32) -> [f32; 256] {
    let mut sums = [0.0; 256];
    for (bit, &idf) in eight.iter().enumerate() {
        let (smaller, larger) = sums.split_at_mut(1 << bit);
        for (sum, smaller) in larger.iter_mut().zip(smaller) {
            *sum = *smaller + share(idf);
        }
    }
    sums
}

/// What a session says about a query.
#[derive(Clone, Copy, Default)]
struct Session {
    best: f32,
    second: f32,
    words: u64,
    share: f32,
}

/// The value at a place; nothing for the neighbour of those who have none ([`NONE`]), and behind the last passage.
#[inline(always)]
fn value<T: Copy + Default>(values: &[T], place: u32) -> T {
    values.get(place as usize).copied().unwrap_or_default()
}

/// The values of a range; none where it reaches too far.
fn part<'a, T>(values: &'a [T], range: &Range<usize>) -> std::slice::Iter<'a, T> {
    values.get(range.clone()).unwrap_or_default().iter()
}

impl Session {
    fn take(&mut self, likeness: f32, words: u64) {
        self.words |= words;
        if likeness > self.best {
            (self.best, self.second) = (likeness, self.best);
        } else if likeness > self.second {
            self.second = likeness;
        }
    }

    /// The best likeness among the others than one of this likeness.
    const fn best_other(&self, likeness: f32) -> f32 {
        if likeness >= self.best { self.second } else { self.best }
    }
}

/// Arrays over a thread's passages for one query. Reused, so that a query allocates nothing.
#[derive(Default)]
pub struct Scorer {
    /// Cosine with the query.
    likeness: Vec<f32>,
    /// |v| · cosine.
    raw: Vec<f32>,
    bm25: Vec<f32>,
    /// Which of the query's words the passage holds, as bits.
    words: Vec<u64>,
    /// The same for the passage and the one before it.
    pair: Vec<u64>,
    /// The same for the passage behind it.
    after: Vec<u64>,
    sessions: Vec<Session>,
}

/// What the arrays of a [`Scorer`] say of one passage.
#[derive(Clone, Copy, Default)]
struct Own {
    likeness: f32,
    raw: f32,
    bm25: f32,
    words: u64,
    pair: u64,
    after: u64,
}

/// A thread while it is scored.
pub struct Scored<'a> {
    scorer: &'a Scorer,
    thread: &'a Thread,
    query: &'a Query,
    shares: Shares,
    speaker: u32,
    at: i64,
}

impl Scorer {
    /// Fills the arrays for a thread's passages as of an instant.
    pub fn score<'a>(
        &'a mut self,
        thread: &'a Thread,
        query: &'a Query,
        statistics: &Statistics,
        as_of: Option<Timestamp>,
    ) -> Scored<'a> {
        let known = known(thread, as_of);
        let at = instant(as_of);
        let shares = Shares::new(&statistics.idf);
        self.clear(known, thread.sessions() as usize);
        self.walk(thread, query, statistics, known, as_of);
        self.scan(thread, query, known);
        self.gather(thread, &shares, known, at);
        let speaker = query.speaker.as_ref().and_then(|name| thread.speakers().iter().position(|known| known == name));
        let speaker = speaker.map_or(NONE, crate::thread::index);
        Scored { scorer: self, thread, query, shares, speaker, at }
    }

    fn clear(&mut self, passages: usize, sessions: usize) {
        self.raw.clear();
        self.bm25.clear();
        self.bm25.resize(passages, 0.0);
        for masks in [&mut self.words, &mut self.after] {
            masks.clear();
            masks.resize(passages, 0);
        }
        // Every place of these is written anyway.
        self.likeness.resize(passages, 0.0);
        self.pair.resize(passages, 0);
        self.sessions.clear();
        self.sessions.resize(sessions, Session::default());
    }

    /// BM25 with the scope's statistics, and which of the query's words each passage holds.
    fn walk(
        &mut self,
        thread: &Thread,
        query: &Query,
        statistics: &Statistics,
        known: usize,
        as_of: Option<Timestamp>,
    ) {
        for ((bit, &term), &idf) in query.terms.iter().enumerate().zip(&statistics.idf) {
            let per_length = K1 * B / statistics.mean_length;
            holding(thread, term, known, as_of, |postings| {
                for posting in postings {
                    let place = posting.passage as usize;
                    let count = f32::from(posting.count);
                    let score =
                        idf * count * (K1 + 1.0) / (count + K1 * (1.0 - B) + per_length * f32::from(posting.length));
                    if let (Some(sum), Some(words)) = (self.bm25.get_mut(place), self.words.get_mut(place)) {
                        *sum += score;
                        *words |= 1 << bit;
                    }
                }
            });
        }
    }

    /// The dot product of every vector's bytes with the query's direction.
    fn scan(&mut self, thread: &Thread, query: &Query, known: usize) {
        if let Some(direction) = &query.direction {
            for rows in thread.rows().slices() {
                if self.raw.len() < known {
                    direction.scan(rows, &mut self.raw);
                }
            }
        }
        self.raw.resize(known, 0.0);
    }

    /// Likeness of every passage, and what sessions and neighbours say. A passage that no longer
    /// holds is like nothing.
    fn gather(&mut self, thread: &Thread, shares: &Shares, known: usize, at: i64) {
        let columns = thread.columns();
        let (mut raws, mut likenesses) = (self.raw.as_mut_slice(), self.likeness.as_mut_slice());
        for lengths in columns.lengths.slices() {
            let (raw, later_raws) = raws.split_at_mut(lengths.len().min(raws.len()));
            let (likeness, later_likenesses) = likenesses.split_at_mut(lengths.len().min(likenesses.len()));
            for ((raw, likeness), (scale, inverse_norm)) in raw.iter_mut().zip(likeness).zip(lengths) {
                *raw *= scale;
                *likeness = *raw * inverse_norm;
            }
            (raws, likenesses) = (later_raws, later_likenesses);
        }
        if !thread.all_hold() {
            self.forget_dead(thread, at);
        }
        let mut first = 0;
        for places in columns.places.slices() {
            let range = first..known.min(first + places.len());
            let words = self.words.get(range.clone()).unwrap_or_default();
            let likeness = self.likeness.get(range.clone()).unwrap_or_default();
            let pairs = self.pair.get_mut(range).unwrap_or_default();
            for (((column, &words), &likeness), pair) in places.iter().zip(words).zip(likeness).zip(pairs) {
                *pair = words | value(&self.words, column.before);
                if let Some(session) = self.sessions.get_mut(column.session as usize) {
                    session.take(likeness, words);
                }
                if words != 0
                    && let Some(after) = self.after.get_mut(column.before as usize)
                {
                    *after |= words;
                }
            }
            first += places.len();
        }
        for session in &mut self.sessions {
            session.share = shares.of(session.words);
        }
    }

    /// What the arrays say of the passages of a range.
    #[inline(always)]
    fn own(&self, range: Range<usize>) -> impl Iterator<Item = Own> {
        let dense = part(&self.likeness, &range).zip(part(&self.raw, &range)).zip(part(&self.bm25, &range));
        let sets = part(&self.words, &range).zip(part(&self.pair, &range)).zip(part(&self.after, &range));
        dense.zip(sets).map(|(((&likeness, &raw), &bm25), ((&words, &pair), &after))| Own {
            likeness,
            raw,
            bm25,
            words,
            pair,
            after,
        })
    }

    /// Takes the likeness from passages that did not hold at the instant.
    fn forget_dead(&mut self, thread: &Thread, at: i64) {
        for ((passage, raw), likeness) in thread.passages().iter().zip(&mut self.raw).zip(&mut self.likeness) {
            if !passage.holds_at(at) {
                (*raw, *likeness) = (0.0, 0.0);
            }
        }
    }
}

impl Scored<'_> {
    /// Hands over the score of every known passage, chunk by chunk with the number of the chunk's first: the weighted
    /// sum of [`Scored::features`], read from the thread's columns; what depends on few bits is looked up. Passages
    /// that no longer hold have one too: see [`Scored::holds`].
    pub fn each_chunk(&self, mut take: impl FnMut(usize, &[f32])) {
        let [plain, asking_when] = &*WORTH_OF_BITS;
        let table = if self.query.asks_when { asking_when } else { plain };
        let names = self.speaker != NONE
            || self.query.first_person
            || !self.query.months.is_empty()
            || !self.query.days.is_empty();
        let mut scores = [0.0_f32; CHUNK];
        let mut first = 0;
        let columns = self.thread.columns();
        for (places, said) in columns.places.slices().zip(columns.said.slices()) {
            let known = self.scorer.raw.len().saturating_sub(first).min(places.len());
            let own = self.scorer.own(first..first + known);
            for ((column, score), own) in places.iter().zip(&mut scores).zip(own) {
                let bits = usize::from(column.bits);
                let weights = weights::of(dense::stream(bits));
                *score = self.grade(own, *column).weigh(weights) + table.get(bits).copied().unwrap_or(0.0);
            }
            if names {
                for ((column, said), score) in places.iter().zip(said).zip(&mut scores) {
                    *score += self.named(*column, *said);
                }
            }
            take(first, scores.get(..known).unwrap_or_default());
            first += places.len();
        }
    }

    /// True when these were its item's words at the instant.
    #[must_use]
    pub fn holds(&self, passage: &Passage) -> bool {
        passage.holds_at(self.at)
    }

    /// The part of the sum that is about what the query names: a speaker, a month, a day.
    fn named(&self, column: Place, said: Said) -> f32 {
        let (stream, _, flags) = dense::unpack(usize::from(column.bits));
        let weights = weights::of(stream);
        let theirs = self.is_theirs(flags, said);
        let (month, date) = self.times(said);
        weights[feature::SPEAKER] * bit(theirs)
            + weights[feature::SPEAKER_OF_SELF] * bit(theirs && flags & flag::FIRST_PERSON != 0)
            + weights[feature::MONTH] * month
            + weights[feature::DATE] * date
    }

    #[inline(always)]
    fn grade(&self, own: Own, column: Place) -> Graded {
        let scorer = self.scorer;
        let nearby = own.pair | value(&scorer.pair, column.before) | own.after;
        let session = scorer.sessions.get(column.session as usize);
        Graded {
            likeness: own.likeness,
            pair: (own.raw + value(&scorer.raw, column.before)) * column.inverse_pair,
            words: own.bm25,
            likeness_before: value(&scorer.likeness, column.before),
            words_before: value(&scorer.bm25, column.before),
            session: session.map_or(0.0, |session| session.best_other(own.likeness)),
            nearby: self.shares.of(nearby),
            in_session: session.map_or_else(|| self.shares.of(own.words), |session| session.share),
        }
    }

    fn is_theirs(&self, flags: u16, said: Said) -> bool {
        if self.speaker == NONE {
            self.query.first_person && flags & flag::FROM_USER != 0
        } else {
            said.speaker == self.speaker
        }
    }

    /// Whether the passage lies in a month, and shortly after a day, that the query names.
    fn times(&self, said: Said) -> (f32, f32) {
        let in_month = |range: &(i32, i32)| (range.0..=range.1).contains(&said.day);
        let told_after = |day: &i32| (0..=DAYS_AFTER).contains(&(said.day - day));
        (bit(self.query.months.iter().any(in_month)), bit(self.query.days.iter().any(told_after)))
    }

    /// The features of one passage, in the order of [`weights::NAMES`].
    #[must_use]
    pub fn features(&self, place: usize, passage: &Passage) -> [f32; FEATURES] {
        let own = self.scorer.own(place..place + 1).next().unwrap_or_default();
        let graded = self.grade(own, Place::of(passage));
        let theirs = self.is_theirs(passage.flags, Said::of(passage));
        let (month, date) = self.times(Said::of(passage));
        [
            graded.likeness,
            graded.pair,
            graded.words,
            graded.likeness_before,
            graded.words_before,
            graded.session,
            graded.nearby,
            graded.in_session,
            bit(theirs),
            bit(theirs && passage.is(flag::FIRST_PERSON)),
            bit(passage.is(flag::ENDS_ASKING)),
            bit(passage.is(flag::BEFORE_ASKS)),
            bit(self.query.asks_when && passage.is(flag::SAYS_WHEN)),
            f32::from(passage.names) / f32::from(MAX_NAMES),
            month,
            date,
        ]
    }
}

/// What flags, names and stream alone are worth, for each value that they can have: for a purpose that does not ask for
/// a time, and for one that does.
static WORTH_OF_BITS: LazyLock<[Vec<f32>; 2]> = LazyLock::new(|| {
    [false, true].map(|asks_when| {
        let worth = |number: usize| {
            let (stream, names, flags) = dense::unpack(number);
            let weights = weights::of(stream);
            let is = |flag: u16| bit(flags & flag != 0);
            weights[feature::ENDS_ASKING] * is(flag::ENDS_ASKING)
                + weights[feature::BEFORE_ASKS] * is(flag::BEFORE_ASKS)
                + weights[feature::SAYS_WHEN] * is(flag::SAYS_WHEN) * bit(asks_when)
                + weights[feature::NAMES] * f32::from(names) / f32::from(MAX_NAMES)
        };
        (0..dense::BITS).map(worth).collect()
    })
});

/// Things are told up to this many days after they happened.
const DAYS_AFTER: i32 = 7;

const fn bit(yes: bool) -> f32 {
    if yes { 1.0 } else { 0.0 }
}

/// The features that are a matter of degree.
struct Graded {
    likeness: f32,
    pair: f32,
    words: f32,
    likeness_before: f32,
    words_before: f32,
    session: f32,
    nearby: f32,
    in_session: f32,
}

impl Graded {
    /// The part of the sum that these features make.
    #[inline(always)]
    fn weigh(&self, weights: &[f32; FEATURES]) -> f32 {
        // Two sums side by side: one would wait for itself at every step.
        let dense = weights[feature::LIKENESS] * self.likeness
            + weights[feature::LIKENESS_WITH_BEFORE] * self.pair
            + weights[feature::LIKENESS_OF_BEFORE] * self.likeness_before
            + weights[feature::LIKENESS_OF_SESSION] * self.session;
        let words = weights[feature::WORDS] * self.words
            + weights[feature::WORDS_OF_BEFORE] * self.words_before
            + weights[feature::SHARE_NEARBY] * self.nearby
            + weights[feature::SHARE_IN_SESSION] * self.in_session;
        dense + words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ItemId;
    use crate::ingest::{ChatMaterial, Materials, Mode, Redactor, TextMaterial, parse};
    use crate::plan::{self, Numbers, Owned, Tools};

    struct Counter(u64);

    impl Numbers for Counter {
        fn next(&mut self, _: bool) -> u64 {
            self.0 += 1;
            self.0
        }
        fn claim(&mut self, _: ItemId) -> bool {
            false
        }
    }

    /// Chat, hunks and logs in turn, with long items and one that is gone.
    fn thread() -> Thread {
        let mut owned = Owned::new(Thread::new("t", 1, crate::embed::builtin().id()));
        let (mut counter, redactor) = (Counter(0), Redactor::new(Mode::Off));
        for round in 0..40_u64 {
            let long = "The harbour was full of boats. ".repeat(if round % 9 == 0 { 40 } else { 1 });
            let chat = format!("Anna: Did we paint the boat in May? {long}\nBen: I painted it with Clara on Monday.");
            let log = TextMaterial {
                content: format!("2026-05-0{} 10:00:00 ERROR paint ran out", round % 9 + 1),
                ..TextMaterial::default()
            };
            let materials = Materials {
                chat: Some(ChatMaterial::Transcript(format!("{chat} Round {round}."))),
                logs: if round % 3 == 0 { vec![log] } else { Vec::new() },
                ..Materials::default()
            };
            let mut numbering = (*owned.thread.numbering).clone();
            let parsed = parse(materials, &redactor, &mut numbering).unwrap();
            let now = Timestamp(1_780_000_000_000_000 + 3_600_000_000 * i64::try_from(round).unwrap());
            let mut tools = Tools { now, embedder: &*crate::embed::builtin(), numbers: &mut counter };
            let plan = plan::ingest(&owned, parsed.drafts, numbering, &mut tools);
            owned.apply(round + 1, &plan.record.unwrap());
        }
        let gone = owned.thread.items().nth(7).unwrap().id;
        let tools =
            Tools { now: Timestamp(1_790_000_000_000_000), embedder: &*crate::embed::builtin(), numbers: &mut counter };
        let plan = plan::erase(&owned, gone, &tools).unwrap();
        owned.apply(1_000, &plan.record.unwrap());
        owned.thread
    }

    #[test]
    fn the_fast_sum_is_the_weighted_sum_of_the_features() {
        let thread = thread();
        for purpose in ["When did Ben paint the boat?", "What went wrong in May 2026?", "boats", "Did I paint?", "?"] {
            let speakers: Vec<&str> = thread.speakers().iter().map(String::as_str).collect();
            let query = Query::new(purpose, &speakers, thread.newest(), &*crate::embed::builtin());
            let statistics = Statistics::of(std::iter::once(&thread), &query, None);
            let mut scorer = Scorer::default();
            let scored = scorer.score(&thread, &query, &statistics, None);
            let mut seen = 0;

            scored.each_chunk(|first, scores| {
                for (place, score) in (first..).zip(scores) {
                    let passage = thread.passages().get(place).unwrap();
                    let weighted = scored.features(place, passage).into_iter().zip(weights::of(passage.stream));
                    let sum: f32 = weighted.map(|(feature, weight)| feature * weight).sum();
                    assert!((sum - score).abs() < 1e-4, "{purpose}: passage {place}: {score} for {sum}");
                    seen += 1;
                }
            });

            assert_eq!(seen, thread.passages().len(), "every passage is scored once");
        }
    }
}
