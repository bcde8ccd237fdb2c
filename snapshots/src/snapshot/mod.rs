//! Snapshots: the state of a workspace in parts, so that a start need not replay everything.
//!
//! Part 0 is the workspace's own, part *n* > 0 is thread *n*'s. The newest two generations are
//! kept, each complete in itself, and the journal back to the older one.
//!
//! # Promise
//!
//! [`Store::load_part`] yields a part exactly as it was put, from the newest generation that is
//! whole; a fallback is told in the notes, and when no generation is whole the error names each.
//!
//! # Invariants
//!
//! - A generation counts from the commit that holds its manifest and the head that names it; what
//!   a crash leaves before that is swept by the next open.
//! - The manifest holds the hash of every part; it is sealed, and bound to its generation.
//! - The journal is trimmed only up to what the *older* generation covers.
//!
//! # Deliberately absent
//!
//! When to take a snapshot, and what is in a part.

mod writer;

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    Damage, Store, WorkspaceNo, WriteError,
    engine::Engine,
    journal::{committer::Change, frame},
    layout,
    record::{self, Finished, Head, Manifest, PartRecord},
    seal::Keyring,
};

pub use writer::SnapshotWriter;

/// Frames that one commit trims at most.
const TRIM_AT_ONCE: u64 = 256;

/// A finished generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its number; a higher one is newer.
    pub generation: u64,
    /// The last frame whose effect is in it.
    pub covers: u64,
    /// Bytes it takes, compressed and sealed.
    pub bytes: u64,
    /// How many parts it has.
    pub parts: usize,
}

/// A part of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartInfo {
    /// Its number.
    pub part: u32,
    /// The last frame whose effect is in it.
    pub covers: u64,
    /// Its length in bytes as it was put.
    pub bytes: u64,
}

/// What a part's owner starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedPart {
    /// The part as it was put; `None` when it did not exist yet at `covers`.
    pub bytes: Option<Vec<u8>>,
    /// Replay the frames after this one.
    pub covers: u64,
    /// The generation it comes from; 0 when it comes from the journal alone.
    pub generation: u64,
    /// What was wrong with newer generations, one sentence each.
    pub notes: Vec<String>,
}

/// What [`Store::verify`] found in one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationReport {
    /// Its number.
    pub generation: u64,
    /// The last frame whose effect is in it.
    pub covers: u64,
    /// How many parts were read, opened and found whole.
    pub good_parts: usize,
    /// What is wrong, one sentence each.
    pub damage: Vec<String>,
}

/// What [`Store::verify`] found in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalReport {
    /// Frames up to this one live in snapshots only.
    pub trimmed: u64,
    /// The last acknowledged frame.
    pub head: u64,
    /// How many frames were read, opened and found whole, before the first damage.
    pub good_frames: u64,
    /// The first damage.
    pub damage: Option<Damage>,
}

/// What [`Store::verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The kept generations, the newest first.
    pub generations: Vec<GenerationReport>,
    /// The journal from the last trimmed frame to the head.
    pub journal: JournalReport,
}

impl VerifyReport {
    /// True when nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.journal.damage.is_none() && self.generations.iter().all(|generation| generation.damage.is_empty())
    }
}

/// A generation's number and manifest.
type Numbered = (u64, Manifest);

/// What a sealed part is bound to: not the generation, so that it can be carried on.
fn place(no: u32, part: u32) -> Vec<u8> {
    [b"part".as_slice(), &no.to_be_bytes(), &part.to_be_bytes()].concat()
}

impl Manifest {
    fn part(&self, part: u32) -> Option<&PartRecord> {
        self.parts.iter().find(|record| record.part == part)
    }

    fn info(&self, generation: u64) -> SnapshotInfo {
        SnapshotInfo {
            generation,
            covers: self.covers,
            bytes: self.parts.iter().map(|part| part.stored_bytes).sum(),
            parts: self.parts.len(),
        }
    }
}

impl Head {
    /// The finished generations, the newest first.
    fn generations(&self) -> impl Iterator<Item = Finished> + use<> {
        [self.newest, self.older].into_iter().filter(|finished| finished.generation > 0)
    }
}

/// Reads a manifest, or says what is wrong with it.
fn read_manifest(engine: &Engine, keys: &Keyring, no: u32, generation: u64) -> Result<Manifest, String> {
    let key = layout::manifest(no, generation);
    let of = |reason: &str| format!("the manifest of snapshot {generation} {reason}");
    let sealed = engine
        .get_pieces(&key)
        .map_err(|damage| of(&format!("cannot be read ({damage})")))?
        .ok_or_else(|| of("is missing"))?;
    let plain = keys.open(&key, &sealed).ok_or_else(|| of("is damaged"))?;
    record::decode(&plain).map_err(|reason| of(&format!("is damaged: {reason}")))
}

