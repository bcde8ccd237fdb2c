//! A thread: its items, their passages and postings, and `apply`, the only way they change.
//!
//! The owner keeps one [`Thread`], applies records to it, and publishes clones: everything large in
//! it is shared in chunks, so a clone costs pointers. Readers hold a clone and never a lock.
//!
//! # Invariants
//!
//! - [`Thread::apply`] is total: a record that names unknown items changes what it can and cannot
//!   fail, so that replay never stops half-way.
//! - Items stand in the order in which they came; numbers of episodic ids rise along it, and those
//!   of semantic ids too.
//! - Nothing is removed: a deleted item keeps its slot (without its words), a reworded one its
//!   earlier passages, marked with the instant until which they held.
//!
//! # Deliberately absent
//!
//! Deciding what a request means (that is [`crate::plan`]), and who may ask.

use crate::chunks::ChunkVec;
use crate::event::{Event, Record};
use crate::ids::ItemId;
use crate::index::dense::Columns;
use crate::index::passage::{self, NONE, Passage, Stream, flag};
use crate::index::postings::{Postings, Segment};
use crate::index::vector::{self, Quantised, Row};
use crate::ingest::Numbering;
use crate::item::{Item, LinkKind, Version};
use crate::time::Timestamp;
use crate::words::Term;
use crate::workingset::Globals;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};

/// A silence longer than this ends a session of chat, µs. Four hours: `retrieval.md` leaves "some
/// hours" open, and conversations of one day mostly belong together.
const CHAT_GAP_US: i64 = 4 * 3600 * 1_000_000;
/// A silence longer than this ends a burst of log events, µs.
const LOG_GAP_US: i64 = 60 * 1_000_000;
/// Items in a session at most: the ranker wants "at best a few dozen".
const SESSION_ITEMS: u32 = 64;

/// Where a stream stands: what the next item of it continues.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct StreamEnd {
    /// The last passage, if there is one.
    passage: Option<u32>,
    session: u32,
    /// Items in the session so far.
    items: u32,
    observed_at: Timestamp,
    /// The session's own name, where the caller gave one.
    key: Option<String>,
}

/// What a caller sees in a list of threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Items that are not deleted.
    pub items: u64,
    /// Their tokens.
    pub tokens: u64,
}

/// One thread of a workspace.
#[derive(Debug, Clone)]
pub struct Thread {
    /// Its public id.
    pub id: Arc<str>,
    /// Its number within the workspace, never given twice.
    pub no: u32,
    /// The last journal sequence number that it holds.
    pub seq: u64,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Counts over the items that are not deleted.
    pub counts: Counts,
    /// The model of its vectors.
    pub model: Arc<str>,
    /// Placeholders that redaction has given out.
    pub numbering: Arc<Numbering>,
    items: ChunkVec<Arc<Item>>,
    episodic: ChunkVec<(u64, u32)>,
    semantic: ChunkVec<(u64, u32)>,
    passages: ChunkVec<Passage>,
    columns: Columns,
    rows: ChunkVec<Row>,
    postings: Postings,
    speakers: Arc<Vec<String>>,
    sessions: u32,
    streams: [StreamEnd; 3],
    live_passages: u64,
    live_length: u64,
    /// What always holds in it, made when it is first asked for after a change.
    register: OnceLock<Arc<Globals>>,
}

impl Thread {
    /// A thread in which nothing has happened yet.
    #[must_use]
    pub fn new(id: &str, no: u32, model: &str) -> Self {
        Self {
            id: id.into(),
            no,
            seq: 0,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            counts: Counts::default(),
            model: model.into(),
            numbering: Arc::default(),
            items: ChunkVec::default(),
            episodic: ChunkVec::default(),
            semantic: ChunkVec::default(),
            passages: ChunkVec::default(),
            columns: Columns::default(),
            rows: ChunkVec::default(),
            postings: Postings::default(),
            speakers: Arc::default(),
            sessions: 0,
            streams: <[StreamEnd; 3]>::default(),
            live_passages: 0,
            live_length: 0,
            register: OnceLock::new(),
        }
    }

    // ---- reading ----------------------------------------------------------------------------

    /// The item at a slot, deleted ones included.
    #[must_use]
    pub fn slot(&self, slot: u32) -> Option<&Arc<Item>> {
        self.items.get(slot as usize)
    }

    /// The slot of an id, deleted ones included.
    #[must_use]
    pub fn slot_of(&self, id: ItemId) -> Option<u32> {
        let ids = if id.is_episodic() { &self.episodic } else { &self.semantic };
        let at = ids.partition_point(|&(number, _)| number < id.number());
        ids.get(at).filter(|&&(number, _)| number == id.number()).map(|&(_, slot)| slot)
    }

