//! Streams: the frames of a dialect in their order, with the pauses, the noise and the faults of a script.
//!
//! # Invariants
//!
//! - A frame is one piece of bytes with its blank line, so that each becomes an HTTP chunk of its own.

use super::Step;
use crate::script::{Fault, Script};
use serde_json::Value;
use std::time::Duration;

/// What OpenRouter says while it waits.
const COMMENT: &str = ": OPENROUTER PROCESSING\n\n";
/// The end of a stream of chunks.
pub(crate) const DONE: &str = "data: [DONE]\n\n";
/// Frames of content before a late fault.
const BEFORE_FAULT: usize = 2;

/// The frames of an answer, as a dialect writes them.
pub(crate) struct Frames {
    /// Before the content.
    pub(crate) opening: Vec<String>,
    pub(crate) content: Vec<String>,
    /// After the content, the end itself included.
    pub(crate) closing: Vec<String>,
    /// The frame that says what went wrong.
    pub(crate) error: String,
}

/// A frame with data alone.
pub(crate) fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// A frame with an event's name.
pub(crate) fn event(name: &str, value: &Value) -> String {
    format!("event: {name}\ndata: {value}\n\n")
}

/// The body of the stream: its frames, not yet in HTTP chunks.
pub(crate) fn plan(frames: &Frames, script: &Script) -> Vec<Step> {
    let mut plan = Plan { steps: Vec::new(), script };
    plan.comment();
    plan.wait(script.late);
    match script.fault {
        Fault::HangBody => plan.steps.push(Step::Silence),
        Fault::ErrorFirst => plan.send(&frames.error),
        _ => plan.frames(frames),
    }
    plan.steps
}

struct Plan<'a> {
    steps: Vec<Step>,
    script: &'a Script,
}

impl Plan<'_> {
    fn frames(&mut self, frames: &Frames) {
        frames.opening.iter().for_each(|frame| self.send(frame));
        let mut content = frames.content.iter();
        for (place, frame) in content.by_ref().take(BEFORE_FAULT).enumerate() {
            self.content(frame, place > 0);
        }
        let next = content.as_slice().first().or_else(|| frames.closing.first());
        if self.late_fault(&frames.error, next) {
            return;
        }
        content.for_each(|frame| self.content(frame, true));
        frames.closing.iter().for_each(|frame| self.send(frame));
    }

    fn content(&mut self, frame: &str, later: bool) {
        if later {
            self.wait(self.script.gap);
            self.comment();
        }
        if self.script.empty_frames {
            self.send("data:\n\n");
        }
        self.send(frame);
    }

    /// What goes wrong after the first frames of content; true when the stream is over by that.
    fn late_fault(&mut self, error: &str, next: Option<&String>) -> bool {
        match self.script.fault {
            Fault::Stall => self.steps.push(Step::Silence),
            Fault::Cut => self.steps.push(Step::Close),
            Fault::CutFrame => {
                let next = next.map_or("", String::as_str);
                let (half, _) = next.split_at(next.floor_char_boundary(next.len() / 2));
                self.send(half);
                self.steps.push(Step::Close);
            }
            Fault::ErrorMid => self.send(error),
            Fault::Malformed => {
                self.send("data: {\"id\":\"gen-x\",\"choices\":[{\"del\n\n");
                return false;
            }
            _ => return false,
        }
        true
    }

    fn comment(&mut self) {
        if self.script.comments {
            self.send(COMMENT);
        }
    }

    fn wait(&mut self, time: Duration) {
        if !time.is_zero() {
            self.steps.push(Step::Wait(time));
        }
    }

    fn send(&mut self, frame: &str) {
        // JSON has no line end of its own: every one of them is framing.
        let frame = if self.script.crlf { frame.replace('\n', "\r\n") } else { frame.to_owned() };
        self.steps.push(Step::Send(frame.into()));
    }
}
