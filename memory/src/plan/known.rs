//! What the owner of a thread knows beyond what readers need: which material is already there.
//!
//! # Invariants
//!
//! - Everything here can be rebuilt from the thread ([`Owned::new`]).
//! - Texts are compared by 128 bits of BLAKE3: nobody can make two different texts look equal.

use crate::event::{Event, Record};
use crate::ids::ItemId;
use crate::index::passage::Stream;
use crate::ingest::Draft;
use crate::item::Item;
use crate::kind::{Kind, Status};
use crate::thread::Thread;
use crate::time::Timestamp;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// A digest of kind, speaker and text.
pub(super) type Digest = [u8; 16];

/// A thread with what its owner needs to plan.
#[derive(Debug)]
pub struct Owned {
    /// The thread as readers see it.
    pub thread: Thread,
    pub(super) known: Known,
}

/// Indexes over the thread's items by what callers may send again.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// For each stream the digests in order, with the items' slots.
    runs: [Vec<(Digest, u32)>; 3],
    /// Where in its stream a digest stands.
    places: FxHashMap<(u8, Digest), Vec<u32>>,
    /// Direct items by digest.
    notes: FxHashMap<Digest, u32>,
    /// Items by the caller's id and part.
    external: FxHashMap<(u8, String, u32), u32>,
    /// The item that holds for a kind and subject.
    pub(super) subjects: FxHashMap<(Kind, String), ItemId>,
    /// Tasks that are not done.
    pub(super) open_tasks: BTreeSet<ItemId>,
    /// The first item of a likeness.
    pub(super) likenesses: FxHashMap<u64, ItemId>,
}

/// What a draft is to the thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing like it is there.
    New,
    /// It is there, word for word.
    Same(u32),
    /// Its id is there with other words.
    Changed(u32),
}

/// Places of a digest that are tried at most, latest first.
const TRIED_PLACES: usize = 64;
/// Words from which on a single text is distinctive enough to be the same one sent again.
const DISTINCTIVE_WORDS: usize = 4;

impl Owned {
    /// Takes ownership of a thread.
    #[must_use]
    pub fn new(thread: Thread) -> Self {
        let mut known = Known::default();
        for slot in 0..thread.slots() {
            if let Some(item) = thread.slot(slot).filter(|item| !item.deleted) {
                known.add(item, slot);
            }
        }
        Self { thread, known }
    }

    /// Makes what a record says true, here and in the thread.
    pub fn apply(&mut self, seq: u64, record: &Record) {
        let first = self.thread.slots();
        self.thread.apply(seq, record);
        for slot in first..self.thread.slots() {
            if let Some(item) = self.thread.slot(slot).filter(|item| !item.deleted) {
                self.known.add(item, slot);
            }
        }
        for event in &record.events {
            self.follow(event);
        }
    }

    fn follow(&mut self, event: &Event) {
        match event {
            Event::Stood { id, .. } | Event::Reworded { id, .. } => {
                if let Some((item, slot)) =
                    self.thread.slot_of(*id).and_then(|slot| Some((self.thread.slot(slot)?, slot)))
                {
                    self.known.stand(item);
                    self.known.reword(item, slot);
                }
            }
            // Rare, and touching every index: simplest is to look again at what is left.
            Event::Erased { .. } | Event::Closed => *self = Self::new(self.thread.clone()),
            _ => {}
        }
    }
}

impl Known {
    fn add(&mut self, item: &Item, slot: u32) {
        let digest = digest(item.kind, item.speaker.as_deref(), item.title.as_deref(), &item.text);
        let stream = Stream::of(item.kind);
        match self.runs.get_mut(stream as usize) {
            Some(run) => {
                self.places.entry((stream as u8, digest)).or_default().push(crate::thread::index(run.len()));
                run.push((digest, slot));
            }
            None if item.direct => {
                self.notes.insert(digest, slot);
            }
            None => {}
        }
        if let Some(id) = &item.external_id {
            self.external.insert((stream as u8, id.clone(), item.part), slot);
        }
        if item.likeness != 0 && stream == Stream::Chat {
            self.likenesses.entry(item.likeness).or_insert(item.id);
        }
        self.stand(item);
    }

    fn reword(&mut self, item: &Item, slot: u32) {
        let digest = digest(item.kind, item.speaker.as_deref(), item.title.as_deref(), &item.text);
        let stream = Stream::of(item.kind);
        let Some(run) = self.runs.get_mut(stream as usize) else {
            self.notes.insert(digest, slot);
            return;
        };
        if let Some(at) = run.iter().position(|&(_, known)| known == slot) {
            if let Some(entry) = run.get_mut(at) {
                entry.0 = digest;
            }
            self.places.entry((stream as u8, digest)).or_default().push(crate::thread::index(at));
        }
    }

