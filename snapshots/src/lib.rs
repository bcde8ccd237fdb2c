//! Everything that must survive: the journal, the snapshots and a few small records.
//!
//! # Promise
//!
//! What was acknowledged is there after `kill -9` and after a power cut, or the store says by name
//! what is missing. What lies on the disk is sealed; equal texts give unequal bytes.
//!
//! # Invariants
//!
//! - An acknowledgement follows the sync of the database's own file, never the other way round.
//! - One thread writes, in commits that everybody waiting shares ([`journal`]).
//! - sled is known to one module (`engine`), bincode to one (`record`), the cipher to one (`seal`).
//!
//! # Deliberately absent
//!
//! Items, threads beyond their number, ranking, clocks, HTTP and actors: a frame and a part of a
//! snapshot are bytes.

mod disk;
mod engine;
mod error;
pub mod journal;
mod keyfile;
mod layout;
mod record;
mod records;
mod seal;
mod secret;
pub mod snapshot;
mod store;
mod tip;

#[doc(hidden)]
pub use disk::{Disk, RealDisk};
pub use error::{AppendError, Damage, OpenError, WriteError};
pub use journal::{AppendTicket, Frame, NewFrame, Replay};
pub use secret::Secret;
pub use snapshot::{GenerationReport, JournalReport, LoadedPart, PartInfo, SnapshotInfo, SnapshotWriter, VerifyReport};
pub use store::{OpenReport, Store, StoreOptions, WorkspaceEntry};

/// The number of a workspace inside a store; never used again after a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkspaceNo(pub u32);

impl std::fmt::Display for WorkspaceNo {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)
    }
}

/// Entry points for fuzzers and property tests.
#[doc(hidden)]
pub mod fuzzing {
    /// Decodes a frame; true when length, checksum and version are right.
    #[must_use]
    pub fn decode_frame(bytes: &[u8]) -> bool {
        crate::journal::frame::decode(bytes).is_ok()
    }

    /// Decodes a manifest of a snapshot as it is after the seal.
    #[must_use]
    pub fn decode_manifest(bytes: &[u8]) -> bool {
        crate::record::decode::<crate::record::Manifest>(bytes).is_ok()
    }

    /// Decodes a key file.
    #[must_use]
    pub fn decode_key_file(bytes: &[u8]) -> bool {
        crate::keyfile::KeyFile::parse(bytes).is_ok()
    }
}
