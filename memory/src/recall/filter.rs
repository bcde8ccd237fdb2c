//! What the items of an answer have to be. Filters choose; they never change a score.

use crate::item::Item;
use crate::kind::Kind;
use crate::thread::Thread;
use crate::time::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// Conditions that all have to hold; the default lets everything pass.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// One of these kinds; empty: any.
    pub kinds: Vec<Kind>,
    /// Happened at this instant or later.
    pub after: Option<Timestamp>,
    /// Happened before this instant.
    pub before: Option<Timestamp>,
    /// Has all of these tags.
    pub tags: Vec<String>,
    /// Has all of these fields with these values.
    pub metadata: BTreeMap<String, Value>,
}

impl Filter {
    /// True when everything passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True when the item passes, or a semantic item that was found in it does.
    #[must_use]
    pub fn passes(&self, item: &Item, thread: &Thread, as_of: Option<Timestamp>) -> bool {
        self.admits(item) || self.derived(item, thread, as_of).next().is_some()
    }

    /// True when the item itself passes.
    #[must_use]
    pub fn admits(&self, item: &Item) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&item.kind))
            && self.after.is_none_or(|after| item.observed_at >= after)
            && self.before.is_none_or(|before| item.observed_at < before)
            && self.tags.iter().all(|tag| item.tags.contains(tag))
            && self.metadata.iter().all(|(key, value)| item.metadata.0.get(key) == Some(value))
    }

    /// The shadows of an item that pass where the item itself is of another kind.
    pub fn derived<'a>(
        &'a self,
        item: &'a Item,
        thread: &'a Thread,
        as_of: Option<Timestamp>,
    ) -> impl Iterator<Item = &'a std::sync::Arc<Item>> {
        let asked = !self.kinds.is_empty() && !self.kinds.contains(&item.kind);
        let derived = item.derived.iter().filter(move |_| asked).filter_map(|id| thread.item(*id));
        derived.filter(move |item| item.is_shadow() && item.is_known_at(as_of) && self.admits(item))
    }
}