    /// The item of an id; `None` when there is none or it is deleted.
    #[must_use]
    pub fn item(&self, id: ItemId) -> Option<&Arc<Item>> {
        self.slot(self.slot_of(id)?).filter(|item| !item.deleted)
    }

    /// All items that are not deleted, in the order in which they came.
    pub fn items(&self) -> impl DoubleEndedIterator<Item = &Arc<Item>> + Clone {
        self.items.iter().filter(|item| !item.deleted)
    }

    /// The number of slots, deleted items included.
    #[must_use]
    pub fn slots(&self) -> u32 {
        index(self.items.len())
    }

    /// The semantic items that are not deleted, in order of id.
    pub fn semantic_items(&self) -> impl DoubleEndedIterator<Item = &Arc<Item>> + Clone {
        self.semantic.iter().filter_map(|&(_, slot)| self.slot(slot)).filter(|item| !item.deleted)
    }

    /// The passages, in order of their coming.
    #[must_use]
    pub fn passages(&self) -> &ChunkVec<Passage> {
        &self.passages
    }

    /// The columns of the passages that every recall reads.
    #[must_use]
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The vectors of the passages, in the same order.
    #[must_use]
    pub fn rows(&self) -> &ChunkVec<Row> {
        &self.rows
    }

    /// Which passages hold a word.
    #[must_use]
    pub fn postings(&self) -> &Postings {
        &self.postings
    }

    /// Speakers in lower case, by number.
    #[must_use]
    pub fn speakers(&self) -> &[String] {
        &self.speakers
    }

    /// The number of sessions.
    #[must_use]
    pub fn sessions(&self) -> u32 {
        self.sessions
    }

    /// How many passages hold now, and how many index terms they have together.
    #[must_use]
    pub fn live(&self) -> (u64, u64) {
        (self.live_passages, self.live_length)
    }

    /// True when nothing was ever reworded or deleted: every passage holds.
    #[must_use]
    pub fn all_hold(&self) -> bool {
        self.live_passages == self.passages.len() as u64
    }

