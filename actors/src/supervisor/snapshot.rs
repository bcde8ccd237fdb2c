//! Snapshots: when one is due, and how it is written beside the requests.
//!
//! What is written comes from published threads, which are immutable; nobody waits. Threads at rest
//! that did not change are carried over as bytes, those that did are read and written anew.

use crate::directory::{Directory, Running};
use crate::error::MemoryError;
use crate::workspace::{CATALOGUE_PART, Workspace, load_thread};
use cmg_memory::thread::Thread;
use cmg_snapshots::{SnapshotInfo, SnapshotWriter, WriteError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// The first workspace whose journal has grown too long, or too old.
pub(super) fn due(directory: &Directory, last: impl Fn(u32) -> Instant) -> Option<Running> {
    let settings = &directory.shared.settings;
    directory.shared.all_running().into_iter().find(|running| {
        let bytes = directory.shared.store.journal_bytes_since_snapshot(running.workspace.no).unwrap_or(0);
        bytes >= settings.snapshot_after_bytes
            || (bytes > 0 && last(running.workspace.no.0).elapsed() >= settings.snapshot_after)
    })
}

/// Writes a snapshot of a workspace. Blocks.
pub(super) fn write(workspace: &Arc<Workspace>) -> Result<SnapshotInfo, MemoryError> {
    let (covers, catalogue, threads) = {
        let catalogue = workspace.catalogue();
        let threads: BTreeMap<u32, String> = catalogue.threads().map(|(no, entry)| (no, entry.id.clone())).collect();
        let bytes = catalogue.store().map_err(|_| MemoryError::Internal)?;
        (catalogue.seq(), bytes, threads)
    };
    let mut writer = workspace.store.begin_snapshot(workspace.no, covers)?;
    let before: BTreeMap<u32, u64> =
        workspace.store.parts(workspace.no)?.into_iter().map(|part| (part.part, part.covers)).collect();
    writer.put(CATALOGUE_PART, covers, &catalogue)?;
    for (&no, id) in &threads {
        write_thread(workspace, &mut writer, (no, id), before.contains_key(&no))?;
    }
    for gone in writer.missing().into_iter().filter(|no| !threads.contains_key(no)) {
        writer.forget(gone);
    }
    Ok(writer.finish()?)
}

/// Carries a thread over if nothing changed, else writes it as it stands now.
fn write_thread(
    workspace: &Arc<Workspace>,
    writer: &mut SnapshotWriter,
    (no, id): (u32, &str),
    carried_before: bool,
) -> Result<(), MemoryError> {
    if carried_before && workspace.live(id).is_none() {
        match writer.carry(no) {
            Ok(()) => return Ok(()),
            // Changed since, or damaged there: read it and write it anew.
            Err(WriteError::Refused { .. } | WriteError::Damaged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let thread: Arc<Thread> = match workspace.live(id) {
        Some(live) => live.peek(),
        None => Arc::new(load_thread(workspace, no, id)?.thread),
    };
    let bytes = thread.store().map_err(|_| MemoryError::Internal)?;
    Ok(writer.put(no, thread.seq, &bytes)?)
}
