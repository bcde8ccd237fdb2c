//! Options, secrets and their load order.
//!
//! # Promise
//!
//! [`Config::load`] answers a configuration in which every value has passed the check of its key, or **all** that is
//! wrong with it at once: each error names the file and line or the variable, and says what is allowed.
//!
//! # Load order
//!
//! Later ones win:
//!
//! 1. `default.toml`, compiled in: every key has its default there.
//! 2. `<ENVIRONMENT>.toml`: the file of that name in `./config` if there is one, else the compiled-in one.
//! 3. The file given by `--config`.
//! 4. The environment variables; an empty one counts as not set.
//!
//! # Invariants
//!
//! - One table (the module `table` and the rooms) makes the structs, the parser and [`reference()`].
//! - No error, `Debug` or [`Config::show`] holds the value of a secret.
//! - In production nothing starts on secrets that are missing or known to everybody.
//!
//! # Deliberately absent
//!
//! I/O beyond reading these files, logging, other crates of the house, and any behaviour: a setting is read here and
//! obeyed elsewhere.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

mod admin;
mod error;
mod gateway;
mod journal;
mod layers;
mod limits;
mod memory;
mod production;
mod secret;
mod server;
mod show;
mod table;
mod telemetry;

pub use admin::Admin;
pub use error::{ConfigError, ConfigErrors, Origin};
pub use gateway::Gateway;
pub use journal::{DatabaseUrl, Journal};
pub use limits::Limits;
pub use memory::{EmbeddingModel, KeywordIndex, Memory, Redaction, VectorIndex};
pub use secret::{DEVELOPMENT_SECRET_KEY, Secret, Secrets};
pub use server::Server;
pub use show::{KeyDoc, reference, reference_markdown};
pub use telemetry::{LogLevel, Telemetry};

use layers::Layers;
use table::{Key, Value, Values};

/// Which files are read and how strict the start is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Environment {
    /// On a developer's machine: a default secret key, nothing refused.
    #[default]
    Development,
    /// In tests: a free port, few log lines.
    Test,
    /// For real: no start without secrets of its own.
    Production,
}

impl Environment {
    pub(crate) const ALL: [Self; 3] = [Self::Development, Self::Test, Self::Production];

    /// The word in `ENVIRONMENT`, and the name of its file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Test => "test",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a configuration is read from.
///
/// The default is nowhere: the compiled-in defaults of development.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The environment variables.
    pub env: BTreeMap<String, OsString>,
    /// The folder that may hold `<ENVIRONMENT>.toml`.
    pub folder: Option<PathBuf>,
    /// The file given by `--config`.
    pub file: Option<PathBuf>,
}

impl Sources {
    /// What a process reads: its environment, `./config`, and the file given by `--config`.
    pub fn of_process(file: Option<PathBuf>) -> Self {
        let env = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        Self { env, folder: Some(PathBuf::from("config")), file }
    }

    /// Nothing but these variables.
    pub fn of_variables<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let env = variables.into_iter().map(|(name, value)| (name.to_owned(), OsString::from(value))).collect();
        Self { env, ..Self::default() }
    }
}

/// Every setting, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which environment this is.
    pub environment: Environment,
    /// How the HTTP server listens and what it takes.
    pub server: Server,
    /// Where everything durable goes.
    pub journal: Journal,
    /// How memory is kept, found and handed back.
    pub memory: Memory,
    /// What one API key may ask for.
    pub limits: Limits,
    /// How the admin API and pages are entered.
    pub admin: Admin,
    /// Which upstream the LLM gateway talks to.
    pub gateway: Gateway,
    /// What the server says about itself.
    pub telemetry: Telemetry,
    /// The keys that seal what is stored and let the first caller in.
    pub secrets: Secrets,
    /// What was loaded, with its sources, for [`Config::show`].
    values: Values,
}

impl Config {
    /// Reads, merges and checks every source; all errors come together.
    pub fn load(sources: &Sources) -> Result<Self, ConfigErrors> {
        let (environment, wrong) = match layers::environment(sources) {
            Ok(environment) => (environment, None),
            Err(error) => (Environment::default(), Some(error)),
        };
        let mut layers = Layers::of(sources, environment);
        imply(&mut layers);
        let config = Self::read(environment, layers.values);

        let mut errors: Vec<_> = wrong.into_iter().chain(layers.errors).collect();
        if environment == Environment::Production {
            errors.extend(production::refusals(&config));
        } else if config.secrets.secret_key.is_empty() {
            errors.push(ConfigError::Contradiction("secrets.secret_key (SECRET_KEY): must not be empty".to_owned()));
        }
        if errors.is_empty() { Ok(config) } else { Err(ConfigErrors(errors)) }
    }

    fn read(environment: Environment, values: Values) -> Self {
        Self {
            environment,
            server: Server::read(&values),
            journal: Journal::read(&values),
            memory: Memory::read(&values),
            limits: Limits::read(&values),
            admin: Admin::read(&values),
            gateway: Gateway::read(&values),
            telemetry: Telemetry::read(&values),
            secrets: Secrets::read(&values),
            values,
        }
    }
}

impl Default for Config {
    /// The compiled-in defaults of development, without any file or variable; for tests of other crates.
    fn default() -> Self {
        Self::read(Environment::Development, layers::development())
    }
}

/// Settings that follow from others: `DEBUG` lowers the log level unless somebody set one.
fn imply(layers: &mut Layers) {
    if layers.values.get::<bool>("server.debug") && !layers.is_given("telemetry.log_level") {
        let debug = Value::Text(LogLevel::Debug.as_str().to_owned());
        layers.values.put("telemetry.log_level", debug, Origin::Implied("server.debug"));
    }
}

/// Every row of the table, room by room.
fn keys() -> impl Iterator<Item = &'static Key> {
    [
        Server::KEYS,
        Journal::KEYS,
        Memory::KEYS,
        Limits::KEYS,
        Admin::KEYS,
        Gateway::KEYS,
        Telemetry::KEYS,
        Secrets::KEYS,
    ]
    .into_iter()
    .flatten()
}
