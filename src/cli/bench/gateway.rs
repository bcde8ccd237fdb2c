//! `cmg bench gateway`: what the gateway adds to a call, beside the call without it in the same run.
//!
//! # How it measures
//!
//! - The upstream is a stand-in of this process, with answers made beforehand: whatever a real one takes is not in it.
//! - Closed loop over kept connections; direct calls and calls through the gateway take turns, slice by slice, so that
//!   both meet the same machine. What is added is the difference of their percentiles.
//! - CPU is the server's own, user and system, over the slices through the gateway, divided by their calls.
//! - The caller has a key, limits and a budget: every call is checked, reserved, settled and written to the ledger.
//!
//! # Deliberately absent
//!
//! TLS and the network: both are the same with and without a gateway.

use super::client::{Connection, Endpoint};
use super::fill::join;
use super::progress::Progress;
use super::report::{self, Latencies, Percentiles, fact, float, latency_header, latency_row, round};
use super::server::Gate;
use super::{BenchError, Target};
use cmg_standin::{Options, StandIn};
use serde::Serialize;
use std::time::{Duration, Instant};

/// How long one side is measured before the other has its turn.
const SLICE: Duration = Duration::from_millis(500);
/// Chunks of the stand-in's streamed answer.
const CHUNKS: u64 = 6;
/// The stand-in's key, which it does not look at.
const UPSTREAM_KEY: &str = "sk-or-bench";
const DIRECT: &str = "/api/v1/chat/completions";
const THROUGH: &str = "/v1/chat/completions";

/// How to ask.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder in which the started server gets its temporary data folder; by default the system's.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<std::path::PathBuf>,
    /// Print one JSON object instead of lines for people.
    #[arg(long)]
    json: bool,
    /// Clients that ask at the same time, each over one kept connection; several numbers are measured one after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16], value_parser = clap::value_parser!(u64).range(1..=1024))]
    clients: Vec<u64>,
    /// Seconds of calls for each line of the result.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
}

/// The figures of a run. Latencies are in microseconds, as they say.
#[derive(Debug, Serialize)]
struct Report {
    benchmark: &'static str,
    seconds: u64,
    lines: Vec<Line>,
    /// Resident memory of the server before the first call and after the last; null where the system does not tell.
    rss_mib_before: Option<f64>,
    rss_mib_after: Option<f64>,
    failed: u64,
}

/// One number of clients, whole or streamed.
#[derive(Debug, Serialize)]
struct Line {
    clients: u64,
    streamed: bool,
    direct: Percentiles,
    through: Percentiles,
    added_p50_us: f64,
    added_p99_us: f64,
    /// To the first byte of a stream.
    direct_first: Option<Percentiles>,
    through_first: Option<Percentiles>,
    added_first_p50_us: Option<f64>,
    added_per_chunk_us: Option<f64>,
    calls_per_second: f64,
    cpu_us_per_call: Option<f64>,
}

/// What one side came to.
struct Side {
    whole: Latencies,
    first: Latencies,
    failed: u64,
    took: Duration,
}

impl Side {
    fn new() -> Result<Self, BenchError> {
        Ok(Self { whole: Latencies::new()?, first: Latencies::new()?, failed: 0, took: Duration::ZERO })
    }

    fn add(&mut self, other: &Self) {
        self.whole.merge(&other.whole);
        self.first.merge(&other.first);
        self.failed += other.failed;
    }
}

/// Builds, measures, prints; the number of failed requests.
pub(super) fn run(args: &Args) -> Result<u64, BenchError> {
    let upstream = StandIn::with(Options { keep: 0, ..Options::default() });
    let upstream = upstream.map_err(|error| BenchError::Failed(format!("no stand-in for the upstream: {error}")))?;
    let target = Target { url: None, key: None, data_dir: args.data_dir.clone(), json: args.json };
    let settings = [
        ("OPENROUTER_API_BASE", upstream.url()),
        ("OPENROUTER_API_KEY", UPSTREAM_KEY.to_owned()),
        ("RATE_LIMIT_REQUESTS", "1000000000".to_owned()),
        ("RATE_LIMIT_BURST", "1000000000".to_owned()),
        ("DEFAULT_DAILY_BUDGET_USD", "1000000".to_owned()),
        ("DEFAULT_DAILY_QUOTA_TOKENS", "1000000000000".to_owned()),
    ];
    let mut gate = Gate::open(&target, &settings)?;
    let outcome = measure(&gate, &upstream, args);
    let report = gate.explain(outcome)?;
    drop(gate);
    report::print(args.json, &report, &lines(&report));
    Ok(report.failed)
}

fn measure(gate: &Gate, upstream: &StandIn, args: &Args) -> Result<Report, BenchError> {
    let direct = Endpoint::local(upstream.address().port(), UPSTREAM_KEY);
    let mib = |kib: Option<u64>| kib.map(|kib| round(float(kib) / 1024.0));
    let rss_mib_before = mib(gate.rss_kib());
    let lines_wanted = args.clients.iter().flat_map(|clients| [(*clients, false), (*clients, true)]);
    let progress = Progress::new("measuring", args.clients.len() as u64 * 2 * args.seconds, "s");
    let mut found = Vec::new();
    let mut failed = 0;
    for (clients, streamed) in lines_wanted {
        let (line, bad) = one_line(gate, &direct, (clients, streamed), args.seconds, &progress)?;
        failed += bad;
        found.push(line);
    }
    let rss_mib_after = mib(gate.rss_kib());
    Ok(Report { benchmark: "gateway", seconds: args.seconds, lines: found, rss_mib_before, rss_mib_after, failed })
}

