//! Vectors of a workspace: an HNSW graph (hnsw_rs), for scopes too large to scan.
//!
//! Points are unit vectors of 16-bit steps, compared by an integer dot product: the same on every
//! machine, and never out of range (hnsw_rs's own `DistDot` panics when rounding carries a product
//! beyond 1). Passages with equal vectors share a point, because many equal points bury each other's
//! links and become an island that no search reaches.
//!
//! The graph cannot delete: a dead passage is marked, left out of answers, and swept by a rebuild.
//!
//! # How reproducible it is
//!
//! hnsw_rs draws levels from a generator with a fixed seed, and points go in one after the other. So
//! the same sequence of updates gives the same graph; but another sequence that leads to the same
//! memory gives another graph, and other candidates at the edge. That is why the graph only says
//! which threads to score, and why it has no part in answers as of an instant.
//!
//! # Deliberately absent
//!
//! hnsw_rs's filter: it goes on through the whole graph, and panics once nothing passes. Its parallel
//! insertion: other links each time.

use super::{Found, best};
use crate::index::passage::{NONE, Passage, flag};
use crate::index::vector::Direction;
use crate::thread::{self, Thread};
use hnsw_rs::anndists::dist::distances::Distance;
use hnsw_rs::hnsw::Hnsw;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

/// Links of a point on each layer (twice as many on the lowest).
const LINKS: usize = 16;
/// Layers at most: hnsw_rs's own limit.
const LAYERS: usize = 16;
/// Candidates while a point finds its place.
const WIDTH_OF_BUILD: usize = 200;
/// Candidates of a search at least.
const WIDTH_OF_SEARCH: usize = 200;
/// One dead passage in this many calls for a rebuild.
const DEAD_SHARE: usize = 10;

/// 1 − cos of two unit vectors, never below 0.
struct Angle;

impl Distance<i16> for Angle {
    fn eval(&self, a: &[i16], b: &[i16]) -> f32 {
        (1.0 - to_f32(dot(a, b)) / (Direction::LENGTH * Direction::LENGTH)).max(0.0)
    }
}

/// Products of neighbours add up within one instruction that every x86-64 has, so this needs no
/// choice at run time. At most 4,095² (and its rounding) by Cauchy and Schwarz.
fn dot(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).fold(0, |sum: i32, (&a, &b)| sum.wrapping_add(i32::from(a).wrapping_mul(i32::from(b))))
}

#[expect(clippy::cast_precision_loss, reason = "a rounding in the eighth digit of a likeness is noise")]
const fn to_f32(value: i32) -> f32 {
    value as f32
}

/// A passage that came into the graph.
struct Place {
    thread: u32,
    passage: u32,
    /// The next place with the same vector, or [`NONE`].
    next: u32,
    dead: bool,
}

/// How far the graph has come with a thread.
struct Covered {
    /// The thread as it was when all of it was covered.
    view: Weak<Thread>,
    /// The model of the covered vectors.
    model: Arc<str>,
    /// For each covered passage its place, or [`NONE`] for one without a vector.
    places: Vec<u32>,
}

/// The vector index of a workspace.
pub struct GraphIndex {
    graph: Hnsw<'static, i16, Angle>,
    places: Vec<Place>,
    /// The first place of each vector, by the vector's hash.
    points: FxHashMap<[u8; 16], u32>,
    threads: BTreeMap<u32, Covered>,
    removed: BTreeSet<u32>,
    dead: usize,
}

impl std::fmt::Debug for GraphIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GraphIndex")
            .field("places", &self.places.len())
            .field("dead", &self.dead)
            .finish_non_exhaustive()
    }
}

