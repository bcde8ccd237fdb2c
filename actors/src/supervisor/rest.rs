//! Which threads go to rest: those that nobody asked for, and the longest idle ones when memory
//! runs short.

use crate::clock;
use crate::directory::{Directory, Running};
use crate::thread::LiveThread;
use crate::workspace::PutToRest;
use std::sync::Arc;

/// Asks the owners of threads that are due to rest. Does not wait for them.
pub(crate) fn put_idle_to_rest(directory: &Directory) {
    let settings = &directory.shared.settings;
    let awake: Vec<(Running, Arc<LiveThread>)> = directory
        .shared
        .all_running()
        .into_iter()
        .flat_map(|running| running.workspace.all_live().into_iter().map(move |live| (running.clone(), live)))
        .collect();
    let facts: Vec<(i64, usize)> = awake.iter().map(|(_, live)| (live.last_used(), live.peek().bytes())).collect();
    let idle_us = i64::try_from(settings.idle.as_micros()).unwrap_or(i64::MAX);
    for at in to_rest(&facts, clock::now().0, idle_us, settings.budget_bytes) {
        if let Some((running, live)) = awake.get(at) {
            // A full mailbox is no harm: the next tick asks again.
            let _refused = running.address.try_send(PutToRest(Arc::clone(live)));
        }
    }
}

/// Of threads given as (last use in µs, bytes), which go to rest: all that were idle for longer
/// than `idle_us`, and then the longest idle ones until the others fit into `budget` bytes.
fn to_rest(threads: &[(i64, usize)], now: i64, idle_us: i64, budget: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..threads.len()).collect();
    let fact = |at: &usize| threads.get(*at).copied().unwrap_or_default();
    order.sort_by_key(|at| fact(at).0);
    let mut bytes: usize = threads.iter().map(|(_, bytes)| bytes).sum();
    order
        .into_iter()
        .take_while(|at| {
            let (last_used, own) = fact(at);
            let goes = now.saturating_sub(last_used) > idle_us || bytes > budget;
            bytes -= if goes { own } else { 0 };
            goes
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::to_rest;

    #[test]
    fn the_idle_rest_and_then_the_longest_idle_until_the_others_fit() {
        let threads = [(900, 10), (100, 10), (500, 10), (950, 10)];

        assert_eq!(to_rest(&threads, 1000, 400, 1000), [1, 2]);
        assert_eq!(to_rest(&threads, 1000, 10_000, 25), [1, 2]);
        assert!(to_rest(&threads, 1000, 10_000, 40).is_empty());
    }
}
