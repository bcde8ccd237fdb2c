//! How fast an append is durable: one at a time, and 64 callers that share commits.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr, reason = "a bench reports and may panic")]

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use cmg_snapshots::{NewFrame, Secret, Store, StoreOptions, WorkspaceNo};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const CLIENTS: u64 = 64;
/// Random-looking, so that compression does not flatter the figures.
const PAYLOAD_BYTES: u64 = 500;

fn frame(seq: u64) -> NewFrame {
    let mut state = seq | 1;
    let payload = (0..PAYLOAD_BYTES)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect();
    NewFrame { seq, thread_no: 1, payload }
}

/// Appends `count` frames to each of `workspaces`, every one waiting for its acknowledgement.
async fn append_each(store: &Store, workspaces: &[(WorkspaceNo, AtomicU64)], count: u64) {
    let mut clients = Vec::new();
    for (workspace, last) in workspaces {
        let first = last.fetch_add(count, Ordering::Relaxed) + 1;
        let (store, workspace) = (store.clone(), *workspace);
        clients.push(tokio::spawn(async move {
            for seq in first..first + count {
                store.append(workspace, vec![frame(seq)]).unwrap().await.unwrap();
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
}

fn append(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let folder = tempfile::tempdir_in(std::env::var("BENCH_FOLDER").unwrap_or_else(|_| ".".into())).unwrap();
    let secret = Secret::new("a secret of the bench, 32 bytes!");
    let (store, _) = Store::open(folder.path(), &secret, StoreOptions::default()).unwrap();
    let workspaces: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let entry = store.create_workspace(&format!("client {client}")).unwrap();
            (entry.no, AtomicU64::new(0))
        })
        .collect();

    let mut group = criterion.benchmark_group("append");
    group.sample_size(20).measurement_time(Duration::from_secs(8));
    group.throughput(Throughput::Elements(1));
    group.bench_function("one at a time", |bencher| {
        bencher.iter_custom(|count| {
            let mut micros = Vec::new();
            let one = workspaces.get(..1).unwrap();
            let begun = Instant::now();
            for _ in 0..count {
                let each = Instant::now();
                runtime.block_on(append_each(&store, one, 1));
                micros.push(each.elapsed().as_micros());
            }
            let total = begun.elapsed();
            micros.sort_unstable();
            eprintln!("p50 {:?} µs of {count}", black_box(micros.get(micros.len() / 2)));
            total
        });
    });
    group.throughput(Throughput::Elements(CLIENTS));
    group.bench_function("64 at once", |bencher| {
        bencher.iter_custom(|count| {
            let begun = Instant::now();
            runtime.block_on(append_each(&store, &workspaces, count));
            begun.elapsed()
        });
    });
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
