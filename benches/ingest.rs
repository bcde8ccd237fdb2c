//! What an ingest of 500 turns costs without HTTP and journal: parse, plan, apply.
#![allow(missing_docs, clippy::expect_used, reason = "a bench may panic")]

mod support;

use cmg_memory::embed::builtin;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use support::synth::Language;
use support::{Counter, TURNS_AT_ONCE};

fn ingest(criterion: &mut Criterion) {
    let (embedder, language) = (builtin(), Language::new());
    let mut number = 0;
    let mut next = || {
        number += 1;
        support::materials(&mut language.conversation(support::SEED, number), TURNS_AT_ONCE)
    };
    let mut group = criterion.benchmark_group("ingest");
    group.throughput(Throughput::Elements(TURNS_AT_ONCE as u64));

    group.bench_function("parse and plan 500 turns", |bencher| {
        let owned = support::fresh(&*embedder);
        bencher.iter_batched(
            &mut next,
            |materials| black_box(support::plan(&owned, materials, &mut Counter::default(), &*embedder)),
            BatchSize::LargeInput,
        );
    });

    group.bench_function("apply 500 turns", |bencher| {
        bencher.iter_batched(
            || {
                let owned = support::fresh(&*embedder);
                let record = support::plan(&owned, next(), &mut Counter::default(), &*embedder).expect("new turns");
                (owned, record)
            },
            |(mut owned, record)| {
                owned.apply(1, &record);
                owned
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, ingest);
criterion_main!(benches);
