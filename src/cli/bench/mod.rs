//! `cmg bench`: measures the memory as its users meet it, over HTTP, and says how it was measured.
//!
//! ```text
//! recall    latency of recalls beside that of `/healthz`, the floor, in the same run
//! ingest    durable turns a second; with `--resting`, what threads at rest cost
//! gateway   what a call through the gateway takes beside the same call without it
//! quality   how much of the evidence for real questions comes back
//! ```
//!
//! Each starts a server of its own on a temporary folder and ends it afterwards, unless `--url` names a running one.
//!
//! # Deliberately absent
//!
//! The inside of the memory: whatever these programs know, any caller could know. What single functions cost is
//! measured by the benchmarks in `benches/`.

mod client;
mod fill;
mod gateway;
mod ingest;
mod plot;
mod progress;
mod quality;
mod recall;
mod report;
mod server;
mod synth;
mod wire;

use std::process::ExitCode;

/// Measures a server: how fast it recalls, how fast it takes in, how well it finds.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Latency and throughput of recalls, beside the floor of the same run.
    Recall(recall::Args),
    /// Durable turns a second; with --resting, the memory that threads at rest take.
    Ingest(ingest::Args),
    /// What the gateway adds to a call, whole and streamed, beside the direct call of the same run.
    Gateway(gateway::Args),
    /// Evidence recall over the questions of LoCoMo conversations.
    Quality(quality::Args),
}

/// Where the measured server is, and how the figures are printed.
#[derive(Debug, clap::Args)]
struct Target {
    /// Measure this running server instead of one that is started for it: http://host:port.
    #[arg(long, value_name = "URL", requires = "key")]
    url: Option<String>,
    /// The running server's API key.
    #[arg(long, value_name = "KEY", env = "CMG_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Folder in which the started server gets its temporary data folder; by default the system's. What is measured
    /// is durable there, so take one on the disk that counts.
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    data_dir: Option<std::path::PathBuf>,
    /// Print one JSON object instead of lines for people.
    #[arg(long)]
    json: bool,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// The request could not be made or answered.
    #[error(transparent)]
    Client(#[from] client::ClientError),
    /// Anything else that ended the run.
    #[error("{0}")]
    Failed(String),
}

impl BenchError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Client(client::ClientError::Address { .. }) => 2,
            Self::Client(_) | Self::Failed(_) => 1,
        }
    }
}

/// Runs one benchmark: 0 when it is done and every request was answered, 1 when not, 2 when the command line is wrong.
pub(crate) fn run(args: Args) -> ExitCode {
    let outcome = match args.what {
        What::Recall(args) => recall::run(&args),
        What::Ingest(args) => ingest::run(&args),
        What::Gateway(args) => gateway::run(&args),
        What::Quality(args) => quality::run(&args),
    };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failures) => {
            progress::note(&format!("cmg bench: {failures} requests failed"));
            ExitCode::from(1)
        }
        Err(error) => {
            progress::note(&format!("cmg bench: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}
