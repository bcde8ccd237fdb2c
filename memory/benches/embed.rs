//! Times embedding one text with the built-in model, by its length in words.
//!
//! Not here: search, and the model's quality (`tools/embedder/evaluate.py`).

use std::hint::black_box;

use cmg_memory::embed::builtin;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const FIVE: &str = "Where did she travel recently";
const TWENTY: &str =
    "When did Caroline tell her friends that she had finally decided to move back to the small town near the coast";
const SIXTY: &str = "Hey! I finally finished the pottery workshop I told you about last month. We made bowls, mugs and a really \
    strange looking vase, and my daughter painted all of them in bright colours. It was exhausting, but honestly I have not \
    felt that calm in ages, so I am thinking about signing up again in September with my sister";

fn embed(criterion: &mut Criterion) {
    let model = builtin();
    let mut group = criterion.benchmark_group("embed");
    for (words, text) in [(5, FIVE), (20, TWENTY), (60, SIXTY)] {
        group.bench_with_input(BenchmarkId::from_parameter(words), text, |bencher, text| {
            bencher.iter(|| model.embed(black_box(text)));
        });
    }
    group.finish();
}

criterion_group!(benches, embed);
criterion_main!(benches);
