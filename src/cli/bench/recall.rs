//! `cmg bench recall`: how long a recall takes, beside the least that any answer of the same server takes.
//!
//! # How it measures
//!
//! - Closed loop: each client sends its next request when the last one is answered, over one kept connection.
//! - The floor, `GET /healthz`, is measured by the same clients in slices between the slices of recalls, before the
//!   first and after the last one too, so that whatever else this machine does hits both alike.
//! - No purpose is asked twice in a run, warm-up included: no cache can help.
//! - Making a purpose and reading its answer are not timed; sending, waiting and receiving are.

use super::client::Connection;
use super::fill::{self, Unit, Wanted, join};
use super::plot;
use super::progress::Progress;
use super::report::{self, Latencies, Percentiles, fact, float, latency_header, latency_row, ratio, round};
use super::server::Gate;
use super::synth::{Chance, Language};
use super::wire::{self, RecallRequest, RecallSize};
use super::{BenchError, Target};
use serde::Serialize;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A slice of floor, in milliseconds.
const FLOOR_MILLIS: u64 = 125;
/// A slice of recalls, in milliseconds.
const RECALL_MILLIS: u64 = 500;
/// Of how many answers one is read, to count what is in it.
const READ_ONE_OF: u64 = 8;
/// Failures after which a client gives up.
const MAX_FAILURES: u64 = 200;
/// How long a client waits after a failure.
const AFTER_FAILURE: Duration = Duration::from_millis(20);
/// Client streams of chance lie apart from those of conversations.
const CLIENT_STREAM: u64 = 1 << 32;

/// What to build, and how to ask.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// Items in the memory: chat turns, and what is found in them.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    items: u64,
    /// Threads that they are spread over.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    threads: u64,
    /// Clients that ask at the same time, each over one kept connection.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    clients: u64,
    /// Seconds of recalls that count; the floor takes a quarter of that on top.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Seconds of the same before anything counts.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    warmup: u64,
    /// `token_budget` of the recalls.
    #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..))]
    budget: u32,
    /// `top_k` of the recalls.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,
    /// What each recall searches.
    #[arg(long, value_enum, default_value_t = Scope::Thread)]
    scope: Scope,
    /// Seed of the conversations and purposes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Draw the percentiles of recall and floor into this SVG file.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// What a recall searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Scope {
    /// One thread, a random one each time.
    Thread,
    /// The whole workspace.
    Workspace,
}

/// The figures of a run. Latencies are in microseconds, as they say.
#[derive(Debug, Serialize)]
struct Report {
    benchmark: &'static str,
    turns: u64,
    /// Items that came of the turns, what was found in them included.
    items: u64,
    threads: u64,
    clients: u64,
    scope: Scope,
    token_budget: u32,
    top_k: u32,
    seed: u64,
    /// Seconds of recalls that count.
    seconds: f64,
    fill_seconds: f64,
    recall: Percentiles,
    floor: Percentiles,
    ratio_p50_to_floor_p50: f64,
    ratio_p99_to_floor_p99: f64,
    ratio_p99_to_floor_p50: f64,
    recalls_per_second: f64,
    mean_items_returned: f64,
    mean_response_bytes: f64,
    server_took_us_p50: f64,
    /// Answers behind `mean_items_returned` and `server_took_us_p50`.
    answers_read: u64,
    /// Resident memory of the server at the end; null where it is not ours.
    server_rss_mib: Option<f64>,
    failed: u64,
    first_failure: Option<String>,
}

/// Builds, measures, prints; the number of failed requests.
pub(super) fn run(args: &Args) -> Result<u64, BenchError> {
    let mut gate = Gate::open(&args.target, &[])?;
    let outcome = measure(&gate, args);
    let (report, tally) = gate.explain(outcome)?;
    drop(gate);
    if let Some(path) = &args.plot {
        let title = format!("Recall over {} items, {} client(s), beside /healthz", report.items, report.clients);
        plot::percentiles(path, &title, &[("POST /v1/recall", &tally.recall), ("GET /healthz", &tally.floor)])?;
    }
    report::print(args.target.json, &report, &lines(&report));
    Ok(report.failed)
}

