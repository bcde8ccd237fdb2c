//! `cmg bench ingest`: how many turns a second become durable, and what threads cost once nobody talks in them.
//!
//! # How it measures
//!
//! - Closed loop: each client sends a whole conversation to a thread of its own, waits until it is durable, goes on
//!   with the next one. Nothing is sent twice to the same thread.
//! - The conversations are made and written as JSON before the clock runs, and used again for other threads: a
//!   server knows no thread's words when it takes in another one.
//! - Threads at rest are measured on a server of their own. It has met a few threads before the first figure, so that
//!   what is loaded once, model and tokenizer, is not charged to them.

use super::client::Connection;
use super::fill::{self, Unit, Wanted, join};
use super::progress::{self, Progress};
use super::report::{self, Latencies, Percentiles, fact, float, latency_header, latency_row, ratio, round};
use super::server::Gate;
use super::synth::Language;
use super::wire;
use super::{BenchError, Target};
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Turns that are made before the clock runs, as far as they come out even.
const PREPARED_TURNS: u64 = 16_000;
/// Failures after which a client gives up.
const MAX_FAILURES: u64 = 20;
/// Threads that the server meets before the memory of resting ones is measured.
const MET_BEFORE: u64 = 4;
/// The memory has stopped falling when it has not fallen by this share…
const STILL_SHARE: f64 = 0.01;
/// … for this long.
const STILL_FOR: Duration = Duration::from_secs(10);
/// Time between two looks at the memory.
const LOOK: Duration = Duration::from_millis(500);

/// What to send.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// Turns of one request.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    turns: u64,
    /// Seconds to send; 0 measures nothing but threads at rest.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    seconds: u64,
    /// Clients that send at the same time, each over one kept connection.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    clients: u64,
    /// Measure the memory of this many threads at rest too.
    #[arg(long, default_value_t = 0, value_name = "THREADS", conflicts_with = "url")]
    resting: u64,
    /// Turns of each thread that rests.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    resting_turns: u64,
    /// Seconds of silence after which the server puts a thread to rest; by default enough to see all of them awake.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    idle_seconds: Option<u64>,
    /// Seconds to wait for the memory to stop falling, at most.
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    rest_limit: u64,
    /// Seed of the conversations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Args {
    fn idle_seconds(&self) -> u64 {
        self.idle_seconds.unwrap_or(10 + self.resting * self.resting_turns / 2_000)
    }
}

/// The figures of a run.
#[derive(Debug, Serialize)]
struct Report {
    benchmark: &'static str,
    throughput: Option<Throughput>,
    resting: Option<Resting>,
    failed: u64,
    first_failure: Option<String>,
}

/// Turns that became durable. MB are 10^6 bytes of JSON.
#[derive(Debug, Serialize)]
struct Throughput {
    turns_per_request: u64,
    clients: u64,
    seconds: f64,
    turns: u64,
    /// Items that came of the turns, what was found in them included.
    items: u64,
    turns_per_second: f64,
    megabytes_per_second: f64,
    requests: Percentiles,
    /// Resident memory of the server at the end, in MiB; null where it is not ours.
    server_rss_mib: Option<f64>,
}

/// What threads cost. Memory is resident and in MiB, a single thread's in KiB.
#[derive(Debug, Serialize)]
struct Resting {
    threads: u64,
    turns_per_thread: u64,
    idle_seconds: u64,
    /// Right after the server's start.
    start_mib: f64,
    /// After a few threads, before those that are measured.
    before_mib: f64,
    awake_mib: f64,
    /// Once it has stopped falling.
    rest_mib: f64,
    awake_kib_per_thread: f64,
    rest_kib_per_thread: f64,
    /// What all of them at rest add to `before_mib`.
    rest_added_mib: f64,
    waited_seconds: f64,
    /// False when the memory still fell at the end of the wait.
    settled: bool,
}

