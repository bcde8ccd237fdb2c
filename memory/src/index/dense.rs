//! The columns of passages that every recall reads: a fraction of [`Passage`], side by side.
//!
//! Reading 10,000 whole passages takes longer than comparing their vectors; these columns are 32
//! bytes a passage. They hold nothing that the passages do not: they are made from them.

use super::passage::{MAX_NAMES, Passage, Stream, flag};
use crate::chunks::ChunkVec;

/// Values of [`Place::bits`]: the flags, the names, the stream.
pub const BITS: usize = flag::VALUES * NAMES * STREAMS;
const NAMES: usize = MAX_NAMES as usize + 1;
const STREAMS: usize = Stream::ALL.len();

/// What a passage is among the others: its neighbour, its session, and what has few values.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// 1 / |vector + vector of the passage before|.
    pub inverse_pair: f32,
    /// The passage before, or [`super::passage::NONE`].
    pub before: u32,
    /// The session, or [`super::passage::NONE`].
    pub session: u32,
    /// Everything that has few values, as one number below [`BITS`].
    pub bits: u16,
}

impl Place {
    /// The place of a passage.
    #[must_use]
    pub fn of(passage: &Passage) -> Self {
        let &Passage { inverse_pair, before, session, .. } = passage;
        Self { inverse_pair, before, session, bits: bits(passage) }
    }
}

/// Who said a passage, and when: read only for purposes that name a speaker or a time.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    /// The speaker's number in the thread, or [`super::passage::NONE`].
    pub speaker: u32,
    /// The day it happened on, since 1970.
    pub day: i32,
}

impl Said {
    /// Who said a passage, and when.
    #[must_use]
    pub const fn of(passage: &Passage) -> Self {
        Self { speaker: passage.speaker, day: passage.day }
    }
}

/// The columns, in the order of the passages.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// The vectors' steps, and 1 / |vector|.
    pub lengths: ChunkVec<(f32, f32)>,
    /// What a passage is among the others.
    pub places: ChunkVec<Place>,
    /// Who said it, and when.
    pub said: ChunkVec<Said>,
}

impl Columns {
    /// Adds the passage that comes next.
    pub fn push(&mut self, passage: &Passage) {
        self.lengths.push((passage.scale, passage.inverse_norm));
        self.places.push(Place::of(passage));
        self.said.push(Said::of(passage));
    }

    /// Takes over what a new vector changed in a passage.
    pub fn set_vector(&mut self, place: usize, passage: &Passage) {
        if let Some(lengths) = self.lengths.get_mut(place) {
            *lengths = (passage.scale, passage.inverse_norm);
        }
        if let Some(old) = self.places.get_mut(place) {
            *old = Place::of(passage);
        }
    }
}

impl FromIterator<Passage> for Columns {
    fn from_iter<I: IntoIterator<Item = Passage>>(passages: I) -> Self {
        let mut columns = Self::default();
        passages.into_iter().for_each(|passage| columns.push(&passage));
        columns
    }
}

fn bits(passage: &Passage) -> u16 {
    let flags = usize::from(passage.flags) % flag::VALUES;
    let names = usize::from(passage.names.min(MAX_NAMES));
    let number = (passage.stream as usize * NAMES + names) * flag::VALUES + flags;
    u16::try_from(number).unwrap_or(0)
}

/// The stream, the names and the flags behind a number below [`BITS`].
#[must_use]
pub fn unpack(number: usize) -> (Stream, u8, u16) {
    let names = u8::try_from(number / flag::VALUES % NAMES).unwrap_or(0);
    let flags = u16::try_from(number % flag::VALUES).unwrap_or(0);
    (stream(number), names, flags)
}

/// The stream behind a number below [`BITS`].
#[must_use]
pub fn stream(number: usize) -> Stream {
    Stream::ALL.get(number / flag::VALUES / NAMES).copied().unwrap_or(Stream::Notes)
}
