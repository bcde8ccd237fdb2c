//! The workspace actor: the order of events, the ids, and the only writer of its journal.
//!
//! # Invariants
//!
//! - Frames are numbered and handed to the journal in the order of [`Append`] messages, and their
//!   effect on the catalogue follows in that order, each after its sync.
//! - A thread has one owner: it is started here, and nowhere else.
//!
//! # Deliberately absent
//!
//! What an ingest means: that is the thread's.

mod load;

use crate::error::MemoryError;
use crate::thread::{LiveThread, Rest, ThreadActor};
use actix::prelude::*;
use cmg_memory::catalogue::Catalogue;
use cmg_memory::codec;
use cmg_memory::embed::Embedder;
use cmg_memory::event::Record;
use cmg_memory::ids::ItemId;
use cmg_memory::index::large::LargeScope;
use cmg_memory::ingest::Redactor;
use cmg_memory::plan::{Numbers, Owned};
use cmg_snapshots::{AppendError, NewFrame, Store, WorkspaceNo};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use tokio::sync::{Semaphore, watch};

pub(crate) use load::{CATALOGUE_PART, load_catalogue, load_thread};

/// What everybody shares of a workspace: what requests need without a message to its actor.
pub(crate) struct Workspace {
    /// Its name, for logs.
    pub(crate) name: String,
    /// Its number in the store.
    pub(crate) no: WorkspaceNo,
    /// The journal and the snapshots.
    pub(crate) store: Store,
    /// Makes vectors.
    pub(crate) embedder: Arc<dyn Embedder>,
    /// Takes secrets out.
    pub(crate) redactor: Arc<Redactor>,
    /// Writes that may wait: a permit is taken before a message is sent.
    pub(crate) permits: Arc<Semaphore>,
    /// Threads that are awake, by public id. Locked for a look-up or an insertion, never longer.
    live: RwLock<HashMap<String, Arc<LiveThread>>>,
    /// Which threads and ids there are. Written by the actor alone.
    catalogue: RwLock<Catalogue>,
    /// The last episodic and semantic number given.
    last: (AtomicU64, AtomicU64),
    /// Where to look when there is too much to score. Filled by the supervisor; readers never wait for it.
    pub(crate) large: RwLock<Option<LargeScope>>,
}

impl Workspace {
    pub(crate) fn new(
        (no, name): (WorkspaceNo, String),
        store: Store,
        (embedder, redactor): (Arc<dyn Embedder>, Arc<Redactor>),
        catalogue: Catalogue,
        queue: usize,
    ) -> Self {
        let (episodic, semantic) = catalogue.last_numbers();
        Self {
            name,
            no,
            store,
            embedder,
            redactor,
            permits: Arc::new(Semaphore::new(queue)),
            live: RwLock::default(),
            catalogue: RwLock::new(catalogue),
            last: (AtomicU64::new(episodic), AtomicU64::new(semantic)),
            large: RwLock::default(),
        }
    }

