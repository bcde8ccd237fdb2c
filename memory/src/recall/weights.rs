//! The ranker's only numbers: what each feature of a passage is worth.
//!
//! The chat column is a listwise softmax fit over five conversations of LoCoMo and twenty long
//! chats; how it was made and measured stands in `docs/ranking.md`. Nothing is normalised per
//! query, so scores compare over queries and a threshold has a meaning.

use crate::index::passage::Stream;

/// The number of features.
pub const FEATURES: usize = 16;

/// What a feature is called in `explain`.
pub const NAMES: [&str; FEATURES] = [
    "likeness",
    "likeness_with_before",
    "words",
    "likeness_of_before",
    "words_of_before",
    "likeness_of_session",
    "query_share_nearby",
    "query_share_in_session",
    "speaker",
    "speaker_of_self",
    "ends_asking",
    "before_asks",
    "says_when",
    "names",
    "month",
    "date",
];

/// The places of the features in the table.
#[expect(missing_docs, reason = "NAMES beside it says what they are")]
pub mod feature {
    pub const LIKENESS: usize = 0;
    pub const LIKENESS_WITH_BEFORE: usize = 1;
    pub const WORDS: usize = 2;
    pub const LIKENESS_OF_BEFORE: usize = 3;
    pub const WORDS_OF_BEFORE: usize = 4;
    pub const LIKENESS_OF_SESSION: usize = 5;
    pub const SHARE_NEARBY: usize = 6;
    pub const SHARE_IN_SESSION: usize = 7;
    pub const SPEAKER: usize = 8;
    pub const SPEAKER_OF_SELF: usize = 9;
    pub const ENDS_ASKING: usize = 10;
    pub const BEFORE_ASKS: usize = 11;
    pub const SAYS_WHEN: usize = 12;
    pub const NAMES: usize = 13;
    pub const MONTH: usize = 14;
    pub const DATE: usize = 15;
}

/// BM25's saturation of repeated words.
pub const K1: f32 = 0.9;
/// BM25's share of length.
pub const B: f32 = 0.2;

/// What the features of a chat turn are worth.
const CHAT: [f32; FEATURES] =
    [-0.05, 0.90, 0.0105, -0.40, 0.01, 0.25, 0.35, 0.15, 0.22, 0.08, -0.04, 0.045, 0.13, 0.035, 0.28, 0.26];

/// Hunks: names of things count for more, and the best hunk of a commit speaks for all of it.
const CODE: [f32; FEATURES] =
    [0.80, 0.10, 0.025, -0.05, 0.0, 0.60, 0.30, 0.50, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.28, 0.26];

/// Log events: words before likeness, little from the neighbours.
const LOG: [f32; FEATURES] =
    [0.60, 0.20, 0.025, -0.05, 0.0, 0.10, 0.45, 0.10, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.28, 0.26];

/// The weights of a stream; items given directly are weighed like a turn without neighbours.
#[must_use]
pub const fn of(stream: Stream) -> &'static [f32; FEATURES] {
    match stream {
        Stream::Chat | Stream::Notes => &CHAT,
        Stream::Code => &CODE,
        Stream::Log => &LOG,
    }
}

/// How far salience can move a score, from 0 to 1 around the neutral half: about a rank step.
pub const SALIENCE: f32 = 0.06;
/// What a superseded, rejected or outdated item loses.
pub const CLOSED: f32 = -0.04;
/// What the newest item of the scope gains; halves every [`RECENCY_HALF_LIFE_DAYS`].
pub const RECENCY: f32 = 0.01;
/// Days after which the gain of recency has halved.
pub const RECENCY_HALF_LIFE_DAYS: f32 = 30.0;
/// What a trace, failing test or error event gains when the purpose is about failure.
pub const FAILURE: f32 = 0.08;
