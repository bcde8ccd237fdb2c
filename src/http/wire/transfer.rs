//! `POST /v1/threads/{id}/import`: what came in.

use cmg_memory::ids::ItemId;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What an import did.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportAnswer<'a> {
    /// The thread.
    pub thread_id: &'a str,
    /// Items that came in.
    pub imported: u64,
    /// Ids that had to change, old to new.
    #[schema(value_type = BTreeMap<String, String>)]
    pub renamed: BTreeMap<ItemId, ItemId>,
}