    /// The awake thread of this public id, if its owner is alive.
    pub(crate) fn live(&self, thread: &str) -> Option<Arc<LiveThread>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.get(thread).filter(|live| live.address.connected()).cloned()
    }

    /// All awake threads, in order of their numbers.
    pub(crate) fn all_live(&self) -> Vec<Arc<LiveThread>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = live.values().cloned().collect();
        all.sort_by_key(|live| live.no);
        all
    }

    /// The catalogue, for a look-up.
    pub(crate) fn catalogue(&self) -> RwLockReadGuard<'_, Catalogue> {
        self.catalogue.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_live<T>(&self, change: impl FnOnce(&mut HashMap<String, Arc<LiveThread>>) -> T) -> T {
        change(&mut self.live.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn with_catalogue<T>(&self, change: impl FnOnce(&mut Catalogue) -> T) -> T {
        change(&mut self.catalogue.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Gives the numbers of new items out of the workspace's two counters.
pub(crate) struct Counters<'a>(pub(crate) &'a Workspace);

impl Numbers for Counters<'_> {
    fn next(&mut self, episodic: bool) -> u64 {
        let last = if episodic { &self.0.last.0 } else { &self.0.last.1 };
        last.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn claim(&mut self, id: ItemId) -> bool {
        let last = if id.is_episodic() { &self.0.last.0 } else { &self.0.last.1 };
        last.fetch_max(id.number(), Ordering::Relaxed) < id.number()
    }
}

/// A frame on its way to the disk.
struct InFlight {
    last_seq: u64,
    thread: u32,
    records: Arc<Vec<(u64, Record)>>,
    outcome: Option<bool>,
}

type Waking = Shared<BoxFuture<'static, Result<Arc<LiveThread>, MemoryError>>>;

/// Owner of a workspace's order.
pub(crate) struct WorkspaceActor {
    workspace: Arc<Workspace>,
    next_seq: u64,
    in_flight: VecDeque<InFlight>,
    /// The last frame whose outcome is known.
    settled: watch::Sender<u64>,
    waking: HashMap<String, Waking>,
    arbiters: Vec<ArbiterHandle>,
}

impl WorkspaceActor {
    /// Starts the actor on one of `arbiters`; `head` is the last durable frame.
    pub(crate) fn spawn(workspace: Arc<Workspace>, head: u64, arbiters: &[ArbiterHandle]) -> Option<Addr<Self>> {
        let home = arbiters.get(workspace.no.0 as usize % arbiters.len().max(1))?;
        let arbiters = arbiters.to_vec();
        Some(Self::start_in_arbiter(home, move |_| Self {
            workspace,
            next_seq: head + 1,
            in_flight: VecDeque::new(),
            settled: watch::Sender::new(head),
            waking: HashMap::new(),
            arbiters,
        }))
    }

    /// Numbers the records and hands them to the journal.
    fn enqueue(&mut self, append: &Append) -> Result<cmg_snapshots::AppendTicket, MemoryError> {
        let records = numbered(self.next_seq, &append.records);
        let frames = frames(append.thread, &records)?;
        match self.workspace.store.append(self.workspace.no, frames) {
            Ok(ticket) => {
                let last_seq = records.last().map_or(self.next_seq, |(seq, _)| *seq);
                self.next_seq = last_seq + 1;
                self.in_flight.push_back(InFlight {
                    last_seq,
                    thread: append.thread,
                    records: Arc::new(records),
                    outcome: None,
                });
                Ok(ticket)
            }
            // After a failed commit the journal goes on behind its last durable frame; so do we.
            Err(AppendError::OutOfOrder { expected, .. }) if self.next_seq != expected => {
                self.next_seq = expected;
                self.enqueue(append)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Notes an outcome, and applies to the catalogue what is durable, in order.
    fn settle(&mut self, last_seq: u64, durable: bool) {
        if let Some(flight) =
            self.in_flight.iter_mut().find(|flight| flight.last_seq == last_seq && flight.outcome.is_none())
        {
            flight.outcome = Some(durable);
        }
        while let Some(flight) = self.in_flight.pop_front_if(|flight| flight.outcome.is_some()) {
            if flight.outcome == Some(true) {
                self.workspace.with_catalogue(|catalogue| {
                    for (seq, record) in flight.records.iter() {
                        catalogue.apply(*seq, flight.thread, record);
                    }
                });
            }
            self.settled.send_replace(flight.last_seq);
        }
    }

    /// Starts the owner of a loaded thread.
    fn adopt(&mut self, owned: Owned, own: Addr<Self>) -> Result<Arc<LiveThread>, MemoryError> {
        let home =
            self.arbiters.get(owned.thread.no as usize % self.arbiters.len().max(1)).ok_or(MemoryError::NotReady)?;
        let live = ThreadActor::spawn(Arc::clone(&self.workspace), owned, own, home);
        self.workspace.with_live(|all| all.insert(live.id.to_string(), Arc::clone(&live)));
        Ok(live)
    }
}

fn numbered(first: u64, records: &[Record]) -> Vec<(u64, Record)> {
    (first..).zip(records.iter().cloned()).collect()
}

fn frames(thread: u32, records: &[(u64, Record)]) -> Result<Vec<NewFrame>, MemoryError> {
    let frame = |(seq, record): &(u64, Record)| {
        let payload = codec::encode(record).map_err(|error| {
            tracing::error!(%error, "a record cannot be encoded");
            MemoryError::Internal
        })?;
        Ok(NewFrame { seq: *seq, thread_no: thread, payload })
    };
    records.iter().map(frame).collect()
}

impl Actor for WorkspaceActor {
    type Context = Context<Self>;
}

/// Makes records of one thread durable, all or none; answers their sequence numbers then.
#[derive(Message)]
#[rtype(result = "Result<Arc<Vec<(u64, Record)>>, MemoryError>")]
pub(crate) struct Append {
    pub(crate) thread: u32,
    pub(crate) records: Vec<Record>,
}

impl Handler<Append> for WorkspaceActor {
    type Result = ResponseActFuture<Self, Result<Arc<Vec<(u64, Record)>>, MemoryError>>;

    /// Number, seal and queue now; answer, and change the catalogue, after the sync.
    fn handle(&mut self, append: Append, _: &mut Self::Context) -> Self::Result {
        let ticket = match self.enqueue(&append) {
            Ok(ticket) => ticket,
            Err(error) => return Box::pin(fut::err(error)),
        };
        let records = self.in_flight.back().map(|flight| Arc::clone(&flight.records)).unwrap_or_default();
        let last_seq = records.last().map_or(0, |(seq, _)| *seq);
        Box::pin(ticket.into_actor(self).map(move |outcome, this, _| {
            this.settle(last_seq, outcome.is_ok());
            outcome.map(|()| records).map_err(MemoryError::from)
        }))
    }
}

/// Wakes a thread, or begins it.
#[derive(Message)]
#[rtype(result = "Result<Arc<LiveThread>, MemoryError>")]
pub(crate) struct Wake {
    pub(crate) thread: String,
    /// Whether to begin the thread when there is none.
    pub(crate) begin: bool,
}

impl Handler<Wake> for WorkspaceActor {
    type Result = ResponseActFuture<Self, Result<Arc<LiveThread>, MemoryError>>;

    /// All who ask for the same thread share one loading of it.
    fn handle(&mut self, wake: Wake, ctx: &mut Self::Context) -> Self::Result {
        if let Some(live) = self.workspace.live(&wake.thread) {
            return Box::pin(fut::ok(live));
        }
        if let Some(waking) = self.waking.get(&wake.thread) {
            return Box::pin(waking.clone().into_actor(self));
        }
        let known = self.workspace.catalogue().thread(&wake.thread).map(|(no, _)| no);
        let no = match known {
            Some(no) => no,
            None if wake.begin => self.workspace.with_catalogue(Catalogue::begin_thread),
            None => return Box::pin(fut::err(MemoryError::NoThread)),
        };
        let waking = self.load(no, wake.thread.clone(), ctx.address());
        self.waking.insert(wake.thread.clone(), waking.clone());
        Box::pin(waking.into_actor(self).map(move |live, this, _| {
            this.waking.remove(&wake.thread);
            live
        }))
    }
}

impl WorkspaceActor {
    /// Loads a thread once every frame that is on its way now has arrived: its owner may have died
    /// with an append in flight.
    fn load(&self, no: u32, thread: String, own: Addr<Self>) -> Waking {
        let workspace = Arc::clone(&self.workspace);
        let (mut settled, last) = (self.settled.subscribe(), self.next_seq - 1);
        let in_flight = !self.in_flight.is_empty();
        let load = async move {
            if in_flight {
                let _closed = settled.wait_for(|seq| *seq >= last).await;
            }
            let loading = tokio::task::spawn_blocking(move || load_thread(&workspace, no, &thread));
            let owned = loading.await.map_err(|_| MemoryError::Internal)??;
            own.send(Adopt(Box::new(owned))).await.map_err(|_| MemoryError::Internal)?
        };
        load.boxed().shared()
    }
}

/// A thread was loaded: start its owner.
#[derive(Message)]
#[rtype(result = "Result<Arc<LiveThread>, MemoryError>")]
struct Adopt(Box<Owned>);

impl Handler<Adopt> for WorkspaceActor {
    type Result = Result<Arc<LiveThread>, MemoryError>;

    fn handle(&mut self, adopt: Adopt, ctx: &mut Self::Context) -> Self::Result {
        self.adopt(*adopt.0, ctx.address())
    }
}

/// Puts an awake thread to rest; its view goes with it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PutToRest(pub(crate) Arc<LiveThread>);

impl Handler<PutToRest> for WorkspaceActor {
    type Result = ResponseActFuture<Self, ()>;

    /// The owner first: once it has answered it takes no more writes, and who still holds its
    /// address is told to look again.
    fn handle(&mut self, PutToRest(live): PutToRest, _: &mut Self::Context) -> Self::Result {
        let resting = live.address.send(Rest);
        Box::pin(resting.into_actor(self).map(move |_, this, _| {
            this.workspace.with_live(|all| {
                if all.get(&*live.id).is_some_and(|now| Arc::ptr_eq(now, &live)) {
                    all.remove(&*live.id);
                }
            });
        }))
    }
}