fn measure(gate: &Gate, args: &Args) -> Result<(Report, Tally), BenchError> {
    let language = Language::new();
    let threads = fill::thread_ids(args.threads)?;
    let wanted = Wanted { count: args.items, unit: Unit::Items, threads, seed: args.seed };
    let start = Instant::now();
    let built = fill::fill(gate, &language, &wanted)?;
    let filled = start.elapsed();
    let tally = ask(gate, args, &language, &wanted.threads);
    let rss = gate.rss_kib();
    fill::leave(gate, &wanted.threads);
    let tally = tally?;
    let mut report = figures(args, &tally);
    (report.turns, report.items) = (built.turns, built.items);
    report.fill_seconds = round(filled.as_secs_f64());
    report.server_rss_mib = rss.map(|kib| round(float(kib) / 1024.0));
    Ok((report, tally))
}

/// What every client knows.
struct Run<'a> {
    args: &'a Args,
    plan: Plan,
    language: &'a Language,
    threads: &'a [String],
    /// Hashes of all purposes so far.
    asked: Mutex<HashSet<u128>>,
    start: Instant,
    progress: Progress,
}

fn ask(gate: &Gate, args: &Args, language: &Language, threads: &[String]) -> Result<Tally, BenchError> {
    let plan = Plan::new(args.warmup, args.seconds);
    let progress = Progress::new("measuring", plan.cycles(), "slices");
    let run = Run { args, plan, language, threads, asked: Mutex::default(), start: Instant::now(), progress };
    let mut tally = Tally::new()?;
    std::thread::scope(|scope| {
        let start = |number: u64| {
            let (run, connection) = (&run, gate.endpoint().connection());
            scope.spawn(move || Client::new(run, connection, number)?.work())
        };
        let running: Vec<_> = (0..args.clients).map(start).collect();
        running.into_iter().map(join).try_for_each(|one| one.map(|one| tally.merge(one)))
    })?;
    Ok(tally)
}

/// What is asked when.
#[derive(Debug, Clone, Copy)]
struct Plan {
    warm_cycles: u64,
    counted_cycles: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Floor,
    Recall,
}

impl Plan {
    fn new(warmup_seconds: u64, seconds: u64) -> Self {
        Self {
            warm_cycles: (warmup_seconds * 1000).div_ceil(FLOOR_MILLIS + RECALL_MILLIS),
            counted_cycles: (seconds * 1000).div_ceil(RECALL_MILLIS),
        }
    }

    /// Cycles of one slice of floor and one of recalls each; one slice of floor follows the last.
    fn cycles(self) -> u64 {
        self.warm_cycles + self.counted_cycles
    }

    /// The cycle, what is asked in it now, and whether it counts; `None` when all is done.
    fn at(self, elapsed: Duration) -> Option<(u64, Phase, bool)> {
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let cycle = millis / (FLOOR_MILLIS + RECALL_MILLIS);
        let in_floor = millis % (FLOOR_MILLIS + RECALL_MILLIS) < FLOOR_MILLIS;
        let done = cycle > self.cycles() || (cycle == self.cycles() && !in_floor);
        let phase = if in_floor { Phase::Floor } else { Phase::Recall };
        (!done).then_some((cycle, phase, cycle >= self.warm_cycles))
    }

    /// Seconds of recalls that count.
    fn seconds(self) -> f64 {
        float(self.counted_cycles * RECALL_MILLIS) / 1e3
    }
}

/// What clients count.
#[derive(Debug)]
struct Tally {
    recall: Latencies,
    floor: Latencies,
    /// What the server says it took, of the answers that were read.
    took: Latencies,
    items: u64,
    bytes: u64,
    failed: u64,
    first_failure: Option<String>,
}

impl Tally {
    fn new() -> Result<Self, BenchError> {
        Ok(Self {
            recall: Latencies::new()?,
            floor: Latencies::new()?,
            took: Latencies::new()?,
            items: 0,
            bytes: 0,
            failed: 0,
            first_failure: None,
        })
    }

