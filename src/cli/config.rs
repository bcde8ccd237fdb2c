//! `cmg config check` and `cmg config show`.

use super::{complain, say};
use std::path::PathBuf;
use std::process::ExitCode;

/// What to do with the settings.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Say all that is wrong with the settings, or nothing.
    Check {
        /// Settings on top of the defaults.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Show the settings in force, each with its source; secrets are masked.
    Show {
        /// Settings on top of the defaults.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// Runs the command; wrong settings are exit code 2.
pub(crate) fn run(command: Command) -> ExitCode {
    let (file, show) = match command {
        Command::Check { config } => (config, false),
        Command::Show { config } => (config, true),
    };
    match crate::serve::load(file) {
        Ok(config) if show => say(config.show().trim_end()),
        Ok(_) => say("the settings are good"),
        Err(errors) => {
            complain(&errors.to_string());
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