/// Measures, prints; the number of failed requests.
pub(super) fn run(args: &Args) -> Result<u64, BenchError> {
    if args.seconds == 0 && args.resting == 0 {
        return Err(BenchError::Usage("nothing to measure: give --seconds or --resting".to_owned()));
    }
    let mut report = Report { benchmark: "ingest", throughput: None, resting: None, failed: 0, first_failure: None };
    if args.seconds > 0 {
        let mut gate = Gate::open(&args.target, &[])?;
        let outcome = throughput(&gate, args);
        let (figures, tally) = gate.explain(outcome)?;
        report.throughput = Some(figures);
        report.failed = tally.failed;
        report.first_failure = tally.first_failure;
    }
    if args.resting > 0 {
        let idle = args.idle_seconds().to_string();
        let mut gate = Gate::open(&args.target, &[("CMG_MEMORY_THREAD_IDLE_SECONDS", idle)])?;
        let outcome = resting(&gate, args);
        report.resting = Some(gate.explain(outcome)?);
    }
    report::print(args.target.json, &report, &lines(&report));
    Ok(report.failed)
}

// ---- throughput -----------------------------------------------------------------------------------------------------

/// What every client knows.
struct Run<'a> {
    args: &'a Args,
    /// Arrays of turns, written as JSON.
    chats: &'a [Vec<u8>],
    threads: &'a str,
    next: &'a AtomicU64,
    start: Instant,
    progress: &'a Progress,
}

/// What clients count.
#[derive(Debug)]
struct Tally {
    requests: Latencies,
    items: u64,
    bytes: u64,
    /// From the start to the last acknowledgement.
    lasted: Duration,
    failed: u64,
    first_failure: Option<String>,
}

impl Tally {
    fn new() -> Result<Self, BenchError> {
        let requests = Latencies::new()?;
        Ok(Self { requests, items: 0, bytes: 0, lasted: Duration::ZERO, failed: 0, first_failure: None })
    }

    fn merge(&mut self, other: Self) {
        self.requests.merge(&other.requests);
        self.items += other.items;
        self.bytes += other.bytes;
        self.lasted = self.lasted.max(other.lasted);
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }
}

fn throughput(gate: &Gate, args: &Args) -> Result<(Throughput, Tally), BenchError> {
    let chats = prepare(args);
    let threads = fill::thread_ids(1)?.concat();
    let next = AtomicU64::new(0);
    let mut connections = Vec::new();
    for _ in 0..args.clients {
        let mut connection = gate.endpoint().connection();
        // Opens the connection and loads what is loaded once.
        let number = next.fetch_add(1, Ordering::Relaxed);
        fill::added(&connection.post(wire::INGEST, &body(&threads, number, &chats))?)?;
        connections.push(connection);
    }
    let mut tally = Tally::new()?;
    let progress = Progress::new("ingesting", args.seconds * 10, "tenths of a second");
    let run = Run { args, chats: &chats, threads: &threads, next: &next, start: Instant::now(), progress: &progress };
    std::thread::scope(|scope| {
        let start = |(number, connection)| {
            let run = &run;
            scope.spawn(move || client(run, connection, number == 0))
        };
        let running: Vec<_> = connections.into_iter().enumerate().map(start).collect();
        running.into_iter().map(join).try_for_each(|one| one.map(|one| tally.merge(one)))
    })?;
    let rss = gate.rss_kib();
    drop(progress);
    let sent: Vec<String> = (0..next.into_inner()).map(|number| format!("{threads}-{number}")).collect();
    fill::leave(gate, &sent);
    Ok((figures(args, &tally, rss), tally))
}

/// Conversations as JSON arrays of turns.
fn prepare(args: &Args) -> Vec<Vec<u8>> {
    let language = Language::new();
    let turns = usize::try_from(args.turns).unwrap_or_default();
    let one = |number| wire::body(&language.conversation(args.seed, number).next_turns(turns));
    (0..(PREPARED_TURNS / args.turns).clamp(2, 64)).map(one).collect()
}

