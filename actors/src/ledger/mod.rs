//! The ledger: one row for every call to an upstream, what it cost, and what has to be remembered of it.
//!
//! A journal like that of a workspace, in a place that no workspace can have; one actor writes it.
//!
//! # Promise
//!
//! What [`Ledger::write`] answered survives `kill -9`. What [`Ledger::post`] took waits a moment (`LINGER`) for others to share a
//! sync with: a crash may lose the rows of the last moment, never one that a list has shown. Where the disk has no room,
//! rows wait for some.
//!
//! # Deliberately absent
//!
//! What a key may still spend: [`crate::gateway::limits`] counts that, and starts from here.

pub mod row;
pub mod state;
pub mod totals;

use crate::clock;
use crate::error::MemoryError;
use actix::prelude::*;
use cmg_memory::codec;
use cmg_snapshots::{AppendError, NewFrame, Store, WorkspaceNo, WriteError};
use state::{Entry, State};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The journal's name: no workspace can be called so.
pub(crate) const NAME: &str = "!ledger";
/// The part of a snapshot that holds the state, and the thread number of all frames.
const PART: u32 = 1;
/// How often it is seen to whether a snapshot is due.
const LOOK: Duration = Duration::from_secs(30);
/// Bytes of journal after which a snapshot is written.
const SNAPSHOT_AFTER: u64 = 16 << 20;
/// How long a posted entry waits for others: a sync for each took two thirds of a call's processor time.
const LINGER: Duration = Duration::from_millis(25);
/// Entries that are written together at most: half of what the journal's queue takes.
const BATCH: usize = 2_000;
/// When entries that could not be written are tried again, and how many wait for that at most.
const RETRY: Duration = Duration::from_secs(1);
const KEPT: usize = 100_000;

/// The way to the ledger. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    address: Addr<LedgerActor>,
    inbox: Inbox,
}

/// Entries that wait for others, in order. The first one wakes the actor, which takes them all a moment later: waking it
/// for each would cost a change of threads a call.
type Inbox = Arc<Mutex<Vec<Entry>>>;

impl Ledger {
    /// Writes an entry; it is durable when this answers.
    ///
    /// # Errors
    ///
    /// [`MemoryError`] when it was not kept, or nobody can tell.
    pub async fn write(&self, entry: Entry) -> Result<(), MemoryError> {
        self.address.send(Write(entry)).await.map_err(|_| MemoryError::NotReady)?
    }

    /// Hands an entry over without waiting for the disk.
    pub fn post(&self, entry: Entry) {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.push(entry);
        let first = inbox.len() == 1;
        drop(inbox);
        if first && self.address.try_send(Posted).is_err() {
            tracing::debug!("the ledger is busy or stopping: its next look finds the row");
        }
    }

    /// Makes durable what was posted.
    ///
    /// # Errors
    ///
    /// [`MemoryError`] when it was not kept, or nobody can tell.
    pub async fn flush(&self) -> Result<(), MemoryError> {
        self.address.send(Flush).await.map_err(|_| MemoryError::NotReady)?
    }

    /// Reads something from the state.
    ///
    /// # Errors
    ///
    /// [`MemoryError::NotReady`] when the server is stopping.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, MemoryError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let read = Read(Box::new(move |state| {
            // Nobody waits for it any more: then it need not be told.
            drop(answer.send(read(state)));
        }));
        self.address.send(read).await.map_err(|_| MemoryError::NotReady)?;
        answered.await.map_err(|_| MemoryError::NotReady)
    }
}

/// A ledger as it was found on the disk.
pub(crate) struct Found {
    store: Store,
    no: WorkspaceNo,
    head: u64,
    pub(crate) state: State,
}

/// Reads the ledger of a store; begins one where there is none. Blocks.
pub(crate) fn load(store: &Store) -> Result<Found, MemoryError> {
    let known = store.workspaces().into_iter().find(|entry| entry.name == NAME);
    let entry = match known {
        Some(entry) => entry,
        None => store.create_workspace(NAME)?,
    };
    let no = entry.no;
    let damaged = |error: &codec::CodecError| {
        tracing::error!(%error, "the ledger cannot be decoded");
        MemoryError::Damaged
    };
    let part = store.load_part(no, PART)?;
    for note in &part.notes {
        tracing::warn!(note, "an older snapshot of the ledger was used");
    }
    let mut state: State = match &part.bytes {
        Some(bytes) => codec::decode(bytes).map_err(|error| damaged(&error))?,
        None => State::default(),
    };
    let mut head = part.covers.max(entry.head);
    for frame in store.replay(no, part.covers, None)? {
        let frame = frame?;
        state.apply(codec::decode(&frame.payload).map_err(|error| damaged(&error))?);
        head = head.max(frame.seq);
    }
    Ok(Found { store: store.clone(), no, head, state })
}

