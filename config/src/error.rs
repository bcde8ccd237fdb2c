//! What can be wrong with a configuration, in words that say where it stands and what would be right.
//!
//! No message holds the value of a secret, nor a URL with a user or password in it.

use std::fmt;

use crate::Environment;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `default.toml`, compiled in.
    Default,
    /// The compiled-in file of an environment.
    BuiltIn(Environment),
    /// A line of a file that was read.
    File {
        /// The file as it was named.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(&'static str),
    /// The file that `SECRET_KEY_FILE` names.
    SecretFile(String),
    /// It follows from another setting.
    Implied(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::BuiltIn(environment) => write!(f, "built-in {environment}.toml"),
            Self::File { file, line } => write!(f, "{file}, line {line}"),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::SecretFile(path) => write!(f, "file {path}"),
            Self::Implied(key) => write!(f, "follows from {key}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A file that was asked for cannot be read.
    #[error("{file}: cannot be read: {reason}")]
    Unreadable {
        /// The file as it was named.
        file: String,
        /// What the operating system says.
        reason: String,
    },
    /// A file is not TOML.
    #[error("{file}, line {line}: {message}")]
    Syntax {
        /// The file as it was named.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What the TOML parser says.
        message: String,
    },
    /// A file holds a key that does not exist.
    #[error("{file}, line {line}: unknown key `{key}`{}", guess(nearest))]
    UnknownKey {
        /// The file as it was named.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The whole path of the key.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<&'static str>,
    },
    /// The environment holds a `CMG_<SECTION>_…` variable that does not exist.
    #[error("variable {name}: unknown setting{}", guess(nearest))]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The known variable that looks most like it.
        nearest: Option<&'static str>,
    },
    /// A value is not among those that its key takes.
    #[error("{place}: {key} = {given}: allowed is {allowed}")]
    BadValue {
        /// The path of the key.
        key: String,
        /// Where the value stands.
        place: Origin,
        /// What was given; a secret is hidden.
        given: String,
        /// What is allowed.
        allowed: String,
    },
    /// Two settings contradict each other, or one stands where it cannot work.
    #[error("{0}")]
    Contradiction(String),
    /// Production does not start like this.
    #[error("ENVIRONMENT=production refuses to start: {key} ({env}) {problem}")]
    Refused {
        /// The path of the key.
        key: &'static str,
        /// The variable that sets it.
        env: &'static str,
        /// What is wrong with it, without its value.
        problem: String,
    },
}

/// Everything that is wrong, in the order in which it was found; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} problem{} in the configuration:", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|error| write!(f, "\n  - {error}"))
    }
}

impl std::error::Error for ConfigErrors {}

fn guess(nearest: &Option<&'static str>) -> String {
    nearest.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}
