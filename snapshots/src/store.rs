//! The store: one folder, one secret, many workspaces.
//!
//! # Promise
//!
//! Opening either yields everything that was ever acknowledged, or refuses and says by name what
//! is wrong. Nothing is repaired silently: [`OpenReport::notes`] tells it.
//!
//! # Invariants
//!
//! - One process at a time holds a folder, by a lock on `<folder>/lock`.
//! - The secret is checked before the database is touched.
//! - The number of a deleted workspace is never given out again.

use std::{
    fmt,
    fs::{self, File, TryLockError},
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use zeroize::{Zeroize, Zeroizing};

use crate::{
    AppendError, AppendTicket, Damage, NewFrame, OpenError, Replay, Secret, WorkspaceNo, WriteError,
    disk::{self, Disk, RealDisk},
    engine::{Engine, Op},
    journal::{
        Walk,
        committer::{Change, Committer, Limits, Shared, Workspace, put_commit, put_head},
        frame,
    },
    keyfile::{FIRST_KEY, FORMAT, KeyFile, NoKeyFile, StoreKeys},
    layout,
    record::{self, Census, Head, Roll, WorkspaceRecord},
    seal::{DataKey, Key, Keyring},
    tip::Tip,
};

/// How many keys one commit deletes at most.
pub(crate) const DELETE_AT_ONCE: usize = 1024;

const RESTORE_OR_ACCEPT: &str = "restore the whole folder from a backup, or open once with \
                                 `accept_loss` to go on with what is left";
const RESTORE: &str = "restore the whole folder from a backup";

/// How a store behaves; the defaults suit a small machine.
#[derive(Clone)]
pub struct StoreOptions {
    /// Memory for sled's page cache, in bytes. Default 16 MiB.
    pub cache_bytes: u64,
    /// Frames that may wait for a commit, over all workspaces; one longer append is taken when
    /// nothing else waits. Default 4096.
    pub queue_limit: usize,
    /// Payload bytes that may wait for a commit, over all workspaces. Default 64 MiB.
    pub queue_max_bytes: usize,
    /// Bytes that one commit takes from the queue at most, unless a single append is longer.
    /// Default 1 MiB.
    pub commit_max_bytes: usize,
    /// The longest payload of a frame, in bytes. Default 16 MiB.
    pub frame_max_bytes: usize,
    /// Room that stays free on the disk, in bytes: below it writes are refused as
    /// [`AppendError::Full`], while there is still room to clean up. Default 64 MiB.
    pub reserve_bytes: u64,
    /// Open although acknowledged frames or commits at the end are missing, and go on without
    /// them; the report says what was given up. Default false.
    pub accept_loss: bool,
    /// The disk; tests put a faulty one here.
    #[doc(hidden)]
    pub disk: Arc<dyn Disk>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            cache_bytes: 16 << 20,
            queue_limit: 4096,
            queue_max_bytes: 64 << 20,
            commit_max_bytes: 1 << 20,
            frame_max_bytes: 16 << 20,
            reserve_bytes: 64 << 20,
            accept_loss: false,
            disk: Arc::new(RealDisk),
        }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("StoreOptions")
            .field("cache_bytes", &self.cache_bytes)
            .field("queue_limit", &self.queue_limit)
            .field("queue_max_bytes", &self.queue_max_bytes)
            .field("commit_max_bytes", &self.commit_max_bytes)
            .field("frame_max_bytes", &self.frame_max_bytes)
            .field("reserve_bytes", &self.reserve_bytes)
            .field("accept_loss", &self.accept_loss)
            .finish_non_exhaustive()
    }
}

/// A workspace of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceEntry {
    /// Its number.
    pub no: WorkspaceNo,
    /// Its name, unique in the store.
    pub name: String,
    /// Its last durable frame; 0 when there is none yet.
    pub head: u64,
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// What was repaired, cleaned up or noticed, one sentence each; empty after a clean start.
    pub notes: Vec<String>,
    /// The workspaces with their heads.
    pub workspaces: Vec<WorkspaceEntry>,
}

/// An open store; clones share it. Dropping the last one closes it, which blocks as
/// [`Store::close`] does.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    encryption: Key,
    census: Mutex<Census>,
    roll: Mutex<Roll>,
    committer: Mutex<Option<JoinHandle<()>>>,
    /// Dropped last: until then no other process gets in.
    _lock: File,
}

