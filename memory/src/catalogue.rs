//! A workspace's own state: which threads there are, which ids they hold, which numbers come next.
//!
//! Small, and always in memory: by it a request finds its thread without waking any other.
//!
//! # Invariants
//!
//! - [`Catalogue::apply`] is total, and applying a record twice changes nothing.
//! - A number given once is below the next number for ever, deleted items included.

use crate::event::{Event, Record};
use crate::ids::ItemId;
use crate::thread::Counts;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a thread while it rests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its public id.
    pub id: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Items and tokens that are not deleted.
    pub counts: Counts,
    /// The last record that it holds.
    pub seq: u64,
}

/// The state of a workspace beside its threads.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Catalogue {
    /// Threads by number.
    threads: BTreeMap<u32, Entry>,
    /// The number of the next thread.
    next_thread: u32,
    /// Runs of consecutive ids in one thread: first id to (last number, thread).
    runs: BTreeMap<ItemId, (u64, u32)>,
    /// Threads that name an artifact, by the artifact's id.
    artifacts: BTreeMap<String, BTreeSet<u32>>,
    /// The last episodic and semantic number given.
    last: (u64, u64),
    /// The last record applied.
    seq: u64,
    /// Numbers by public id; made from `threads`.
    #[serde(skip)]
    by_id: BTreeMap<String, u32>,
}

impl Catalogue {
    /// The threads in order of their numbers.
    pub fn threads(&self) -> impl DoubleEndedIterator<Item = (u32, &Entry)> {
        self.threads.iter().map(|(&no, entry)| (no, entry))
    }

    /// The thread with this public id.
    #[must_use]
    pub fn thread(&self, id: &str) -> Option<(u32, &Entry)> {
        let no = *self.by_id.get(id)?;
        Some((no, self.threads.get(&no)?))
    }

    /// The thread with this number.
    #[must_use]
    pub fn entry(&self, no: u32) -> Option<&Entry> {
        self.threads.get(&no)
    }

    /// The catalogue behind the bytes of [`Catalogue::store`].
    ///
    /// # Errors
    ///
    /// See [`crate::codec::decode`].
    pub fn restore(bytes: &[u8]) -> Result<Self, crate::codec::CodecError> {
        let mut catalogue: Self = crate::codec::decode(bytes)?;
        catalogue.by_id = catalogue.threads.iter().map(|(&no, entry)| (entry.id.clone(), no)).collect();
        Ok(catalogue)
    }

    /// The bytes of the catalogue.
    ///
    /// # Errors
    ///
    /// See [`crate::codec::encode`].
    pub fn store(&self) -> Result<Vec<u8>, crate::codec::CodecError> {
        crate::codec::encode(self)
    }

    /// The number for a thread that is to begin; given once.
    pub fn begin_thread(&mut self) -> u32 {
        self.next_thread = self.next_thread.max(self.threads.keys().last().copied().unwrap_or(0)) + 1;
        self.next_thread
    }

    /// The thread that holds an item, deleted items included.
    #[must_use]
    pub fn thread_of(&self, id: ItemId) -> Option<u32> {
        let (first, &(last, thread)) = self.runs.range(..=id).next_back()?;
        let holds = first.is_episodic() == id.is_episodic() && id.number() <= last;
        (holds && self.threads.contains_key(&thread)).then_some(thread)
    }

    /// The threads that name an artifact, in order.
    #[must_use]
    pub fn threads_of_artifact(&self, id: &str) -> Vec<u32> {
        self.artifacts.get(id).into_iter().flatten().copied().filter(|no| self.threads.contains_key(no)).collect()
    }

    /// The last episodic and semantic number given.
    #[must_use]
    pub fn last_numbers(&self) -> (u64, u64) {
        self.last
    }