    fn merge(&mut self, other: Self) {
        self.recall.merge(&other.recall);
        self.floor.merge(&other.floor);
        self.took.merge(&other.took);
        self.items += other.items;
        self.bytes += other.bytes;
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    fn fail(&mut self, why: String) {
        self.failed += 1;
        self.first_failure.get_or_insert(why);
    }
}

/// One client: a connection, a source of purposes, and what it counted.
struct Client<'a> {
    run: &'a Run<'a>,
    connection: Connection,
    chance: Chance,
    leads: bool,
    tally: Tally,
}

impl<'a> Client<'a> {
    fn new(run: &'a Run<'a>, connection: Connection, number: u64) -> Result<Self, BenchError> {
        let chance = Chance::new(run.args.seed, CLIENT_STREAM + number);
        Ok(Self { run, connection, chance, leads: number == 0, tally: Tally::new()? })
    }

    fn work(mut self) -> Result<Tally, BenchError> {
        let mut seen = 0;
        while let Some((cycle, phase, counts)) = self.run.plan.at(self.run.start.elapsed()) {
            if self.leads && cycle > seen {
                self.run.progress.add(cycle - seen);
                seen = cycle;
            }
            let failed = self.tally.failed;
            match phase {
                Phase::Floor => self.floor(counts),
                Phase::Recall => self.recall(counts),
            }
            if self.tally.failed > failed {
                std::thread::sleep(AFTER_FAILURE);
            }
            if self.tally.failed >= MAX_FAILURES {
                break;
            }
        }
        Ok(self.tally)
    }

    fn floor(&mut self, counts: bool) {
        let start = Instant::now();
        let outcome = self.connection.get(wire::FLOOR);
        let took = start.elapsed();
        match outcome {
            Ok(answer) if answer.is_success() => {
                if counts {
                    self.tally.floor.record(took);
                }
            }
            Ok(answer) => self.tally.fail(answer.excerpt()),
            Err(error) => self.tally.fail(error.to_string()),
        }
    }

    fn recall(&mut self, counts: bool) {
        let body = self.next_body();
        let start = Instant::now();
        let outcome = self.connection.post(wire::RECALL, &body);
        let took = start.elapsed();
        match outcome {
            Ok(answer) if answer.is_success() => {
                if counts {
                    self.tally.recall.record(took);
                    self.tally.bytes += answer.body.len() as u64;
                    if self.tally.recall.count() % READ_ONE_OF == 1 {
                        read(&mut self.tally, answer.body);
                    }
                }
            }
            Ok(answer) => self.tally.fail(answer.excerpt()),
            Err(error) => self.tally.fail(error.to_string()),
        }
    }

    fn next_body(&mut self) -> Vec<u8> {
        let thread = match self.run.args.scope {
            Scope::Thread => {
                let at = self.chance.between(0, self.run.args.threads.saturating_sub(1));
                usize::try_from(at).ok().and_then(|at| self.run.threads.get(at))
            }
            Scope::Workspace => None,
        };
        let purpose = self.next_purpose();
        wire::body(&RecallRequest {
            thread_id: thread.map(String::as_str),
            purpose: &purpose,
            token_budget: self.run.args.budget,
            top_k: self.run.args.top_k,
            scope: if self.run.args.scope == Scope::Thread { "thread" } else { "workspace" },
        })
    }

    /// A purpose that no client of this run has asked yet.
    fn next_purpose(&mut self) -> String {
        loop {
            let purpose = self.run.language.purpose(&mut self.chance);
            // A poisoned lock only says that another client broke down; the hashes in it are sound.
            let mut asked = self.run.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if asked.insert(hash(&purpose)) {
                return purpose;
            }
        }
    }
}

/// FNV-1a, wide enough that two purposes never look the same.
fn hash(text: &str) -> u128 {
    let step = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013B);
    text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, step)
}

fn read(tally: &mut Tally, body: &[u8]) {
    match serde_json::from_slice::<RecallSize>(body) {
        Ok(size) => {
            tally.items += size.items.len() as u64;
            tally.took.record(Duration::from_micros(size.took_us));
        }
        Err(error) => tally.fail(format!("the answer of {} is not what it should be: {error}", wire::RECALL)),
    }
}

