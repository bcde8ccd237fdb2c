//! Writes one generation of a workspace's snapshot.
//!
//! # Invariants
//!
//! - A generation is refused when it would forget something: a part of the generation before, or
//!   a thread with frames since, that was neither put nor carried nor given up with
//!   [`SnapshotWriter::forget`].
//! - A part is refused when frames of its thread lie between what it covers and what the
//!   generation covers: after trimming they would be nowhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{SnapshotInfo, place, read_sealed};
use crate::{
    Damage, Store, WorkspaceNo, WriteError,
    journal::{Walk, committer::Change},
    layout,
    record::{self, Finished, Manifest, PartRecord},
    seal::Keyring,
    store::cannot_encode,
};

/// How many pieces of a part go into one commit: 64 × 6 KiB.
const PIECES_AT_ONCE: usize = 64;

/// A generation in the making; dropped before [`SnapshotWriter::finish`] it counts for nothing.
pub struct SnapshotWriter {
    store: Store,
    no: u32,
    _claim: Claim,
    keys: Arc<Keyring>,
    generation: u64,
    covers: u64,
    /// Bytes of frames ever appended up to `covers`.
    bytes_at_covers: u64,
    /// The newest readable generation before this one.
    previous: Option<(u64, Manifest)>,
    /// The last frame of each thread since then, up to `covers`.
    changed: BTreeMap<u32, u64>,
    parts: BTreeMap<u32, PartRecord>,
    forgotten: BTreeSet<u32>,
}

fn refused(reason: String) -> WriteError {
    WriteError::Refused { reason }
}

/// The right to write a workspace's snapshot; dropping it gives the right back.
struct Claim {
    store: Store,
    no: u32,
}

impl Claim {
    fn take(store: &Store, no: u32) -> Result<Claim, WriteError> {
        let workspace = WorkspaceNo(no);
        let mut state = store.shared().lock();
        let entry = state.workspaces.get_mut(&no).ok_or(WriteError::UnknownWorkspace { workspace })?;
        if entry.snapshot_running {
            return Err(refused(format!("a snapshot of workspace {no} is being written")));
        }
        entry.snapshot_running = true;
        Ok(Claim { store: store.clone(), no })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(entry) = self.store.shared().lock().workspaces.get_mut(&self.no) {
            entry.snapshot_running = false;
        }
    }
}

impl SnapshotWriter {
    pub(super) fn begin(store: &Store, no: u32, covers: u64) -> Result<Self, WriteError> {
        let claim = Claim::take(store, no)?;
        let (keys, head) = store.keys_and_head(no)?;
        if covers > head.seq || covers < head.newest.covers {
            return Err(refused(format!(
                "a snapshot now can cover frames {} to {}, not {covers}",
                head.newest.covers, head.seq
            )));
        }
        let (previous, _) = store.newest_manifest(no, &keys, &head)?;
        store.sweep_snapshots(no)?;
        let since = previous.as_ref().map_or(0, |(_, manifest)| manifest.covers);
        let mut changed = BTreeMap::new();
        let mut bytes_at_covers = head.bytes;
        let generation = head.newest.generation + 1;
        for checked in Walk::start(&store.shared().engine, no, Arc::clone(&keys), head, since)? {
            let checked = checked?;
            if checked.header.seq > covers {
                bytes_at_covers = bytes_at_covers.saturating_sub(checked.bytes.len() as u64);
            } else {
                changed.insert(checked.header.thread_no, checked.header.seq);
            }
        }
        Ok(SnapshotWriter {
            store: store.clone(),
            no,
            _claim: claim,
            keys,
            generation,
            covers,
            bytes_at_covers,
            previous,
            changed,
            parts: BTreeMap::new(),
            forgotten: BTreeSet::new(),
        })
    }

    /// Adds a part that holds the effect of all its frames up to `covers`.
    ///
    /// # Errors
    ///
    /// [`WriteError::Refused`] when the part was given already, `covers` lies after the durable
    /// head, or frames of the part's thread lie between `covers` and what the generation covers;
    /// the general ones.
    pub fn put(&mut self, part: u32, covers: u64, plain: &[u8]) -> Result<(), WriteError> {
        let (_, head) = self.store.keys_and_head(self.no)?;
        if covers > head.seq {
            return Err(refused(format!("part {part} covers frame {covers}; only {} are durable", head.seq)));
        }
        self.check(part, covers)?;
        let sealed = self.keys.seal(&place(self.no, part), plain).map_err(cannot_encode)?;
        self.write(part, covers, plain.len() as u64, &sealed)
    }