    /// The last record applied.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Makes what a record of a thread says true.
    pub fn apply(&mut self, seq: u64, thread: u32, record: &Record) {
        if seq <= self.seq {
            return;
        }
        self.seq = seq;
        for event in &record.events {
            match event {
                Event::Opened { thread: id, created_at } => self.open(thread, id, (*created_at, record.at)),
                Event::Added { item, .. } => {
                    self.own(item.id, thread);
                    self.count(thread, 1, i64::from(item.tokens));
                    for artifact in &item.artifacts {
                        self.artifacts.entry(artifact.id()).or_default().insert(thread);
                    }
                }
                Event::Reworded { tokens, tokens_before, .. } => {
                    self.count(thread, 0, i64::from(*tokens) - i64::from(*tokens_before));
                }
                Event::Erased { tokens, .. } => self.count(thread, -1, -i64::from(*tokens)),
                Event::Closed => {
                    if let Some(entry) = self.threads.remove(&thread) {
                        self.by_id.remove(&entry.id);
                    }
                    self.runs.retain(|_, (_, owner)| *owner != thread);
                    self.artifacts.retain(|_, threads| {
                        threads.remove(&thread);
                        !threads.is_empty()
                    });
                }
                _ => {}
            }
        }
        if let Some(entry) = self.threads.get_mut(&thread) {
            entry.updated_at = entry.updated_at.max(record.at);
            entry.seq = seq;
        }
    }

    fn count(&mut self, thread: u32, items: i64, tokens: i64) {
        if let Some(entry) = self.threads.get_mut(&thread) {
            entry.counts.items = entry.counts.items.saturating_add_signed(items);
            entry.counts.tokens = entry.counts.tokens.saturating_add_signed(tokens);
        }
    }

    fn open(&mut self, thread: u32, id: &str, (created_at, updated_at): (Timestamp, Timestamp)) {
        self.next_thread = self.next_thread.max(thread);
        let entry = Entry { id: id.to_owned(), created_at, updated_at, counts: Counts::default(), seq: 0 };
        self.threads.entry(thread).or_insert(entry);
        self.by_id.insert(id.to_owned(), thread);
    }

    fn own(&mut self, id: ItemId, thread: u32) {
        let number = id.number();
        let last = if id.is_episodic() { &mut self.last.0 } else { &mut self.last.1 };
        *last = (*last).max(number);
        let before = self.runs.range_mut(..=id).next_back();
        if let Some((first, (last, owner))) = before
            && first.is_episodic() == id.is_episodic()
            && *owner == thread
            && *last + 1 == number
        {
            *last = number;
            return;
        }
        self.runs.entry(id).or_insert((number, thread));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Item;
    use crate::kind::Kind;

    fn added(numbers: std::ops::RangeInclusive<u64>) -> Record {
        let add = |number| Event::Added {
            item: Box::new(Item::empty(ItemId::Episodic(number), Kind::Chat, Timestamp(1))),
            vectors: Vec::new(),
        };
        Record { at: Timestamp(1), model: String::new(), events: numbers.map(add).collect() }
    }

    #[test]
    fn an_id_leads_to_its_thread_and_numbers_are_never_given_again() {
        let mut catalogue = Catalogue::default();
        let opened = |id: &str| Record {
            at: Timestamp(1),
            model: String::new(),
            events: vec![Event::Opened { thread: id.into(), created_at: Timestamp(1) }],
        };
        let (a, b) = (catalogue.begin_thread(), catalogue.begin_thread());
        catalogue.apply(1, a, &opened("a"));
        catalogue.apply(2, b, &opened("b"));
        catalogue.apply(3, a, &added(1..=3));
        catalogue.apply(4, b, &added(4..=9));
        catalogue.apply(5, a, &added(10..=12));
        let owner = |catalogue: &Catalogue, number| catalogue.thread_of(ItemId::Episodic(number));
        assert_eq!(
            [1, 3, 4, 9, 10, 12, 13].map(|n| owner(&catalogue, n)),
            [Some(a), Some(a), Some(b), Some(b), Some(a), Some(a), None]
        );

        catalogue.apply(6, a, &Record { at: Timestamp(2), model: String::new(), events: vec![Event::Closed] });

        assert_eq!(owner(&catalogue, 12), None);
        assert_eq!(catalogue.last_numbers(), (12, 0));
        assert!(catalogue.begin_thread() > b);
    }
}