    /// The instant of the newest item, by which ages are measured.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        self.items().next_back().map(|item| item.observed_at)
    }

    /// What always holds in the thread now, made by `make` once after each change.
    pub(crate) fn register(&self, make: impl FnOnce() -> Globals) -> &Arc<Globals> {
        self.register.get_or_init(|| Arc::new(make()))
    }

    /// About how many bytes the thread takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        // Measured with 10,000 chat turns: an item beside its text costs about 700 bytes, a passage
        // with its vector and its postings about 700.
        self.items.len() * 700 + self.passages.len() * 700 + usize::try_from(self.counts.tokens).unwrap_or(0) * 5
    }

    // ---- changing ---------------------------------------------------------------------------

    /// Makes what a record says true. Total: it cannot fail.
    pub fn apply(&mut self, seq: u64, record: &Record) {
        self.register = OnceLock::new();
        let first = index(self.passages.len());
        let mut terms = Vec::new();
        for event in &record.events {
            self.apply_event(record, event, &mut terms);
        }
        if !terms.is_empty() {
            self.postings.push(Segment::build(first, &terms));
        }
        self.seq = self.seq.max(seq);
        self.updated_at = self.updated_at.max(record.at);
    }

    fn apply_event(&mut self, record: &Record, event: &Event, terms: &mut Vec<Vec<Term>>) {
        match event {
            Event::Opened { thread, created_at } => {
                self.id = thread.as_str().into();
                self.created_at = *created_at;
            }
            Event::Added { item, vectors } => self.add(item, vectors, record, terms),
            Event::Reworded { id, title, text, tokens, likeness, vectors, .. } => {
                let words = Words { title, text, tokens: *tokens, likeness: *likeness };
                self.reword(*id, words, vectors, record, terms);
            }
            Event::Stood { id, standing, cause } => {
                self.change(*id, |item| item.change(record.at, *cause, |now| *now = *standing));
            }
            Event::Linked { from, kind, to } => self.change(*from, |item| {
                item.link(*kind, *to);
                if *kind == LinkKind::Derived && !item.derived.contains(to) {
                    item.derived.push(*to);
                }
            }),
            Event::Sourced { id, source, vectors } => {
                self.change(*id, |item| {
                    if !item.sources.contains(source) {
                        item.sources.push(*source);
                        item.link(LinkKind::Source, *source);
                    }
                });
                self.add_passages_of(*id, vectors, record, terms);
            }
            Event::Edited { id, tags, metadata, priority } => self.change(*id, |item| {
                item.tags = tags.clone().unwrap_or_else(|| std::mem::take(&mut item.tags));
                item.metadata = metadata.clone().unwrap_or_else(|| std::mem::take(&mut item.metadata));
                item.priority = priority.clone().or_else(|| item.priority.take());
                item.direct = true;
            }),
            Event::Said { .. } => {}
            Event::Numbered { numbering } => self.numbering = Arc::new(numbering.clone()),
            Event::Erased { id, .. } => self.erase(*id),
            Event::Closed => self.close(),
        }
    }

    fn change(&mut self, id: ItemId, change: impl FnOnce(&mut Item)) {
        let Some(slot) = self.slot_of(id) else { return };
        if let Some(item) = self.items.get_mut(slot as usize).filter(|item| !item.deleted) {
            change(Arc::make_mut(item));
        }
    }

    fn add(&mut self, item: &Item, vectors: &[Quantised], record: &Record, terms: &mut Vec<Vec<Term>>) {
        let slot = index(self.items.len());
        let ids = if item.id.is_episodic() { &mut self.episodic } else { &mut self.semantic };
        if ids.last().is_some_and(|&(last, _)| last >= item.id.number()) {
            return; // Already here: a record is applied once, whatever replay hands in.
        }
        ids.push((item.id.number(), slot));
        self.items.push(Arc::new(item.clone()));
        self.counts.items += 1;
        self.counts.tokens += u64::from(item.tokens);
        if !item.is_shadow() {
            let place = self.place(item);
            self.add_passages(item, slot, vectors, place, (item.created_at, record), terms);
        }
    }

    /// The session that an item falls into, and the passage before it there.
    fn place(&mut self, item: &Item) -> (u32, u32) {
        let stream = Stream::of(item.kind);
        let Some(end) = self.streams.get_mut(stream as usize) else { return (NONE, NONE) };
        let named = |key: &str| item.metadata.0.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        let key = item.session.clone().or_else(|| named("session")).or_else(|| named("session_id"));
        let gap = (item.observed_at.0.saturating_sub(end.observed_at.0)).saturating_abs();
        let limit = if stream == Stream::Log { LOG_GAP_US } else { CHAT_GAP_US };
        let continues =
            end.passage.is_some() && end.key == key && (key.is_some() || (gap <= limit && end.items < SESSION_ITEMS));
        if !continues {
            *end = StreamEnd { session: self.sessions, key, ..StreamEnd::default() };
            self.sessions += 1;
        }
        end.items += 1;
        end.observed_at = item.observed_at;
        (end.session, end.passage.unwrap_or(NONE))
    }

    fn add_passages(
        &mut self,
        item: &Item,
        slot: u32,
        vectors: &[Quantised],
        (session, mut before): (u32, u32),
        (since, record): (Timestamp, &Record),
        terms: &mut Vec<Vec<Term>>,
    ) {
        let speaker = self.speaker(item);
        let current = *self.model == *record.model;
        for (nth, (start, end)) in passage::cut(&item.text).into_iter().enumerate() {
            let words = item.text.get(start..end).unwrap_or_default();
            let passage_terms = passage::index_terms(item, words);
            let vector = vectors.get(nth).filter(|_| current);
            let mut passage = Passage {
                slot,
                before,
                session,
                speaker,
                length: index(passage_terms.len()),
                start: index(start),
                end: index(end),
                day: i32::try_from(item.observed_at.days_since_epoch()).unwrap_or(0),
                created_at: since.0,
                until: i64::MAX,
                scale: 0.0,
                inverse_norm: 0.0,
                inverse_pair: 0.0,
                flags: passage::flags(item, words),
                stream: Stream::of(item.kind),
                names: passage::names(words),
            };
            if self.passages.get(before as usize).is_some_and(|before| before.is(flag::ASKS)) {
                passage.flags |= flag::BEFORE_ASKS;
            }
            let row = vector.map_or([0; crate::embed::DIMS], Quantised::row);
            self.set_vector(&mut passage, vector.map(|vector| vector.scale), &row);
            self.live_passages += 1;
            self.live_length += u64::from(passage.length);
            before = index(self.passages.len());
            self.columns.push(&passage);
            self.passages.push(passage);
            self.rows.push(row);
            terms.push(passage_terms);
        }
        if let Some(end) = self.streams.get_mut(Stream::of(item.kind) as usize).filter(|end| end.session == session) {
            end.passage = Some(before);
        }
    }

    /// Writes the vector's lengths into a passage; `None` for one without a vector.
    fn set_vector(&self, passage: &mut Passage, scale: Option<f32>, row: &Row) {
        let inverse = |length: f32| if length > 0.0 { 1.0 / length } else { 0.0 };
        passage.scale = scale.unwrap_or(0.0);
        passage.inverse_norm = inverse(vector::norm(passage.scale, row));
        passage.inverse_pair = passage.inverse_norm;
        let before = passage.before as usize;
        if let (Some(other), Some(other_row)) = (self.passages.get(before), self.rows.get(before)) {
            passage.inverse_pair = inverse(vector::pair_norm((passage.scale, row), (other.scale, other_row)));
        }
        if scale.is_some() {
            passage.flags |= flag::EMBEDDED;
        } else {
            passage.flags &= !flag::EMBEDDED;
        }
    }

    fn speaker(&mut self, item: &Item) -> u32 {
        let Some(name) = item.speaker.as_deref().map(str::to_lowercase) else { return NONE };
        if let Some(at) = self.speakers.iter().position(|known| *known == name) {
            return index(at);
        }
        Arc::make_mut(&mut self.speakers).push(name);
        index(self.speakers.len() - 1)
    }

    fn reword(
        &mut self,
        id: ItemId,
        words: Words<'_>,
        vectors: &[Quantised],
        record: &Record,
        terms: &mut Vec<Vec<Term>>,
    ) {
        let Some(slot) = self.slot_of(id) else { return };
        let Some(item) = self.items.get_mut(slot as usize).filter(|item| !item.deleted).map(Arc::make_mut) else {
            return;
        };
        self.counts.tokens = self.counts.tokens.saturating_sub(u64::from(item.tokens)) + u64::from(words.tokens);
        let old = Version {
            until: record.at,
            title: item.title.take(),
            text: std::mem::take(&mut item.text),
            tokens: item.tokens,
        };
        item.versions.push(old);
        (item.title, item.text) = (words.title.clone(), words.text.to_owned());
        (item.tokens, item.likeness) = (words.tokens, words.likeness);
        // Found by rule and then put differently: from now on it speaks for itself.
        item.direct |= !item.kind.is_episodic();
        let item = item.clone();
        let place = self.end_passages(slot, record.at.0).unwrap_or_else(|| self.place(&item));
        self.add_passages(&item, slot, vectors, place, (record.at, record), terms);
    }

    fn add_passages_of(&mut self, id: ItemId, vectors: &[Quantised], record: &Record, terms: &mut Vec<Vec<Term>>) {
        let Some(slot) = self.slot_of(id) else { return };
        let Some(item) = self.slot(slot).filter(|item| !item.deleted && !item.is_shadow()).cloned() else { return };
        if !vectors.is_empty() {
            let place = self.place(&item);
            self.add_passages(&item, slot, vectors, place, (record.at, record), terms);
        }
    }

    /// Ends the present passages of a slot; returns the session and the passage before the first.
    fn end_passages(&mut self, slot: u32, until: i64) -> Option<(u32, u32)> {
        let own: Vec<usize> = self
            .passages
            .iter()
            .enumerate()
            .filter(|(_, passage)| passage.slot == slot && passage.until > until)
            .map(|(at, _)| at)
            .collect();
        let mut place = None;
        for at in own {
            let Some(passage) = self.passages.get_mut(at) else { continue };
            if passage.until == i64::MAX {
                place = place.or(Some((passage.session, passage.before)));
                self.live_passages -= 1;
                self.live_length -= u64::from(passage.length);
            }
            passage.until = until;
        }
        place
    }

    fn erase(&mut self, id: ItemId) {
        let Some(slot) = self.slot_of(id) else { return };
        let Some(item) = self.items.get_mut(slot as usize).filter(|item| !item.deleted) else { return };
        self.counts.items -= 1;
        self.counts.tokens = self.counts.tokens.saturating_sub(u64::from(item.tokens));
        let item = Arc::make_mut(item);
        let touched: Vec<ItemId> = item
            .links
            .iter()
            .map(|link| link.to)
            .chain(item.sources.iter().copied())
            .chain(item.derived.iter().copied())
            .collect();
        item.erase();
        self.end_passages(slot, i64::MIN);
        for other in touched {
            self.change(other, |item| {
                item.links.retain(|link| link.to != id);
                item.sources.retain(|source| *source != id);
                item.derived.retain(|derived| *derived != id);
            });
        }
    }

    fn close(&mut self) {
        *self = Self { seq: self.seq, ..Self::new(&self.id, self.no, &self.model) };
    }

    /// Puts vectors of another model in place of all present ones: `fresh` holds one for each
    /// passage from 0 on; passages that came after it was made keep theirs.
    pub fn reembed(&mut self, model: &str, fresh: &[Quantised]) {
        self.model = model.into();
        for (at, vector) in fresh.iter().enumerate() {
            let Some(mut passage) = self.passages.get(at).copied() else { return };
            let row = vector.row();
            self.set_vector(&mut passage, Some(vector.scale), &row);
            self.columns.set_vector(at, &passage);
            if let Some(old) = self.passages.get_mut(at) {
                *old = passage;
            }
            if let Some(old) = self.rows.get_mut(at) {
                *old = row;
            }
        }
    }

    /// Sets the model whose vectors come in from now on; those of another model no longer count.
    pub fn expect_model(&mut self, model: &str) {
        if *self.model == *model {
            return;
        }
        let forgotten = vec![Quantised { scale: 0.0, values: Vec::new() }; self.passages.len()];
        self.reembed(model, &forgotten);
        for at in 0..self.passages.len() {
            if let Some(passage) = self.passages.get_mut(at) {
                passage.flags &= !flag::EMBEDDED;
            }
        }
    }

    /// The numbers of passages that have no vector of the present model.
    #[must_use]
    pub fn without_vectors(&self) -> usize {
        self.passages.iter().filter(|passage| passage.until == i64::MAX && !passage.is(flag::EMBEDDED)).count()
    }
}

