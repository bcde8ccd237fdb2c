//! What a request means for a thread: a record to make durable, and a receipt for the caller.
//!
//! Planning changes nothing. The owner journals the record, then applies it; if journalling fails,
//! nothing has happened.
//!
//! # Deliberately absent
//!
//! Parsing (that is [`crate::ingest`]) and applying ([`crate::thread`]).

mod build;
mod edit;
mod import;
mod known;

pub use edit::{Patch, close, erase, feedback, patch};
pub use import::{Exported, ImportError, export, import};
pub use known::Owned;

use crate::embed::Embedder;
use crate::event::{Event, Record};
use crate::ids::ItemId;
use crate::index::passage;
use crate::index::vector::Quantised;
use crate::ingest::{Draft, Numbering};
use crate::item::Item;
use crate::time::Timestamp;

/// Where numbers of new items come from: the workspace counts, episodic and semantic apart.
pub trait Numbers {
    /// The next number of this sort; never given twice, even if the plan comes to nothing.
    fn next(&mut self, episodic: bool) -> u64;

    /// Takes the number of this id itself, if neither it nor a later one was ever given.
    fn claim(&mut self, id: ItemId) -> bool;
}

/// What planning needs beside the thread and the request.
pub struct Tools<'a> {
    /// Now. An item is never older than the one before it, whatever the clock does.
    pub now: Timestamp,
    /// Makes the vectors.
    pub embedder: &'a dyn Embedder,
    /// Gives the numbers.
    pub numbers: &'a mut dyn Numbers,
}

/// What came of an ingest, for the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// New items, in the order of the materials, each semantic one after its source.
    pub added: Vec<ItemId>,
    /// Known items that the materials touched or changed.
    pub updated: Vec<ItemId>,
    /// `o200k_base` tokens of the new items' texts.
    pub tokens: u64,
}

/// A record to make durable, if anything changed, and what to tell the caller then.
#[derive(Debug, Clone)]
pub struct Plan<T> {
    /// What changes; `None` when nothing does.
    pub record: Option<Record>,
    /// What to tell the caller once it is durable.
    pub receipt: T,
}

impl<T> Plan<T> {
    fn new(owned: &Owned, tools: &Tools<'_>, events: Vec<Event>, receipt: T) -> Self {
        let record = Record { at: instant(owned, tools.now), model: tools.embedder.id().to_owned(), events };
        Self { record: (!record.events.is_empty()).then_some(record), receipt }
    }
}

/// Now, or the thread's last instant where the clock went back.
fn instant(owned: &Owned, now: Timestamp) -> Timestamp {
    now.max(owned.thread.updated_at)
}

/// Plans the ingest of parsed materials: dedupes, builds items, links them, closes what they close.
#[must_use]
pub fn ingest(owned: &Owned, drafts: Vec<Draft>, numbering: Numbering, tools: &mut Tools<'_>) -> Plan<Receipt> {
    let mut events = opening(owned, instant(owned, tools.now));
    if numbering != *owned.thread.numbering {
        events.push(Event::Numbered { numbering });
    }
    let (more, receipt) = build::items(owned, drafts, tools);
    events.extend(more);
    if receipt.added.is_empty() && events.iter().all(|event| matches!(event, Event::Numbered { .. })) {
        events.clear();
    }
    Plan::new(owned, tools, events, receipt)
}

/// The event that opens a thread in which nothing has happened yet.
fn opening(owned: &Owned, created_at: Timestamp) -> Vec<Event> {
    let fresh = owned.thread.seq == 0 && owned.thread.slots() == 0;
    fresh.then(|| Event::Opened { thread: owned.thread.id.to_string(), created_at }).into_iter().collect()
}

/// The vectors of an item's passages; none for a shadow, which is found by its source.
fn vectors(item: &Item, embedder: &dyn Embedder) -> Vec<Quantised> {
    if item.is_shadow() {
        return Vec::new();
    }
    let words = |(start, end): (usize, usize)| item.text.get(start..end).unwrap_or_default();
    let embed = |range| Quantised::of(&embedder.embed(&passage::embedding_text(item, words(range))));
    passage::cut(&item.text).into_iter().map(embed).collect()
}

/// The vectors of all passages of a thread by another model, in their order, from its words.
#[must_use]
pub fn reembed(thread: &crate::thread::Thread, embedder: &dyn Embedder) -> Vec<Quantised> {
    let embed = |passage: &passage::Passage| {
        let item = thread.slot(passage.slot)?;
        let as_of = Some(Timestamp(passage.created_at));
        let (_, text, _) = item.words_at(as_of);
        let words = text.get(passage.start as usize..passage.end as usize)?;
        Some(Quantised::of(&embedder.embed(&passage::embedding_text(item, words))))
    };
    let nothing = || Quantised { scale: 0.0, values: Vec::new() };
    thread.passages().iter().map(|passage| embed(passage).unwrap_or_else(nothing)).collect()
}

/// The hash by which near-duplicates are equal: letters and digits in lower case; in logs digits
/// are masked. 0 where there is nothing to compare.
#[must_use]
pub fn likeness(text: &str, mask_digits: bool) -> u64 {
    let mut plain = String::with_capacity(text.len());
    for char in text.chars().filter(|char| char.is_alphanumeric()) {
        if mask_digits && char.is_ascii_digit() {
            if !plain.ends_with('0') {
                plain.push('0');
            }
        } else {
            plain.extend(char.to_lowercase());
        }
    }
    if plain.is_empty() { 0 } else { crate::words::hash(&plain) }
}
