//! The command line: one function per command.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or settings.

pub mod bench;
mod client;
mod config;
mod doctor;
mod keys;
mod transfer;

use clap::{Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Context Memory Gateway: the memory an agent loop can afford to ask at every step.
#[derive(Debug, Parser)]
#[command(name = "cmg", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve HTTP until a signal.
    Serve {
        /// Settings on top of the defaults.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Check or show the settings.
    #[command(subcommand)]
    Config(config::Command),
    /// Make, list and revoke API keys, on the data folder or on a running server.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Ask a running server how it stands.
    Doctor(doctor::Args),
    /// Write a thread to stdout as JSON lines.
    Export(transfer::Export),
    /// Take in the JSON lines of an export.
    Import(transfer::Import),
    /// Measure on this machine.
    Bench(bench::Args),
}

/// Runs the command of this process.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve { config } => crate::serve::serve(config),
        Command::Config(command) => config::run(command),
        Command::Keys(command) => outcome(keys::run(command)),
        Command::Doctor(args) => doctor::run(&args),
        Command::Export(args) => outcome(transfer::export(&args)),
        Command::Import(args) => outcome(transfer::import(&args)),
        Command::Bench(args) => bench::run(args),
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
enum Failure {
    /// It was asked for wrongly.
    Usage(String),
    /// It could not be done.
    Failed(String),
}

fn outcome(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(what)) => {
            complain(&what);
            ExitCode::from(2)
        }
        Err(Failure::Failed(what)) => {
            complain(&what);
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to stdout; a reader that has gone away is not our trouble.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Writes a line to stderr.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "cmg: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_fits_together() {
        Cli::command().debug_assert();
    }
}