impl Default for GraphIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl GraphIndex {
    /// A graph of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            graph: Hnsw::new(LINKS, 0, LAYERS, WIDTH_OF_BUILD, Angle),
            places: Vec::new(),
            points: FxHashMap::default(),
            threads: BTreeMap::new(),
            removed: BTreeSet::new(),
            dead: 0,
        }
    }

    /// How many leading passages of a thread the graph has looked at; 0 for one never seen or removed.
    #[must_use]
    pub fn covered(&self, thread: u32) -> u32 {
        self.threads.get(&thread).map_or(0, |covered| thread::index(covered.places.len()))
    }

    /// Takes in up to `at_most` passages (about a millisecond each) that came after the covered ones,
    /// and marks those that hold no longer. True when all of `threads` is covered.
    pub fn update(&mut self, threads: &[Arc<Thread>], at_most: usize) -> bool {
        let mut left = at_most;
        let mut complete = true;
        for thread in threads {
            if !self.removed.contains(&thread.no) {
                complete &= self.take(thread, &mut left);
            }
        }
        complete
    }

    /// Brings the graph up to a thread as far as `left` allows; true when it got to the end.
    fn take(&mut self, thread: &Arc<Thread>, left: &mut usize) -> bool {
        let none = || Covered { view: Weak::new(), model: Arc::clone(&thread.model), places: Vec::new() };
        let mut covered = self.threads.remove(&thread.no).unwrap_or_else(none);
        if covered.model != thread.model {
            // Vectors of another model do not compare: all of them are to be had anew.
            covered.places.drain(..).for_each(|place| self.kill(place));
            covered = none();
        }
        let complete =
            std::ptr::eq(covered.view.as_ptr(), Arc::as_ptr(thread)) || self.follow(thread, &mut covered, left);
        if complete {
            covered.view = Arc::downgrade(thread);
        }
        self.threads.insert(thread.no, covered);
        complete
    }

    fn follow(&mut self, thread: &Thread, covered: &mut Covered, left: &mut usize) -> bool {
        for (number, passage) in (0_u32..).zip(thread.passages().iter()) {
            let known = covered.places.get(number as usize).copied();
            let wanted = has_vector(passage);
            if known.is_some_and(|place| wanted == (place != NONE)) {
                continue;
            }
            let mut place = NONE;
            if wanted {
                if *left == 0 {
                    return false;
                }
                *left -= 1;
                let direction = thread.rows().get(number as usize).and_then(Direction::of_row);
                place = direction.map_or(NONE, |direction| self.insert(&direction, thread.no, number));
            } else if let Some(known) = known {
                self.kill(known);
            }
            match covered.places.get_mut(number as usize) {
                Some(known) => *known = place,
                None => covered.places.push(place),
            }
        }
        true
    }

    fn insert(&mut self, vector: &Direction, thread: u32, passage: u32) -> u32 {
        let bytes: Vec<u8> = vector.values().iter().flat_map(|value| value.to_le_bytes()).collect();
        let (&key, _) = blake3::hash(&bytes).as_bytes().split_first_chunk().unwrap_or((&[0; 16], &[]));
        let place = thread::index(self.places.len());
        let first = *self.points.entry(key).or_insert(place);
        let mut next = NONE;
        if first == place {
            self.graph.insert((vector.values(), place as usize));
        } else if let Some(first) = self.places.get_mut(first as usize) {
            next = std::mem::replace(&mut first.next, place);
        }
        self.places.push(Place { thread, passage, next, dead: false });
        place
    }

    fn kill(&mut self, place: u32) {
        if let Some(place) = self.places.get_mut(place as usize).filter(|place| !place.dead) {
            place.dead = true;
            self.dead += 1;
        }
    }

    /// Forgets a thread at once and for ever.
    pub fn remove_thread(&mut self, no: u32) {
        self.removed.insert(no);
        if let Some(covered) = self.threads.remove(&no) {
            covered.places.into_iter().for_each(|place| self.kill(place));
        }
    }

    /// True when a tenth of the graph is dead: it costs time, and ever more of each search is wasted.
    #[must_use]
    pub fn needs_rebuild(&self) -> bool {
        self.dead > 0 && self.dead * DEAD_SHARE >= self.places.len()
    }

    /// An empty graph to be built in this one's place: what was removed stays removed.
    #[must_use]
    pub fn successor(&self) -> Self {
        Self { removed: self.removed.clone(), ..Self::new() }
    }

    /// Builds the graph anew, without the dead: about a millisecond for each passage.
    pub fn rebuild(&mut self, threads: &[Arc<Thread>]) {
        *self = self.successor();
        self.update(threads, usize::MAX);
    }

    /// About the best `limit` passages by likeness to a direction, best first.
    #[must_use]
    pub fn search(&self, direction: &Direction, limit: usize) -> Vec<Found> {
        if limit == 0 {
            return Vec::new();
        }
        // Between two rebuilds about a tenth of what is found may be dead.
        let asked = limit.saturating_add(limit / 8).min(self.places.len());
        let mut all = Vec::with_capacity(asked);
        for point in self.graph.search(direction.values(), asked, asked.max(WIDTH_OF_SEARCH)) {
            let mut next = thread::index(point.d_id);
            while let Some(place) = self.places.get(next as usize) {
                if !place.dead {
                    all.push(Found { thread: place.thread, passage: place.passage, score: 1.0 - point.distance });
                }
                next = place.next;
            }
        }
        best(all, limit)
    }
}

