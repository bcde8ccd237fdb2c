//! The committer: one thread that makes everything durable, for everybody who waits, at once.
//!
//! # Promise
//!
//! Jobs are carried out in the order in which they were queued. Whoever waits when a commit begins
//! is part of it; one write and one sync serve them all, and nobody is answered before both are
//! done.
//!
//! # Invariants
//!
//! - After a failed write or sync nothing more is written: the kernel may have dropped the pages,
//!   so trying again could report success for bytes that are gone.
//! - A batch refused for lack of room was not written, and neither was anything queued behind it.
//! - When the thread ends, for whatever reason, everybody waiting has an answer.

use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
};

use tokio::sync::oneshot;

use super::{NewFrame, frame};
use crate::{
    AppendError, WorkspaceNo, WriteError,
    engine::{Engine, Op},
    layout,
    record::{self, Head},
    seal::Keyring,
    tip::Tip,
};

/// A write to the tree takes several times its size until sled has cleaned up behind itself.
const ROOM_FACTOR: u64 = 4;

/// Changes a head record inside the commit that makes the change durable.
pub(crate) type HeadEdit = Box<dyn FnOnce(&mut Head) + Send>;

/// Writes that belong together.
pub(crate) struct Change {
    pub(crate) ops: Vec<Op>,
    pub(crate) head: Option<(u32, HeadEdit)>,
    /// False for what makes room: it is carried out on a full disk too.
    pub(crate) needs_room: bool,
}

impl Change {
    pub(crate) fn put(ops: Vec<Op>) -> Change {
        Change { ops, head: None, needs_room: true }
    }

    pub(crate) fn delete(keys: Vec<Vec<u8>>) -> Change {
        Change { ops: keys.into_iter().map(Op::Delete).collect(), head: None, needs_room: false }
    }
}

pub(crate) enum Job {
    Append { no: u32, frames: Vec<NewFrame>, answer: oneshot::Sender<Result<(), AppendError>> },
    Change { change: Change, answer: mpsc::SyncSender<Result<(), WriteError>> },
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Job::Append { frames, .. } => frames.iter().map(NewFrame::size).sum(),
            Job::Change { change, .. } => change.ops.iter().map(Op::size).sum(),
        }
    }

    fn needs_room(&self) -> bool {
        match self {
            Job::Append { .. } => true,
            Job::Change { change, .. } => change.needs_room,
        }
    }

    fn fail(self, failure: &Failure) {
        match self {
            Job::Append { no, answer, .. } => {
                let _ = answer.send(Err(failure.to_append(no)));
            }
            Job::Change { change, answer } => {
                let no = change.head.map_or(0, |(no, _)| no);
                let _ = answer.send(Err(failure.to_write(no)));
            }
        }
    }
}

impl NewFrame {
    /// What it takes of the queue, in bytes.
    fn size(&self) -> usize {
        self.payload.len() + 128
    }
}

/// Who to tell that it is durable.
enum Waiting {
    Append(oneshot::Sender<Result<(), AppendError>>),
    Change(mpsc::SyncSender<Result<(), WriteError>>),
}

/// Why jobs were not carried out; becomes the error type of each waiting side.
#[derive(Clone)]
enum Failure {
    Full { free_bytes: u64, needed_bytes: u64 },
    UnknownWorkspace,
    Unknown(Arc<io::Error>),
    Stopped(String),
}

impl Failure {
    fn to_append(&self, no: u32) -> AppendError {
        match self.clone() {
            Failure::Full { free_bytes, needed_bytes } => AppendError::Full { free_bytes, needed_bytes },
            Failure::UnknownWorkspace => AppendError::UnknownWorkspace { workspace: WorkspaceNo(no) },
            Failure::Unknown(source) => AppendError::Unknown { source },
            Failure::Stopped(reason) => AppendError::Stopped { reason },
        }
    }

    fn to_write(&self, no: u32) -> WriteError {
        match self.clone() {
            Failure::Full { free_bytes, needed_bytes } => WriteError::Full { free_bytes, needed_bytes },
            Failure::UnknownWorkspace => WriteError::UnknownWorkspace { workspace: WorkspaceNo(no) },
            Failure::Unknown(source) => WriteError::Unknown { source },
            Failure::Stopped(reason) => WriteError::Stopped { reason },
        }
    }
}