/// The words that take the place of an item's present ones.
struct Words<'a> {
    title: &'a Option<String>,
    text: &'a str,
    tokens: u32,
    likeness: u64,
}

/// A count or place as the 32 bits that passages keep.
pub(crate) fn index(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(NONE)
}

// ---- storing ----------------------------------------------------------------------------------

/// A thread as snapshots hold it.
#[derive(Serialize, Deserialize)]
struct Stored {
    id: String,
    no: u32,
    seq: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
    counts: Counts,
    model: String,
    numbering: Numbering,
    items: Vec<Item>,
    passages: Vec<Passage>,
    /// [`crate::embed::DIMS`] bytes for each passage.
    rows: Vec<i8>,
    postings: Postings,
    speakers: Vec<String>,
    sessions: u32,
    streams: [StreamEnd; 3],
    live_passages: u64,
    live_length: u64,
}

impl Thread {
    /// The bytes from which [`Thread::restore`] makes the same thread.
    ///
    /// # Errors
    ///
    /// See [`crate::codec::encode`].
    pub fn store(&self) -> Result<Vec<u8>, crate::codec::CodecError> {
        crate::codec::encode(&Stored {
            id: self.id.to_string(),
            no: self.no,
            seq: self.seq,
            created_at: self.created_at,
            updated_at: self.updated_at,
            counts: self.counts,
            model: self.model.to_string(),
            numbering: (*self.numbering).clone(),
            items: self.items.iter().map(|item| (**item).clone()).collect(),
            passages: self.passages.iter().copied().collect(),
            rows: self.rows.iter().flatten().copied().collect(),
            postings: self.postings.clone(),
            speakers: (*self.speakers).clone(),
            sessions: self.sessions,
            streams: self.streams.clone(),
            live_passages: self.live_passages,
            live_length: self.live_length,
        })
    }

