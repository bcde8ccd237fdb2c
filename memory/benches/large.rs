//! Times a workspace's indexes against the exact way, by the number of passages: where does routing begin to pay?
//!
//! Passages of 30 words out of a Zipf-like vocabulary, 100 in a thread; vectors around 500 centres. Building the graph
//! of 100,000 takes minutes: `cargo bench --bench large -- /10000` leaves it out, `-- exact` builds nothing.
//!
//! Not here: how good the answers are (the tests of `index::graph` and `index::lexical` say that).

use std::cell::OnceCell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use cmg_memory::embed::{DIMS, Embedder, Embedding};
use cmg_memory::event::{Event, Record};
use cmg_memory::ids::ItemId;
use cmg_memory::index::graph::GraphIndex;
use cmg_memory::index::large::{Choice, LargeScope, ThreadSummary};
use cmg_memory::index::lexical::LexicalIndex;
use cmg_memory::index::vector::Quantised;
use cmg_memory::item::Item;
use cmg_memory::kind::Kind;
use cmg_memory::recall::query::Query;
use cmg_memory::recall::score::{Scorer, Statistics};
use cmg_memory::thread::Thread;
use cmg_memory::time::Timestamp;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const PASSAGES: [usize; 2] = [10_000, 100_000];
const IN_A_THREAD: usize = 100;
/// Passages that a routed recall scores.
const ROUTED: usize = 20_000;

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end
    }

    fn value(&mut self) -> f32 {
        f32::from(u16::try_from(self.below(20_001)).unwrap_or(0)) / 10_000.0 - 1.0
    }

    fn near(&mut self, centre: &[f32; DIMS]) -> Embedding {
        Embedding(centre.map(|value| value + 0.8 * self.value()))
    }

    /// Letters only; small numbers are far more frequent.
    fn word(&mut self) -> String {
        let one = self.below(20_000);
        let number = one * self.below(20_000) / 20_000 * self.below(20_000) / 20_000;
        let letters: String = number.to_string().bytes().map(|digit| char::from(b'b' + (digit - b'0') * 2)).collect();
        format!("zu{letters}ok")
    }

    fn text(&mut self, words: usize) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

/// Gives every text the same vector.
#[derive(Debug)]
struct Fixed(Embedding);

impl Embedder for Fixed {
    fn id(&self) -> &'static str {
        "bench"
    }
    fn embed(&self, _: &str) -> Embedding {
        self.0.clone()
    }
}

struct Workspace {
    threads: Vec<Arc<Thread>>,
    queries: Vec<Query>,
}

fn workspace(passages: usize) -> Workspace {
    let mut numbers = Numbers(1);
    let centres: Vec<[f32; DIMS]> = (0..500).map(|_| std::array::from_fn(|_| numbers.value())).collect();
    let near_any = |numbers: &mut Numbers| {
        let centre = numbers.below(centres.len());
        centres.get(centre).map_or(Embedding::ZERO, |centre| numbers.near(centre))
    };
    let thread = |no: u32| {
        let mut thread = Thread::new(&format!("t{no}"), no, "bench");
        let added = |number: u64| {
            let mut item = Item::empty(ItemId::Episodic(number), Kind::Chat, Timestamp(0));
            item.text = numbers.text(30);
            Event::Added { item: Box::new(item), vectors: vec![Quantised::of(&near_any(&mut numbers))] }
        };
        let events = (1..=IN_A_THREAD as u64).map(added).collect();
        thread.apply(1, &Record { at: Timestamp(1), model: "bench".to_owned(), events });
        Arc::new(thread)
    };
    let threads = (0..u32::try_from(passages / IN_A_THREAD).unwrap_or(0)).map(thread).collect();
    let mut numbers = Numbers(2);
    let query = |_| Query::new(&numbers.text(6), &[], None, &Fixed(near_any(&mut numbers)));
    Workspace { threads, queries: (0..64).map(query).collect() }
}

