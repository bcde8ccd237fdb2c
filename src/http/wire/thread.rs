//! Threads as lists show them.

use cmg_actors::ThreadInfo;
use cmg_memory::thread::Thread;
use cmg_memory::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A thread.
#[derive(Debug, Serialize, ToSchema)]
pub struct ThreadView {
    /// Its id.
    pub thread_id: String,
    /// When it began.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    /// When it last changed.
    #[schema(value_type = String)]
    pub updated_at: Timestamp,
    /// Items that are not deleted.
    pub item_count: u64,
    /// Their tokens.
    pub token_count: u64,
}

impl From<ThreadInfo> for ThreadView {
    fn from(info: ThreadInfo) -> Self {
        Self {
            thread_id: info.id,
            created_at: info.created_at,
            updated_at: info.updated_at,
            item_count: info.counts.items,
            token_count: info.counts.tokens,
        }
    }
}

impl From<&Thread> for ThreadView {
    fn from(thread: &Thread) -> Self {
        Self {
            thread_id: thread.id.to_string(),
            created_at: thread.created_at,
            updated_at: thread.updated_at,
            item_count: thread.counts.items,
            token_count: thread.counts.tokens,
        }
    }
}

/// What the deletion of a thread took.
#[derive(Debug, Serialize, ToSchema)]
pub struct ThreadDeletedAnswer<'a> {
    /// The thread.
    pub thread_id: &'a str,
    /// Always true.
    pub deleted: bool,
    /// How many items went.
    pub deleted_items: u64,
}
