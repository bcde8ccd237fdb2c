//! The directory: from a workspace and thread id to the published thread or the actor that owns it.

use crate::error::{MemoryError, RETRY_AFTER};
use crate::gateway::Gateway;
use crate::keys::KeyRing;
use crate::thread::{Erase, EraseThread, FeedBack, Import, Ingest, LiveThread, PatchItem, Refusal, ThreadActor};
use crate::workspace::{PutToRest, Wake, Workspace, WorkspaceActor, load_catalogue};
use actix::prelude::*;
use cmg_config::{KeywordIndex, VectorIndex};
use cmg_memory::catalogue::Entry;
use cmg_memory::embed::Embedder;
use cmg_memory::ids::ItemId;
use cmg_memory::index::large::{Choice, ThreadSummary};
use cmg_memory::ingest::{Materials, Redactor};
use cmg_memory::item::{Feedback, Item};
use cmg_memory::plan::{Exported, Patch};
use cmg_memory::recall::query::Query;
use cmg_memory::thread::{Counts, Thread};
use cmg_memory::time::Timestamp;
use cmg_snapshots::Store;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// The name of a workspace: 1 to 64 letters, digits, `_`, `-` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkspaceId(String);

impl WorkspaceId {
    /// The workspace of this name; `None` when it cannot be one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let fits = (1..=64).contains(&name.len());
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        (fits && plain).then(|| Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a recall looks at.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// One thread, by its public id.
    Thread(&'a str),
    /// All threads of the workspace.
    Workspace,
}

/// What a list of threads says of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadInfo {
    /// Its public id.
    pub id: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Items and tokens.
    pub counts: Counts,
}

/// What an ingest did, once it is durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestReceipt {
    /// New items.
    pub added: Vec<ItemId>,
    /// Known items that were touched or changed.
    pub updated: Vec<ItemId>,
    /// One sentence for people.
    pub summary: String,
    /// Redacted values by type.
    pub redactions: BTreeMap<String, u32>,
    /// `o200k_base` tokens of the new items.
    pub tokens: u64,
}

/// The way to all memory. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    pub(crate) shared: Arc<Shared>,
    pub(crate) gateway: Gateway,
}

/// What all clones of the directory share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) keys: KeyRing,
    pub(crate) settings: Settings,
    pub(crate) arbiters: Vec<ArbiterHandle>,
    /// Running workspaces by name. Locked for a look-up or an insertion, never longer.
    pub(crate) workspaces: RwLock<HashMap<String, Running>>,
    /// Held while a workspace is started, so that it is started once.
    pub(crate) starting: tokio::sync::Semaphore,
    pub(crate) ready: AtomicBool,
}

/// The settings that memory obeys.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) queue_per_workspace: usize,
    pub(crate) deadline: Duration,
    pub(crate) idle: Duration,
    pub(crate) budget_bytes: usize,
    pub(crate) snapshot_after_bytes: u64,
    pub(crate) snapshot_after: Duration,
    pub(crate) large: Large,
}

/// When a workspace scope is routed by indexes, and by which.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Large {
    pub(crate) keywords: KeywordIndex,
    pub(crate) vectors: VectorIndex,
    /// Passages that are scored exactly.
    pub(crate) exact_limit: usize,
}

/// Passages above which `auto` builds the graph too: below, tantivy finds the threads, and building
/// takes minutes (`docs/decisions/0004-exact-scan-before-graph.md`).
const GRAPH_FROM: usize = 1_000_000;

impl Large {
    /// The indexes for a scope of so many passages.
    pub(crate) fn choice(&self, passages: usize) -> Choice {
        let large = passages > self.exact_limit;
        Choice {
            lexical: match self.keywords {
                KeywordIndex::Auto => large,
                KeywordIndex::Exact => false,
                KeywordIndex::Tantivy => true,
            },
            graph: match self.vectors {
                VectorIndex::Auto => large && passages > GRAPH_FROM,
                VectorIndex::Exact => false,
                VectorIndex::Hnsw => true,
            },
        }
    }
}

