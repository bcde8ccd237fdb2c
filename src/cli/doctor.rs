//! `cmg doctor`: asks a running server how it stands. The container's health check.

use super::client::Server;
use super::{Failure, say};
use std::process::ExitCode;
use std::time::Duration;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which server.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where it listens; this machine's server unless told.
    #[arg(long)]
    url: Option<String>,
    /// Its port, where no URL is given.
    #[arg(long, env = "SERVER_PORT", default_value = "8080")]
    port: String,
}

/// Prints what it finds: 0 when the server answers requests, 1 otherwise.
pub(crate) fn run(args: &Args) -> ExitCode {
    let port = Some(args.port.as_str()).filter(|port| !port.is_empty()).unwrap_or("8080");
    let url = args.url.clone().unwrap_or_else(|| format!("http://127.0.0.1:{port}"));
    match examine(&url) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failure::Usage(what) | Failure::Failed(what)) => {
            say(&format!("bad   {url}: {what}"));
            ExitCode::FAILURE
        }
    }
}

fn examine(url: &str) -> Result<bool, Failure> {
    let server = Server::at(url, Some(PATIENCE))?;
    let (status, _) = server.get("/readyz")?;
    let ready = status == 200;
    let mark = if ready { "good" } else { "bad " };
    say(&format!("{mark}  {url}/readyz answers {status}"));
    if let (200, health) = server.get("/health/detailed")? {
        for (name, value) in health.as_object().into_iter().flatten() {
            say(&format!("      {name}: {value}"));
        }
    }
    Ok(ready)
}