/// True for a passage that holds now and has a vector of the present model which points somewhere.
fn has_vector(passage: &Passage) -> bool {
    let there = passage.is(flag::EMBEDDED) && passage.inverse_norm > 0.0 && passage.inverse_norm.is_finite();
    there && passage.holds_at(i64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::{DIMS, Embedding};
    use crate::index::sample::{MODEL, Numbers, Writer};
    use crate::index::vector::Quantised;

    fn graph(threads: &[Arc<Thread>]) -> GraphIndex {
        let mut graph = GraphIndex::new();
        assert!(graph.update(threads, usize::MAX));
        graph
    }

    /// `n` vectors around twenty centres, in four threads.
    fn clustered(n: usize, numbers: &mut Numbers) -> (Vec<Embedding>, Vec<Writer>) {
        let centres: Vec<Embedding> = (0..20).map(|_| numbers.vector()).collect();
        let mut writers: Vec<Writer> = (0..4).map(Writer::new).collect();
        for at in 0..n {
            let near = numbers.near(&centres[at % 20], 0.7);
            writers[at % 4].add_with("", &near);
        }
        (centres, writers)
    }

    fn publish(writers: &[Writer]) -> Vec<Arc<Thread>> {
        writers.iter().map(Writer::publish).collect()
    }

    /// The exact scan over all threads, best first.
    fn scan(threads: &[Arc<Thread>], direction: &Direction, limit: usize) -> Vec<Found> {
        let mut all = Vec::new();
        for thread in threads {
            let mut dots = Vec::new();
            thread.rows().slices().for_each(|rows| direction.scan(rows, &mut dots));
            for ((passage, dot), number) in thread.passages().iter().zip(dots).zip(0..) {
                all.push(Found {
                    thread: thread.no,
                    passage: number,
                    score: dot * passage.scale * passage.inverse_norm,
                });
            }
        }
        best(all, limit)
    }

    fn places(found: &[Found]) -> BTreeSet<(u32, u32)> {
        found.iter().map(|found| (found.thread, found.passage)).collect()
    }

    /// The mean share of the exact best ten that the graph finds, over 40 queries.
    fn recall(graph: &GraphIndex, threads: &[Arc<Thread>], centres: &[Embedding], numbers: &mut Numbers) -> f32 {
        let shares = (0..40).map(|_| {
            let centre = numbers.below(centres.len());
            let direction = Direction::of(&numbers.near(&centres[centre], 0.7)).unwrap();
            let exact = places(&scan(threads, &direction, 10));
            places(&graph.search(&direction, 10)).intersection(&exact).count() as f32 / 10.0
        });
        shares.sum::<f32>() / 40.0
    }

    #[test]
    fn the_graph_finds_nine_of_the_ten_that_the_scan_finds() {
        let mut numbers = Numbers(1);
        let (centres, writers) = clustered(2_000, &mut numbers);
        let threads = publish(&writers);
        let found = recall(&graph(&threads), &threads, &centres, &mut numbers);
        assert!(found >= 0.9, "{found}");
    }

    #[test]
    fn many_equal_vectors_bury_nothing() {
        let mut numbers = Numbers(2);
        let (centres, mut writers) = clustered(600, &mut numbers);
        let thanks = centres[3].clone();
        (0..400).for_each(|_| writers[0].add_with("", &thanks));
        let (_, more) = clustered(600, &mut numbers);
        writers.extend(more.into_iter().zip(4..).map(|(mut writer, no)| {
            writer.thread.no = no;
            writer
        }));
        let threads = publish(&writers);
        let graph = graph(&threads);
        let equal = graph.search(&Direction::of(&thanks).unwrap(), 400);
        assert_eq!(equal.iter().filter(|found| found.score > 0.999).count(), 400, "all of them are found");
        let found = recall(&graph, &threads, &centres, &mut numbers);
        assert!(found >= 0.9, "{found}");
    }

    #[test]
    fn the_same_updates_give_the_same_answers() {
        let mut numbers = Numbers(3);
        let (centres, writers) = clustered(300, &mut numbers);
        let threads = publish(&writers);
        let direction = Direction::of(&centres[0]).unwrap();
        assert_eq!(graph(&threads).search(&direction, 100), graph(&threads).search(&direction, 100));
    }

    #[test]
    fn vectors_that_point_nowhere_stay_out() {
        let mut writer = Writer::new(0);
        let mut nan = Numbers(4).vector();
        nan.0[7] = f32::NAN;
        let mut infinite = Numbers(5).vector();
        infinite.0[7] = f32::INFINITY;
        let whole = Numbers(6).vector();
        let tiny = Embedding([1e-30; DIMS]);
        for vector in [&Embedding::ZERO, &nan, &infinite, &whole, &tiny] {
            writer.add_with("", vector);
        }
        let graph = graph(&[writer.publish()]);
        assert_eq!(graph.covered(0), 5);
        let found = graph.search(&Direction::of(&whole).unwrap(), 10);
        assert_eq!((found[0].thread, found[0].passage), (0, 3));
        assert!((found[0].score - 1.0).abs() < 0.01);
        assert!(!places(&found).contains(&(0, 0)));
    }

    #[test]
    fn an_empty_graph_finds_nothing() {
        let direction = Direction::of(&Numbers(7).vector()).unwrap();
        assert!(GraphIndex::new().search(&direction, 10).is_empty());
        assert!(!GraphIndex::new().needs_rebuild());
    }

    #[test]
    fn a_removed_thread_never_comes_back() {
        let threads = publish(&[Writer::of(1, &["zubok"]), Writer::of(2, &["zubok"])]);
        let mut graph = graph(&threads);
        let direction = crate::index::sample::query("zubok").direction.unwrap();
        graph.remove_thread(1);
        for _ in 0..2 {
            assert_eq!(places(&graph.search(&direction, 10)), [(2, 0)].into());
            graph.update(&threads, usize::MAX);
        }
        graph.rebuild(&threads);
        assert_eq!(places(&graph.search(&direction, 10)), [(2, 0)].into());
        assert_eq!((graph.covered(1), graph.covered(2), graph.dead), (0, 1, 0));
    }

    #[test]
    fn reworded_and_deleted_passages_are_dead_and_swept_by_a_rebuild() {
        let mut writer = Writer::of(1, &["zubok", "zudok", "zufok"]);
        let mut graph = graph(&[writer.publish()]);
        writer.reword(0, "zugok");
        writer.erase(1);
        assert!(graph.update(&[writer.publish()], usize::MAX));
        assert!(graph.needs_rebuild());
        let direction = crate::index::sample::query("zubok").direction.unwrap();
        assert_eq!(places(&graph.search(&direction, 10)), [(1, 2), (1, 3)].into());
        graph.rebuild(&[writer.publish()]);
        assert!(!graph.needs_rebuild());
        assert_eq!((places(&graph.search(&direction, 10)), graph.places.len()), ([(1, 2), (1, 3)].into(), 2));
    }

    #[test]
    fn vectors_of_another_model_take_the_place_of_the_old_ones() {
        let mut writer = Writer::of(1, &["zubok", "zudok"]);
        let mut graph = graph(&[writer.publish()]);
        writer.thread.expect_model("other");
        assert!(graph.update(&[writer.publish()], usize::MAX));
        let fresh = Numbers(8).vector();
        let direction = Direction::of(&fresh).unwrap();
        assert!(graph.search(&direction, 10).is_empty(), "those of {MODEL} no longer count");
        writer.thread.reembed("other", &[Quantised::of(&fresh)]);
        assert!(graph.update(&[writer.publish()], usize::MAX));
        assert_eq!(places(&graph.search(&direction, 10)), [(1, 0)].into());
    }
}