impl fmt::Debug for Store {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Store").field("workspaces", &self.workspaces()).finish_non_exhaustive()
    }
}

fn damaged(what: impl Into<String>, at: &str, advice: &'static str) -> OpenError {
    OpenError::Damaged { what: what.into(), at: at.to_owned(), advice }
}

fn unreadable(damage: Damage) -> OpenError {
    damaged(damage.to_string(), "the database", RESTORE)
}

/// A repair during `open` failed.
fn unrepaired(folder: &Path, error: WriteError) -> OpenError {
    OpenError::Io { doing: "repair", path: folder.to_path_buf(), source: io::Error::other(error) }
}

/// Reads a stamped record.
fn stamped<T: serde::de::DeserializeOwned>(
    engine: &Engine,
    keys: &Keyring,
    key: &[u8],
    what: &str,
) -> Result<T, Damage> {
    let failed = |reason: &str| Damage::Record { what: what.to_owned(), reason: reason.to_owned() };
    let value = engine.get(key)?.ok_or_else(|| failed("it is missing"))?;
    let text = keys.check_stamp(key, &value).ok_or_else(|| failed("its mark does not fit"))?;
    record::decode(text).map_err(|reason| failed(&reason))
}

/// The operation that writes a stamped record.
pub(crate) fn put_stamped(keys: &Keyring, key: &[u8], value: &impl serde::Serialize) -> io::Result<Op> {
    Ok(Op::Put(key.to_vec(), keys.stamp(key, &record::encode(value)?)))
}

pub(crate) fn cannot_encode(error: io::Error) -> WriteError {
    WriteError::Refused { reason: format!("it cannot be encoded ({error})") }
}

/// An opening in progress: what has been found so far.
struct Opening<'a> {
    folder: &'a Path,
    secret: &'a Secret,
    options: &'a StoreOptions,
    notes: Vec<String>,
}

