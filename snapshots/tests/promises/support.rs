//! What the tests share: a store in a temporary folder, a disk that misbehaves on demand, and
//! hands that reach into a closed database.

use std::{
    fs::{self, File},
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use cmg_snapshots::{
    AppendError, Disk, Frame, NewFrame, OpenError, OpenReport, Secret, Store, StoreOptions, WorkspaceEntry, WorkspaceNo,
};

pub(crate) const SECRET: &str = "correct horse battery staple, and 32 bytes";

pub(crate) fn secret() -> Secret {
    Secret::new(SECRET)
}

pub(crate) fn try_open(folder: &Path) -> Result<(Store, OpenReport), OpenError> {
    Store::open(folder, &secret(), StoreOptions::default())
}

pub(crate) fn open(folder: &Path) -> Store {
    try_open(folder).expect("the store opens").0
}

pub(crate) fn open_on(folder: &Path, disk: &Arc<TestDisk>) -> Store {
    let options = StoreOptions { disk: disk.clone(), ..StoreOptions::default() };
    Store::open(folder, &secret(), options).expect("the store opens").0
}

pub(crate) fn workspace(store: &Store) -> WorkspaceNo {
    match store.workspaces().first() {
        Some(WorkspaceEntry { no, .. }) => *no,
        None => store.create_workspace("main").expect("created").no,
    }
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Frame `seq` of a thread that follows from it, with a payload that no other frame has.
pub(crate) fn frame(seq: u64) -> NewFrame {
    let thread_no = (seq % 3) as u32;
    NewFrame { seq, thread_no, payload: format!("frame {seq} of thread {thread_no}; {}", "x".repeat(40)).into_bytes() }
}

pub(crate) fn append(store: &Store, no: WorkspaceNo, seqs: impl IntoIterator<Item = u64>) -> Result<(), AppendError> {
    wait(store.append(no, seqs.into_iter().map(frame).collect())?)
}

pub(crate) fn as_read(frame: NewFrame) -> Frame {
    let NewFrame { seq, thread_no, payload } = frame;
    Frame { seq, thread_no, payload }
}

/// Replays everything and checks that it is exactly frames `1..=last`.
#[track_caller]
pub(crate) fn assert_holds(store: &Store, no: WorkspaceNo, last: u64) {
    let frames: Vec<Frame> =
        store.replay(no, 0, None).expect("replay starts").collect::<Result<_, _>>().expect("no damage");
    let expected: Vec<Frame> = (1..=last).map(|seq| as_read(frame(seq))).collect();
    assert_eq!(frames.len(), expected.len(), "as many frames as acknowledged");
    assert_eq!(frames, expected, "the frames as they were appended, in order, once each");
}

/// A store whose first workspace holds frames `1..=last`, closed.
pub(crate) fn closed_store(last: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let no = workspace(&store);
    for seq in 1..=last {
        append(&store, no, [seq]).unwrap();
    }
    drop(store);
    folder
}

/// Opens the database of a closed store behind its back.
pub(crate) fn tamper<T>(folder: &Path, work: impl FnOnce(&sled::Db) -> T) -> T {
    let config = sled::Config::new().path(folder.join("db")).flush_every_ms(None);
    let db = loop {
        match config.open() {
            Ok(db) => break db,
            Err(error) if error.to_string().contains("could not acquire lock") => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    let done = work(&db);
    db.flush().unwrap();
    done
}

/// The keys of one kind, as they lie in the database.
pub(crate) fn keys(db: &sled::Db, kind: u8) -> Vec<Vec<u8>> {
    db.scan_prefix([kind]).keys().map(|key| key.unwrap().to_vec()).collect()
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

#[derive(Default)]
struct Gate {
    shut: bool,
    arrived: bool,
}

type AfterSync = Box<dyn FnMut(u64) + Send>;

/// A real disk that can be told to hold a sync, to fail it, or to be full.
pub(crate) struct TestDisk {
    gate: Mutex<Gate>,
    moved: Condvar,
    pub(crate) syncs: AtomicU64,
    pub(crate) fail_sync: AtomicBool,
    pub(crate) free_bytes: AtomicU64,
    pub(crate) after_sync: Mutex<Option<AfterSync>>,
}

impl TestDisk {
    pub(crate) fn new() -> Arc<TestDisk> {
        Arc::new(TestDisk {
            gate: Mutex::default(),
            moved: Condvar::new(),
            syncs: AtomicU64::new(0),
            fail_sync: AtomicBool::new(false),
            free_bytes: AtomicU64::new(u64::MAX),
            after_sync: Mutex::default(),
        })
    }

    /// From now on a sync waits until the gate is opened.
    pub(crate) fn shut(&self) {
        *self.gate.lock().unwrap() = Gate { shut: true, arrived: false };
    }

    /// Waits until a sync stands before the gate.
    pub(crate) fn wait_for_arrival(&self) {
        let gate = self.gate.lock().unwrap();
        drop(self.moved.wait_while(gate, |gate| !gate.arrived).unwrap());
    }

    pub(crate) fn open(&self) {
        self.gate.lock().unwrap().shut = false;
        self.moved.notify_all();
    }
}

impl Disk for TestDisk {
    fn sync(&self, file: &File) -> io::Result<()> {
        let mut gate = self.gate.lock().unwrap();
        gate.arrived = true;
        self.moved.notify_all();
        drop(self.moved.wait_while(gate, |gate| gate.shut).unwrap());
        if self.fail_sync.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(5));
        }
        file.sync_data()?;
        let count = self.syncs.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(after) = self.after_sync.lock().unwrap().as_mut() {
            after(count);
        }
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.free_bytes.load(Ordering::SeqCst))
    }
}