/// A workspace as the store knows it in memory.
pub(crate) struct Workspace {
    pub(crate) name: String,
    pub(crate) keys: Arc<Keyring>,
    /// What is durable.
    pub(crate) head: Head,
    /// The last frame in the queue, or the head when none waits.
    pub(crate) queued: u64,
    pub(crate) snapshot_running: bool,
}

/// What the lock protects.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) workspaces: BTreeMap<u32, Workspace>,
    queue: VecDeque<Job>,
    waiting_frames: usize,
    waiting_bytes: usize,
    /// Why nothing more is accepted.
    stopped: Option<String>,
    closing: bool,
}

/// How much may wait and how much goes into one commit.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) queue_frames: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) commit_bytes: usize,
    pub(crate) frame_bytes: usize,
    pub(crate) reserve_bytes: u64,
}

/// What the committer and the store's handles share.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) own_keys: Keyring,
    pub(crate) limits: Limits,
    state: Mutex<State>,
    wake: Condvar,
}

impl Shared {
    pub(crate) fn new(engine: Engine, own_keys: Keyring, limits: Limits) -> Shared {
        Shared { engine, own_keys, limits, state: Mutex::default(), wake: Condvar::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an append; see [`crate::Store::append`].
    pub(crate) fn append(
        &self,
        no: u32,
        frames: Vec<NewFrame>,
    ) -> Result<oneshot::Receiver<Result<(), AppendError>>, AppendError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(reason) = &state.stopped {
            return Err(AppendError::Stopped { reason: reason.clone() });
        }
        let workspace = WorkspaceNo(no);
        let entry = state.workspaces.get_mut(&no).ok_or(AppendError::UnknownWorkspace { workspace })?;
        let mut expected = entry.queued;
        for frame in &frames {
            expected += 1;
            if frame.seq != expected {
                return Err(AppendError::OutOfOrder { workspace, expected, got: frame.seq });
            }
            let (bytes, limit) = (frame.payload.len(), self.limits.frame_bytes);
            if bytes > limit {
                return Err(AppendError::TooLarge { seq: frame.seq, bytes, limit });
            }
        }
        let bytes: usize = frames.iter().map(NewFrame::size).sum();
        let too_much = state.waiting_frames + frames.len() > self.limits.queue_frames
            || state.waiting_bytes + bytes > self.limits.queue_bytes;
        if too_much && state.waiting_frames > 0 {
            let (waiting, limit) = (state.waiting_frames, self.limits.queue_frames);
            return Err(AppendError::QueueFull { waiting, limit });
        }
        entry.queued = expected;
        state.waiting_frames += frames.len();
        state.waiting_bytes += bytes;
        let (answer, ticket) = oneshot::channel();
        state.queue.push_back(Job::Append { no, frames, answer });
        self.wake.notify_one();
        Ok(ticket)
    }

    /// Queues a change and waits until it is durable. Blocks the calling thread.
    pub(crate) fn change(&self, change: Change) -> Result<(), WriteError> {
        let (answer, done) = mpsc::sync_channel(1);
        {
            let mut state = self.lock();
            if let Some(reason) = &state.stopped {
                return Err(WriteError::Stopped { reason: reason.clone() });
            }
            state.queue.push_back(Job::Change { change, answer });
            self.wake.notify_one();
        }
        done.recv().unwrap_or_else(|_| {
            let source = Arc::new(io::Error::other("the committer died"));
            Err(WriteError::Unknown { source })
        })
    }

    /// Takes no more jobs; the committer ends after those that are queued.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        state.stopped.get_or_insert_with(|| "it is closed".to_owned());
        self.wake.notify_all();
    }

    /// Takes no more jobs and answers those that are queued.
    fn stop(&self, reason: &str) {
        let jobs = {
            let mut state = self.lock();
            state.stopped.get_or_insert_with(|| reason.to_owned());
            state.waiting_frames = 0;
            state.waiting_bytes = 0;
            std::mem::take(&mut state.queue)
        };
        for job in jobs {
            job.fail(&Failure::Stopped(reason.to_owned()));
        }
    }
}