impl Opening<'_> {
    fn failed(&self, doing: &'static str, name: &str) -> impl Fn(io::Error) -> OpenError + use<> {
        let path = self.folder.join(name);
        move |source| OpenError::Io { doing, path: path.clone(), source }
    }

    fn lock(&self) -> Result<File, OpenError> {
        let failed = self.failed("lock", "lock");
        let file =
            File::options().write(true).create(true).truncate(false).open(self.folder.join("lock")).map_err(&failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked { folder: self.folder.to_path_buf() }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    fn unlock(&self, key_file: &KeyFile) -> Result<StoreKeys, OpenError> {
        key_file.unlock(self.secret).ok_or(OpenError::WrongSecret)
    }

    fn parse(bytes: &[u8]) -> Result<Option<KeyFile>, OpenError> {
        match KeyFile::parse(bytes) {
            Ok(key_file) => Ok(Some(key_file)),
            Err(NoKeyFile::TooNew(found)) => Err(OpenError::TooNew { found, supported: FORMAT }),
            Err(NoKeyFile::Damaged) => Ok(None),
        }
    }

    /// Finds the keys, from the key file or from its copy, and opens the database.
    fn unlock_and_open(&mut self) -> Result<(StoreKeys, KeyFile, Engine), OpenError> {
        let path = self.folder.join("keys");
        let open_engine = || Engine::open(self.folder, self.options.cache_bytes, Arc::clone(&self.options.disk));
        let used = Engine::exists(self.folder);
        let (on_disk, missing) = match fs::read(&path) {
            Ok(bytes) => (Self::parse(&bytes)?, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, true),
            Err(error) => return Err(self.failed("read", "keys")(error)),
        };
        if let Some(key_file) = on_disk {
            let keys = self.unlock(&key_file)?;
            return Ok((keys, key_file, open_engine()?));
        }
        let save = self.failed("write", "keys");
        if missing && !used {
            let key_file = KeyFile::create(self.secret).map_err(&save)?;
            let keys = self.unlock(&key_file)?;
            key_file.save(self.folder, &path).map_err(&save)?;
            return Ok((keys, key_file, open_engine()?));
        }
        let engine = open_engine()?;
        let copy = engine.get(layout::KEY_FILE).map_err(unreadable)?;
        let copy = copy.map(|bytes| Self::parse(&bytes)).transpose()?.flatten();
        let state = if missing { "missing" } else { "damaged" };
        let key_file =
            copy.ok_or_else(|| damaged(format!("the key file is {state}, and so is its copy"), "keys", RESTORE))?;
        let keys = self.unlock(&key_file)?;
        key_file.save(self.folder, &path).map_err(&save)?;
        self.notes.push(format!("The key file was {state} and was put back from its copy."));
        Ok((keys, key_file, engine))
    }

    /// Compares the database with the tip; returns the number of the last commit.
    fn last_commit(
        &mut self,
        engine: &Engine,
        keys: &StoreKeys,
        key_file: &KeyFile,
        tip: &mut Tip,
        noted: Option<u64>,
    ) -> Result<u64, OpenError> {
        let found = engine.get(layout::COMMIT).map_err(unreadable)?;
        let found = match &found {
            None => None,
            Some(value) => {
                let number = keys
                    .own
                    .check_stamp(layout::COMMIT, value)
                    .and_then(|text| text.try_into().ok())
                    .map(u64::from_be_bytes);
                Some(
                    number
                        .ok_or_else(|| damaged("the number of the last commit is damaged", "the database", RESTORE))?,
                )
            }
        };
        let commit = match (found, noted) {
            (None, None | Some(0)) => {
                let failed = self.failed("create", "db");
                let census = Census { next: 1, alive: 0 };
                let first = vec![
                    Op::Put(layout::KEY_FILE.to_vec(), key_file.bytes.clone()),
                    put_stamped(&keys.own, layout::CENSUS, &census).map_err(&failed)?,
                    put_stamped(&keys.own, layout::ROLL, &Roll::default()).map_err(&failed)?,
                    put_commit(&keys.own, 1),
                ];
                engine.write(first).map_err(&failed)?;
                1
            }
            (Some(commit), None) => {
                self.notes.push("The tip file was missing or damaged and was made anew.".into());
                commit
            }
            (Some(commit), Some(tip)) if commit >= tip => commit,
            (found, Some(tip)) => {
                let lost = tip - found.unwrap_or(0);
                let what = format!("the database has lost its last {lost} commits of {tip}");
                if !self.options.accept_loss || found.is_none() {
                    return Err(damaged(what, "db", RESTORE_OR_ACCEPT));
                }
                // The accepted state becomes the newest one: the next open has nothing to complain of.
                engine.write(vec![put_commit(&keys.own, tip)]).map_err(self.failed("write", "db"))?;
                self.notes.push(format!("Loss accepted: {what}."));
                tip
            }
        };
        let failed = self.failed("write", "tip");
        tip.write(commit).and_then(|()| tip.sync()).map_err(&failed)?;
        disk::sync_folder(self.folder).map_err(&failed)?;
        Ok(commit)
    }

    /// Reads name, keys and head of a workspace and checks that its last frame is there.
    fn workspace(
        &mut self,
        engine: &Engine,
        keys: &StoreKeys,
        no: u32,
        sealed: &[u8],
        repairs: &mut Vec<Change>,
    ) -> Result<Workspace, OpenError> {
        let place = format!("workspace {no}");
        let broken = || damaged("its name and keys cannot be read", &place, RESTORE);
        let plain = keys.encryption.open(&layout::workspace(no), sealed).ok_or_else(broken)?;
        let plain = Zeroizing::new(plain);
        let mut found: WorkspaceRecord = record::decode(&plain).map_err(|_| broken())?;
        let ring = Keyring::new(found.keys.iter().map(|(id, key)| DataKey::new(*id, key)));
        found.keys.iter_mut().for_each(|(_, key)| key.zeroize());
        let ring = Arc::new(ring.ok_or_else(broken)?);
        let mut head: Head = stamped(engine, &ring, &layout::head(no), &format!("the head record of {place}"))
            .map_err(|damage| damaged(damage.to_string(), &place, RESTORE))?;

        let last = engine.get_pieces(&layout::frame(no, head.seq)).map_err(unreadable)?;
        let whole = head.seq == head.trimmed
            || last.is_some_and(|bytes| {
                frame::decode(&bytes).is_ok_and(|raw| raw.header.seq == head.seq && raw.chain == head.chain)
            });
        if !whole {
            let mut walk =
                Walk::start(engine, no, Arc::clone(&ring), head.clone(), head.trimmed).map_err(unreadable)?;
            if let Some(damage) = walk.by_ref().find_map(Result::err) {
                if !self.options.accept_loss {
                    return Err(damaged(damage.to_string(), &place, RESTORE_OR_ACCEPT));
                }
                (head.seq, head.chain) = walk.position();
                if head.seq < head.newest.covers {
                    // New frames must come after what the snapshot covers.
                    (head.seq, head.trimmed) = (head.newest.covers, head.newest.covers);
                    head.trimmed_chain = head.chain;
                }
                self.notes.push(format!("Loss accepted: {damage}; {place} goes on after frame {}.", head.seq));
                let head_op = put_head(no, &ring, &head).map_err(self.failed("repair", "db"))?;
                repairs.push(Change::put(vec![head_op]));
            }
        }
        let (_, end) = layout::all_of(b'j', no);
        let beyond = engine.keys((layout::frame(no, head.seq + 1), end), usize::MAX).map_err(unreadable)?;
        if !beyond.is_empty() {
            self.notes.push(format!(
                "{place}: {} pieces of frames after the last acknowledged one were cut off.",
                beyond.len()
            ));
            repairs.extend(beyond.chunks(DELETE_AT_ONCE).map(|keys| Change::delete(keys.to_vec())));
        }
        Ok(Workspace { name: found.name, keys: ring, queued: head.seq, head, snapshot_running: false })
    }
}

impl Store {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// The roll of the small records, held while one of them changes.
    pub(crate) fn roll(&self) -> MutexGuard<'_, Roll> {
        self.inner.roll.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the store in `folder`, or creates one when there is none.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; only `Io` can leave a half-made folder behind, which the next open takes
    /// up again.
    pub fn open(folder: &Path, secret: &Secret, options: StoreOptions) -> Result<(Store, OpenReport), OpenError> {
        let mut opening = Opening { folder, secret, options: &options, notes: Vec::new() };
        fs::create_dir_all(folder).map_err(opening.failed("create", ""))?;
        let lock = opening.lock()?;
        let (keys, key_file, engine) = opening.unlock_and_open()?;
        let (mut tip, noted) = Tip::open(&folder.join("tip")).map_err(opening.failed("open", "tip"))?;
        let commit = opening.last_commit(&engine, &keys, &key_file, &mut tip, noted)?;

        let mut repairs = Vec::new();
        if engine.get(layout::KEY_FILE).map_err(unreadable)?.as_ref() != Some(&key_file.bytes) {
            opening.notes.push("The copy of the key file was damaged and was made anew.".into());
            repairs.push(Change::put(vec![Op::Put(layout::KEY_FILE.to_vec(), key_file.bytes)]));
        }
        let census: Census =
            stamped(&engine, &keys.own, layout::CENSUS, "the census of workspaces").map_err(unreadable)?;
        let roll: Roll = stamped(&engine, &keys.own, layout::ROLL, "the roll of records").map_err(unreadable)?;
        crate::records::check_roll(&engine, &keys.own, &roll).map_err(unreadable)?;
        let mut found = Vec::new();
        for entry in engine.range(layout::all(b'w')) {
            let (key, sealed) = entry.map_err(unreadable)?;
            let no =
                layout::number_in(&key).ok_or_else(|| damaged("a workspace has no number", "the database", RESTORE))?;
            found.push((no, opening.workspace(&engine, &keys, no, &sealed, &mut repairs)?));
        }
        if found.len() != census.alive as usize {
            let what = format!("{} of {} workspaces are there", found.len(), census.alive);
            return Err(damaged(what, "the database", RESTORE));
        }
        let deleting = engine.keys(layout::all(b'd'), usize::MAX).map_err(unreadable)?;

        let limits = Limits {
            queue_frames: options.queue_limit,
            queue_bytes: options.queue_max_bytes,
            commit_bytes: options.commit_max_bytes,
            frame_bytes: options.frame_max_bytes,
            reserve_bytes: options.reserve_bytes,
        };
        let shared = Arc::new(Shared::new(engine, keys.own, limits));
        shared.lock().workspaces.extend(found);
        let committer = Committer { shared: Arc::clone(&shared), tip, commit };
        let committer = thread::Builder::new()
            .name("cmg-committer".to_owned())
            .spawn(move || committer.run())
            .map_err(opening.failed("start the committer of", ""))?;
        let inner = Inner {
            shared,
            encryption: keys.encryption,
            census: Mutex::new(census),
            roll: Mutex::new(roll),
            committer: Mutex::new(Some(committer)),
            _lock: lock,
        };
        let store = Store { inner: Arc::new(inner) };

        for repair in repairs {
            store.shared().change(repair).map_err(|error| unrepaired(folder, error))?;
        }
        for no in deleting.iter().filter_map(|key| layout::number_in(key)) {
            store.erase(no).map_err(|error| unrepaired(folder, error))?;
            opening.notes.push(format!("The deletion of workspace {no} was completed."));
        }
        for entry in store.workspaces() {
            let swept = store.sweep_snapshots(entry.no.0).map_err(|error| unrepaired(folder, error))?;
            if swept > 0 {
                opening
                    .notes
                    .push(format!("workspace {}: an unfinished snapshot was removed ({swept} pieces).", entry.no));
            }
        }
        for note in &opening.notes {
            tracing::warn!("{note}");
        }
        let report = OpenReport { notes: opening.notes, workspaces: store.workspaces() };
        Ok((store, report))
    }

    /// The workspaces, by number.
    #[must_use]
    pub fn workspaces(&self) -> Vec<WorkspaceEntry> {
        let state = self.shared().lock();
        let entry = |(no, workspace): (&u32, &Workspace)| WorkspaceEntry {
            no: WorkspaceNo(*no),
            name: workspace.name.clone(),
            head: workspace.head.seq,
        };
        state.workspaces.iter().map(entry).collect()
    }

    /// Creates a workspace with a fresh data key; it is durable when this returns. Blocks.
    ///
    /// # Errors
    ///
    /// [`WriteError::NameTaken`], [`WriteError::Refused`] for a name over 1024 bytes, and the
    /// general ones.
    pub fn create_workspace(&self, name: &str) -> Result<WorkspaceEntry, WriteError> {
        if name.len() > 1024 {
            return Err(WriteError::Refused { reason: "a name has 1024 bytes at most".to_owned() });
        }
        let mut census = self.inner.census.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = self.workspaces().iter().find(|entry| entry.name == name) {
            return Err(WriteError::NameTaken { workspace: taken.no });
        }
        let no = census.next;
        let next = no
            .checked_add(1)
            .ok_or_else(|| WriteError::Refused { reason: "all numbers of workspaces are used up".to_owned() })?;
        let after = Census { next, alive: census.alive + 1 };
        let (keys, ops) = self.new_workspace(no, name, &after).map_err(cannot_encode)?;
        self.shared().change(Change::put(ops))?;
        *census = after;
        let entry = WorkspaceEntry { no: WorkspaceNo(no), name: name.to_owned(), head: 0 };
        let workspace = Workspace {
            name: name.to_owned(),
            keys: Arc::new(keys),
            head: Head::default(),
            queued: 0,
            snapshot_running: false,
        };
        self.shared().lock().workspaces.insert(no, workspace);
        Ok(entry)
    }

    fn new_workspace(&self, no: u32, name: &str, census: &Census) -> io::Result<(Keyring, Vec<Op>)> {
        let data_key = Zeroizing::new(crate::seal::random::<32>()?);
        let keys = Keyring::new([DataKey::new(FIRST_KEY, &data_key)]).ok_or_else(|| io::Error::other("no key"))?;
        let mut new = WorkspaceRecord { name: name.to_owned(), keys: vec![(FIRST_KEY, *data_key)] };
        let plain = record::encode(&new).map(Zeroizing::new);
        new.keys.iter_mut().for_each(|(_, key)| key.zeroize());
        let place = layout::workspace(no);
        let sealed = self.inner.encryption.seal(&place, &plain?)?;
        let ops = vec![
            Op::Put(place, sealed),
            put_head(no, &keys, &Head::default())?,
            put_stamped(&self.shared().own_keys, layout::CENSUS, census)?,
        ];
        Ok((keys, ops))
    }

    /// Deletes a workspace: first its keys, durably, so that nothing of it can be read any more;
    /// then its frames and snapshots. Blocks. A crash in between is completed by the next open.
    ///
    /// sled reuses the room over time; until then the disk keeps bytes that no key opens, and the
    /// sealed key itself in parts of sled's log that are not overwritten yet.
    ///
    /// # Errors
    ///
    /// [`WriteError::UnknownWorkspace`], [`WriteError::Refused`] while a snapshot of it is being
    /// written, and the general ones.
    pub fn delete_workspace(&self, workspace: WorkspaceNo) -> Result<(), WriteError> {
        let mut census = self.inner.census.lock().unwrap_or_else(PoisonError::into_inner);
        let no = workspace.0;
        let removed = {
            let mut state = self.shared().lock();
            if state.workspaces.get(&no).is_some_and(|entry| entry.snapshot_running) {
                let reason = format!("a snapshot of workspace {workspace} is being written");
                return Err(WriteError::Refused { reason });
            }
            state.workspaces.remove(&no).ok_or(WriteError::UnknownWorkspace { workspace })?
        };
        let after = Census { next: census.next, alive: census.alive.saturating_sub(1) };
        let deleted =
            put_stamped(&self.shared().own_keys, layout::CENSUS, &after).map_err(cannot_encode).and_then(|census_op| {
                let mut change = Change::delete(vec![layout::workspace(no), layout::head(no)]);
                change.ops.push(Op::Put(layout::deleting(no), Vec::new()));
                change.ops.push(census_op);
                self.shared().change(change)
            });
        if let Err(error) = deleted {
            self.shared().lock().workspaces.insert(no, removed);
            return Err(error);
        }
        *census = after;
        drop(census);
        self.erase(no)
    }

    /// Removes what is left of a deleted workspace, its tombstone last.
    fn erase(&self, no: u32) -> Result<(), WriteError> {
        for kind in [b'j', b'm', b's'] {
            self.delete_range(layout::all_of(kind, no))?;
        }
        self.shared().change(Change::delete(vec![layout::deleting(no)]))
    }

    /// Deletes all keys of a range, some at a time; returns how many.
    pub(crate) fn delete_range(&self, range: (Vec<u8>, Vec<u8>)) -> Result<usize, WriteError> {
        let mut deleted = 0;
        loop {
            let keys = self.shared().engine.keys(range.clone(), DELETE_AT_ONCE)?;
            if keys.is_empty() {
                return Ok(deleted);
            }
            deleted += keys.len();
            self.shared().change(Change::delete(keys))?;
        }
    }

    /// Queues frames of one workspace; the ticket resolves when they are durable, all or none.
    ///
    /// Never blocks on the disk. Appends of one workspace become durable in the order of these
    /// calls. The first frame's `seq` is one more than the last frame queued before.
    ///
    /// # Errors
    ///
    /// At once: [`AppendError::OutOfOrder`], [`AppendError::TooLarge`],
    /// [`AppendError::QueueFull`], [`AppendError::UnknownWorkspace`], [`AppendError::Stopped`].
    /// From the ticket: [`AppendError::Full`], [`AppendError::Unknown`],
    /// [`AppendError::UnknownWorkspace`], [`AppendError::Stopped`].
    pub fn append(&self, workspace: WorkspaceNo, frames: Vec<NewFrame>) -> Result<AppendTicket, AppendError> {
        self.shared().append(workspace.0, frames).map(AppendTicket)
    }

    /// The keys and the durable head of a workspace.
    pub(crate) fn workspace(&self, no: u32) -> Result<(Arc<Keyring>, Head), Damage> {
        let state = self.shared().lock();
        let workspace = WorkspaceNo(no);
        let entry = state.workspaces.get(&no).ok_or(Damage::UnknownWorkspace { workspace })?;
        Ok((Arc::clone(&entry.keys), entry.head.clone()))
    }

    /// Reads the durable frames after `after`, in order; with `thread`, only that thread's, and
    /// the others are checked but not opened. Reads from disk as the iterator is pulled: blocks.
    ///
    /// # Errors
    ///
    /// [`Damage::Trimmed`] when a snapshot replaced frames after `after`,
    /// [`Damage::UnknownWorkspace`]; each step [`Damage::Frame`], [`Damage::MissingFrames`] or
    /// [`Damage::Unreadable`].
    pub fn replay(&self, workspace: WorkspaceNo, after: u64, thread: Option<u32>) -> Result<Replay, Damage> {
        let (keys, head) = self.workspace(workspace.0)?;
        let walk = Walk::start(&self.shared().engine, workspace.0, keys, head, after)?;
        let shared = Arc::clone(self.shared());
        let trimmed_now =
            Box::new(move || shared.lock().workspaces.get(&workspace.0).map_or(0, |entry| entry.head.trimmed));
        Ok(Replay { walk, thread, trimmed_now })
    }

    /// Stops taking writes, makes durable what is queued, and waits for that. Blocks.
    ///
    /// The folder is free for another open when the last clone is dropped.
    pub fn close(&self) {
        self.inner.close();
    }
}

impl Inner {
    fn close(&self) {
        self.shared.close();
        let committer = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if committer.is_some_and(|committer| committer.join().is_err()) {
            tracing::error!("the committer panicked");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