/// A running workspace.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) workspace: Arc<Workspace>,
    pub(crate) address: Addr<WorkspaceActor>,
}

/// How often a request follows a thread that was put to rest just now.
const FOLLOWS: usize = 8;

impl Directory {
    /// Takes materials into a thread, which begins if there is none of this id. When it answers,
    /// the items are durable, and the next recall sees them.
    ///
    /// # Errors
    ///
    /// [`MemoryError`], all but [`MemoryError::NoThread`]; nothing was kept then, except that after
    /// [`MemoryError::Storage`] it may have been.
    pub async fn ingest(
        &self,
        workspace: &WorkspaceId,
        thread: &str,
        materials: Materials,
    ) -> Result<IngestReceipt, MemoryError> {
        let materials = Box::new(materials);
        self.ask(workspace, thread, true, move || Ingest(materials.clone())).await
    }

    /// The published threads of a scope, in order of their numbers; wakes those at rest.
    ///
    /// # Errors
    ///
    /// [`MemoryError::NoThread`], and what can go wrong while waking.
    pub async fn scope(&self, workspace: &WorkspaceId, scope: Scope<'_>) -> Result<Vec<Arc<Thread>>, MemoryError> {
        let ids: Vec<String> = match scope {
            Scope::Thread(thread) => return Ok(vec![self.view(workspace, thread).await?]),
            Scope::Workspace => {
                let running = self.workspace(workspace).await?;
                let catalogue = running.workspace.catalogue();
                catalogue.threads().map(|(_, entry)| entry.id.clone()).collect()
            }
        };
        let mut threads = Vec::with_capacity(ids.len());
        for id in ids {
            match self.view(workspace, &id).await {
                Ok(thread) => threads.push(thread),
                Err(MemoryError::NoThread) => {} // Deleted meanwhile.
                Err(error) => return Err(error),
            }
        }
        Ok(threads)
    }

    /// The threads of a scope that are worth scoring for a purpose: all of them, as long as they
    /// can be scored exactly in good time; else those that the workspace's indexes find for it.
    ///
    /// # Errors
    ///
    /// See [`Directory::scope`].
    pub async fn scope_for(
        &self,
        workspace: &WorkspaceId,
        scope: Scope<'_>,
        purpose: &str,
        as_of: Option<Timestamp>,
    ) -> Result<Vec<Arc<Thread>>, MemoryError> {
        let threads = self.scope(workspace, scope).await?;
        let large = &self.shared.settings.large;
        let passages = threads.iter().map(|thread| thread.passages().len()).sum();
        let choice = large.choice(passages);
        // The indexes know only the present: what they find would change an answer as of then.
        if threads.len() < 2 || as_of.is_some() || !(choice.lexical || choice.graph) {
            return Ok(threads);
        }
        let running = self.workspace(workspace).await?;
        Ok(routed(&running.workspace, threads, purpose, large.exact_limit))
    }

    /// The way to the upstreams.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The model behind all vectors.
    #[must_use]
    pub fn embedder(&self) -> &dyn Embedder {
        &*self.shared.embedder
    }

    /// An item and the thread that it is in.
    ///
    /// # Errors
    ///
    /// [`MemoryError::NoItem`], and what can go wrong while waking its thread.
    pub async fn item(&self, workspace: &WorkspaceId, id: ItemId) -> Result<(Arc<Thread>, Arc<Item>), MemoryError> {
        let thread = self.thread_of(workspace, id).await?;
        let view = self.view(workspace, &thread).await.map_err(no_item)?;
        let item = view.item(id).cloned().ok_or(MemoryError::NoItem)?;
        Ok((view, item))
    }