    /// Takes a part over from the generation before, which nothing has changed since.
    ///
    /// # Errors
    ///
    /// [`WriteError::Refused`] when there is no such part, or frames of its thread came since;
    /// [`WriteError::Damaged`] when the part is damaged there: load it, replay, and put it; the
    /// general ones.
    pub fn carry(&mut self, part: u32) -> Result<(), WriteError> {
        let found = self
            .previous
            .as_ref()
            .and_then(|(generation, manifest)| manifest.part(part).map(|record| (*generation, record.clone())));
        let Some((generation, record)) = found else {
            return Err(refused(format!("the snapshot before has no part {part}")));
        };
        self.check(part, record.covers)?;
        let sealed = read_sealed(&self.store.shared().engine, self.no, generation, &record)
            .map_err(|reason| Damage::Part { workspace: WorkspaceNo(self.no), part, reasons: vec![reason] })?;
        self.write(part, record.covers, record.plain_bytes, &sealed)
    }

    /// Says that a part of the generation before, or a thread, is gone for good.
    pub fn forget(&mut self, part: u32) {
        self.forgotten.insert(part);
    }

    /// Parts of the generation before, and threads changed since, that are not in this one yet.
    #[must_use]
    pub fn missing(&self) -> BTreeSet<u32> {
        let before = self.previous.iter().flat_map(|(_, manifest)| &manifest.parts);
        before
            .map(|record| record.part)
            .chain(self.changed.keys().copied())
            .filter(|part| !self.parts.contains_key(part) && !self.forgotten.contains(part))
            .collect()
    }

    fn check(&self, part: u32, covers: u64) -> Result<(), WriteError> {
        if self.parts.contains_key(&part) {
            return Err(refused(format!("part {part} is in this snapshot already")));
        }
        match self.changed.get(&part) {
            Some(seq) if *seq > covers => {
                Err(refused(format!("part {part} covers frame {covers}, but frame {seq} is of the same thread")))
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, part: u32, covers: u64, plain_bytes: u64, sealed: &[u8]) -> Result<(), WriteError> {
        let ops = layout::put_pieces(&layout::part(self.no, self.generation, part), sealed);
        for some in ops.chunks(PIECES_AT_ONCE) {
            self.store.shared().change(Change::put(some.to_vec()))?;
        }
        let record = PartRecord {
            part,
            // No frame of this part lies in between, so it holds the generation's state as well.
            covers: covers.max(self.covers),
            plain_bytes,
            stored_bytes: sealed.len() as u64,
            hash: *blake3::hash(sealed).as_bytes(),
        };
        self.parts.insert(part, record);
        Ok(())
    }

    /// Makes the generation count, then deletes what is older than the newest two and trims the
    /// journal up to what the older of them covers.
    ///
    /// # Errors
    ///
    /// [`WriteError::Refused`] when parts are missing, naming them; the general ones. Trouble
    /// while deleting and trimming is logged and made up for by the next snapshot.
    pub fn finish(mut self) -> Result<SnapshotInfo, WriteError> {
        let missing = self.missing();
        if !missing.is_empty() {
            return Err(refused(format!(
                "the snapshot lacks parts that exist: {missing:?}; put, carry or forget them"
            )));
        }
        let parts = std::mem::take(&mut self.parts).into_values().collect();
        let manifest = Manifest { covers: self.covers, parts };
        let key = layout::manifest(self.no, self.generation);
        let sealed = record::encode(&manifest).and_then(|plain| self.keys.seal(&key, &plain)).map_err(cannot_encode)?;
        let mut change = Change::put(layout::put_pieces(&key, &sealed));
        let newest = Finished { generation: self.generation, covers: self.covers };
        let bytes = self.bytes_at_covers;
        let previous = self.previous.as_ref().map(|(generation, _)| *generation);
        change.head = Some((
            self.no,
            Box::new(move |head| {
                // A generation whose manifest cannot be read is no fallback.
                if previous == Some(head.newest.generation) {
                    head.older = head.newest;
                } else if previous != Some(head.older.generation) {
                    head.older = Finished::default();
                }
                head.newest = newest;
                head.snapshot_bytes = bytes;
            }),
        ));
        self.store.shared().change(change)?;
        let (_, head) = self.store.keys_and_head(self.no)?;
        let tidied = self
            .store
            .sweep_snapshots(self.no)
            .and_then(|_| if head.older.generation > 0 { self.store.trim(self.no, head.older.covers) } else { Ok(()) });
        if let Err(error) = tidied {
            tracing::warn!(workspace = self.no, %error, "an old snapshot was not cleaned up");
        }
        Ok(manifest.info(self.generation))
    }
}

impl std::fmt::Debug for SnapshotWriter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SnapshotWriter")
            .field("workspace", &self.no)
            .field("generation", &self.generation)
            .field("covers", &self.covers)
            .finish_non_exhaustive()
    }
}
