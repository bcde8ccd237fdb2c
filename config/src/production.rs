//! What production refuses: secrets that are missing, short, or known to everybody, and aids for developers.

use crate::Config;
use crate::error::ConfigError;
use crate::secret::{DEVELOPMENT_SECRET_KEY, SECRET_KEY_CHARS, Secret};

/// Characters that an administrator's token or password needs at least.
const ADMIN_CHARS: usize = 12;

/// Words that examples put where a secret belongs.
const PLACEHOLDERS: [&str; 8] =
    ["changeme", "change-me", "change_me", "your-secret", "your_secret", "admin123", "password", "example"];

/// Every reason why this configuration must not run in production.
pub(crate) fn refusals(config: &Config) -> Vec<ConfigError> {
    let token = config.admin.token.as_ref();
    let password = config.admin.password.as_ref();
    let found = [
        ("secrets.secret_key", "SECRET_KEY", weakness(Some(&config.secrets.secret_key), SECRET_KEY_CHARS)),
        ("admin.token", "ADMIN_TOKEN", weakness(token, ADMIN_CHARS)),
        ("admin.password", "ADMIN_PASSWORD", weakness(password, ADMIN_CHARS)),
        ("server.debug", "DEBUG", config.server.debug.then(|| "must be off".to_owned())),
    ];
    found
        .into_iter()
        .filter_map(|(key, env, problem)| problem.map(|problem| ConfigError::Refused { key, env, problem }))
        .collect()
}

fn weakness(secret: Option<&Secret>, least: usize) -> Option<String> {
    let text = secret.map_or("", Secret::expose);
    let lower = text.to_ascii_lowercase();
    if text.is_empty() {
        Some("is not set".to_owned())
    } else if text == DEVELOPMENT_SECRET_KEY {
        Some("is the default of development, which everybody knows".to_owned())
    } else if PLACEHOLDERS.iter().any(|word| lower.contains(word)) {
        Some("is a placeholder from an example".to_owned())
    } else if text.chars().count() < least {
        Some(format!("is too short: at least {least} characters"))
    } else if lower.chars().all(|c| lower.starts_with(c)) {
        Some("is one character over and over".to_owned())
    } else {
        None
    }
}