/// Reads the sealed bytes of a part, or says what is wrong with them.
fn read_sealed(engine: &Engine, no: u32, generation: u64, part: &PartRecord) -> Result<Vec<u8>, String> {
    let of = |reason: &str| format!("part {} of snapshot {generation} {reason}", part.part);
    let sealed = engine
        .get_pieces(&layout::part(no, generation, part.part))
        .map_err(|damage| of(&format!("cannot be read ({damage})")))?
        .ok_or_else(|| of("is missing or has a hole"))?;
    if sealed.len() as u64 != part.stored_bytes {
        return Err(of(&format!("has {} of {} bytes", sealed.len(), part.stored_bytes)));
    }
    if *blake3::hash(&sealed).as_bytes() != part.hash {
        return Err(of("does not fit its hash"));
    }
    Ok(sealed)
}

/// Reads a part as it was put, or says what is wrong with it.
fn read_part(engine: &Engine, keys: &Keyring, no: u32, generation: u64, part: &PartRecord) -> Result<Vec<u8>, String> {
    let sealed = read_sealed(engine, no, generation, part)?;
    keys.open(&place(no, part.part), &sealed)
        .ok_or_else(|| format!("the seal of part {} of snapshot {generation} is broken", part.part))
}

impl Store {
    /// The newest manifest that can be read, and what is wrong with newer ones. `None` when there
    /// is none; that is no damage as long as the journal reaches back to the beginning.
    fn newest_manifest(&self, no: u32, keys: &Keyring, head: &Head) -> Result<(Option<Numbered>, Vec<String>), Damage> {
        let mut notes = Vec::new();
        for Finished { generation, .. } in head.generations() {
            match read_manifest(&self.shared().engine, keys, no, generation) {
                Ok(manifest) => return Ok((Some((generation, manifest)), notes)),
                Err(reason) => notes.push(reason),
            }
        }
        if head.trimmed == 0 {
            Ok((None, notes))
        } else {
            Err(Damage::Part { workspace: WorkspaceNo(no), part: 0, reasons: notes })
        }
    }

    /// Begins a new generation that covers the frames up to `covers`. Reads the journal since the
    /// newest one: blocks, as do all methods of the writer.
    ///
    /// # Errors
    ///
    /// [`WriteError::Refused`] when one is being written already or `covers` lies before the
    /// newest generation or after the durable head; [`WriteError::Damaged`] when the journal or
    /// all manifests are; the general ones.
    pub fn begin_snapshot(&self, workspace: WorkspaceNo, covers: u64) -> Result<SnapshotWriter, WriteError> {
        SnapshotWriter::begin(self, workspace.0, covers)
    }

    /// Loads a part from the newest generation in which it is whole. Blocks.
    ///
    /// # Errors
    ///
    /// [`Damage::Part`] when no generation has it whole and the journal no longer reaches back to
    /// the beginning; [`Damage::UnknownWorkspace`].
    pub fn load_part(&self, workspace: WorkspaceNo, part: u32) -> Result<LoadedPart, Damage> {
        let no = workspace.0;
        loop {
            let (keys, head) = self.workspace(no)?;
            let loaded = self.load_part_of(no, part, &keys, &head);
            // A snapshot that was finished meanwhile has taken the older generation away.
            if loaded.is_ok() || self.workspace(no)?.1.newest == head.newest {
                return loaded;
            }
        }
    }

    fn load_part_of(&self, no: u32, part: u32, keys: &Keyring, head: &Head) -> Result<LoadedPart, Damage> {
        let engine = &self.shared().engine;
        let mut notes = Vec::new();
        for Finished { generation, .. } in head.generations() {
            let found = read_manifest(engine, keys, no, generation).and_then(|manifest| {
                let Some(record) = manifest.part(part) else {
                    return Ok((None, manifest.covers));
                };
                let bytes = read_part(engine, keys, no, generation, record)?;
                Ok((Some(bytes), record.covers))
            });
            match found {
                Ok((bytes, covers)) => {
                    return Ok(LoadedPart { bytes, covers, generation, notes });
                }
                Err(reason) => {
                    tracing::warn!(workspace = no, "{reason}");
                    notes.push(reason);
                }
            }
        }
        if head.trimmed == 0 {
            Ok(LoadedPart { bytes: None, covers: 0, generation: 0, notes })
        } else {
            Err(Damage::Part { workspace: WorkspaceNo(no), part, reasons: notes })
        }
    }

    /// The parts of the newest generation whose manifest can be read; empty without a snapshot.
    /// Blocks.
    ///
    /// # Errors
    ///
    /// [`Damage::Part`] when no manifest can be read and the journal no longer reaches back to the
    /// beginning; [`Damage::UnknownWorkspace`].
    pub fn parts(&self, workspace: WorkspaceNo) -> Result<Vec<PartInfo>, Damage> {
        let (keys, head) = self.workspace(workspace.0)?;
        let (newest, notes) = self.newest_manifest(workspace.0, &keys, &head)?;
        for note in notes {
            tracing::warn!(workspace = workspace.0, "{note}");
        }
        let info =
            |record: &PartRecord| PartInfo { part: record.part, covers: record.covers, bytes: record.plain_bytes };
        Ok(newest.map_or_else(Vec::new, |(_, manifest)| manifest.parts.iter().map(info).collect()))
    }

