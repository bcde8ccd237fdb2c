//! `cmg keys`: makes, lists and revokes API keys.
//!
//! Without `--url` it works on the data folder, which no server may have open; with it, on a running
//! server by way of its admin API.

use super::client::{Server, segment, send};
use super::{Failure, say};
use crate::http::error::ApiError;
use crate::http::wire::key::{KeyView, NewKeyAnswer, NewKeyBody};
use cmg_actors::clock;
use cmg_actors::{KeyRing, KeyScope, StartError, open_keys};
use cmg_memory::time::Timestamp;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to do with keys.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a key; it is shown this once.
    Create {
        /// The workspace that it opens.
        #[arg(long, default_value = "default")]
        workspace: String,
        /// What people call it.
        #[arg(long, default_value = "cli")]
        name: String,
        /// `read` or `write`; both unless told. May be repeated.
        #[arg(long = "scope", value_parser = scope)]
        scopes: Vec<KeyScope>,
        /// When it stops, such as 2027-01-01T00:00:00Z.
        #[arg(long)]
        expires_at: Option<Timestamp>,
        #[command(flatten)]
        place: Place,
    },
    /// List all keys; never the keys themselves.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Revoke a key: from now on it opens nothing.
    Revoke {
        /// Its id.
        id: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the keys are.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// A running server; the data folder unless told.
    #[arg(long)]
    url: Option<String>,
    /// The server's admin token.
    #[arg(long, env = "ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<String>,
    /// Settings that name the data folder.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
}

fn scope(name: &str) -> Result<KeyScope, String> {
    match name {
        "read" => Ok(KeyScope::Read),
        "write" => Ok(KeyScope::Write),
        _ => Err("it is read or write".to_owned()),
    }
}

/// Runs the command.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create { workspace, name, scopes, expires_at, place } => {
            let body = json!({ "workspace_id": workspace, "name": name, "scopes": scopes, "expires_at": expires_at });
            let made = if place.url.is_some() { place.ask("POST", "", Some(&body))? } else { place.create(body)? };
            place.show(&made, |made| {
                format!(
                    "{}\n(id {}, workspace {}; it is shown this once)",
                    text(made, "key"),
                    text(made, "id"),
                    text(made, "workspace_id")
                )
            });
        }
        Command::List { place } => {
            for key in if place.url.is_some() { place.ask_all()? } else { place.list()? } {
                place.show(&key, line);
            }
        }
        Command::Revoke { id, place } => {
            let path = format!("/{}", segment(&id));
            let gone = if place.url.is_some() { place.ask("DELETE", &path, None)? } else { place.revoke(&id)? };
            place.show(&gone, |gone| format!("revoked {}", text(gone, "id")));
        }
    }
    Ok(())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("-")
}

fn line(key: &Value) -> String {
    let state = if key.get("revoked_at").is_some_and(Value::is_string) { "revoked" } else { "valid" };
    let part = |name| text(key, name);
    format!(
        "{}  {}…  {}  {state}  until {}  {}",
        part("id"),
        part("prefix"),
        part("workspace_id"),
        part("expires_at"),
        part("name")
    )
}

impl Place {
    fn show(&self, value: &Value, words: impl Fn(&Value) -> String) {
        if self.json { say(&value.to_string()) } else { say(&words(value)) }
    }

    /// Asks the server's admin API.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let no_token = || Failure::Usage("with --url, give --admin-token or set ADMIN_TOKEN".to_owned());
        let token = self.admin_token.as_deref().filter(|token| !token.is_empty()).ok_or_else(no_token)?;
        let server = Server::at(self.url.as_deref().unwrap_or_default(), Some(PATIENCE))?;
        let mut request = server.request(method, &format!("/admin/api/keys{path}"), token)?;
        if let Some(body) = body {
            request = request.json(body);
        }
        send(request)?.json().map_err(|error| Failure::Failed(error.without_url().to_string()))
    }

    fn ask_all(&self) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        let mut path = "?limit=500".to_owned();
        loop {
            let page = self.ask("GET", &path, None)?;
            all.extend(page.get("data").and_then(Value::as_array).cloned().unwrap_or_default());
            let Some(next) = page.get("next_cursor").and_then(Value::as_str) else { return Ok(all) };
            path = format!("?limit=500&cursor={next}");
        }
    }

    /// Opens the keys of the data folder.
    fn open(&self) -> Result<KeyRing, Failure> {
        let config = crate::serve::load(self.config.clone()).map_err(|errors| Failure::Usage(errors.to_string()))?;
        let held = "; to change the keys of a running server, give its --url";
        let hint = |error: &StartError| if matches!(error, StartError::Store(_)) { held } else { "" };
        open_keys(&config).map_err(|error| Failure::Failed(format!("{error}{}", hint(&error))))
    }

    fn create(&self, body: Value) -> Result<Value, Failure> {
        let now = clock::now();
        let body: NewKeyBody = serde_json::from_value(body).map_err(|error| Failure::Usage(error.to_string()))?;
        let new = body.validate(now).map_err(|error: ApiError| Failure::Usage(error.message().to_owned()))?;
        let (info, key) = self.open()?.create(new, now).map_err(|error| Failure::Failed(error.to_string()))?;
        as_value(&NewKeyAnswer { key, info: info.into() })
    }

    fn list(&self) -> Result<Vec<Value>, Failure> {
        self.open()?.list().into_iter().map(|info| as_value(&KeyView::from(info))).collect()
    }

    fn revoke(&self, id: &str) -> Result<Value, Failure> {
        let gone = self.open()?.revoke(id, clock::now()).map_err(|error| Failure::Failed(error.to_string()))?;
        as_value(&KeyView::from(gone))
    }
}

fn as_value(value: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::Failed(error.to_string()))
}
