//! Start and stop: from settings to a running directory, and back to a quiet disk.

use crate::clock;
use crate::directory::{Directory, Large, Settings, Shared};
use crate::gateway::{Gateway, Past};
use crate::keys::KeyRing;
use crate::ledger;
use crate::supervisor::{Stop, Supervisor};
use actix::prelude::*;
use cmg_config::{Config, EmbeddingModel, Redaction};
use cmg_memory::embed::{self, Embedder, StaticModel};
use cmg_memory::ingest::{self, ChatMaterial, Materials, Mode, Numbering, Redactor};
use cmg_snapshots::{OpenError, Secret, Store, StoreOptions};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

/// Why memory did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store did not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A workspace cannot be read: starting without it would be starting on half the data.
    #[error("workspace {name:?} cannot be recovered: {reason}; see the log, or restore a backup")]
    Workspace {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The API keys cannot be read.
    #[error("the API keys cannot be read or written; see the log")]
    Keys,
    /// An upstream cannot be used.
    #[error("the gateway cannot start: {0}")]
    Gateway(String),
    /// The embedding model cannot be used.
    #[error("EMBEDDING_MODEL: {0}")]
    Model(String),
    /// A start-up task of ours fell.
    #[error("the start failed inside the server; see the log")]
    Internal,
}

/// Running memory.
pub struct System {
    directory: Directory,
    supervisor: Addr<Supervisor>,
}

impl System {
    /// Opens the store, recovers every workspace, and starts the supervisor. Must run inside an
    /// actix system.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing runs then.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let arbiters: Vec<ArbiterHandle> = (0..cores).map(|_| Arbiter::new().handle()).collect();
        let home = arbiters.first().cloned().ok_or(StartError::Internal)?;
        let settings = config.clone();
        let opening = tokio::task::spawn_blocking(move || open(&settings, arbiters));
        let Opened { shared, workspaces, ledger } = opening.await.map_err(|_| StartError::Internal)??;
        for (workspace, head) in workspaces {
            shared.run(workspace, head).map_err(|_| StartError::Internal)?;
        }
        let past = Past::of(&ledger.state, clock::now());
        let gateway = Gateway::start(config, ledger.start(&home), &past).map_err(StartError::Gateway)?;
        shared.ready.store(true, Ordering::Relaxed);
        let directory = Directory { shared, gateway };
        let supervisor = Supervisor::new(directory.clone()).start();
        Ok(Self { directory, supervisor })
    }

    /// The way to all memory.
    #[must_use]
    pub fn directory(&self) -> Directory {
        self.directory.clone()
    }

    /// Says that the server is draining: [`Directory::is_ready`] is false from now on.
    pub fn drain(&self) {
        self.directory.shared.ready.store(false, Ordering::Relaxed);
    }

    /// Stops taking writes and makes durable what waits. Snapshots that are being written are
    /// abandoned; the journal has everything.
    pub async fn stop(self) {
        self.drain();
        if self.supervisor.send(Stop).await.is_err() {
            tracing::warn!("the supervisor was gone before it was stopped");
        }
        if let Err(error) = self.directory.gateway().ledger().flush().await {
            tracing::error!(%error, "the last rows of the ledger were not kept");
        }
        let store = self.directory.shared.store.clone();
        if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
            tracing::error!("closing the journal failed");
        }
    }
}

/// What was found on the disk, before any actor of it runs.
struct Opened {
    shared: Arc<Shared>,
    workspaces: Vec<(Arc<crate::workspace::Workspace>, u64)>,
    ledger: ledger::Found,
}