/// The ordinary ranker over threads; the best score.
fn rank<'a>(threads: impl Iterator<Item = &'a Thread> + Clone, query: &Query, scorer: &mut Scorer) -> f32 {
    let statistics = Statistics::of(threads.clone(), query, None);
    let mut best = f32::MIN;
    for thread in threads {
        let scored = scorer.score(thread, query, &statistics, None);
        scored.each_chunk(|_, scores| best = scores.iter().copied().fold(best, f32::max));
    }
    best
}

fn large(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("large");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for passages in PASSAGES {
        let workspace = &workspace(passages);
        let mut at = 0;
        let mut query = || {
            at += 1;
            workspace.queries.get(at % 64)
        };

        group.bench_function(BenchmarkId::new("exact_scan", passages), |bencher| {
            let mut dots = Vec::new();
            bencher.iter(|| {
                dots.clear();
                let Some(direction) = query().and_then(|query| query.direction.as_ref()) else { return };
                for rows in workspace.threads.iter().flat_map(|thread| thread.rows().slices()) {
                    direction.scan(rows, &mut dots);
                }
                black_box(&dots);
            });
        });
        group.bench_function(BenchmarkId::new("exact_rank", passages), |bencher| {
            let mut scorer = Scorer::default();
            bencher.iter(|| {
                query().map(|query| rank(workspace.threads.iter().map(|thread| &**thread), query, &mut scorer))
            });
        });

        let words = OnceCell::new();
        let words = || words.get_or_init(|| scope_of(workspace, Choice { lexical: true, graph: false })).as_ref();
        group.bench_function(BenchmarkId::new("lexical_2000", passages), |bencher| {
            bencher.iter(|| Some(words()?.lexical()?.search(&query()?.terms, 2_000)));
        });

        let scope = OnceCell::new();
        let scope = || scope.get_or_init(|| scope_of(workspace, Choice { lexical: true, graph: true })).as_ref();
        for limit in [10, 200, 500, 2_000] {
            group.bench_function(BenchmarkId::new(format!("graph_{limit}"), passages), |bencher| {
                bencher.iter(|| Some(scope()?.graph()?.search(query()?.direction.as_ref()?, limit)));
            });
        }
        group.bench_function(BenchmarkId::new("route", passages), |bencher| {
            let threads = summaries(workspace);
            bencher.iter(|| Some(scope()?.route(&threads, query()?, ROUTED)));
        });
        group.bench_function(BenchmarkId::new("route_and_rank", passages), |bencher| {
            let threads = summaries(workspace);
            let mut scorer = Scorer::default();
            bencher.iter(|| {
                let query = query()?;
                let routed = scope()?.route(&threads, query, ROUTED);
                let routed = routed.iter().filter_map(|&no| workspace.threads.get(no as usize)).map(|thread| &**thread);
                Some(rank(routed, query, &mut scorer))
            });
        });
    }
    group.finish();
}

/// The indexes over a whole workspace.
fn scope_of(workspace: &Workspace, choice: Choice) -> Option<LargeScope> {
    let mut scope = LargeScope::new(choice).ok()?;
    scope.update(&workspace.threads, usize::MAX).ok()?;
    Some(scope)
}

/// What it costs to follow an ingest: 100 passages into a graph of the first 2,000, 500 into the keyword index.
fn follow(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("follow");
    group.sample_size(10).warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_secs(1));
    let workspace = workspace(20_000);
    let mut graph = GraphIndex::new();
    group.bench_function("graph_100", |bencher| {
        bencher.iter(|| graph.update(&workspace.threads, 100));
    });
    if let Ok(mut words) = LexicalIndex::new() {
        group.bench_function("lexical_500", |bencher| {
            bencher.iter(|| words.update(&workspace.threads, 500).is_ok());
        });
    }
    group.finish();
}

fn summaries(workspace: &Workspace) -> Vec<ThreadSummary> {
    let summary = |thread: &Arc<Thread>| ThreadSummary {
        no: thread.no,
        passages: u32::try_from(thread.passages().len()).unwrap_or(0),
    };
    workspace.threads.iter().map(summary).collect()
}

criterion_group!(benches, large, follow);
criterion_main!(benches);
