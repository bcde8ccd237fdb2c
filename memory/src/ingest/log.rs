//! Logs, stack traces and test output in, one draft per event out.
//!
//! An event begins with a line that opens with a timestamp or a level (`stamp`) and goes on to
//! the next such line, so continuation lines stay with it. What has no stamp of its own is told
//! apart by form: a stack trace is one event, a failing test's report is one event, and whatever
//! else stands between them is one event.
//!
//! # Promise
//!
//! The texts of the events, in order, are the input: only line ends between two events, and events
//! of nothing but blanks, are left out.
//!
//! # Invariants
//!
//! - An event with a stack trace in it is [`Kind::Stack`], whole, with its frames as artifacts.
//! - A failing test is [`Kind::TestFail`], with the test's name as its title.
//! - `metadata["level"]` is one of trace, debug, info, notice, warn, error, critical, fatal.
//! - An event without a time of its own happened when the event before it did.
//!
//! # Deliberately absent
//!
//! What the messages mean: a log line is evidence and stays verbatim.

mod failing;
mod stamp;
mod trace;

use super::draft::{ArtifactRef, Draft};
use crate::kind::Kind;
use crate::time::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

/// Splits a log into events.
///
/// `base` is when the material was observed: it gives the year to stamps that have none, and the
/// time to events before the first stamp.
#[must_use]
pub fn parse_log(text: &str, path: Option<&str>, base: Option<Timestamp>) -> Vec<Draft> {
    let events = Splitter::new(text, base).split();
    let mut last = base;
    let mut drafts = Vec::with_capacity(events.len());
    for event in events {
        let Some(body) = text.get(event.start..event.end).map(|body| body.trim_end_matches(['\r', '\n'])) else {
            continue;
        };
        if body.trim().is_empty() {
            continue;
        }
        last = event.head.at.or(last);
        drafts.push(event.draft(body, path, last));
    }
    drafts
}

/// A timestamp that opens a line, for other materials that have them, and what follows it.
pub(super) fn stamp_at_start(line: &str) -> Option<(Option<Timestamp>, &str)> {
    stamp::at_start(line)
}

/// What kind of thing the open event is, as far as it decides where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Opened by a stamp: everything up to the next stamp is its own.
    Stamped,
    /// Lines without a stamp.
    Loose,
    /// A trace without a stamp.
    Trace(trace::Style),
    /// A failing test's report.
    Test(failing::Runner),
}

#[derive(Debug)]
struct Event {
    start: usize,
    end: usize,
    head: stamp::Head,
    mood: Mood,
    test: Option<String>,
}

impl Event {
    fn draft(self, body: &str, path: Option<&str>, at: Option<Timestamp>) -> Draft {
        let frames = trace::frames(self.head.trace.as_deref().unwrap_or(body));
        let (kind, title, artifacts) = match (self.test, self.mood) {
            (Some(name), _) => (Kind::TestFail, Some(name), test_places(body, frames.places)),
            (None, Mood::Trace(_)) => (Kind::Stack, headline(body), frames.places),
            (None, _) if frames.count > 0 => {
                (Kind::Stack, headline(self.head.trace.as_deref().unwrap_or(body)), frames.places)
            }
            (None, _) => (Kind::Log, None, Vec::new()),
        };
        let mut draft = Draft::new(kind, body);
        draft.title = title;
        draft.artifacts = artifacts;
        draft.path = path.map(str::to_owned);
        draft.observed_at = at;
        if let Some(level) = self.head.level {
            draft.metadata.insert("level".to_owned(), Value::from(level));
        }
        draft
    }
}

fn headline(body: &str) -> Option<String> {
    trace::headline(body).map(|line| super::shortened(line.trim(), 160))
}

fn test_places(body: &str, mut places: Vec<ArtifactRef>) -> Vec<ArtifactRef> {
    for place in failing::places(body) {
        let known = places.iter().any(|other| other.path == place.path && other.first_line == place.first_line);
        if !known {
            places.push(place);
        }
    }
    places
}

/// Walks over the lines and keeps the open event.
struct Splitter<'t> {
    lines: Vec<&'t str>,
    base: Option<Timestamp>,
    reported: BTreeSet<String>,
    done: Vec<Event>,
    open: Option<Event>,
    /// The open event took its last line.
    closed: bool,
}

impl<'t> Splitter<'t> {
    fn new(text: &'t str, base: Option<Timestamp>) -> Self {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let reported = failing::reported(&lines);
        Self { lines, base, reported, done: Vec::new(), open: None, closed: false }
    }

    fn split(mut self) -> Vec<Event> {
        let mut place = 0;
        for index in 0..self.lines.len() {
            let Some(line) = self.line(index) else { break };
            let full = self.lines.get(index).map_or(0, |line| line.len());
            self.take(index, line, place);
            place += full;
            if let Some(open) = &mut self.open {
                open.end = place;
            }
        }
        self.done.extend(self.open);
        self.done
    }

    fn line(&self, index: usize) -> Option<&'t str> {
        self.lines.get(index).map(|line| line.trim_end_matches(['\r', '\n']))
    }

    fn take(&mut self, index: usize, line: &'t str, place: usize) {
        let mood = self.open.as_ref().filter(|_| !self.closed).map(|open| open.mood);
        let previous = index.checked_sub(1).and_then(|index| self.line(index));
        let next = self.line(index + 1);
        if let Some(opening) = failing::opening(line, previous, &self.reported)
            && !matches!(mood, Some(Mood::Test(failing::Runner::Pytest)) if opening.runner == failing::Runner::OneLine)
        {
            return self.start(place, stamp::Head::default(), Mood::Test(opening.runner), Some(opening.name));
        }
        let head = stamp::head_of(line, self.base);
        if let Some(Mood::Test(runner)) = mood {
            if !failing::ends_before(runner, line, head.as_ref().is_some_and(|head| head.dated)) {
                return;
            }
            self.closed = true;
        }
        if let Some(head) = head {
            return self.start(place, head, Mood::Stamped, None);
        }
        self.take_unstamped(line, next, place);
    }

    /// A line without a stamp, outside of test reports.
    fn take_unstamped(&mut self, line: &'t str, next: Option<&str>, place: usize) {
        let mood = self.open.as_ref().filter(|_| !self.closed).map(|open| open.mood);
        match mood {
            Some(Mood::Stamped) => return,
            Some(Mood::Trace(style)) => match trace::extent(style, line, next) {
                trace::Extent::Inside => return,
                trace::Extent::Last => {
                    self.closed = true;
                    return;
                }
                trace::Extent::Outside => {}
            },
            Some(Mood::Loose | Mood::Test(_)) | None => {}
        }
        if let Some(style) = trace::opens(line, next) {
            return self.start(place, stamp::Head::default(), Mood::Trace(style), None);
        }
        if mood != Some(Mood::Loose) {
            self.start(place, stamp::Head::default(), Mood::Loose, None);
        }
    }

    fn start(&mut self, place: usize, head: stamp::Head, mood: Mood, test: Option<String>) {
        self.done.extend(self.open.take());
        self.open = Some(Event { start: place, end: place, head, mood, test });
        self.closed = false;
    }
}

#[cfg(test)]
mod tests;