    /// The threads that name an artifact (`CODE:path#L1-L7`), in order of their numbers.
    ///
    /// # Errors
    ///
    /// [`MemoryError::NoItem`], and what can go wrong while waking them.
    pub async fn artifact(&self, workspace: &WorkspaceId, id: &str) -> Result<Vec<Arc<Thread>>, MemoryError> {
        let running = self.workspace(workspace).await?;
        let ids: Vec<String> = {
            let catalogue = running.workspace.catalogue();
            let numbers = catalogue.threads_of_artifact(id);
            numbers.into_iter().filter_map(|no| Some(catalogue.entry(no)?.id.clone())).collect()
        };
        let mut threads = Vec::with_capacity(ids.len());
        for thread in ids {
            let view = self.view(workspace, &thread).await?;
            let names = |item: &Arc<Item>| item.artifacts.iter().any(|artifact| artifact.id() == id);
            if view.items().any(names) {
                threads.push(view);
            }
        }
        if threads.is_empty() { Err(MemoryError::NoItem) } else { Ok(threads) }
    }

    /// Takes feedback of strength `value` (0 to 1); answers the new salience.
    ///
    /// # Errors
    ///
    /// [`MemoryError::NoItem`] and the general ones.
    pub async fn feedback(
        &self,
        workspace: &WorkspaceId,
        id: ItemId,
        feedback: Feedback,
        value: f32,
        comment: Option<String>,
    ) -> Result<f32, MemoryError> {
        let thread = self.thread_of(workspace, id).await?;
        let message = || FeedBack { id, feedback, value, comment: comment.clone() };
        self.ask(workspace, &thread, false, message).await.map_err(no_item)
    }

    /// Changes fields of an item; answers it as it is then.
    ///
    /// # Errors
    ///
    /// [`MemoryError::NoItem`] and the general ones.
    pub async fn patch(
        &self,
        workspace: &WorkspaceId,
        id: ItemId,
        patch: Patch,
    ) -> Result<(Arc<Thread>, Arc<Item>), MemoryError> {
        let thread = self.thread_of(workspace, id).await?;
        self.ask(workspace, &thread, false, || PatchItem(id, Box::new(patch.clone()))).await.map_err(no_item)?;
        self.item(workspace, id).await
    }

    /// Deletes an item, and the semantic ones that were found in it alone; answers all that went.
    ///
    /// # Errors
    ///
    /// [`MemoryError::NoItem`] and the general ones.
    pub async fn erase(&self, workspace: &WorkspaceId, id: ItemId) -> Result<Vec<ItemId>, MemoryError> {
        let thread = self.thread_of(workspace, id).await?;
        self.ask(workspace, &thread, false, || Erase(id)).await.map_err(no_item)
    }

    /// All threads of a workspace in the order in which they began; wakes none.
    ///
    /// # Errors
    ///
    /// What can go wrong while the workspace is started.
    pub async fn threads(&self, workspace: &WorkspaceId) -> Result<Vec<ThreadInfo>, MemoryError> {
        let running = self.workspace(workspace).await?;
        let catalogue = running.workspace.catalogue();
        let info = |(_, entry): (u32, &Entry)| ThreadInfo {
            id: entry.id.clone(),
            created_at: entry.created_at,
            updated_at: entry.updated_at,
            counts: entry.counts,
        };
        Ok(catalogue.threads().map(info).collect())
    }

    /// Deletes a thread with everything in it; answers how many items went.
    ///
    /// # Errors
    ///
    /// [`MemoryError::NoThread`] and the general ones.
    pub async fn erase_thread(&self, workspace: &WorkspaceId, thread: &str) -> Result<u64, MemoryError> {
        let gone = self.ask(workspace, thread, false, || EraseThread).await?;
        let running = self.workspace(workspace).await?;
        if let Some(live) = running.workspace.live(thread) {
            running.address.send(PutToRest(live)).await.map_err(|_| MemoryError::Internal)?;
        }
        Ok(gone)
    }

