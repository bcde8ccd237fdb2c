//! What the ledger knows: made of its entries, in their order, and of nothing else.
//!
//! # Invariants
//!
//! - [`State::apply`] cannot fail, so a replay cannot stop half-way.
//! - Everything in it is bounded.

use super::row::{Row, Settlement, Spent};
use super::totals::Totals;
use cmg_memory::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Rows that are kept one by one.
const ROWS: usize = 5_000;
/// Rows that wait for their settlement at most.
const UNSETTLED: usize = 10_000;
/// Answers that are kept at most, and bytes of them together.
const ANSWERS: usize = 10_000;
const ANSWER_BYTES: usize = 64 << 20;
/// How long an answer is kept, µs.
pub const ANSWER_KEPT: i64 = 24 * 3_600_000_000;
/// Changes of prices that are kept.
const PRICE_CHANGES: usize = 2_000;

/// An answer to be repeated for its idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAnswer {
    /// The workspace that the key belongs to.
    pub workspace: String,
    /// The idempotency key.
    pub key: String,
    /// The hash of the request's body.
    pub digest: [u8; 32],
    /// When it was given.
    pub at: Timestamp,
    /// Its body, JSON.
    pub body: Vec<u8>,
}

/// A price that is another one since a fetch of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceChanged {
    /// When it was noticed.
    pub at: Timestamp,
    /// The model.
    pub model: String,
    /// Which price.
    pub what: String,
    /// Before, femto-dollars (1e-15) a token.
    pub before: Option<u64>,
    /// Since, in the same unit.
    pub after: Option<u64>,
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Entry {
    /// A call ended.
    Call(Box<Row>),
    /// A call's cost was learnt later.
    Settled(Settlement),
    /// The catalogue was fetched: the upstream's answer as it came.
    Catalogue {
        /// When.
        at: Timestamp,
        /// JSON.
        json: Vec<u8>,
        /// What is another price than before.
        changes: Vec<PriceChanged>,
    },
    /// A request was answered that may come again.
    Answer(StoredAnswer),
}

/// All that the ledger knows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// Sums over all rows.
    pub totals: Totals,
    /// The latest rows, oldest first.
    pub rows: VecDeque<Row>,
    /// Rows that wait for their settlement, by the upstream's id of the generation.
    pub unsettled: BTreeMap<String, Row>,
    /// The catalogue as it was fetched last, and when.
    pub catalogue: Option<(Timestamp, Vec<u8>)>,
    /// Prices that changed, oldest first.
    pub prices: VecDeque<PriceChanged>,
    /// Answers that may be asked for again, oldest first.
    pub answers: VecDeque<StoredAnswer>,
    answer_bytes: usize,
}

