//! Sums over rows, by hour, workspace, key and model: what the usage API reads and what limits start from.
//!
//! # Invariants
//!
//! - A row counts once, in the hour in which it began; what is learnt of it later moves that hour's sums.
//!
//! # Deliberately absent
//!
//! Rows: the latest are kept beside this, the others only here.

use super::row::{Ending, Row, Spent};
use cmg_memory::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// Days for which hours are kept apart; older ones are summed up by day.
const HOURS_KEPT_DAYS: i64 = 35;

/// What a sum is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The beginning of the hour, or of the day for old ones.
    pub at: Timestamp,
    /// The workspace.
    pub workspace: String,
    /// The key's id.
    pub key_id: String,
    /// The model that was asked for.
    pub model: String,
}

/// Sums over some rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Requests, refused ones included.
    pub requests: u64,
    /// Those that did not end well: everything but `ok` and `refused`.
    pub errors: u64,
    /// Those that we refused.
    pub refused: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
    /// Of the prompts', those from a cache.
    pub cached_tokens: u64,
    /// Tokens that memory added to prompts.
    pub memory_tokens: u64,
    /// Nano-dollars.
    pub cost_nanos: u64,
    /// Of those, nano-dollars that are priced or estimated, not told by the upstream.
    pub uncertain_nanos: u64,
}

impl Sum {
    fn add_row(&mut self, row: &Row) {
        self.requests += 1;
        self.errors += u64::from(!matches!(row.ending, Ending::Ok | Ending::Refused));
        self.refused += u64::from(row.ending == Ending::Refused);
        self.memory_tokens += u64::from(row.memory_tokens);
        self.add_spent(&row.spent);
    }

    fn add_spent(&mut self, spent: &Spent) {
        self.prompt_tokens += spent.prompt_tokens;
        self.completion_tokens += spent.completion_tokens;
        self.cached_tokens += spent.cached_tokens;
        self.cost_nanos += spent.cost.0;
        self.uncertain_nanos += uncertain(spent);
    }

    fn take_spent(&mut self, spent: &Spent) {
        self.prompt_tokens = self.prompt_tokens.saturating_sub(spent.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_sub(spent.completion_tokens);
        self.cached_tokens = self.cached_tokens.saturating_sub(spent.cached_tokens);
        self.cost_nanos = self.cost_nanos.saturating_sub(spent.cost.0);
        self.uncertain_nanos = self.uncertain_nanos.saturating_sub(uncertain(spent));
    }

    /// Adds other sums.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.refused += other.refused;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.cached_tokens += other.cached_tokens;
        self.memory_tokens += other.memory_tokens;
        self.cost_nanos += other.cost_nanos;
        self.uncertain_nanos += other.uncertain_nanos;
    }
}

fn uncertain(spent: &Spent) -> u64 {
    if spent.cost_kind == super::row::CostKind::Exact { 0 } else { spent.cost.0 }
}

/// All sums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals(BTreeMap<Place, Sum>);

impl Totals {
    /// Counts a row.
    pub fn add(&mut self, row: &Row) {
        self.0.entry(place(row)).or_default().add_row(row);
    }

    /// Counts a row's other figures in place of those it had.
    pub fn settle(&mut self, row: &Row, spent: &Spent) {
        let sum = self.0.entry(place(row)).or_default();
        sum.take_spent(&row.spent);
        sum.add_spent(spent);
    }

    /// The sums that began within `from..to`, oldest first.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (&Place, &Sum)> {
        self.0.iter().filter(move |(place, _)| (from..to).contains(&place.at))
    }

    /// Sums up by day what is too old for hours.
    pub fn shorten(&mut self, now: Timestamp) {
        let old = Timestamp(now.0.saturating_sub(HOURS_KEPT_DAYS * DAY));
        let old = Place { at: old, workspace: String::new(), key_id: String::new(), model: String::new() };
        let recent = self.0.split_off(&old);
        for (mut place, sum) in std::mem::replace(&mut self.0, recent) {
            place.at = Timestamp(place.at.0.div_euclid(DAY) * DAY);
            self.0.entry(place).or_default().add(&sum);
        }
    }
}

fn place(row: &Row) -> Place {
    Place {
        at: Timestamp(row.at.0.div_euclid(HOUR) * HOUR),
        workspace: row.workspace.clone(),
        key_id: row.key_id.clone(),
        model: row.model.clone(),
    }
}