    /// Imports NDJSON lines into a thread that is empty or does not exist.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Import`] and the general ones.
    pub async fn import(&self, workspace: &WorkspaceId, thread: &str, ndjson: String) -> Result<Exported, MemoryError> {
        let ndjson: Arc<str> = ndjson.into();
        self.ask(workspace, thread, true, || Import(Arc::clone(&ndjson))).await
    }

    /// False before recovery is done and while draining.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.ready.load(Ordering::Relaxed)
    }

    /// The API keys.
    #[must_use]
    pub fn keys(&self) -> &KeyRing {
        &self.shared.keys
    }

    /// The published thread of a public id: awake ones without a message, a lock held or a hop.
    async fn view(&self, workspace: &WorkspaceId, thread: &str) -> Result<Arc<Thread>, MemoryError> {
        let running = self.workspace(workspace).await?;
        let view = match running.workspace.live(thread) {
            Some(live) => live.view(),
            None => self.wake(&running, thread, false).await?.view(),
        };
        // A thread whose first ingest failed, or that was deleted, is none.
        if view.created_at.0 == 0 { Err(MemoryError::NoThread) } else { Ok(view) }
    }

    async fn wake(&self, running: &Running, thread: &str, begin: bool) -> Result<Arc<LiveThread>, MemoryError> {
        let wake = Wake { thread: thread.to_owned(), begin };
        let answer = tokio::time::timeout(self.shared.settings.deadline, running.address.send(wake)).await;
        answer.map_err(|_| overloaded())?.map_err(|_| MemoryError::Internal)?
    }

    /// Sends a write to the owner of a thread, and waits for its answer.
    ///
    /// A permit is taken before the message is sent, so that what waits is bounded.
    async fn ask<M, T>(
        &self,
        workspace: &WorkspaceId,
        thread: &str,
        begin: bool,
        message: impl Fn() -> M,
    ) -> Result<T, MemoryError>
    where
        M: Message<Result = Result<T, Refusal>> + Send + 'static,
        T: Send + 'static,
        ThreadActor: Handler<M>,
    {
        let running = self.workspace(workspace).await?;
        let permits = Arc::clone(&running.workspace.permits);
        let _permit = permits.try_acquire_owned().map_err(|_| overloaded())?;
        for _ in 0..FOLLOWS {
            let live = match running.workspace.live(thread) {
                Some(live) => live,
                None => self.wake(&running, thread, begin).await?,
            };
            if !begin && live.peek().created_at.0 == 0 {
                return Err(MemoryError::NoThread);
            }
            let sent = tokio::time::timeout(self.shared.settings.deadline, live.address.send(message())).await;
            match sent.map_err(|_| overloaded())? {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Refusal::Failed(error))) => return Err(error),
                // Put to rest just now: its owner is gone from the list as soon as this is answered.
                Ok(Err(Refusal::Resting)) => {
                    let gone = running.address.send(PutToRest(live)).await;
                    gone.map_err(|_| MemoryError::Internal)?;
                }
                // It fell over this request, which is all that it costs: the next one wakes it anew.
                Err(_) => return Err(MemoryError::Internal),
            }
        }
        Err(overloaded())
    }

    /// The public id of the thread that holds an item.
    async fn thread_of(&self, workspace: &WorkspaceId, id: ItemId) -> Result<String, MemoryError> {
        let running = self.workspace(workspace).await?;
        let catalogue = running.workspace.catalogue();
        let entry = catalogue.thread_of(id).and_then(|no| catalogue.entry(no));
        entry.map(|entry| entry.id.clone()).ok_or(MemoryError::NoItem)
    }

    /// The running workspace of a name; starts it, or makes it, if it does not run.
    async fn workspace(&self, id: &WorkspaceId) -> Result<Running, MemoryError> {
        if let Some(running) = self.shared.running(id.as_str()) {
            return Ok(running);
        }
        if !self.is_ready() {
            return Err(MemoryError::NotReady);
        }
        let _turn = self.shared.starting.acquire().await.map_err(|_| MemoryError::NotReady)?;
        if let Some(running) = self.shared.running(id.as_str()) {
            return Ok(running);
        }
        let (shared, name) = (Arc::clone(&self.shared), id.as_str().to_owned());
        let recovering = tokio::task::spawn_blocking(move || shared.recover(&name));
        let (workspace, head) = recovering.await.map_err(|_| MemoryError::Internal)??;
        self.shared.run(workspace, head)
    }
}