impl State {
    /// Takes an entry in.
    pub fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Call(row) => self.call(*row),
            Entry::Settled(settlement) => self.settle(settlement),
            Entry::Catalogue { at, json, changes } => {
                self.catalogue = Some((at, json));
                self.prices.extend(changes);
                let excess = self.prices.len().saturating_sub(PRICE_CHANGES);
                self.prices.drain(..excess);
            }
            Entry::Answer(answer) => {
                self.answer_bytes += answer.body.len();
                self.forget_answers(answer.at);
                self.answers.push_back(answer);
            }
        }
    }

    fn call(&mut self, row: Row) {
        self.totals.add(&row);
        if let Some(id) = row.generation_id.as_ref().filter(|_| row.unsettled && self.unsettled.len() < UNSETTLED) {
            self.unsettled.insert(id.clone(), row.clone());
        }
        self.rows.push_back(row);
        if self.rows.len() > ROWS {
            self.rows.pop_front();
        }
    }

    fn settle(&mut self, settlement: Settlement) {
        let Some(row) = self.unsettled.remove(&settlement.generation_id) else { return };
        let spent: Spent = settlement.spent.unwrap_or(row.spent);
        self.totals.settle(&row, &spent);
        if let Some(kept) = self.rows.iter_mut().rev().find(|kept| kept.generation_id == row.generation_id) {
            (kept.spent, kept.unsettled) = (spent, false);
        }
    }

    fn forget_answers(&mut self, now: Timestamp) {
        while self.answers.front().is_some_and(|oldest| {
            now.0.saturating_sub(oldest.at.0) >= ANSWER_KEPT
                || self.answers.len() >= ANSWERS
                || self.answer_bytes > ANSWER_BYTES
        }) {
            let gone = self.answers.pop_front().map_or(0, |answer| answer.body.len());
            self.answer_bytes = self.answer_bytes.saturating_sub(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::row::{CostKind, Ending};
    use cmg_gateway::money::Nanos;

    fn row(id: &str, cost: u64, unsettled: bool) -> Row {
        Row {
            at: Timestamp(1_790_000_000_000_000),
            request_id: id.into(),
            key_id: "k".into(),
            workspace: "w".into(),
            route: "/v1/chat/completions".into(),
            model: "a/b".into(),
            answered_by: None,
            provider: None,
            upstream: "openrouter".into(),
            streamed: true,
            ending: Ending::ClientGone,
            status: 200,
            code: None,
            spent: Spent { cost: Nanos(cost), cost_kind: CostKind::Estimated, ..Spent::NOTHING },
            generation_id: Some(format!("gen-{id}")),
            attempts: 1,
            memory_tokens: 0,
            first_byte_us: None,
            took_us: 10,
            unsettled,
        }
    }

    fn cost(state: &State) -> (u64, u64) {
        let sums = state.totals.within(Timestamp(0), Timestamp(i64::MAX));
        sums.fold((0, 0), |(cost, uncertain), (_, sum)| (cost + sum.cost_nanos, uncertain + sum.uncertain_nanos))
    }

    #[test]
    fn what_is_learnt_later_takes_the_place_of_the_estimate_once() {
        let mut state = State::default();
        state.apply(Entry::Call(Box::new(row("r1", 70, true))));
        state.apply(Entry::Call(Box::new(row("r2", 5, false))));
        assert_eq!(cost(&state), (75, 75));
        let spent = Spent { cost: Nanos(90), ..Spent::NOTHING };
        let settled = Settlement { generation_id: "gen-r1".into(), spent: Some(spent) };

        state.apply(Entry::Settled(settled.clone()));
        state.apply(Entry::Settled(settled));

        assert_eq!(cost(&state), (95, 5), "r1 is certain now");
        assert!(state.unsettled.is_empty() && !state.rows[0].unsettled);
    }

    #[test]
    fn answers_are_bounded_in_bytes_and_in_time() {
        let mut state = State::default();
        let answer = |at: i64, bytes: usize| {
            let (workspace, key) = ("w".to_owned(), at.to_string());
            Entry::Answer(StoredAnswer { workspace, key, digest: [0; 32], at: Timestamp(at), body: vec![1; bytes] })
        };
        for at in 0..5 {
            state.apply(answer(at, ANSWER_BYTES / 3));
        }
        assert!(state.answers.len() <= 3, "{}", state.answers.len());

        state.apply(answer(ANSWER_KEPT + 10, 1));

        assert_eq!(state.answers.len(), 1);
        assert_eq!(state.answer_bytes, 1);
    }

    #[test]
    fn sums_of_old_hours_become_sums_of_days() {
        let mut state = State::default();
        for hour in 0..48 {
            let mut one = row("r", 1, false);
            one.at = Timestamp(one.at.0 / 86_400_000_000 * 86_400_000_000 + hour * 3_600_000_000);
            state.apply(Entry::Call(Box::new(one)));
        }

        state.totals.shorten(Timestamp(1_790_000_000_000_000 + 60 * 86_400_000_000));

        assert_eq!(state.totals.within(Timestamp(0), Timestamp(i64::MAX)).count(), 2);
        assert_eq!(cost(&state).0, 48);
    }
}