/// The committer's own state.
pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) tip: Tip,
    /// The number of the last commit.
    pub(crate) commit: u64,
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.shared.stop("its committer has ended");
    }
}

/// A commit in the making.
#[derive(Default)]
struct Batch {
    ops: Vec<Op>,
    heads: BTreeMap<u32, (Arc<Keyring>, Head)>,
    waiting: Vec<Waiting>,
}

impl Committer {
    /// Works until the store is closed and the queue is empty, or until a write fails.
    pub(crate) fn run(mut self) {
        while let Some(jobs) = self.take() {
            let done = if jobs.is_empty() { self.tip.sync() } else { self.commit(jobs) };
            if let Err(error) = done {
                tracing::error!(%error, "the store takes no more writes");
                self.shared.stop(&format!("an earlier write failed ({error})"));
                return;
            }
        }
        if let Err(error) = self.tip.sync() {
            tracing::error!(%error, "the tip file could not be synced at the end");
        }
    }

    /// Waits for jobs. Nothing when the store is closed, an empty list when the tip wants a sync.
    fn take(&self) -> Option<Vec<Job>> {
        let shared = &self.shared;
        let mut state = shared.lock();
        loop {
            let due = self.tip.sync_in();
            if due.is_some_and(|due| due.is_zero()) {
                return Some(Vec::new());
            }
            if !state.queue.is_empty() {
                break;
            }
            if state.closing {
                return None;
            }
            state = match due {
                None => shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(due) => shared.wake.wait_timeout(state, due).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        let mut jobs = Vec::new();
        let mut bytes = 0;
        while let Some(job) = state.queue.pop_front() {
            bytes += job.bytes();
            if bytes > shared.limits.commit_bytes && !jobs.is_empty() {
                state.queue.push_front(job);
                break;
            }
            if let Job::Append { frames, .. } = &job {
                state.waiting_frames = state.waiting_frames.saturating_sub(frames.len());
                state.waiting_bytes = state.waiting_bytes.saturating_sub(job.bytes());
            }
            jobs.push(job);
        }
        Some(jobs)
    }

    /// Carries out `jobs` in one write; an error means that nothing more may be written.
    fn commit(&mut self, jobs: Vec<Job>) -> io::Result<()> {
        let jobs = self.refuse_without_room(jobs);
        let mut batch = Batch::default();
        let written = self.collect(jobs, &mut batch).and_then(|()| self.write(&mut batch));
        if let Err(error) = written {
            let error = Arc::new(error);
            self.shared.stop(&format!("an earlier write failed ({error})"));
            for waiting in batch.waiting {
                let failure = Failure::Unknown(Arc::clone(&error));
                match waiting {
                    Waiting::Append(answer) => {
                        let _ = answer.send(Err(failure.to_append(0)));
                    }
                    Waiting::Change(answer) => {
                        let _ = answer.send(Err(failure.to_write(0)));
                    }
                }
            }
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
        let tip = self.tip.write(self.commit);
        {
            let mut state = self.shared.lock();
            for (no, (_, head)) in batch.heads {
                if let Some(entry) = state.workspaces.get_mut(&no) {
                    entry.head = head;
                }
            }
        }
        for waiting in batch.waiting {
            match waiting {
                Waiting::Append(answer) => {
                    let _ = answer.send(Ok(()));
                }
                Waiting::Change(answer) => {
                    let _ = answer.send(Ok(()));
                }
            }
        }
        tip
    }

    /// Answers `Full` when the disk is too full, and returns the jobs that may go on.
    fn refuse_without_room(&self, jobs: Vec<Job>) -> Vec<Job> {
        let shared = &self.shared;
        let bytes: usize = jobs.iter().filter(|job| job.needs_room()).map(Job::bytes).sum();
        let needed_bytes = shared.limits.reserve_bytes + ROOM_FACTOR * bytes as u64;
        let free_bytes = match shared.engine.free_bytes() {
            Ok(free_bytes) if bytes > 0 && free_bytes < needed_bytes => free_bytes,
            Ok(_) => return jobs,
            Err(error) => {
                tracing::warn!(%error, "cannot tell how much room the disk has; going on");
                return jobs;
            }
        };
        let (mut go_on, mut refused): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| !job.needs_room());
        {
            // What is queued behind builds on what is refused: all of it goes.
            let mut state = shared.lock();
            let (keep, refuse): (Vec<Job>, Vec<Job>) =
                std::mem::take(&mut state.queue).into_iter().partition(|job| !job.needs_room());
            go_on.extend(keep);
            refused.extend(refuse);
            state.waiting_frames = 0;
            state.waiting_bytes = 0;
            for entry in state.workspaces.values_mut() {
                entry.queued = entry.head.seq;
            }
        }
        for job in refused {
            job.fail(&Failure::Full { free_bytes, needed_bytes });
        }
        go_on
    }

    /// The keys and the head of a workspace as this commit will leave them.
    fn head<'a>(&self, no: u32, batch: &'a mut Batch) -> Option<&'a mut (Arc<Keyring>, Head)> {
        match batch.heads.entry(no) {
            Entry::Occupied(found) => Some(found.into_mut()),
            Entry::Vacant(place) => {
                let state = self.shared.lock();
                let entry = state.workspaces.get(&no)?;
                Some(place.insert((Arc::clone(&entry.keys), entry.head.clone())))
            }
        }
    }

