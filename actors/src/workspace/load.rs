//! From the disk to memory: a workspace's catalogue, and one thread at a time.
//!
//! The newest good snapshot, then the journal behind it. Blocking: called on threads for that.

use super::Workspace;
use crate::error::MemoryError;
use cmg_memory::catalogue::Catalogue;
use cmg_memory::codec::{self, CodecError};
use cmg_memory::event::Record;
use cmg_memory::plan::Owned;
use cmg_memory::thread::Thread;
use cmg_snapshots::{Damage, Store, WorkspaceNo};

/// The part of a snapshot that holds the catalogue; threads are parts by their own number.
pub(crate) const CATALOGUE_PART: u32 = 0;
/// A snapshot that is finished while we read takes the journal's beginning away; then we look again.
const ATTEMPTS: usize = 3;

/// The catalogue of a workspace as of its last durable frame.
pub(crate) fn load_catalogue(store: &Store, no: WorkspaceNo) -> Result<Catalogue, MemoryError> {
    let part = store.load_part(no, CATALOGUE_PART)?;
    let mut catalogue: Catalogue = match &part.bytes {
        Some(bytes) => Catalogue::restore(bytes).map_err(|error| damaged(&error))?,
        None => Catalogue::default(),
    };
    for frame in store.replay(no, part.covers, None)? {
        let frame = frame?;
        let record: Record = codec::decode(&frame.payload).map_err(|error| damaged(&error))?;
        catalogue.apply(frame.seq, frame.thread_no, &record);
    }
    Ok(catalogue)
}

/// A thread as of its last durable frame; one in which nothing has happened when there is none.
pub(crate) fn load_thread(workspace: &Workspace, no: u32, id: &str) -> Result<Owned, MemoryError> {
    for _ in 1..ATTEMPTS {
        match try_load_thread(workspace, no, id) {
            Err(Failure::Damage(Damage::Trimmed { .. })) => {}
            other => return other.map_err(MemoryError::from),
        }
    }
    try_load_thread(workspace, no, id).map_err(MemoryError::from)
}

fn try_load_thread(workspace: &Workspace, no: u32, id: &str) -> Result<Owned, Failure> {
    let part = workspace.store.load_part(workspace.no, no)?;
    for note in &part.notes {
        tracing::warn!(workspace = %workspace.no, thread = no, note, "an older snapshot was used");
    }
    let mut thread = match &part.bytes {
        Some(bytes) => Thread::restore(bytes)?,
        None => Thread::new(id, no, workspace.embedder.id()),
    };
    thread.expect_model(workspace.embedder.id());
    let mut owned = Owned::new(thread);
    for frame in workspace.store.replay(workspace.no, part.covers, Some(no))? {
        let frame = frame?;
        let record: Record = codec::decode(&frame.payload)?;
        owned.apply(frame.seq, &record);
    }
    Ok(owned)
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Damage(#[from] Damage),
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl From<Failure> for MemoryError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Damage(damage) => damage.into(),
            Failure::Codec(error) => damaged(&error),
        }
    }
}

fn damaged(error: &CodecError) -> MemoryError {
    tracing::error!(%error, "stored memory cannot be decoded");
    MemoryError::Damaged
}
