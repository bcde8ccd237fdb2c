//! The room of the journal: where the data lives, how much may wait, and when a snapshot is due.

use std::path::PathBuf;

use crate::table::{FromValue, Kind, Value, room};

/// What stands before the folder in `DATABASE_URL`.
const SCHEME: &str = "sled:";

/// Where the data lives: `sled:<folder>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// The folder; relative ones are relative to the working directory.
    pub folder: PathBuf,
}

impl FromValue for DatabaseUrl {
    fn from_value(value: Option<&Value>) -> Self {
        let url = String::from_value(value);
        Self { folder: PathBuf::from(url.strip_prefix(SCHEME).unwrap_or(&url)) }
    }
}

room! {
    /// Where everything durable goes.
    Journal in "journal" {
        /// Where the data lives: `sled:` and a folder, which is created if it is missing.
        database_url: DatabaseUrl = "DATABASE_URL",
            Kind::Text { allowed: "`sled:` and a folder, such as sled:./data", check: is_database };
        /// Appends that may wait for the next sync, over all workspaces; beyond that callers get 503 `overloaded`.
        queue_limit: usize = "CMG_JOURNAL_QUEUE_LIMIT", Kind::Integer { min: 1, max: 1_000_000 };
        /// Page cache of the storage engine in MiB.
        cache_mb: u64 = "CMG_JOURNAL_CACHE_MB", Kind::Integer { min: 1, max: 65_536 };
        /// Bytes of journal since the last snapshot of a workspace after which the next one is due.
        snapshot_after_bytes: u64 = "CMG_JOURNAL_SNAPSHOT_AFTER_BYTES", Kind::Integer { min: 4_096, max: 1 << 40 };
        /// Seconds since the last snapshot of a changed workspace after which the next one is due.
        snapshot_after_seconds: u64 = "CMG_JOURNAL_SNAPSHOT_AFTER_SECONDS", Kind::Integer { min: 1, max: 31_536_000 };
    }
}

fn is_database(text: &str) -> bool {
    text.strip_prefix(SCHEME).is_some_and(|folder| !folder.trim().is_empty())
}