    /// The generations whose manifest can be read, the newest first; [`Store::verify`] names the
    /// others. Blocks.
    ///
    /// # Errors
    ///
    /// [`Damage::UnknownWorkspace`].
    pub fn snapshots(&self, workspace: WorkspaceNo) -> Result<Vec<SnapshotInfo>, Damage> {
        let (keys, head) = self.workspace(workspace.0)?;
        let read = |Finished { generation, .. }| {
            let manifest = read_manifest(&self.shared().engine, &keys, workspace.0, generation).ok()?;
            Some(manifest.info(generation))
        };
        Ok(head.generations().filter_map(read).collect())
    }

    /// Bytes of frames that a start would replay: those after the newest snapshot.
    ///
    /// # Errors
    ///
    /// [`Damage::UnknownWorkspace`].
    pub fn journal_bytes_since_snapshot(&self, workspace: WorkspaceNo) -> Result<u64, Damage> {
        let (_, head) = self.workspace(workspace.0)?;
        Ok(head.bytes.saturating_sub(head.snapshot_bytes))
    }

    /// Reads and opens every part of every generation and every frame of the journal. Blocks, and
    /// takes as long as reading all of it takes.
    ///
    /// # Errors
    ///
    /// [`Damage::UnknownWorkspace`]; other damage is in the report.
    pub fn verify(&self, workspace: WorkspaceNo) -> Result<VerifyReport, Damage> {
        let (keys, head) = self.workspace(workspace.0)?;
        let generations =
            head.generations().map(|finished| self.verify_generation(workspace.0, &keys, finished)).collect();
        let mut journal = JournalReport { trimmed: head.trimmed, head: head.seq, good_frames: 0, damage: None };
        match self.replay(workspace, head.trimmed, None) {
            Ok(replay) => {
                for frame in replay {
                    match frame {
                        Ok(_) => journal.good_frames += 1,
                        Err(damage) => journal.damage = Some(damage),
                    }
                }
            }
            Err(damage) => journal.damage = Some(damage),
        }
        Ok(VerifyReport { generations, journal })
    }

    fn verify_generation(&self, no: u32, keys: &Keyring, finished: Finished) -> GenerationReport {
        let Finished { generation, covers } = finished;
        let engine = &self.shared().engine;
        let mut report = GenerationReport { generation, covers, good_parts: 0, damage: Vec::new() };
        match read_manifest(engine, keys, no, generation) {
            Ok(manifest) => {
                for record in &manifest.parts {
                    match read_part(engine, keys, no, generation, record) {
                        Ok(_) => report.good_parts += 1,
                        Err(reason) => report.damage.push(reason),
                    }
                }
            }
            Err(reason) => report.damage.push(reason),
        }
        report
    }

    /// Deletes every piece of a generation that the head does not name; returns how many.
    pub(crate) fn sweep_snapshots(&self, no: u32) -> Result<usize, WriteError> {
        let (_, head) = self.workspace(no)?;
        let kept: BTreeSet<u64> = head.generations().map(|kept| kept.generation).collect();
        let mut swept = 0;
        for (kind, key) in
            [(b'm', layout::manifest as fn(u32, u64) -> Vec<u8>), (b's', layout::generation as fn(u32, u64) -> Vec<u8>)]
        {
            let (mut from, end) = layout::all_of(kind, no);
            for generation in &kept {
                swept += self.delete_range((from, key(no, *generation)))?;
                from = key(no, generation + 1);
            }
            swept += self.delete_range((from, end))?;
        }
        Ok(swept)
    }

    /// Deletes the frames up to `upto`, some at a time; each step moves the head's `trimmed`.
    fn trim(&self, no: u32, upto: u64) -> Result<(), WriteError> {
        loop {
            let (_, head) = self.workspace(no)?;
            if head.trimmed >= upto {
                return Ok(());
            }
            let last = upto.min(head.trimmed + TRIM_AT_ONCE);
            let workspace = WorkspaceNo(no);
            let engine = &self.shared().engine;
            let missing = Damage::MissingFrames { workspace, first: last, missing: 1, head: head.seq };
            let bytes = engine.get_pieces(&layout::frame(no, last))?.ok_or(missing)?;
            let chain = frame::decode(&bytes).map_err(|reason| Damage::Frame { workspace, seq: last, reason })?.chain;
            let (from, _) = layout::all_of(b'j', no);
            let keys = engine.keys((from, layout::frame(no, last + 1)), usize::MAX)?;
            let mut change = Change::delete(keys);
            change.head = Some((
                no,
                Box::new(move |head| {
                    head.trimmed = last;
                    head.trimmed_chain = chain;
                }),
            ));
            self.shared().change(change)?;
        }
    }

    /// The keys of a workspace, shared.
    pub(crate) fn keys_and_head(&self, no: u32) -> Result<(Arc<Keyring>, Head), WriteError> {
        self.workspace(no).map_err(|_| WriteError::UnknownWorkspace { workspace: WorkspaceNo(no) })
    }
}
