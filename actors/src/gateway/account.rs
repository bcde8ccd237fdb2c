//! The account of one call: what it reserved, how it ended, and the one row that says so.
//!
//! # Invariants
//!
//! - Every account ends in exactly one row, whatever path the call takes: one that is dropped was left by its client.
//! - What is reserved is given back with the row, never before and never later.
//!
//! # What is booked at which end
//!
//! | end | tokens and cost |
//! | --- | --- |
//! | the upstream told | what it told: its cost, else its tokens at the catalogue's prices |
//! | refused by us, or by the upstream with an error | nothing, exactly |
//! | cut, timed out, client gone after the first byte | our count of what came, estimated; later settled by `/generation` |
//! | client gone or timed out before the first byte | the prompt by our count, estimated: the upstream may have read it |

use super::limits::{Limits, Reservation};
use crate::clock;
use crate::ledger::Ledger;
use crate::ledger::row::{CostKind, Ending, Row, Spent};
use crate::ledger::state::Entry;
use cmg_gateway::catalogue::Catalogue;
use cmg_gateway::tally::Tally;
use cmg_gateway::usage::Usage;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Characters of a token, about: for estimates, which are marked as such.
const CHARS_PER_TOKEN: u64 = 4;

/// One call that has not ended.
pub struct Account {
    inner: Option<Box<Open>>,
}

struct Open {
    row: Row,
    begun: Instant,
    prompt_estimate: u64,
    can_settle: bool,
    reservation: Option<Reservation>,
    catalogue: Arc<Catalogue>,
    ledger: Ledger,
    endings: Arc<Endings>,
    /// Bytes of the answer were on their way to the client.
    answering: bool,
    seen: Option<Tally>,
}

/// How many calls ended how since the start, by ending and code.
#[derive(Debug, Default)]
pub(super) struct Endings(Mutex<BTreeMap<(Ending, Option<String>), u64>>);

impl Endings {
    fn count(&self, row: &Row) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry((row.ending, row.code.clone())).or_default() += 1;
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<((&'static str, String), u64)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let named = |((ending, code), count): (&(Ending, Option<String>), &u64)| {
            ((ending.as_str(), code.clone().unwrap_or_default()), *count)
        };
        all.iter().map(named).collect()
    }
}

/// How a call ended, for its row.
#[derive(Debug, Clone)]
pub struct Closing {
    /// How.
    pub ending: Ending,
    /// The status that the client got.
    pub status: u16,
    /// The error's code.
    pub code: Option<String>,
    /// Attempts at the upstream.
    pub attempts: u32,
}

impl Account {
    /// Opens the account of a call.
    pub(super) fn open(
        row: Row,
        reservation: Option<Reservation>,
        catalogue: Arc<Catalogue>,
        (ledger, endings): (Ledger, Arc<Endings>),
        (prompt_estimate, can_settle): (u64, bool),
    ) -> Self {
        let begun = Instant::now();
        let inner = Open {
            row,
            begun,
            prompt_estimate,
            can_settle,
            reservation,
            catalogue,
            ledger,
            endings,
            answering: false,
            seen: None,
        };
        Self { inner: Some(Box::new(inner)) }
    }

    /// When the call began.
    #[must_use]
    pub fn begun(&self) -> Option<Instant> {
        self.inner.as_ref().map(|open| open.begun)
    }

    /// Says that the answer is on its way, with what is known of it so far.
    pub fn answering(&mut self, tally: &Tally) {
        if let Some(open) = &mut self.inner {
            open.answering = true;
            open.row.first_byte_us.get_or_insert_with(|| micros(open.begun.elapsed()));
            open.seen = Some(tally.clone());
        }
    }

    /// Closes the account: writes the row, gives back what was reserved.
    pub fn close(mut self, closing: Closing, tally: Option<&Tally>) {
        if let Some(open) = self.inner.take() {
            open.close(closing, tally);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(mut open) = self.inner.take() {
            let seen = open.seen.take();
            let status = if open.answering { 200 } else { 499 };
            open.close(Closing { ending: Ending::ClientGone, status, code: None, attempts: 1 }, seen.as_ref());
        }
    }
}

impl Open {
    fn close(mut self, closing: Closing, tally: Option<&Tally>) {
        let spent = self.spent(&closing, tally);
        let row = &mut self.row;
        row.took_us = micros(self.begun.elapsed());
        row.ending = closing.ending;
        row.status = closing.status;
        row.code = closing.code;
        row.attempts = closing.attempts;
        row.spent = spent;
        if let Some(tally) = tally {
            row.answered_by = tally.model.clone();
            row.provider = tally.provider.clone();
            row.generation_id = tally.generation_id.clone();
            row.first_byte_us = row.first_byte_us.or_else(|| tally.first_byte.map(micros));
        }
        row.unsettled = self.can_settle
            && row.generation_id.is_some()
            && spent.cost_kind == CostKind::Estimated
            && row.ending != Ending::Refused;
        if let Some(reservation) = self.reservation.take() {
            reservation.settle(spent.tokens(), spent.cost, clock::now());
        }
        self.endings.count(&self.row);
        self.ledger.post(Entry::Call(Box::new(self.row)));
    }

    fn spent(&self, closing: &Closing, tally: Option<&Tally>) -> Spent {
        if let Some(usage) = tally.and_then(|tally| tally.usage.as_ref()) {
            return Spent::reported(usage, self.price(usage));
        }
        match closing.ending {
            Ending::Refused | Ending::UpstreamError => Spent::NOTHING,
            Ending::Ok | Ending::Cut | Ending::ClientGone | Ending::Timeout => {
                let completion_tokens = tally.map_or(0, |tally| estimate(tally.text.len()));
                let usage = Usage { prompt_tokens: self.prompt_estimate, completion_tokens, ..Usage::default() };
                let cost = self.price(&usage);
                Spent {
                    cost: cost.unwrap_or_default(),
                    cost_kind: CostKind::Estimated,
                    ..Spent::reported(&usage, cost)
                }
            }
        }
    }

    fn price(&self, usage: &Usage) -> Option<cmg_gateway::money::Nanos> {
        self.catalogue.price(&self.row.model, usage)
    }
}

/// Tokens of so many bytes of text, about.
#[must_use]
pub(super) fn estimate(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(CHARS_PER_TOKEN)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Limits {
    /// Books what `/generation` told of a row in place of what was estimated.
    pub(crate) fn settle_later(&self, row: &Row, spent: &Spent) {
        let (before, after) = ((row.spent.tokens(), row.spent.cost), (spent.tokens(), spent.cost));
        self.correct(&row.key_id, &row.workspace, before, after, clock::now());
    }
}
