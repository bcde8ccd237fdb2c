//! The secret from which every key of a store is derived.
//!
//! # Invariants
//!
//! - It is never printed: `Debug` shows `Secret(***)`.
//! - Its bytes are overwritten when it is dropped.

use std::fmt;

use zeroize::Zeroizing;

/// The material of `SECRET_KEY`.
///
/// The derivation is salted but fast: the text must carry its own strength (32 random bytes,
/// written as hex or base64), it is not a place for a password that a person remembers.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the secret exactly as written; spaces and line ends count.
    #[must_use]
    pub fn new(text: &str) -> Secret {
        Secret(Zeroizing::new(text.as_bytes().to_vec()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(***)")
    }
}