fn figures(args: &Args, tally: &Tally) -> Report {
    let (recall, floor) = (tally.recall.percentiles(), tally.floor.percentiles());
    let seconds = Plan::new(args.warmup, args.seconds).seconds();
    Report {
        benchmark: "recall",
        turns: 0,
        items: 0,
        threads: args.threads,
        clients: args.clients,
        scope: args.scope,
        token_budget: args.budget,
        top_k: args.top_k,
        seed: args.seed,
        seconds,
        fill_seconds: 0.0,
        recall,
        floor,
        ratio_p50_to_floor_p50: ratio(recall.p50_us, floor.p50_us),
        ratio_p99_to_floor_p99: ratio(recall.p99_us, floor.p99_us),
        ratio_p99_to_floor_p50: ratio(recall.p99_us, floor.p50_us),
        recalls_per_second: round(float(recall.count) / seconds),
        mean_items_returned: ratio(float(tally.items), float(tally.took.count())),
        mean_response_bytes: round(ratio(float(tally.bytes), float(recall.count))),
        server_took_us_p50: tally.took.at(0.5),
        answers_read: tally.took.count(),
        server_rss_mib: None,
        failed: tally.failed,
        first_failure: tally.first_failure.clone(),
    }
}

fn lines(report: &Report) -> Vec<String> {
    let scope = if report.scope == Scope::Thread { "one thread" } else { "the workspace" };
    let mut lines = vec![
        format!(
            "{} items ({} turns) in {} thread(s), filled in {} s; {} client(s), {} s of recalls over {scope}, \
             budget {} tokens, top_k {}",
            report.items,
            report.turns,
            report.threads,
            report.fill_seconds,
            report.clients,
            report.seconds,
            report.token_budget,
            report.top_k
        ),
        String::new(),
        latency_header(),
        latency_row("POST /v1/recall", &report.recall),
        latency_row("GET /healthz", &report.floor),
        String::new(),
        fact("recall p50 / healthz p50", format!("{:.2} ×", report.ratio_p50_to_floor_p50)),
        fact("recall p99 / healthz p99", format!("{:.2} ×", report.ratio_p99_to_floor_p99)),
        fact("recall p99 / healthz p50", format!("{:.2} ×", report.ratio_p99_to_floor_p50)),
        fact("recalls a second", report.recalls_per_second),
        fact("items in an answer, mean", report.mean_items_returned),
        fact("bytes of an answer, mean", report.mean_response_bytes),
        fact("server's own took_us, p50", report.server_took_us_p50),
    ];
    if let Some(rss) = report.server_rss_mib {
        lines.push(fact("resident memory of the server", format!("{rss} MiB")));
    }
    if report.failed > 0 {
        lines.push(fact("FAILED requests", report.failed));
        lines.extend(report.first_failure.as_ref().map(|why| fact("the first of them", why)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_and_recalls_take_turns_and_the_floor_has_the_first_and_the_last_word() {
        let plan = Plan::new(0, 1);
        let at = |millis| plan.at(Duration::from_millis(millis)).map(|(_, phase, _)| phase);

        assert_eq!([at(0), at(124), at(1250), at(1374)], [Some(Phase::Floor); 4]);
        assert_eq!([at(125), at(624), at(750), at(1249)], [Some(Phase::Recall); 4]);
        assert_eq!(at(1375), None);
        assert_eq!(plan.seconds(), 1.0);
    }

    #[test]
    fn nothing_counts_before_it_is_warm() {
        let plan = Plan::new(2, 1);
        let counts = |millis| plan.at(Duration::from_millis(millis)).map(|(_, _, counts)| counts);

        assert_eq!([counts(0), counts(1999), counts(2499)], [Some(false); 3]);
        assert_eq!(counts(2500), Some(true), "warm-up ends with a whole cycle");
    }

    #[test]
    fn a_run_with_answers_that_make_no_sense_has_failed() {
        let mut tally = Tally::new().expect("sound bounds");

        read(&mut tally, br#"{"items":[{"id":"E1"},{}],"took_us":120,"more":1}"#);
        read(&mut tally, b"{}");

        assert_eq!((tally.items, tally.failed, tally.took.count()), (2, 1, 1));
    }
}
