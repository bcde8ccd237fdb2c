//! Texts about a configuration: the effective settings for `cmg config show`, and the reference page.

use std::fmt::Write as _;

use crate::table::{Key, Kind};
use crate::{Config, Environment, keys, layers};

/// A row of the reference: one setting for people to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDoc {
    /// Its path in a file, `section.name`.
    pub key: &'static str,
    /// The environment variable that sets it.
    pub env: &'static str,
    /// Its type and what is allowed.
    pub kind: String,
    /// Its default as TOML; empty when it is not set.
    pub default: String,
    /// What it means.
    pub doc: String,
}

/// Every setting there is, in the order of `default.toml`, from the table that the parser uses.
pub fn reference() -> Vec<KeyDoc> {
    let defaults = layers::defaults();
    let environment = KeyDoc {
        key: "environment",
        env: "ENVIRONMENT",
        kind: format!("word: one of {}", Environment::ALL.map(Environment::as_str).join(", ")),
        default: "\"development\"".to_owned(),
        doc: "Which files are read and how strict the start is. Only as a variable, never in a file.".to_owned(),
    };
    let rows = keys().map(|key| KeyDoc {
        key: key.path,
        env: key.env,
        kind: describe(&key.kind),
        default: defaults
            .setting(key.path)
            .filter(|setting| !setting.value.is_empty())
            .map(|setting| setting.value.show())
            .unwrap_or_default(),
        doc: words(key),
    });
    std::iter::once(environment).chain(rows).collect()
}

/// The reference as the table that stands in `docs/configuration.md`.
pub fn reference_markdown() -> String {
    let mut page = String::from("| key | variable | takes | default | meaning |\n| --- | --- | --- | --- | --- |\n");
    for row in reference() {
        let default = if row.default.is_empty() { "not set".to_owned() } else { format!("`{}`", row.default) };
        let _ = writeln!(page, "| `{}` | `{}` | {} | {default} | {} |", row.key, row.env, row.kind, row.doc);
    }
    page
}

impl Config {
    /// The effective settings as TOML, each with its source, secrets masked.
    ///
    /// It shows what was loaded: a field that was changed afterwards in memory is not seen here.
    pub fn show(&self) -> String {
        let mut page = format!("# Effective settings; ENVIRONMENT is {}.\n", self.environment);
        let mut section = "";
        for key in keys() {
            let (room, name) = key.path.split_once('.').unwrap_or(("", key.path));
            if room != section {
                let _ = writeln!(page, "\n[{room}]");
                section = room;
            }
            if let Some(setting) = self.values.setting(key.path) {
                let line = format!("{name} = {}", setting.value.show());
                let _ = writeln!(page, "{line:<48} # {}", setting.origin);
            }
        }
        page
    }

    /// One line for `cmg config check`: which environment, how many settings, how many of them not the default.
    pub fn summary(&self) -> String {
        let changed =
            keys().filter_map(|key| self.values.setting(key.path)).filter(|setting| setting.is_changed()).count();
        format!(
            "The configuration is good: {} environment, {} settings, {changed} changed.",
            self.environment,
            keys().count()
        )
    }
}

fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Bool => kind.name().to_owned(),
        _ => format!("{}: {}", kind.name(), kind.allowed()),
    }
}

/// The documentation in one line.
fn words(key: &Key) -> String {
    key.doc.split_whitespace().collect::<Vec<_>>().join(" ")
}
