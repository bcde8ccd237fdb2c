//! The tip: the number of the last commit, written beside sled's own file.
//!
//! sled recovers from a damaged log by cutting it off there, which silently takes the store back
//! to an earlier and consistent state: frames and heads alike. The tip, which lies elsewhere, then
//! is ahead of the database, and the loss has a name.
//!
//! # Invariants
//!
//! - The tip is written after the database is synced and before anyone is answered: never ahead
//!   of what is durable, never behind what was acknowledged while the machine runs.
//! - It is synced about once a second, not per commit: after a power cut it may lag, which only
//!   means that a damage of the last second goes unnoticed by this check.
//! - Two slots are written in turn, so a torn write leaves the other one.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    time::{Duration, Instant},
};

const MAGIC: [u8; 4] = *b"CMGT";
const SLOT_BYTES: usize = 16;
const SLOTS_APART: u64 = 4096;
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The open tip file.
pub(crate) struct Tip {
    file: File,
    dirty_since: Option<Instant>,
}

fn encode(commit: u64) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    let crc = crc32c::crc32c(&commit.to_be_bytes());
    let bytes = MAGIC.into_iter().chain(commit.to_be_bytes()).chain(crc.to_be_bytes());
    for (place, byte) in slot.iter_mut().zip(bytes) {
        *place = byte;
    }
    slot
}

fn decode(slot: &[u8]) -> Option<u64> {
    let (magic, rest) = slot.split_first_chunk::<4>()?;
    let (commit, crc) = rest.split_first_chunk::<8>()?;
    let fits = *magic == MAGIC && *crc == crc32c::crc32c(commit).to_be_bytes();
    fits.then(|| u64::from_be_bytes(*commit))
}

impl Tip {
    /// Opens or creates the file; also returns the newest commit in it, `None` when no slot is
    /// readable.
    pub(crate) fn open(path: &Path) -> io::Result<(Tip, Option<u64>)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut newest = None;
        for place in [0, SLOTS_APART] {
            let mut slot = Vec::new();
            file.seek(SeekFrom::Start(place))?;
            Read::by_ref(&mut file).take(SLOT_BYTES as u64).read_to_end(&mut slot)?;
            newest = newest.max(decode(&slot));
        }
        Ok((Tip { file, dirty_since: None }, newest))
    }

    /// Notes that `commit` is durable.
    pub(crate) fn write(&mut self, commit: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start((commit % 2) * SLOTS_APART))?;
        self.file.write_all(&encode(commit))?;
        self.dirty_since.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// When the next sync is due, if one is.
    pub(crate) fn sync_in(&self) -> Option<Duration> {
        self.dirty_since.map(|since| SYNC_EVERY.saturating_sub(since.elapsed()))
    }

    /// Makes the tip survive a power cut.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.dirty_since = None;
        self.file.sync_data()
    }
}
