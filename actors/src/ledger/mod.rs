//! The ledger: one row for every call to an upstream, what it cost, and what has to be remembered of it.
//!
//! A journal like that of a workspace, in a place that no workspace can have; one actor writes it.
//!
//! # Promise
//!
//! What [`Ledger::write`] answered survives `kill -9`. What [`Ledger::post`] took is on its way to the disk and shares
//! the next sync: a crash may lose the rows of the last milliseconds, never one that a list has shown.
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
use std::time::Duration;

/// The journal's name: no workspace can be called so.
pub(crate) const NAME: &str = "!ledger";
/// The part of a snapshot that holds the state, and the thread number of all frames.
const PART: u32 = 1;
/// How often it is seen to whether a snapshot is due.
const LOOK: Duration = Duration::from_secs(30);
/// Bytes of journal after which a snapshot is written.
const SNAPSHOT_AFTER: u64 = 16 << 20;
/// Entries that may wait in the mailbox.
const QUEUE: usize = 8192;

/// The way to the ledger. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    address: Addr<LedgerActor>,
}

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
        match self.address.try_send(Write(entry)) {
            Ok(()) => {}
            // The sender waits for room instead of the row being lost; callers are bounded by the calls under way.
            Err(SendError::Full(Write(entry))) => {
                let address = self.address.clone();
                actix_rt::spawn(async move { drop(address.send(Write(entry)).await) });
            }
            Err(SendError::Closed(_)) => tracing::error!("a row came after the ledger was closed"),
        }
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
        let address = LedgerActor::start_in_arbiter(home, move |context| {
            context.set_mailbox_capacity(QUEUE);
            LedgerActor { store, no, next_seq: head + 1, durable: head, waiting: VecDeque::new(), state, busy: false }
        });
        Ledger { address }
    }
}

/// Owner of the ledger.
struct LedgerActor {
    store: Store,
    no: WorkspaceNo,
    next_seq: u64,
    /// The last frame that the state holds.
    durable: u64,
    /// Frames on their way to the disk, in order, and what became of them.
    waiting: VecDeque<(u64, Entry, Option<bool>)>,
    state: State,
    /// Whether a snapshot is being written.
    busy: bool,
}

impl LedgerActor {
    fn enqueue(&mut self, payload: Vec<u8>, entry: Entry) -> Result<cmg_snapshots::AppendTicket, MemoryError> {
        let frame = |seq: u64, payload: Vec<u8>| vec![NewFrame { seq, thread_no: PART, payload }];
        let ticket = match self.store.append(self.no, frame(self.next_seq, payload.clone())) {
            // After a failed commit the journal goes on behind its last durable frame; so do we.
            Err(AppendError::OutOfOrder { expected, .. }) if self.next_seq != expected => {
                self.next_seq = expected;
                self.store.append(self.no, frame(expected, payload))?
            }
            other => other?,
        };
        self.waiting.push_back((self.next_seq, entry, None));
        self.next_seq += 1;
        Ok(ticket)
    }

    /// Notes what became of a frame, and takes in, in order, what is durable.
    fn settle(&mut self, seq: u64, durable: bool) {
        if let Some((.., outcome)) = self.waiting.iter_mut().find(|(of, _, outcome)| *of == seq && outcome.is_none()) {
            *outcome = Some(durable);
        }
        while let Some((seq, entry, outcome)) = self.waiting.pop_front_if(|(.., outcome)| outcome.is_some()) {
            if outcome == Some(true) {
                self.state.apply(entry);
                self.durable = seq;
            }
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
        context.run_interval(LOOK, |this, context| this.snapshot(context));
    }
}

/// An entry to be written.
#[derive(Message)]
#[rtype(result = "Result<(), MemoryError>")]
struct Write(Entry);

impl Handler<Write> for LedgerActor {
    type Result = ResponseActFuture<Self, Result<(), MemoryError>>;

    fn handle(&mut self, Write(entry): Write, _: &mut Self::Context) -> Self::Result {
        let ticket = codec::encode(&entry)
            .map_err(|error| {
                tracing::error!(%error, "an entry of the ledger cannot be encoded");
                MemoryError::Internal
            })
            .and_then(|payload| self.enqueue(payload, entry));
        let ticket = match ticket {
            Ok(ticket) => ticket,
            Err(error) => {
                tracing::error!(%error, "an entry of the ledger was not kept");
                return Box::pin(fut::err(error));
            }
        };
        let seq = self.next_seq - 1;
        Box::pin(ticket.into_actor(self).map(move |outcome, this, _| {
            this.settle(seq, outcome.is_ok());
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