/// The request of this number: the next conversation to a thread of its own.
fn body(threads: &str, number: u64, chats: &[Vec<u8>]) -> Vec<u8> {
    let at = usize::try_from(number).unwrap_or_default() % chats.len().max(1);
    let chat = chats.get(at).map_or(&b"[]"[..], Vec::as_slice);
    let head = format!("{{\"thread_id\":\"{threads}-{number}\",\"materials\":{{\"chat\":");
    [head.as_bytes(), chat, b"}}"].concat()
}

fn client(run: &Run<'_>, mut connection: Connection, leads: bool) -> Result<Tally, BenchError> {
    let mut tally = Tally::new()?;
    let mut shown = 0;
    while run.start.elapsed() < Duration::from_secs(run.args.seconds) && tally.failed < MAX_FAILURES {
        let body = body(run.threads, run.next.fetch_add(1, Ordering::Relaxed), run.chats);
        let start = Instant::now();
        let outcome = connection.post(wire::INGEST, &body).map_err(BenchError::from);
        let took = start.elapsed();
        tally.lasted = run.start.elapsed();
        match outcome.and_then(|answer| fill::added(&answer)) {
            Ok(items) => {
                tally.requests.record(took);
                tally.items += items;
                tally.bytes += body.len() as u64;
            }
            Err(error) => {
                tally.failed += 1;
                tally.first_failure.get_or_insert_with(|| error.to_string());
            }
        }
        if leads {
            let now = u64::try_from(tally.lasted.as_millis() / 100).unwrap_or_default();
            run.progress.add(now - shown);
            shown = now;
        }
    }
    Ok(tally)
}

fn figures(args: &Args, tally: &Tally, rss_kib: Option<u64>) -> Throughput {
    let seconds = tally.lasted.as_secs_f64();
    let turns = tally.requests.count() * args.turns;
    Throughput {
        turns_per_request: args.turns,
        clients: args.clients,
        seconds: round(seconds),
        turns,
        items: tally.items,
        turns_per_second: round(ratio(float(turns), seconds)),
        megabytes_per_second: ratio(float(tally.bytes) / 1e6, seconds),
        requests: tally.requests.percentiles(),
        server_rss_mib: rss_kib.map(mib),
    }
}

// ---- threads at rest ------------------------------------------------------------------------------------------------

fn resting(gate: &Gate, args: &Args) -> Result<Resting, BenchError> {
    let language = Language::new();
    let rss = || gate.rss_kib().ok_or_else(|| BenchError::Failed("this system does not tell memory".to_owned()));
    let start = rss()?;
    build(gate, args, &language, MET_BEFORE)?;
    let before = rss()?;
    let begun = Instant::now();
    build(gate, args, &language, args.resting)?;
    let awake = rss()?;
    let idle = args.idle_seconds();
    if begun.elapsed() > Duration::from_secs(idle) {
        progress::note("some threads rested before all were there: what they take awake is more than the figure says");
    }
    let waiting = Instant::now();
    let (rest, settled) = settle(rss, idle, args.rest_limit)?;
    Ok(Resting {
        threads: args.resting,
        turns_per_thread: args.resting_turns,
        idle_seconds: idle,
        start_mib: mib(start),
        before_mib: mib(before),
        awake_mib: mib(awake),
        rest_mib: mib(rest),
        awake_kib_per_thread: per_thread(awake, before, args.resting),
        rest_kib_per_thread: per_thread(rest, before, args.resting),
        rest_added_mib: round((float(rest) - float(before)) / 1024.0),
        waited_seconds: round(waiting.elapsed().as_secs_f64()),
        settled,
    })
}

fn build(gate: &Gate, args: &Args, language: &Language, threads: u64) -> Result<(), BenchError> {
    let count = threads * args.resting_turns;
    let wanted = Wanted { count, unit: Unit::Turns, threads: fill::thread_ids(threads)?, seed: args.seed };
    fill::fill(gate, language, &wanted).map(drop)
}

