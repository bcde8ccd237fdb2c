//! What a recall costs without HTTP: one thread, a purpose that was never asked before, the default budget.
#![allow(missing_docs, clippy::expect_used, reason = "a bench may panic")]

mod support;

use cmg_memory::embed::builtin;
use cmg_memory::recall::{Filter, Request, recall};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use support::synth::{Chance, Language};

fn request(purpose: String) -> Request {
    Request {
        purpose,
        token_budget: 4_000,
        top_k: 50,
        as_of: None,
        filter: Filter::default(),
        min_score: 0.05,
        explain: false,
    }
}

fn recalls(criterion: &mut Criterion) {
    let (embedder, language) = (builtin(), Language::new());
    let mut group = criterion.benchmark_group("recall");
    for turns in [1_000, 10_000] {
        let threads = [Arc::new(support::thread(turns, &*embedder))];
        let mut chance = Chance::new(support::SEED, 1 << 32);
        group.bench_with_input(BenchmarkId::new("turns", turns), &threads, |bencher, threads| {
            bencher.iter_batched(
                || request(language.purpose(&mut chance)),
                |request| black_box(recall(threads, &request, &*embedder)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, recalls);
criterion_main!(benches);