    /// The thread behind the bytes of [`Thread::store`].
    ///
    /// # Errors
    ///
    /// See [`crate::codec::decode`].
    pub fn restore(bytes: &[u8]) -> Result<Self, crate::codec::CodecError> {
        let stored: Stored = crate::codec::decode(bytes)?;
        let ids = |episodic: bool| {
            let of_kind = move |(slot, item): (usize, &Item)| {
                (item.id.is_episodic() == episodic).then(|| (item.id.number(), index(slot)))
            };
            stored.items.iter().enumerate().filter_map(of_kind).collect()
        };
        let (rows, _) = stored.rows.as_chunks::<{ crate::embed::DIMS }>();
        Ok(Self {
            episodic: ids(true),
            semantic: ids(false),
            id: stored.id.into(),
            no: stored.no,
            seq: stored.seq,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
            counts: stored.counts,
            model: stored.model.into(),
            numbering: Arc::new(stored.numbering),
            items: stored.items.into_iter().map(Arc::new).collect(),
            columns: stored.passages.iter().copied().collect(),
            passages: stored.passages.into_iter().collect(),
            rows: rows.iter().copied().collect(),
            postings: stored.postings,
            speakers: Arc::new(stored.speakers),
            sessions: stored.sessions,
            streams: stored.streams,
            live_passages: stored.live_passages,
            live_length: stored.live_length,
            register: OnceLock::new(),
        })
    }
}
