//! The thread actor: one thread's items, from plan to publication.
//!
//! ```text
//! parse and plan (pure) → workspace: number, seal, sync → apply → publish → answer
//! ```
//!
//! # Invariants
//!
//! - One request at a time: no plan builds on what is not durable yet.
//! - What readers see is durable: publication follows the acknowledgement of the journal.
//! - An owner at rest changes nothing any more: it tells callers to look again.

mod requests;

use crate::clock;
use crate::error::MemoryError;
use crate::workspace::{Append, Counters, Workspace, WorkspaceActor};
use actix::prelude::*;
use arc_swap::ArcSwap;
use cmg_memory::event::{Event, Record};
use cmg_memory::index::vector::Quantised;
use cmg_memory::plan::{Owned, Plan, Tools};
use cmg_memory::thread::Thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub(crate) use requests::{Erase, EraseThread, FeedBack, Import, Ingest, PatchItem};

/// An awake thread: what readers and callers hold of it.
pub(crate) struct LiveThread {
    /// Its number.
    pub(crate) no: u32,
    /// Its public id.
    pub(crate) id: Arc<str>,
    /// Its owner.
    pub(crate) address: Addr<ThreadActor>,
    published: Arc<ArcSwap<Thread>>,
    /// When it was last asked for, µs since 1970.
    last_used: AtomicI64,
}

impl LiveThread {
    /// The thread as it stands, durable and immutable. Notes the use.
    pub(crate) fn view(&self) -> Arc<Thread> {
        self.last_used.store(clock::now().0, Ordering::Relaxed);
        self.published.load_full()
    }

    /// The same without noting a use.
    pub(crate) fn peek(&self) -> Arc<Thread> {
        self.published.load_full()
    }

    /// When it was last used, µs since 1970.
    pub(crate) fn last_used(&self) -> i64 {
        self.last_used.load(Ordering::Relaxed)
    }
}

/// Why an owner did not do it.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is at rest: look for the thread again.
    Resting,
    /// It could not.
    Failed(MemoryError),
}

impl From<MemoryError> for Refusal {
    fn from(error: MemoryError) -> Self {
        Self::Failed(error)
    }
}

/// Owner of a thread.
pub(crate) struct ThreadActor {
    workspace: Arc<Workspace>,
    parent: Addr<WorkspaceActor>,
    owned: Owned,
    published: Arc<ArcSwap<Thread>>,
    resting: bool,
}

impl Actor for ThreadActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.owned.thread.without_vectors() > 0 {
            self.reembed(ctx);
        }
    }
}

/// Events of one frame at most, and bytes of text in it: frames stay far below the journal's limit.
const EVENTS_PER_FRAME: usize = 2_000;
const TEXT_PER_FRAME: usize = 4 << 20;

impl ThreadActor {
    pub(crate) fn spawn(
        workspace: Arc<Workspace>,
        owned: Owned,
        parent: Addr<WorkspaceActor>,
        home: &ArbiterHandle,
    ) -> Arc<LiveThread> {
        let published = Arc::new(ArcSwap::from_pointee(owned.thread.clone()));
        let (no, id) = (owned.thread.no, Arc::clone(&owned.thread.id));
        let theirs = Arc::clone(&published);
        let actor = move |_: &mut Context<Self>| Self { workspace, parent, owned, published: theirs, resting: false };
        let address = Self::start_in_arbiter(home, actor);
        Arc::new(LiveThread { no, id, address, published, last_used: AtomicI64::new(clock::now().0) })
    }

    /// What plans need. The counters are the workspace's, so that ids are unique in it.
    fn with_tools<T>(&self, plan: impl FnOnce(&Owned, &mut Tools<'_>) -> T) -> T {
        let mut counters = Counters(&self.workspace);
        let embedder = Arc::clone(&self.workspace.embedder);
        let mut tools = Tools { now: clock::now(), embedder: &*embedder, numbers: &mut counters };
        plan(&self.owned, &mut tools)
    }

    /// Makes a plan durable, then true, then visible; then hands its receipt on.
    ///
    /// The response is atomic: no other message of this thread runs while its frames are on their
    /// way to the disk.
    fn commit<T: 'static>(&mut self, plan: Plan<T>) -> AtomicResponse<Self, Result<T, Refusal>> {
        let Some(record) = plan.record else { return done(Ok(plan.receipt)) };
        let append = Append { thread: self.owned.thread.no, records: split(record) };
        let answer = self.parent.send(append).into_actor(self).map(move |answer, this, ctx| {
            let records = match answer {
                Ok(outcome) => outcome?,
                Err(_) => {
                    // The workspace's actor fell, and takes us with it: whoever wakes us reads the journal.
                    ctx.stop();
                    return Err(MemoryError::Internal.into());
                }
            };
            for (seq, record) in records.iter() {
                this.owned.apply(*seq, record);
                this.resting |= record.events.iter().any(|event| matches!(event, Event::Closed));
            }
            this.publish();
            Ok(plan.receipt)
        });
        AtomicResponse::new(Box::pin(answer))
    }

    fn publish(&self) {
        self.published.store(Arc::new(self.owned.thread.clone()));
    }

    /// Makes the vectors of another model anew, beside the work; words answer meanwhile.
    fn reembed(&self, ctx: &mut Context<Self>) {
        let (view, embedder) = (self.published.load_full(), Arc::clone(&self.workspace.embedder));
        let work = tokio::task::spawn_blocking(move || cmg_memory::plan::reembed(&view, &*embedder));
        let install = work.into_actor(self).map(|vectors: Result<Vec<Quantised>, _>, this, _| {
            if let Ok(vectors) = vectors {
                let model = this.workspace.embedder.id().to_owned();
                this.owned.thread.reembed(&model, &vectors);
                this.publish();
            }
        });
        ctx.spawn(install);
    }
}

/// An answer that needs no waiting.
fn done<T: 'static>(answer: Result<T, Refusal>) -> AtomicResponse<ThreadActor, Result<T, Refusal>> {
    AtomicResponse::new(Box::pin(fut::ready(answer)))
}

/// One record as several, none of them too long for a frame; the journal takes them all or none.
fn split(record: Record) -> Vec<Record> {
    let Record { at, model, events } = record;
    let mut records = Vec::new();
    let (mut part, mut text) = (Vec::new(), 0);
    for event in events {
        let length = match &event {
            Event::Added { item, .. } => item.text.len(),
            Event::Reworded { text, .. } => text.len(),
            _ => 0,
        };
        if !part.is_empty() && (part.len() >= EVENTS_PER_FRAME || text + length > TEXT_PER_FRAME) {
            records.push(Record { at, model: model.clone(), events: std::mem::take(&mut part) });
            text = 0;
        }
        text += length;
        part.push(event);
    }
    records.push(Record { at, model, events: part });
    records
}

/// Falls, as a defect of ours would make it fall.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Fall;

#[cfg(test)]
impl Handler<Fall> for ThreadActor {
    type Result = ();

    fn handle(&mut self, _: Fall, _: &mut Self::Context) {
        panic!("a test made this owner fall");
    }
}

/// Stop changing things.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Rest;

impl Handler<Rest> for ThreadActor {
    type Result = ();

    /// Whoever still holds the address gets an answer; the last one to let go of it ends us.
    fn handle(&mut self, _: Rest, _: &mut Self::Context) {
        self.resting = true;
    }
}