/// Those of `threads` that the workspace's indexes find for a purpose; all of them while there are
/// no indexes, or while they are being filled.
fn routed(workspace: &Workspace, threads: Vec<Arc<Thread>>, purpose: &str, limit: usize) -> Vec<Arc<Thread>> {
    let Ok(guard) = workspace.large.try_read() else { return threads };
    let Some(scope) = guard.as_ref() else { return threads };
    let speakers: Vec<&str> = threads.iter().flat_map(|thread| thread.speakers()).map(String::as_str).collect();
    let newest = threads.iter().filter_map(|thread| thread.newest()).max();
    let query = Query::new(purpose, &speakers, newest, &*workspace.embedder);
    let summary = |thread: &Arc<Thread>| ThreadSummary {
        no: thread.no,
        passages: u32::try_from(thread.passages().len()).unwrap_or(u32::MAX),
    };
    let worth = scope.route(&threads.iter().map(summary).collect::<Vec<_>>(), &query, limit);
    threads.into_iter().filter(|thread| worth.binary_search(&thread.no).is_ok()).collect()
}

fn overloaded() -> MemoryError {
    MemoryError::Overloaded { retry_after: RETRY_AFTER }
}

/// A thread that went meanwhile took its items with it.
fn no_item(error: MemoryError) -> MemoryError {
    if matches!(error, MemoryError::NoThread) { MemoryError::NoItem } else { error }
}

impl Shared {
    /// The running workspace of a name, if its actor is alive.
    pub(crate) fn running(&self, name: &str) -> Option<Running> {
        let workspaces = self.workspaces.read().unwrap_or_else(PoisonError::into_inner);
        workspaces.get(name).filter(|running| running.address.connected()).cloned()
    }

    /// All running workspaces, in order of their numbers.
    pub(crate) fn all_running(&self) -> Vec<Running> {
        let workspaces = self.workspaces.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = workspaces.values().cloned().collect();
        all.sort_by_key(|running| running.workspace.no);
        all
    }

    /// Reads a workspace from the disk, or makes it. Blocks.
    pub(crate) fn recover(&self, name: &str) -> Result<(Arc<Workspace>, u64), MemoryError> {
        let entry = match self.store.workspaces().into_iter().find(|entry| entry.name == name) {
            Some(entry) => entry,
            None => self.store.create_workspace(name)?,
        };
        let catalogue = load_catalogue(&self.store, entry.no)?;
        let tools = (Arc::clone(&self.embedder), Arc::clone(&self.redactor));
        let queue = self.settings.queue_per_workspace;
        let head = catalogue.seq().max(entry.head);
        Ok((Arc::new(Workspace::new((entry.no, entry.name), self.store.clone(), tools, catalogue, queue)), head))
    }

    /// Starts the actor of a recovered workspace.
    pub(crate) fn run(&self, workspace: Arc<Workspace>, head: u64) -> Result<Running, MemoryError> {
        let address =
            WorkspaceActor::spawn(Arc::clone(&workspace), head, &self.arbiters).ok_or(MemoryError::NotReady)?;
        let name = workspace.name.clone();
        let running = Running { workspace, address };
        let mut workspaces = self.workspaces.write().unwrap_or_else(PoisonError::into_inner);
        workspaces.insert(name, running.clone());
        Ok(running)
    }
}
