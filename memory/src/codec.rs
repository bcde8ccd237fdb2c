//! Bytes of records and snapshots: the one place that knows bincode.
//!
//! Every encoding starts with a version byte, so that the library behind it can be replaced
//! without rewriting what is stored (`docs/decisions/0003-frame-format-and-bincode.md`).
//!
//! # Deliberately absent
//!
//! Checksums and encryption: those are the journal's.

use serde::{Serialize, de::DeserializeOwned};

/// The only version so far: bincode 2, standard configuration.
const VERSION: u8 = 1;

/// Bytes that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Written by a later release.
    #[error("format version {found} is newer than this release reads ({VERSION}); upgrade to read it")]
    TooNew {
        /// The version byte.
        found: u8,
    },
    /// Not what it should be.
    #[error("stored bytes cannot be decoded: {0}")]
    Damaged(String),
}

/// The bytes of `value`.
///
/// # Errors
///
/// [`CodecError::Damaged`] when the value cannot be represented, which no type of this crate does.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = vec![VERSION];
    bincode::serde::encode_into_std_write(value, &mut bytes, bincode::config::standard())
        .map_err(|error| CodecError::Damaged(error.to_string()))?;
    Ok(bytes)
}

/// The value behind `bytes`.
///
/// # Errors
///
/// [`CodecError`] when they are of a later version, cut short, too long or otherwise wrong.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (&version, rest) = bytes.split_first().ok_or_else(|| CodecError::Damaged("empty".into()))?;
    if version != VERSION {
        return Err(CodecError::TooNew { found: version });
    }
    let (value, read) = bincode::serde::decode_from_slice(rest, bincode::config::standard())
        .map_err(|error| CodecError::Damaged(error.to_string()))?;
    if read == rest.len() {
        Ok(value)
    } else {
        Err(CodecError::Damaged(format!("{} bytes too many", rest.len() - read)))
    }
}
