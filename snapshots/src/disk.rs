//! The two questions that decide whether an answer may be given: is it on the disk, is there room.
//!
//! They stand behind a trait so that tests can answer "no" at a chosen moment.
//!
//! # Deliberately absent
//!
//! Reads and writes: sled does those itself, and damage to them is tested on the files.

use std::{fs::File, io, path::Path};

/// What the store asks of the disk; production uses [`RealDisk`].
#[doc(hidden)]
pub trait Disk: Send + Sync + 'static {
    /// Makes everything written to `file` so far survive a power cut.
    fn sync(&self, file: &File) -> io::Result<()>;

    /// Bytes that this process may still write to the file system of `folder`.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;
}

/// The operating system's answers.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        fs4::available_space(folder)
    }
}

/// Makes the names inside `folder` (created, renamed, removed files) survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
