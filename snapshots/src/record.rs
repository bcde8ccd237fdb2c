//! Small structured records as bytes: a version byte, then bincode. The only module that knows
//! bincode.
//!
//! # Invariants
//!
//! - A record of a version that is not known is refused, never guessed.
//! - Decoding garbage cannot allocate beyond [`LIMIT`], leave bytes over, or panic.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;

use crate::seal::Mark;

/// The version byte of every record written today.
const VERSION: u8 = 1;
/// The longest record in bytes.
const LIMIT: usize = 16 * 1024 * 1024;

/// The bytes of `record`.
pub(crate) fn encode(record: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![VERSION];
    bincode::serde::encode_into_std_write(record, &mut bytes, bincode::config::standard()).map_err(io::Error::other)?;
    Ok(bytes)
}

/// The record in `bytes`, or which check failed.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let (&version, rest) = bytes.split_first().ok_or("it is empty")?;
    if version != VERSION {
        return Err(format!("it has version {version}, this program knows {VERSION}"));
    }
    let config = bincode::config::standard().with_limit::<LIMIT>();
    let (record, used) =
        bincode::serde::decode_from_slice(rest, config).map_err(|error| format!("it cannot be decoded ({error})"))?;
    if used == rest.len() { Ok(record) } else { Err("bytes are left over".to_owned()) }
}

/// A workspace's name and data keys; sealed by the key-encryption key.
#[derive(Serialize, Deserialize)]
pub(crate) struct WorkspaceRecord {
    pub(crate) name: String,
    pub(crate) keys: Vec<(u32, [u8; 32])>,
}

/// A finished generation of a workspace's snapshot; number 0 means none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub(crate) generation: u64,
    pub(crate) covers: u64,
}

/// Where a workspace's journal and snapshots stand; written in the same batch as its frames.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The last durable frame and its chain mark.
    pub(crate) seq: u64,
    pub(crate) chain: Mark,
    /// The last frame that was trimmed away and its chain mark.
    pub(crate) trimmed: u64,
    pub(crate) trimmed_chain: Mark,
    /// Bytes of frames ever appended, and how many of them the newest snapshot covers.
    pub(crate) bytes: u64,
    pub(crate) snapshot_bytes: u64,
    pub(crate) newest: Finished,
    pub(crate) older: Finished,
}

/// How many workspaces there are, and the number of the next one.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Census {
    pub(crate) next: u32,
    pub(crate) alive: u32,
}

/// How many small records there are, and all their marks XORed: a lost one cannot go unnoticed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Roll {
    pub(crate) count: u64,
    pub(crate) marks: Mark,
}

/// One small record, sealed as a whole.
#[derive(Serialize, Deserialize)]
pub(crate) struct SmallRecord {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) plain: Vec<u8>,
}

/// What a snapshot generation consists of; sealed.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) covers: u64,
    pub(crate) parts: Vec<PartRecord>,
}

/// One part of a generation.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub(crate) part: u32,
    pub(crate) covers: u64,
    pub(crate) plain_bytes: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) hash: [u8; 32],
}