    /// Seals and encodes everything; whoever asks for a workspace that is gone is answered now.
    fn collect(&self, jobs: Vec<Job>, batch: &mut Batch) -> io::Result<()> {
        let mut outcome = Ok(());
        for job in jobs {
            match job {
                Job::Append { no, frames, answer } => {
                    let Some((keys, head)) = self.head(no, batch) else {
                        Job::Append { no, frames, answer }.fail(&Failure::UnknownWorkspace);
                        continue;
                    };
                    let mut ops = Vec::with_capacity(frames.len());
                    for frame in &frames {
                        match frame::encode(keys, no, &head.chain, frame) {
                            Ok((bytes, chain)) => {
                                head.seq = frame.seq;
                                head.chain = chain;
                                head.bytes += bytes.len() as u64;
                                ops.extend(layout::put_pieces(&layout::frame(no, frame.seq), &bytes));
                            }
                            Err(error) => outcome = Err(error),
                        }
                    }
                    batch.ops.extend(ops);
                    batch.waiting.push(Waiting::Append(answer));
                }
                Job::Change { change: Change { ops, head: edit, needs_room }, answer } => {
                    if let Some((no, edit)) = edit {
                        let Some((_, head)) = self.head(no, batch) else {
                            let change = Change { ops, head: Some((no, edit)), needs_room };
                            Job::Change { change, answer }.fail(&Failure::UnknownWorkspace);
                            continue;
                        };
                        edit(head);
                    }
                    batch.ops.extend(ops);
                    batch.waiting.push(Waiting::Change(answer));
                }
            }
        }
        outcome
    }

    /// Adds the heads and the commit's number, writes and syncs.
    fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        let mut ops = std::mem::take(&mut batch.ops);
        for (no, (keys, head)) in &batch.heads {
            ops.push(put_head(*no, keys, head)?);
        }
        if ops.is_empty() {
            return Ok(());
        }
        let commit = self.commit + 1;
        ops.push(put_commit(&self.shared.own_keys, commit));
        self.shared.engine.write(ops)?;
        self.commit = commit;
        Ok(())
    }
}

/// The operation that writes the number of a commit.
pub(crate) fn put_commit(own_keys: &Keyring, commit: u64) -> Op {
    let value = own_keys.stamp(layout::COMMIT, &commit.to_be_bytes());
    Op::Put(layout::COMMIT.to_vec(), value)
}

/// The operation that writes a head.
pub(crate) fn put_head(no: u32, keys: &Keyring, head: &Head) -> io::Result<Op> {
    let key = layout::head(no);
    let value = keys.stamp(&key, &record::encode(head)?);
    Ok(Op::Put(key, value))
}