impl Found {
    /// Starts the one who writes it.
    pub(crate) fn start(self, home: &ArbiterHandle) -> Ledger {
        let Self { store, no, head, state } = self;
        let inbox = Inbox::default();
        let posted = Arc::clone(&inbox);
        let address = LedgerActor::start_in_arbiter(home, move |_| LedgerActor {
            inbox: posted,
            store,
            no,
            next_seq: head + 1,
            durable: head,
            posted: Vec::new(),
            lingering: false,
            waiting: VecDeque::new(),
            state,
            busy: false,
        });
        Ledger { address, inbox }
    }
}

/// Owner of the ledger.
struct LedgerActor {
    inbox: Inbox,
    store: Store,
    no: WorkspaceNo,
    next_seq: u64,
    /// The last frame that the state holds.
    durable: u64,
    /// Entries that are written next, in order: those of the inbox, and those that could not be written.
    posted: Vec<Entry>,
    /// Whether they will be written soon.
    lingering: bool,
    /// Batches on their way to the disk, in order: their last frames, and whether they are there.
    waiting: VecDeque<(u64, Vec<Entry>, bool)>,
    state: State,
    /// Whether a snapshot is being written.
    busy: bool,
}

impl LedgerActor {
    /// Hands everything posted to the journal; `None` when there was nothing. What cannot be written stays posted.
    fn enqueue(&mut self) -> Result<Option<(u64, cmg_snapshots::AppendTicket)>, MemoryError> {
        self.take_inbox();
        if self.posted.is_empty() {
            return Ok(None);
        }
        let ticket = match self.append() {
            // After a failed commit the journal goes on behind its last durable frame; so do we.
            Err(Refused::Journal(AppendError::OutOfOrder { expected, .. })) if self.next_seq != expected => {
                self.next_seq = expected;
                self.append()
            }
            other => other,
        };
        let ticket = ticket.map_err(MemoryError::from)?;
        let entries: Vec<Entry> = self.posted.drain(..self.posted.len().min(BATCH)).collect();
        let last = self.next_seq + entries.len() as u64 - 1;
        self.next_seq = last + 1;
        self.waiting.push_back((last, entries, false));
        Ok(Some((last, ticket)))
    }

    fn take_inbox(&mut self) {
        self.posted.append(&mut self.inbox.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn append(&self) -> Result<cmg_snapshots::AppendTicket, Refused> {
        let frame = |(seq, entry): (u64, &Entry)| {
            Ok(NewFrame { seq, thread_no: PART, payload: codec::encode(entry).map_err(|_| Refused::Encoding)? })
        };
        let frames =
            (self.next_seq..).zip(self.posted.iter().take(BATCH)).map(frame).collect::<Result<_, Refused>>()?;
        Ok(self.store.append(self.no, frames)?)
    }

    /// Writes what was posted; where that fails it is tried again later.
    fn write_posted(&mut self, context: &mut Context<Self>) {
        match self.enqueue() {
            Ok(None) => {}
            Ok(Some((last, ticket))) => {
                let done = ticket.into_actor(self).map(move |outcome, this, context| {
                    if outcome.is_err() {
                        tracing::error!("rows of the ledger were not kept; they are tried again");
                        this.take_back(last);
                        this.linger(RETRY, context);
                    } else {
                        this.settle(last);
                    }
                });
                context.spawn(done);
                if !self.posted.is_empty() {
                    self.linger(LINGER, context);
                }
            }
            Err(error) => {
                tracing::error!(%error, waiting = self.posted.len(), "rows of the ledger wait to be written");
                let excess = self.posted.len().saturating_sub(KEPT);
                if excess > 0 {
                    tracing::error!(excess, "rows of the ledger are lost");
                    self.posted.drain(..excess);
                }
                self.linger(RETRY, context);
            }
        }
    }

    /// Has what was posted written after a while.
    fn linger(&mut self, after: Duration, context: &mut Context<Self>) {
        if !self.lingering {
            self.lingering = true;
            context.run_later(after, |this, context| {
                this.lingering = false;
                this.write_posted(context);
            });
        }
    }

    /// Posts a batch again that did not get to the disk.
    fn take_back(&mut self, last: u64) {
        if let Some(at) = self.waiting.iter().position(|(of, ..)| *of == last)
            && let Some((_, mut entries, _)) = self.waiting.remove(at)
        {
            entries.append(&mut self.posted);
            self.posted = entries;
        }
    }

    /// Notes that a batch is on the disk, and takes in, in order, what is.
    fn settle(&mut self, last: u64) {
        if let Some((.., durable)) = self.waiting.iter_mut().find(|(of, ..)| *of == last) {
            *durable = true;
        }
        while let Some((last, entries, _)) = self.waiting.pop_front_if(|(.., durable)| *durable) {
            entries.into_iter().for_each(|entry| self.state.apply(entry));
            self.durable = last;
        }
    }

    fn snapshot(&mut self, context: &mut Context<Self>) {
        let bytes = self.store.journal_bytes_since_snapshot(self.no).unwrap_or(0);
        if self.busy || bytes < SNAPSHOT_AFTER {
            return;
        }
        self.state.totals.shorten(clock::now());
        let Ok(encoded) = codec::encode(&self.state) else { return };
        let (store, no, covers) = (self.store.clone(), self.no, self.durable);
        self.busy = true;
        let writing = tokio::task::spawn_blocking(move || -> Result<(), WriteError> {
            let mut writer = store.begin_snapshot(no, covers)?;
            writer.put(PART, covers, &encoded)?;
            writer.finish().map(|_| ())
        });
        context.spawn(writing.into_actor(self).map(|written, this, _| {
            this.busy = false;
            match written {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the ledger's snapshot was not written; its journal has all"),
                Err(_) => tracing::error!("writing the ledger's snapshot fell"),
            }
        }));
    }
}

impl Actor for LedgerActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(LOOK, |this, context| {
            this.write_posted(context);
            this.snapshot(context);
        });
    }
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Journal(#[from] AppendError),
    #[error("an entry cannot be encoded")]
    Encoding,
}

impl From<Refused> for MemoryError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Journal(error) => error.into(),
            Refused::Encoding => Self::Internal,
        }
    }
}

