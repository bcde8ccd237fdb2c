//! Reads what a turn means: decisions, requirements, constraints, tasks, questions, facts,
//! preferences and instructions, one sentence each, and what it reports as finished.
//!
//! # Promise
//!
//! Precise before greedy: a wrong decision is worse than none. A sentence yields at most one thing.
//! Code blocks, quotes, hypotheticals ("should we …?", "if we decided …", "we could …") and the
//! assistant's courtesies yield nothing; questions are only questions.
//!
//! # How
//!
//! `sentence` cuts the text, one pass of an automaton names the cues of each sentence, and only
//! the rules of those cues are tried, in this order: label, question, decision, constraint,
//! requirement, instruction, task, preference, fact (`rules`). `done` tells what is finished.
//!
//! # Deliberately absent
//!
//! What supersedes what and which task is closed: that needs the thread's state. Languages other
//! than English.

mod clause;
mod done;
mod rules;
mod sentence;

use super::draft::{Closes, Found};
use crate::kind::Role;

/// The most that one turn yields: a pasted document is not a list of decisions.
const MOST: usize = 64;

/// What rules found in a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Semantic items, in order.
    pub found: Vec<Found>,
    /// What is reported as finished, in order.
    pub closes: Vec<Closes>,
}

/// Reads a turn. Without a role the speaker counts as a person.
#[must_use]
pub fn extract(text: &str, role: Option<Role>) -> Extracted {
    let mut extracted = Extracted::default();
    if role == Some(Role::Tool) {
        return extracted;
    }
    for sentence in sentence::sentences(text) {
        let cues = rules::cues(&sentence);
        if cues.is_empty() {
            continue;
        }
        if extracted.found.len() < MOST
            && let Some(found) = rules::find(&sentence, cues, role)
        {
            extracted.found.push(found);
        }
        if cues.holds(rules::DONE)
            && extracted.closes.len() < MOST
            && let Some(closes) = done::find(&sentence)
        {
            extracted.closes.push(closes);
        }
    }
    // "Done! I've added the tests." says which.
    if extracted.closes.iter().any(|closes| !closes.words.is_empty()) {
        extracted.closes.retain(|closes| !closes.words.is_empty() || closes.issue.is_some());
    }
    extracted
}

/// What a commit's message reports as finished ("Fixes #12", "Add retry to the client"). The spans
/// are places in the message.
#[must_use]
pub fn closes_of_commit(message: &str) -> Vec<Closes> {
    done::of_commit(message)
}

#[cfg(test)]
mod tests;
