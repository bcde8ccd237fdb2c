//! sled, fenced in: the only module that knows it.
//!
//! # Promise
//!
//! When [`Engine::write`] returns `Ok`, all its operations survive a power cut; after a cut before
//! that, either all or none of them are there.
//!
//! # Invariants
//!
//! - sled's `flush` hands bytes to the disk without `fsync` (on Linux it calls `sync_file_range`),
//!   so every write ends with a sync of sled's own file.
//! - A panic inside sled becomes an error here.
//! - One thread writes (the committer); any may read.

use std::{
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Damage, OpenError,
    disk::{self, Disk},
    layout,
};

/// How long a previous store of the same process may take to let go of its file.
const RELEASE_WITHIN: Duration = Duration::from_secs(10);

const RESTORE: &str = "restore the whole folder from a backup";

/// One change of the tree.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
}

impl Op {
    /// Bytes of key and value.
    pub(crate) fn size(&self) -> usize {
        match self {
            Op::Put(key, value) => key.len() + value.len(),
            Op::Delete(key) => key.len(),
        }
    }
}

/// The open database.
pub(crate) struct Engine {
    db: sled::Db,
    file: File,
    disk: Arc<dyn Disk>,
    folder: PathBuf,
}

/// Runs `work` and turns a panic into an error.
fn guarded<T>(work: impl FnOnce() -> sled::Result<T>) -> io::Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(sled::Error::Io(error))) => Err(error),
        Ok(Err(error)) => Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("sled panicked: {text}")))
        }
    }
}

fn unreadable(error: &io::Error) -> Damage {
    Damage::Unreadable { reason: error.to_string() }
}

impl Engine {
    /// True when a database was made in `folder` before.
    pub(crate) fn exists(folder: &Path) -> bool {
        fs::metadata(folder.join("db").join("db")).is_ok_and(|file| file.len() > 0)
    }

    /// Opens or creates the database below `folder`, which this process holds alone.
    pub(crate) fn open(folder: &Path, cache_bytes: u64, disk: Arc<dyn Disk>) -> Result<Engine, OpenError> {
        let home = folder.join("db");
        let path = home.join("db");
        let failed = |doing, source| OpenError::Io { doing, path: path.clone(), source };
        if Engine::exists(folder) {
            // sled syncs its own page table at open: what it points to must be on disk before.
            File::open(&path).and_then(|file| disk.sync(&file)).map_err(|error| failed("sync", error))?;
        }
        let config =
            sled::Config::new().path(&home).cache_capacity(cache_bytes).mode(sled::Mode::LowSpace).flush_every_ms(None);
        let deadline = Instant::now() + RELEASE_WITHIN;
        let db = loop {
            match guarded(|| config.open()) {
                Ok(db) => break db,
                // Our own lock is held, so this can only be an earlier store of this process whose
                // background threads have not finished yet.
                Err(error) if error.to_string().contains("could not acquire lock") => {
                    if Instant::now() > deadline {
                        return Err(OpenError::Locked { folder: folder.to_path_buf() });
                    }
                    thread::sleep(Duration::from_millis(2));
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(OpenError::Damaged {
                        what: format!("the database does not open ({error})"),
                        at: home.display().to_string(),
                        advice: RESTORE,
                    });
                }
                Err(error) => return Err(failed("open", error)),
            }
        };
        let file = File::open(&path).map_err(|error| failed("open", error))?;
        for place in [&home, folder] {
            disk::sync_folder(place).map_err(|error| failed("sync the folder of", error))?;
        }
        Ok(Engine { db, file, disk, folder: folder.to_path_buf() })
    }

    /// Bytes that may still be written.
    pub(crate) fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes(&self.folder)
    }

    /// Applies all of `ops` or none, and returns when they are durable.
    pub(crate) fn write(&self, ops: Vec<Op>) -> io::Result<()> {
        guarded(|| {
            let mut batch = sled::Batch::default();
            for op in ops {
                match op {
                    Op::Put(key, value) => batch.insert(key, value),
                    Op::Delete(key) => batch.remove(key),
                }
            }
            self.db.apply_batch(batch)?;
            self.db.flush().map(drop)
        })?;
        self.disk.sync(&self.file)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Damage> {
        guarded(|| self.db.get(key)).map(|found| found.map(|value| value.to_vec())).map_err(|error| unreadable(&error))
    }

    /// Every key from `from` to before `to`, in order.
    pub(crate) fn range(&self, (from, to): (Vec<u8>, Vec<u8>)) -> Entries {
        Entries { iter: (from < to).then(|| self.db.range(from..to)) }
    }

    /// The first `limit` keys of a range.
    pub(crate) fn keys(&self, range: (Vec<u8>, Vec<u8>), limit: usize) -> Result<Vec<Vec<u8>>, Damage> {
        self.range(range).take(limit).map(|entry| entry.map(|(key, _)| key)).collect()
    }

    /// Puts the value at `base` together from its pieces; `None` when there are none, or one in the
    /// middle is missing. A missing last piece is the caller's to notice, by length or hash.
    pub(crate) fn get_pieces(&self, base: &[u8]) -> Result<Option<Vec<u8>>, Damage> {
        let mut value = None;
        let range = (layout::piece(base, 0), layout::piece(base, u32::MAX));
        for (expected, entry) in (0..).zip(self.range(range)) {
            let (key, piece) = entry?;
            if key != layout::piece(base, expected) {
                return Ok(None);
            }
            value.get_or_insert_with(Vec::new).extend_from_slice(&piece);
        }
        Ok(value)
    }
}

/// Keys and values of a range; ends after the first error.
pub(crate) struct Entries {
    iter: Option<sled::Iter>,
}

impl Iterator for Entries {
    type Item = Result<(Vec<u8>, Vec<u8>), Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let iter = self.iter.as_mut()?;
        match guarded(|| iter.next().transpose()) {
            Ok(Some((key, value))) => Some(Ok((key.to_vec(), value.to_vec()))),
            Ok(None) => None,
            Err(error) => {
                self.iter = None;
                Some(Err(unreadable(&error)))
            }
        }
    }
}