/// The memory once it has stopped falling, and whether it has.
fn settle(rss: impl Fn() -> Result<u64, BenchError>, idle: u64, limit: u64) -> Result<(u64, bool), BenchError> {
    let start = Instant::now();
    let (earliest, latest) = (Duration::from_secs(idle * 2) + STILL_FOR, Duration::from_secs(limit));
    let progress = Progress::new("resting", limit, "seconds at most");
    let (mut low, mut low_since, mut shown) = (rss()?, Instant::now(), 0);
    loop {
        std::thread::sleep(LOOK);
        let now = rss()?;
        if float(now) < float(low) * (1.0 - STILL_SHARE) {
            (low, low_since) = (now, Instant::now());
        }
        let passed = start.elapsed();
        progress.add(passed.as_secs() - shown);
        shown = passed.as_secs();
        let still = low_since.elapsed() > STILL_FOR && passed > earliest.min(latest);
        if still || passed > latest {
            return Ok((now, still));
        }
    }
}

/// KiB as MiB, to a tenth.
fn mib(kib: u64) -> f64 {
    round(float(kib) / 1024.0)
}

/// What each thread adds, in KiB.
fn per_thread(now_kib: u64, before_kib: u64, threads: u64) -> f64 {
    ratio(float(now_kib) - float(before_kib), float(threads))
}

// ---- for people -----------------------------------------------------------------------------------------------------

fn lines(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(throughput) = &report.throughput {
        lines.extend(throughput_lines(throughput));
    }
    if let Some(resting) = &report.resting {
        lines.extend((!lines.is_empty()).then(String::new));
        lines.extend(resting_lines(resting));
    }
    if report.failed > 0 {
        lines.push(fact("FAILED requests", report.failed));
        lines.extend(report.first_failure.as_ref().map(|why| fact("the first of them", why)));
    }
    lines
}

fn throughput_lines(of: &Throughput) -> Vec<String> {
    let mut lines = vec![
        format!("{} client(s), {} turns a request, each to a fresh thread", of.clients, of.turns_per_request),
        String::new(),
        latency_header(),
        latency_row("POST /v1/ingest", &of.requests),
        String::new(),
        fact("durable turns a second", of.turns_per_second),
        fact("MB of JSON a second", of.megabytes_per_second),
        fact("turns, items, seconds", format!("{}, {}, {}", of.turns, of.items, of.seconds)),
    ];
    lines.extend(of.server_rss_mib.map(|rss| fact("resident memory of the server", format!("{rss} MiB"))));
    lines
}

fn resting_lines(of: &Resting) -> Vec<String> {
    let one = |name, mib: f64| fact(name, format!("{mib} MiB"));
    let mut lines = vec![
        format!("{} threads of {} turns, idle after {} s", of.threads, of.turns_per_thread, of.idle_seconds),
        one("resident memory after the start", of.start_mib),
        one("before these threads", of.before_mib),
        fact("all of them awake", format!("{} MiB, {} KiB a thread", of.awake_mib, of.awake_kib_per_thread)),
        fact("all of them at rest", format!("{} MiB, {} KiB a thread", of.rest_mib, of.rest_kib_per_thread)),
        one("what they add at rest", of.rest_added_mib),
    ];
    if !of.settled {
        lines.push(format!("the memory still fell after {} s: wait longer with --rest-limit", of.waited_seconds));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_request_is_json_with_a_thread_of_its_own() {
        let chats = [b"[1]".to_vec(), b"[2]".to_vec()];

        let third: serde_json::Value = serde_json::from_slice(&body("bench-x", 2, &chats)).expect("JSON");

        assert_eq!(third, serde_json::json!({"thread_id": "bench-x-2", "materials": {"chat": [1]}}));
    }

    #[test]
    fn what_a_thread_takes_is_the_difference_and_may_be_less_than_nothing() {
        assert_eq!(per_thread(3_000, 1_000, 100), 20.0);
        assert_eq!(per_thread(900, 1_000, 100), -1.0);
        assert_eq!(mib(1_536), 1.5);
    }

    #[test]
    fn memory_that_never_stops_falling_is_said_not_to_have_settled() {
        let memory = Cell::new(1_000_000_u64);
        let falling = || {
            memory.set(memory.get() / 2);
            Ok(memory.get())
        };

        let (_, settled) = settle(falling, 60, 1).expect("told");

        assert!(!settled);
    }
}