fn one_line(
    gate: &Gate,
    direct: &Endpoint,
    (clients, streamed): (u64, bool),
    seconds: u64,
    progress: &Progress,
) -> Result<(Line, u64), BenchError> {
    let body = serde_json::json!({"model": "standin/ok", "stream": streamed, "max_tokens": 100,
        "messages": [{"role": "system", "content": "Be brief. ".repeat(20)}, {"role": "user", "content": "Say hello. ".repeat(50)}]});
    let body = body.to_string();
    let (mut plain, mut through) = (Side::new()?, Side::new()?);
    let mut connections = [open(direct, clients), open(gate.endpoint(), clients)];
    let mut cpu = Duration::ZERO;
    // The first turn of both sides opens connections and warms caches, and does not count.
    for turn in 0..=seconds {
        let [to_upstream, to_gateway] = &mut connections;
        let one = slice(to_upstream, DIRECT, body.as_bytes())?;
        let before = gate.cpu();
        let other = slice(to_gateway, THROUGH, body.as_bytes())?;
        let spent = gate.cpu().zip(before).map(|(after, before)| after.saturating_sub(before));
        if turn > 0 {
            plain.add(&one);
            through.add(&other);
            through.took += other.took;
            cpu += spent.unwrap_or_default();
            progress.add(1);
        }
    }
    let (direct, via) = (plain.whole.percentiles(), through.whole.percentiles());
    let firsts = streamed.then(|| (plain.first.percentiles(), through.first.percentiles()));
    let calls = float(via.count);
    let line = Line {
        clients,
        streamed,
        added_p50_us: round(via.p50_us - direct.p50_us),
        added_p99_us: round(via.p99_us - direct.p99_us),
        added_first_p50_us: firsts.map(|(direct, via)| round(via.p50_us - direct.p50_us)),
        added_per_chunk_us: streamed.then(|| round((via.p50_us - direct.p50_us) / float(CHUNKS))),
        direct_first: firsts.map(|(direct, _)| direct),
        through_first: firsts.map(|(_, via)| via),
        calls_per_second: round(calls / through.took.as_secs_f64().max(1e-9)),
        cpu_us_per_call: gate.cpu().map(|_| round(cpu.as_secs_f64() * 1e6 / calls.max(1.0))),
        direct,
        through: via,
    };
    Ok((line, plain.failed + through.failed))
}

fn open(endpoint: &Endpoint, clients: u64) -> Vec<Connection> {
    (0..clients).map(|_| endpoint.connection()).collect()
}

/// Has all clients ask for the length of a slice.
fn slice(connections: &mut [Connection], path: &str, body: &[u8]) -> Result<Side, BenchError> {
    let begun = Instant::now();
    let sides: Result<Vec<Side>, BenchError> = std::thread::scope(|scope| {
        let running: Vec<_> =
            connections.iter_mut().map(|connection| scope.spawn(move || client(connection, path, body))).collect();
        running.into_iter().map(join).collect()
    });
    let mut all = Side::new()?;
    sides?.iter().for_each(|side| all.add(side));
    all.took = begun.elapsed();
    Ok(all)
}

fn client(connection: &mut Connection, path: &str, body: &[u8]) -> Result<Side, BenchError> {
    let mut side = Side::new()?;
    let end = Instant::now() + SLICE;
    while Instant::now() < end {
        let begun = Instant::now();
        let good = connection.post(path, body)?.is_success();
        side.whole.record(begun.elapsed());
        if let Some(first) = connection.first_byte() {
            side.first.record(first.saturating_duration_since(begun));
        }
        side.failed += u64::from(!good);
    }
    Ok(side)
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for line in &report.lines {
        let kind = if line.streamed { "streamed" } else { "whole" };
        lines.push(format!("{kind}, {} client(s), {} s", line.clients, report.seconds));
        lines.push(latency_header());
        lines.push(latency_row("direct", &line.direct));
        lines.push(latency_row("through cmg", &line.through));
        if let (Some(direct), Some(through)) = (&line.direct_first, &line.through_first) {
            lines.push(latency_row("first byte", direct));
            lines.push(latency_row("… through cmg", through));
        }
        lines.push(fact("added p50, µs", line.added_p50_us));
        lines.push(fact("added p99, µs", line.added_p99_us));
        if let (Some(first), Some(chunk)) = (line.added_first_p50_us, line.added_per_chunk_us) {
            lines.push(fact("added to the first byte, p50, µs", first));
            lines.push(fact("added per chunk, p50, µs", chunk));
        }
        lines.push(fact("calls a second", line.calls_per_second));
        if let Some(cpu) = line.cpu_us_per_call {
            lines.push(fact("CPU of the server per call, µs", cpu));
        }
        lines.push(String::new());
    }
    if let (Some(before), Some(after)) = (report.rss_mib_before, report.rss_mib_after) {
        lines.push(fact("resident memory, MiB", format!("{before} before, {after} after")));
    }
    if report.failed > 0 {
        lines.push(fact("failed", report.failed));
    }
    lines
}
