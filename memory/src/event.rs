//! What the journal holds: everything that ever changed a thread, in order.
//!
//! # Invariants
//!
//! - The format is append-only: variants and fields are added at the end, under a new version byte
//!   of [`crate::codec`], and never change their meaning.
//! - An event says what became so, never what to compute: replaying needs no clock, no model and no
//!   random number.

use crate::ids::ItemId;
use crate::index::vector::Quantised;
use crate::ingest::Numbering;
use crate::item::{Cause, Item, LinkKind, Metadata, Standing};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What one request changed in one thread: all of it or nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// The model that made the vectors.
    pub model: String,
    /// What changed, in order.
    pub events: Vec<Event>,
}

/// One change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Event {
    /// The thread begins.
    Opened {
        /// Its public id.
        thread: String,
        /// When it began: now, or when an imported one did.
        created_at: Timestamp,
    },
    /// An item comes in. Vectors are those of its passages; none for a shadow of its source.
    Added {
        /// The item.
        item: Box<Item>,
        /// One vector for each passage.
        vectors: Vec<Quantised>,
    },
    /// An item gets other words; the ones before stay as a version.
    Reworded {
        /// Which.
        id: ItemId,
        /// Its header from now on.
        title: Option<String>,
        /// Its words from now on.
        text: String,
        /// Their tokens.
        tokens: u32,
        /// The tokens of the words before.
        tokens_before: u32,
        /// Their likeness hash.
        likeness: u64,
        /// One vector for each passage.
        vectors: Vec<Quantised>,
    },
    /// An item stands differently.
    Stood {
        /// Which.
        id: ItemId,
        /// How it stands from now on.
        standing: Standing,
        /// Why.
        cause: Cause,
    },
    /// Two items belong together; the other direction is an event of its own.
    Linked {
        /// From which.
        from: ItemId,
        /// How.
        kind: LinkKind,
        /// To which.
        to: ItemId,
    },
    /// A semantic item was found in one more episodic item, and so stands for itself.
    Sourced {
        /// The semantic item.
        id: ItemId,
        /// Where it was found again.
        source: ItemId,
        /// Its passages' vectors, where it had no passages yet.
        vectors: Vec<Quantised>,
    },
    /// The caller changed fields that are not words.
    Edited {
        /// Which.
        id: ItemId,
        /// Its tags from now on, if changed.
        tags: Option<Vec<String>>,
        /// Its metadata from now on, if changed.
        metadata: Option<Metadata>,
        /// Its priority from now on, if changed.
        priority: Option<String>,
    },
    /// Feedback came in; a [`Event::Stood`] beside it says what it moved.
    Said {
        /// About which item.
        id: ItemId,
        /// What the caller wrote beside it, redacted.
        comment: Option<String>,
    },
    /// Redaction met values that it had not met before: the whole numbering from now on.
    Numbered {
        /// Hashes of the values with their numbers.
        numbering: Numbering,
    },
    /// An item is gone.
    Erased {
        /// Which.
        id: ItemId,
        /// The tokens that go with it.
        tokens: u32,
    },
    /// The thread is gone, with everything in it.
    Closed,
}