    fn stand(&mut self, item: &Item) {
        let holds = matches!(item.standing.status, Some(Status::Accepted | Status::Provisional));
        if item.kind == Kind::Task {
            if holds {
                self.open_tasks.insert(item.id)
            } else {
                self.open_tasks.remove(&item.id)
            };
        }
        let Some(subject) = item.subject.clone() else { return };
        let key = (item.kind, subject);
        if holds {
            self.subjects.insert(key, item.id);
        } else if self.subjects.get(&key) == Some(&item.id) {
            self.subjects.remove(&key);
        }
    }
}

impl Owned {
    /// What each draft is to the thread, in their order; with it which part of its id's material
    /// each one is.
    pub(super) fn judge(&self, drafts: &[Draft]) -> Vec<(Verdict, u32)> {
        let mut parts: FxHashMap<(u8, &str), u32> = FxHashMap::default();
        let mut verdicts: Vec<(Verdict, u32)> = Vec::with_capacity(drafts.len());
        let mut nameless: [Vec<usize>; 3] = Default::default();
        for (at, draft) in drafts.iter().enumerate() {
            let stream = Stream::of(draft.kind);
            let verdict = match (&draft.external_id, nameless.get_mut(stream as usize)) {
                (Some(id), _) => {
                    let part = parts.entry((stream as u8, id)).or_default();
                    *part += 1;
                    (self.judge_named(draft, id, *part - 1), *part - 1)
                }
                (None, Some(nameless)) => {
                    nameless.push(at);
                    (Verdict::New, 0)
                }
                (None, None) => (self.judge_note(draft), 0),
            };
            verdicts.push(verdict);
        }
        for (stream, drafted) in nameless.iter().enumerate() {
            self.align(stream, drafts, drafted, &mut verdicts);
        }
        verdicts
    }

    fn judge_named(&self, draft: &Draft, id: &str, part: u32) -> Verdict {
        let key = (Stream::of(draft.kind) as u8, id.to_owned(), part);
        match self.known.external.get(&key).and_then(|&slot| Some((slot, self.thread.slot(slot)?))) {
            Some((slot, item)) if item.text == draft.text => Verdict::Same(slot),
            Some((slot, _)) => Verdict::Changed(slot),
            None => Verdict::New,
        }
    }

    fn judge_note(&self, draft: &Draft) -> Verdict {
        let digest = digest_of(draft);
        self.known.notes.get(&digest).map_or(Verdict::New, |&slot| Verdict::Same(slot))
    }

    /// Finds the runs of drafts that stand in the thread already, in order: a transcript sent again
    /// with new turns at its end is known up to those turns.
    fn align(&self, stream: usize, drafts: &[Draft], drafted: &[usize], verdicts: &mut [(Verdict, u32)]) {
        let Some(run) = self.known.runs.get(stream) else { return };
        let wanted: Vec<(Digest, &Draft)> =
            drafted.iter().filter_map(|&at| drafts.get(at)).map(|draft| (digest_of(draft), draft)).collect();
        let (mut at, mut from) = (0, 0);
        while let Some((digest, draft)) = wanted.get(at) {
            let places = u8::try_from(stream).ok().and_then(|stream| self.known.places.get(&(stream, *digest)));
            let best = places
                .into_iter()
                .flat_map(|places| places.iter().rev().take(TRIED_PLACES))
                .map(|&place| place as usize)
                .filter(|&place| place >= from)
                .map(|place| (self.common_run(run, place, wanted.get(at..).unwrap_or_default()), place))
                .max();
            let distinctive = draft.text.split_whitespace().nth(DISTINCTIVE_WORDS - 1).is_some();
            match best {
                Some((length, place)) if length > 1 || (length == 1 && (distinctive || place + 1 == run.len())) => {
                    for (known, &at) in run.iter().skip(place).zip(drafted.iter().skip(at)).take(length) {
                        if let Some(verdict) = verdicts.get_mut(at) {
                            verdict.0 = Verdict::Same(known.1);
                        }
                    }
                    at += length;
                    from = place + length;
                }
                _ => at += 1,
            }
        }
    }

    /// How many of `wanted` stand one after the other in `run` from `place` on.
    fn common_run(&self, run: &[(Digest, u32)], place: usize, wanted: &[(Digest, &Draft)]) -> usize {
        let rest = run.get(place..).unwrap_or_default();
        let same = |((digest, slot), (wanted, draft)): (&(Digest, u32), &(Digest, &Draft))| {
            digest == wanted && self.same_time(*slot, draft.observed_at)
        };
        rest.iter().zip(wanted).take_while(|(known, wanted)| same((known, wanted))).count()
    }

    fn same_time(&self, slot: u32, given: Option<Timestamp>) -> bool {
        given.is_none_or(|given| self.thread.slot(slot).is_some_and(|item| item.observed_at == given))
    }
}

fn digest_of(draft: &Draft) -> Digest {
    digest(draft.kind, draft.speaker.as_deref(), draft.title.as_deref(), &draft.text)
}

fn digest(kind: Kind, speaker: Option<&str>, title: Option<&str>, text: &str) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for part in [kind.as_str(), speaker.unwrap_or_default(), title.unwrap_or_default(), text] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut digest = Digest::default();
    hasher.finalize_xof().fill(&mut digest);
    digest
}
