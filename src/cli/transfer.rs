//! `cmg export` and `cmg import`: a thread as JSON lines, from and to a running server.

use super::client::{Server, segment, send};
use super::{Failure, complain};
use serde_json::Value;
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// Where, and by which key.
#[derive(Debug, clap::Args)]
struct Target {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// An API key of the workspace.
    #[arg(long, env = "CMG_API_KEY", hide_env_values = true)]
    key: String,
}

/// What to write to stdout.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// The thread.
    thread: String,
    #[command(flatten)]
    target: Target,
}

/// What to take in.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// The thread; it must be empty or new.
    thread: String,
    /// The file of an export.
    file: PathBuf,
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// Writes a thread to stdout.
pub(crate) fn export(args: &Export) -> Result<(), Failure> {
    let path = format!("/v1/threads/{}/export", segment(&args.thread));
    let mut answer = send(Server::at(&args.target.url, None)?.request("GET", &path, &args.target.key)?)?;
    answer
        .copy_to(&mut io::stdout().lock())
        .map_err(|error| Failure::Failed(format!("the export was cut off: {}", error.without_url())))?;
    Ok(())
}

/// Takes in a file.
pub(crate) fn import(args: &Import) -> Result<(), Failure> {
    let file = File::open(&args.file).map_err(|error| Failure::Usage(format!("{}: {error}", args.file.display())))?;
    let path = format!("/v1/threads/{}/import", segment(&args.thread));
    let request = Server::at(&args.target.url, None)?.request("POST", &path, &args.target.key)?;
    let answer = send(request.header("content-type", "application/x-ndjson").body(file))?;
    let body: Value = answer.json().map_err(|error| Failure::Failed(error.without_url().to_string()))?;
    if args.json {
        super::say(&body.to_string());
    } else {
        let count = |name: &str| body.get(name).map(ToString::to_string).unwrap_or_default();
        complain(&format!("{} items taken in; ids that changed: {}", count("imported"), count("renamed")));
    }
    Ok(())
}
