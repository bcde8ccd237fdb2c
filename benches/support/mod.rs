//! Threads of made-up turns, built in memory as a workspace builds them, but for the journal.

#[allow(dead_code, unused_imports, reason = "each benchmark uses a part; the tests of this file run with the program")]
#[path = "../../src/cli/bench/synth.rs"]
pub(crate) mod synth;

use cmg_memory::embed::Embedder;
use cmg_memory::event::Record;
use cmg_memory::ids::ItemId;
use cmg_memory::ingest::{self, ChatMaterial, Materials, Message, Mode, Numbering, Redactor};
use cmg_memory::plan::{self, Numbers, Owned, Tools};
use cmg_memory::thread::Thread;
use cmg_memory::time::Timestamp;

/// Seed of all conversations here.
pub(crate) const SEED: u64 = 1;
/// Turns of one request.
pub(crate) const TURNS_AT_ONCE: usize = 500;

/// Counts as a workspace does.
#[derive(Debug, Default)]
pub(crate) struct Counter(u64, u64);

impl Numbers for Counter {
    fn next(&mut self, episodic: bool) -> u64 {
        let count = if episodic { &mut self.0 } else { &mut self.1 };
        *count += 1;
        *count
    }

    fn claim(&mut self, _: ItemId) -> bool {
        false
    }
}

/// A thread in which nothing has happened.
pub(crate) fn fresh(embedder: &dyn Embedder) -> Owned {
    Owned::new(Thread::new("bench", 1, embedder.id()))
}

/// The next turns of a conversation as a request brings them.
pub(crate) fn materials(conversation: &mut synth::Conversation<'_>, turns: usize) -> Materials {
    let message = |turn: synth::Turn| Message {
        role: turn.role.to_owned(),
        content: turn.content,
        name: Some(turn.name.to_owned()),
        timestamp: Some(turn.timestamp),
        id: Some(turn.id),
    };
    let messages = conversation.next_turns(turns).into_iter().map(message).collect();
    Materials { chat: Some(ChatMaterial::Messages(messages)), ..Materials::default() }
}

/// What these materials mean for the thread.
pub(crate) fn plan(
    owned: &Owned,
    materials: Materials,
    counter: &mut Counter,
    embedder: &dyn Embedder,
) -> Option<Record> {
    let mut numbering = Numbering::default();
    let parsed = ingest::parse(materials, &Redactor::new(Mode::Redact), &mut numbering).expect("turns with words");
    let mut tools = Tools { now: Timestamp(1_800_000_000_000_000), embedder, numbers: counter };
    plan::ingest(owned, parsed.drafts, numbering, &mut tools).record
}

/// A thread of so many turns.
#[allow(dead_code, reason = "the benchmark of ingest builds its threads by itself")]
pub(crate) fn thread(turns: usize, embedder: &dyn Embedder) -> Thread {
    let language = synth::Language::new();
    let mut conversation = language.conversation(SEED, 0);
    let (mut owned, mut counter) = (fresh(embedder), Counter::default());
    for seq in 1..=turns.div_ceil(TURNS_AT_ONCE) {
        let materials = materials(&mut conversation, TURNS_AT_ONCE.min(turns - (seq - 1) * TURNS_AT_ONCE));
        let record = plan(&owned, materials, &mut counter, embedder).expect("new turns");
        owned.apply(seq as u64, &record);
    }
    owned.thread
}
