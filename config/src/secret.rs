//! Secrets: a string that does not print itself, and the room of the keys that seal and open everything.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::table::{Kind, room};

/// What is shown in place of a secret, whatever its length.
pub(crate) const MASK: &str = "********";

/// The `SECRET_KEY` of development and test, written in the files of this crate and so known to everybody.
pub const DEVELOPMENT_SECRET_KEY: &str = "development-only-secret-key-do-not-use";

/// Characters that a `SECRET_KEY` needs at least in production.
pub(crate) const SECRET_KEY_CHARS: usize = 32;

/// Characters that follow `cmg_` in an API key at least.
const API_KEY_CHARS: usize = 32;

/// A string that prints as a mask and is overwritten when dropped.
///
/// It has no `==`: where a secret is compared, it is compared in constant time, by whoever does it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Every call of this is a place to look at in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True when there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

room! {
    /// The keys that seal what is stored and let the first caller in.
    Secrets in "secrets" {
        /// Seals the data keys of the journal and hashes API keys. Production wants at least 32 characters of your
        /// own; development and test have a default that everybody knows. Whoever loses it loses the data.
        secret_key: Secret = "SECRET_KEY", Kind::Secret { allowed: "a text", check: anything };
        /// A file that holds the secret key, for container secrets; one line end at its end is dropped. Give this or
        /// the key itself, not both.
        secret_key_file: Option<String> = "SECRET_KEY_FILE", Kind::Text { allowed: "a path", check: anything };
        /// An API key of workspace `default` that exists from the first start on, for containers and tests.
        bootstrap_api_key: Option<Secret> = "BOOTSTRAP_API_KEY",
            Kind::Secret { allowed: "`cmg_` and at least 32 letters, digits, `-` or `_`", check: is_api_key };
    }
}

fn anything(_: &str) -> bool {
    true
}

fn is_api_key(text: &str) -> bool {
    text.strip_prefix("cmg_").is_some_and(|rest| {
        rest.len() >= API_KEY_CHARS && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_a_mask_of_one_length() {
        let secret = Secret::new("hunter2");

        assert_eq!(format!("{secret} {secret:?}"), "******** ********");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn an_api_key_needs_its_prefix_its_length_and_url_safe_characters() {
        assert!(is_api_key(&format!("cmg_{}", "aZ0-_".repeat(7))));
        assert!(!is_api_key(&format!("cmg_{}", "a".repeat(31))), "31 characters are too few");
        assert!(!is_api_key(&format!("sk_{}", "a".repeat(40))), "the prefix is missing");
        assert!(!is_api_key(&format!("cmg_{}", "a+".repeat(20))), "+ is not url-safe");
    }
}
