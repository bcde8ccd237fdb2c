//! Made-up conversations sent to a server: what the benchmarks build before they measure.

use super::BenchError;
use super::client::{Answer, Connection};
use super::progress::Progress;
use super::server::Gate;
use super::synth::Language;
use super::wire::{self, IngestRequest, Materials, Receipt};
use serde::Serialize;

/// Turns of one request.
const TURNS_AT_ONCE: u64 = 500;
/// Connections that fill at the same time at most.
const FILLERS: u64 = 4;

/// What a size is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// What is sent.
    Turns,
    /// What comes of it: the turns, and what is found in them.
    Items,
}

/// What was built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) turns: u64,
    pub(super) items: u64,
}

impl std::iter::Sum for Filled {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self { turns: sum.turns + one.turns, items: sum.items + one.items })
    }
}

/// What is to be built.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// How much of `unit` in all threads together.
    pub(super) count: u64,
    /// What is counted.
    pub(super) unit: Unit,
    /// Their ids; each gets its share.
    pub(super) threads: Vec<String>,
    pub(super) seed: u64,
}

impl Wanted {
    /// The share of the thread of this number: all have the same, the first ones one more where it does not come out.
    fn share(&self, number: u64) -> u64 {
        let count = self.threads.len().max(1) as u64;
        self.count / count + u64::from(number < self.count % count)
    }
}

/// Thread ids that nobody has used before.
pub(super) fn thread_ids(count: u64) -> Result<Vec<String>, BenchError> {
    let mut bytes = [0_u8; 4];
    getrandom::fill(&mut bytes).map_err(|error| BenchError::Failed(format!("no randomness: {error}")))?;
    let run = u32::from_le_bytes(bytes);
    Ok((0..count).map(|number| format!("bench-{run:08x}-{number}")).collect())
}

/// Builds the threads.
pub(super) fn fill(gate: &Gate, language: &Language, wanted: &Wanted) -> Result<Filled, BenchError> {
    let progress = Progress::new("filling", wanted.count, if wanted.unit == Unit::Turns { "turns" } else { "items" });
    let fillers = FILLERS.min(wanted.threads.len() as u64).max(1);
    std::thread::scope(|scope| {
        let start = |filler: u64| {
            let mut connection = gate.endpoint().connection();
            let progress = &progress;
            scope.spawn(move || {
                let mine = wanted.threads.iter().zip(0_u64..).filter(|(_, number)| number % fillers == filler);
                mine.map(|(id, number)| fill_thread(&mut connection, language, wanted, (id, number), progress)).sum()
            })
        };
        let running: Vec<_> = (0..fillers).map(start).collect();
        running.into_iter().map(join::<Filled>).sum()
    })
}

fn fill_thread(
    connection: &mut Connection,
    language: &Language,
    wanted: &Wanted,
    (id, number): (&str, u64),
    progress: &Progress,
) -> Result<Filled, BenchError> {
    let mut conversation = language.conversation(wanted.seed, number);
    let (mut left, mut filled) = (wanted.share(number), Filled::default());
    while left > 0 {
        // What comes of a turn is not known before: towards the end fewer are sent at a time.
        let turns = match wanted.unit {
            Unit::Turns => left,
            Unit::Items => left.div_ceil(2),
        };
        let turns = turns.min(TURNS_AT_ONCE);
        let added = send(connection, id, &conversation.next_turns(usize::try_from(turns).unwrap_or_default()))?;
        filled = [filled, Filled { turns, items: added }].into_iter().sum();
        let done = if wanted.unit == Unit::Turns { turns } else { added.max(1) };
        left = left.saturating_sub(done);
        progress.add(done);
    }
    Ok(filled)
}

/// Sends turns to a thread; the items that came of them.
pub(super) fn send(connection: &mut Connection, thread_id: &str, chat: &[impl Serialize]) -> Result<u64, BenchError> {
    let body = wire::body(&IngestRequest { thread_id, materials: Materials { chat } });
    let answer = connection.post(wire::INGEST, &body)?;
    added(&answer)
}

/// The items that came of an ingest.
pub(super) fn added(answer: &Answer<'_>) -> Result<u64, BenchError> {
    if !answer.is_success() {
        return Err(BenchError::Failed(format!("{} did not take the turns: {}", wire::INGEST, answer.excerpt())));
    }
    let receipt: Receipt = serde_json::from_slice(answer.body)
        .map_err(|error| BenchError::Failed(format!("{} answers no receipt: {error}", wire::INGEST)))?;
    Ok(receipt.added_ids.len() as u64)
}

/// Deletes the threads on a server that others use too; on our own there is no need to.
pub(super) fn leave(gate: &Gate, threads: &[String]) {
    if let Gate::Running(endpoint) = gate {
        let mut connection = endpoint.connection();
        for id in threads {
            // Best effort: what was measured does not depend on it.
            let _ = connection.delete(&format!("/v1/threads/{id}"));
        }
    }
}

/// What a thread of this program came to.
pub(super) fn join<T>(running: std::thread::ScopedJoinHandle<'_, Result<T, BenchError>>) -> Result<T, BenchError> {
    running.join().unwrap_or_else(|_| Err(BenchError::Failed("a client of this benchmark broke down".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_turn_has_its_thread() {
        let wanted = Wanted { count: 1003, unit: Unit::Turns, threads: thread_ids(10).expect("randomness"), seed: 1 };

        let shares: Vec<_> = (0..10).map(|number| wanted.share(number)).collect();

        assert_eq!(shares.iter().sum::<u64>(), 1003);
        assert!(shares.iter().all(|share| (100..=101).contains(share)));
    }
}