fn open(config: &Config, arbiters: Vec<ArbiterHandle>) -> Result<Opened, StartError> {
    let store = open_store(config)?;
    let keys = ring(&store, config)?;
    let secret = config.secrets.secret_key.expose();
    let key = blake3::derive_key("cmg 2026-11 redaction numbering", secret.as_bytes());
    let shared = Arc::new(Shared {
        store,
        embedder: embedder(&config.memory.embedding_model)?,
        redactor: Arc::new(Redactor::new(mode(config.memory.redaction)).with_key(&key)),
        keys,
        settings: settings(config),
        arbiters,
        workspaces: RwLock::new(HashMap::new()),
        starting: tokio::sync::Semaphore::new(1),
        ready: AtomicBool::new(false),
    });
    warm_up(&shared);
    let failed = |name: &str, error: crate::MemoryError| StartError::Workspace {
        name: name.to_owned(),
        reason: error.to_string(),
    };
    let mut workspaces = Vec::new();
    for entry in shared.store.workspaces().into_iter().filter(|entry| entry.name != ledger::NAME) {
        workspaces.push(shared.recover(&entry.name).map_err(|error| failed(&entry.name, error))?);
    }
    let ledger = ledger::load(&shared.store).map_err(|error| failed(ledger::NAME, error))?;
    Ok(Opened { shared, workspaces, ledger })
}

/// Makes what is made at first use (word pieces, tokenizer, patterns) before the first request is
/// there to wait for it: about 200 ms.
fn warm_up(shared: &Shared) {
    let words = "Alice: We decided to use example.com, because it works.";
    let _tokens = cmg_memory::tokens::count(words);
    shared.embedder.embed(words);
    let materials = Materials { chat: Some(ChatMaterial::Transcript(words.to_owned())), ..Materials::default() };
    if ingest::parse(materials, &shared.redactor, &mut Numbering::default()).is_err() {
        tracing::debug!("the warm-up text was refused");
    }
}

fn open_store(config: &Config) -> Result<Store, StartError> {
    let options = StoreOptions {
        cache_bytes: config.journal.cache_mb << 20,
        queue_limit: config.journal.queue_limit,
        ..StoreOptions::default()
    };
    let secret = Secret::new(config.secrets.secret_key.expose());
    let (store, report) = Store::open(&config.journal.database_url.folder, &secret, options)?;
    for note in report.notes {
        tracing::warn!(note, "noticed while opening the store");
    }
    Ok(store)
}

fn ring(store: &Store, config: &Config) -> Result<KeyRing, StartError> {
    let bootstrap = config.secrets.bootstrap_api_key.as_ref().map(cmg_config::Secret::expose);
    let secret = config.secrets.secret_key.expose();
    KeyRing::open(store.clone(), secret, bootstrap, clock::now()).map_err(|_| StartError::Keys)
}

/// The API keys of a data folder that no server holds. Blocks.
///
/// # Errors
///
/// [`StartError`]; [`OpenError::Locked`] in it while a server runs on the folder.
pub fn open_keys(config: &Config) -> Result<KeyRing, StartError> {
    ring(&open_store(config)?, config)
}

fn mode(redaction: Redaction) -> Mode {
    match redaction {
        Redaction::Redact => Mode::Redact,
        Redaction::Off => Mode::Off,
        Redaction::Reject => Mode::Reject,
    }
}

fn embedder(model: &EmbeddingModel) -> Result<Arc<dyn Embedder>, StartError> {
    match model {
        EmbeddingModel::StaticMinilm256 => Ok(embed::builtin()),
        EmbeddingModel::None => Ok(Arc::new(embed::Nothing)),
        EmbeddingModel::File(path) => {
            let unusable = |reason: String| StartError::Model(format!("{}: {reason}", path.display()));
            let bytes = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let model = StaticModel::from_bytes(&bytes).map_err(|error| unusable(error.to_string()))?;
            Ok(Arc::new(model))
        }
    }
}

fn settings(config: &Config) -> Settings {
    Settings {
        queue_per_workspace: config.memory.queue_per_workspace,
        deadline: Duration::from_secs(config.server.request_timeout),
        idle: Duration::from_secs(config.memory.thread_idle_seconds),
        budget_bytes: usize::try_from(config.memory.budget_mb << 20).unwrap_or(usize::MAX),
        snapshot_after_bytes: config.journal.snapshot_after_bytes,
        snapshot_after: Duration::from_secs(config.journal.snapshot_after_seconds),
        large: Large {
            keywords: config.memory.keyword_index,
            vectors: config.memory.vector_index,
            exact_limit: config.memory.exact_limit_items,
        },
    }
}