/// Something lies in the inbox.
#[derive(Message)]
#[rtype(result = "()")]
struct Posted;

impl Handler<Posted> for LedgerActor {
    type Result = ();

    fn handle(&mut self, _: Posted, context: &mut Self::Context) {
        self.linger(LINGER, context);
    }
}

/// An entry to be written now, with what was posted before it.
#[derive(Message)]
#[rtype(result = "Result<(), MemoryError>")]
struct Write(Entry);

impl Handler<Write> for LedgerActor {
    type Result = ResponseActFuture<Self, Result<(), MemoryError>>;

    fn handle(&mut self, Write(entry): Write, _: &mut Self::Context) -> Self::Result {
        // First of all, so that it is in the batch whose outcome is its own.
        self.posted.insert(0, entry);
        self.write_now(true)
    }
}

/// All that was posted is to be written now.
#[derive(Message)]
#[rtype(result = "Result<(), MemoryError>")]
struct Flush;

impl Handler<Flush> for LedgerActor {
    type Result = ResponseActFuture<Self, Result<(), MemoryError>>;

    fn handle(&mut self, _: Flush, _: &mut Self::Context) -> Self::Result {
        self.write_now(false)
    }
}

impl LedgerActor {
    /// Writes what was posted and answers when it is durable; on failure the first entry, if it is its sender's own, is
    /// given up, and the others stay posted.
    fn write_now(&mut self, own: bool) -> ResponseActFuture<Self, Result<(), MemoryError>> {
        let (last, ticket) = match self.enqueue() {
            Ok(Some(queued)) => queued,
            Ok(None) => return Box::pin(fut::ok(())),
            Err(error) => {
                if own && !self.posted.is_empty() {
                    self.posted.remove(0);
                }
                return Box::pin(fut::err(error));
            }
        };
        Box::pin(ticket.into_actor(self).map(move |outcome, this, context| {
            if outcome.is_ok() {
                this.settle(last);
            } else {
                if own && let Some((_, entries, _)) = this.waiting.iter_mut().find(|(of, ..)| *of == last) {
                    entries.remove(0);
                }
                this.take_back(last);
                this.linger(RETRY, context);
            }
            outcome.map_err(MemoryError::from)
        }))
    }
}

/// A look at the state.
#[derive(Message)]
#[rtype(result = "()")]
struct Read(Box<dyn FnOnce(&State) + Send>);

impl Handler<Read> for LedgerActor {
    type Result = ();

    fn handle(&mut self, Read(read): Read, _: &mut Self::Context) {
        read(&self.state);
    }
}
