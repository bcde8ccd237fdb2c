//! Threads, words and vectors for the tests of this folder: small, and the same each time.

use crate::embed::{DIMS, Embedder, Embedding};
use crate::event::{Event, Record};
use crate::ids::ItemId;
use crate::index::vector::Quantised;
use crate::item::Item;
use crate::kind::Kind;
use crate::recall::query::Query;
use crate::thread::Thread;
use crate::time::Timestamp;
use crate::words;
use std::sync::Arc;

/// The name that all sample vectors go by.
pub(crate) const MODEL: &str = "sample";

/// Numbers that look random (an LCG's upper bits).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// The next one below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    /// The next one between −1 and 1.
    pub(crate) fn value(&mut self) -> f32 {
        self.below(20_001) as f32 / 10_000.0 - 1.0
    }

    pub(crate) fn vector(&mut self) -> Embedding {
        Embedding(std::array::from_fn(|_| self.value()))
    }

    /// A vector near `centre`.
    pub(crate) fn near(&mut self, centre: &Embedding, spread: f32) -> Embedding {
        Embedding(centre.0.map(|value| value + spread * self.value()))
    }

    /// Words of which the first of the vocabulary are much more frequent than the last.
    pub(crate) fn text(&mut self, words: usize, vocabulary: usize) -> String {
        let words: Vec<String> =
            (0..words).map(|_| word(self.below(vocabulary) * self.below(vocabulary) / vocabulary)).collect();
        words.join(" ")
    }
}

/// The n-th word: letters only, no stop word, and no ending that a stemmer would cut.
pub(crate) fn word(n: usize) -> String {
    let mut word = String::from("zu");
    let mut rest = n;
    while {
        word.push(char::from(b"bdfgkmprtv"[rest % 10]));
        word.push('o');
        rest /= 10;
        rest > 0
    } {}
    word.push('k');
    word
}

/// Each word has a direction of its own, and a text points where its words do.
#[derive(Debug)]
pub(crate) struct Bag;

impl Embedder for Bag {
    fn id(&self) -> &str {
        MODEL
    }
    fn embed(&self, text: &str) -> Embedding {
        let mut sum = [0.0; DIMS];
        for term in words::terms(text) {
            let own = Numbers(term).vector();
            sum.iter_mut().zip(own.0).for_each(|(sum, value)| *sum += value);
        }
        Embedding(sum)
    }
}

pub(crate) fn query(purpose: &str) -> Query {
    Query::new(purpose, &[], None, &Bag)
}

/// A thread under construction: its next item's number beside it.
pub(crate) struct Writer {
    pub(crate) thread: Thread,
    items: u64,
}

impl Writer {
    pub(crate) fn new(no: u32) -> Self {
        Self { thread: Thread::new(&format!("t{no}"), no, MODEL), items: 0 }
    }

    pub(crate) fn of(no: u32, texts: &[&str]) -> Self {
        let mut writer = Self::new(no);
        texts.iter().for_each(|text| writer.add(text));
        writer
    }

    pub(crate) fn apply(&mut self, events: Vec<Event>) {
        self.items += 1;
        let at = Timestamp(i64::try_from(self.items).unwrap());
        self.thread.apply(self.items, &Record { at, model: MODEL.to_owned(), events });
    }

    /// Adds an item, with the vector of its words.
    pub(crate) fn add(&mut self, text: &str) {
        self.add_with(text, &Bag.embed(text));
    }

    pub(crate) fn add_with(&mut self, text: &str, vector: &Embedding) {
        let number = u64::from(self.thread.slots()) + 1;
        let mut item = Item::empty(ItemId::Episodic(number), Kind::Chat, Timestamp(0));
        item.text = text.to_owned();
        self.apply(vec![Event::Added { item: Box::new(item), vectors: vec![Quantised::of(vector)] }]);
    }

    /// Gives the item at a slot other words.
    pub(crate) fn reword(&mut self, slot: u32, text: &str) {
        let id = self.thread.slot(slot).unwrap().id;
        let vectors = vec![Quantised::of(&Bag.embed(text))];
        let text = text.to_owned();
        self.apply(vec![Event::Reworded { id, title: None, text, tokens: 1, tokens_before: 1, likeness: 0, vectors }]);
    }

    /// Deletes the item at a slot.
    pub(crate) fn erase(&mut self, slot: u32) {
        let id = self.thread.slot(slot).unwrap().id;
        self.apply(vec![Event::Erased { id, tokens: 1 }]);
    }

    /// The thread as readers see it now.
    pub(crate) fn publish(&self) -> Arc<Thread> {
        Arc::new(self.thread.clone())
    }
}
