//! Why a request to memory did not happen. Each variant tells the caller what it may do next.

use cmg_memory::plan::ImportError;
use cmg_snapshots::{AppendError, Damage, WriteError};
use std::collections::BTreeMap;
use std::time::Duration;

/// When it is worth trying again after a refusal for want of room in a queue.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why memory did not do what was asked; nothing changed, unless the variant says otherwise.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MemoryError {
    /// This workspace has no such thread.
    #[error("there is no thread with this id")]
    NoThread,
    /// This workspace has no such item or artifact.
    #[error("there is no item with this id")]
    NoItem,
    /// The workspace refuses sensitive data, and there was some: counts by type.
    #[error("the materials hold sensitive data")]
    Sensitive(BTreeMap<String, u32>),
    /// The materials cannot be understood.
    #[error("{0}")]
    Materials(String),
    /// The lines cannot be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Too much is waiting: try again after this long.
    #[error("too many requests are waiting")]
    Overloaded {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// Recovery is not done, or the server is stopping.
    #[error("the server is not ready")]
    NotReady,
    /// There is no room on the disk: reads go on.
    #[error("there is no room left to store it")]
    Full,
    /// Storage failed; the change may or may not have been kept.
    #[error("storage is unavailable")]
    Storage,
    /// What is stored of this thread cannot be read.
    #[error("what is stored is damaged")]
    Damaged,
    /// A defect of ours, contained to this request.
    #[error("the request failed inside the server")]
    Internal,
}

impl From<AppendError> for MemoryError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::QueueFull { .. } => Self::Overloaded { retry_after: RETRY_AFTER },
            AppendError::Full { .. } => Self::Full,
            AppendError::TooLarge { bytes, limit, .. } => {
                Self::Materials(format!("one piece of the request takes {bytes} bytes to store, the limit is {limit}"))
            }
            error @ (AppendError::OutOfOrder { .. } | AppendError::UnknownWorkspace { .. }) => {
                tracing::error!(%error, "a frame was refused");
                Self::Internal
            }
            error @ (AppendError::Unknown { .. } | AppendError::Stopped { .. }) => {
                tracing::error!(%error, "the journal takes no more writes; restart to recover");
                Self::Storage
            }
        }
    }
}

impl From<WriteError> for MemoryError {
    fn from(error: WriteError) -> Self {
        tracing::error!(%error, "a write failed");
        if matches!(error, WriteError::Full { .. }) { Self::Full } else { Self::Storage }
    }
}

impl From<Damage> for MemoryError {
    fn from(damage: Damage) -> Self {
        tracing::error!(%damage, "stored memory cannot be read");
        Self::Damaged
    }
}
