//! `kill -9` in the middle of concurrent writes: nothing acknowledged is lost, doubled or cut in half.

use crate::support::{Client, Dice, Server, client::Sent};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const CYCLES: u64 = 20;
const WRITERS: usize = 4;
/// A cycle's writing ends after this, however few were acknowledged.
const LOAD: Duration = Duration::from_millis(1500);

/// One request: turns that go in together or not at all.
#[derive(Clone)]
struct Batch {
    thread: String,
    /// The caller's id and the words of each turn.
    turns: Vec<(String, String)>,
}

/// What one writer did until the server died under it.
#[derive(Default)]
struct Written {
    /// Acknowledged, with the ids that the answer gave.
    acknowledged: Vec<(Batch, Vec<String>)>,
    /// Sent, with no answer.
    open: Vec<Batch>,
}

/// Writes until the server is gone: into a thread of its own and into the one that all share.
fn write(client: &Client, cycle: u64, writer: usize, mut dice: Dice, tell: &mpsc::Sender<()>) -> Written {
    let mut written = Written::default();
    for request in 0.. {
        let thread = if dice.roll(0, 2) == 0 { "shared".to_owned() } else { format!("own-{writer}") };
        let turns = (0..dice.roll(1, 5))
            .map(|turn| {
                let id = format!("c{cycle}-w{writer}-r{request}-t{turn}");
                let words = format!("{id} says {}", "word ".repeat(dice.roll(1, 60) as usize));
                (id, words.trim_end().to_owned())
            })
            .collect();
        let batch = Batch { thread, turns };
        let chat: Vec<Value> =
            batch.turns.iter().map(|(id, words)| json!({"role": "user", "content": words, "id": id})).collect();
        let body = json!({"thread_id": batch.thread, "materials": {"chat": chat}});
        let sent: Sent = Client::try_send(client.request("POST", "/v1/ingest").json(&body));
        match sent {
            Ok(answer) if answer.status == 200 => {
                let receipt = answer.value();
                let ids =
                    receipt["added_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
                written.acknowledged.push((batch, ids));
                let _ = tell.send(());
            }
            Ok(answer) => {
                assert_eq!(
                    answer.status, 503,
                    "a server under load may say that it is full, and nothing else: {answer}"
                );
                written.open.push(batch);
            }
            Err(_) => {
                written.open.push(batch);
                return written;
            }
        }
    }
    written
}

/// What is known of all cycles so far.
#[derive(Default)]
struct Book {
    /// The words behind each id of a caller, of requests that were acknowledged or found after a crash.
    kept: BTreeMap<String, (String, String)>,
    /// The caller's id behind each id of ours.
    given: BTreeMap<String, String>,
}

impl Book {
    /// Compares what the server holds with what it acknowledged.
    fn check(&mut self, cycle: u64, written: &[Written], client: &Client) {
        for (batch, _) in written.iter().flat_map(|one| &one.acknowledged) {
            for (id, words) in &batch.turns {
                self.kept.insert(id.clone(), (batch.thread.clone(), words.clone()));
            }
        }
        let mut found: BTreeMap<String, (String, String)> = BTreeMap::new();
        let mut numbers = BTreeSet::new();
        for thread in client.pages("/v1/threads", 100) {
            let thread = thread["thread_id"].as_str().unwrap().to_owned();
            for item in client.items(&thread) {
                let number = item["id"].as_str().unwrap().to_owned();
                assert!(numbers.insert(number.clone()), "cycle {cycle}: {number} belongs to two items");
                let Some(id) = item["external_id"].as_str().map(str::to_owned) else { continue };
                let words = item["text"].as_str().unwrap().to_owned();
                let before = self.given.insert(number.clone(), id.clone());
                assert!(
                    before.as_ref().is_none_or(|before| *before == id),
                    "cycle {cycle}: {number} was {before:?} and is {id} now"
                );
                assert!(
                    found.insert(id.clone(), (thread.clone(), words)).is_none(),
                    "cycle {cycle}: {id} is there twice"
                );
            }
        }
        for batch in written.iter().flat_map(|one| &one.open) {
            let there = batch.turns.iter().filter(|(id, _)| found.contains_key(id)).count();
            assert!(
                there == 0 || there == batch.turns.len(),
                "cycle {cycle}: {there} of {} turns of one request are there",
                batch.turns.len()
            );
            if there > 0 {
                for (id, words) in &batch.turns {
                    self.kept.insert(id.clone(), (batch.thread.clone(), words.clone()));
                }
            }
        }
        let lost: Vec<_> = self.kept.keys().filter(|id| !found.contains_key(*id)).collect();
        assert!(
            lost.is_empty(),
            "cycle {cycle}: {} acknowledged items are lost: {:?}",
            lost.len(),
            &lost[..lost.len().min(5)]
        );
        for (id, there) in &found {
            assert_eq!(Some(there), self.kept.get(id), "cycle {cycle}: {id} is not what was sent");
        }
        for (batch, ids) in written.iter().flat_map(|one| &one.acknowledged) {
            let named: BTreeSet<&str> = ids.iter().filter_map(|id| self.given.get(id)).map(String::as_str).collect();
            let sent: BTreeSet<&str> = batch.turns.iter().map(|(id, _)| id.as_str()).collect();
            assert_eq!(named, sent, "cycle {cycle}: the receipt named other items than those that are there now");
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_doubled_or_cut_by_twenty_crashes() {
    let mut server = Server::start();
    let mut book = Book::default();
    let mut dice = Dice::new(20_250_120);
    for cycle in 0..CYCLES {
        let client = server.client();
        let (tell, told) = mpsc::channel();
        let enough = dice.roll(1, 120);
        let seeds: Vec<u64> = (0..WRITERS).map(|_| dice.roll(1, u64::MAX / 2)).collect();

        let written: Vec<Written> = std::thread::scope(|scope| {
            let writers: Vec<_> = seeds
                .into_iter()
                .enumerate()
                .map(|(no, seed)| {
                    let (client, tell) = (client.clone(), tell.clone());
                    scope.spawn(move || write(&client, cycle, no, Dice::new(seed), &tell))
                })
                .collect();
            let end = Instant::now() + LOAD;
            for _ in 0..enough {
                if told.recv_timeout(end.saturating_duration_since(Instant::now())).is_err() {
                    break;
                }
            }
            server.kill9();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        server.launch();

        let acknowledged: usize = written.iter().map(|one| one.acknowledged.len()).sum();
        assert!(acknowledged > 0, "cycle {cycle}: nothing was acknowledged, so nothing was tested");
        let client = server.client();
        book.check(cycle, &written, &client);
        let (batch, _) = written.iter().flat_map(|one| &one.acknowledged).next_back().unwrap();
        let (id, words) = &batch.turns[0];
        let items = client.find(&batch.thread, &format!("what says {id}"));
        assert!(
            items.iter().any(|item| item["text"] == *words),
            "cycle {cycle}: recall does not find {id} after the crash"
        );
    }
    server.restart();
    book.check(CYCLES, &[], &server.client());
}
