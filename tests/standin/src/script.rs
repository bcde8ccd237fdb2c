//! What a model does: the table of behaviours, and the plain record they fill in.
//!
//! A request names its behaviour itself: model `standin/stall` stalls. Behaviours are joined by `+`
//! (`standin/chunks-100+gap-20`), each read from left to right on top of the one before. What follows a `:`
//! is a routing suffix and changes nothing, but it makes another model of it: the count of `429-then-ok-2:a`
//! is not that of `429-then-ok-2:b`.
//!
//! # Invariants
//!
//! - Every behaviour that a model's name can ask for is a row of [`BEHAVIOURS`] or of [`REFUSALS`].
//! - A number in a name is bounded by [`MOST`], so no name can make the stand-in build an endless answer.
//!
//! # Deliberately absent
//!
//! How an answer's bytes look: that is `answers`.

use crate::refusal::{REFUSALS, Refusal};
use std::time::Duration;

/// What stands before a behaviour in a model's name.
pub const PREFIX: &str = "standin/";

/// The largest number a behaviour may carry: milliseconds, chunks, KiB.
const MOST: u64 = 100_000;

/// How a model answers. The default is `standin/ok`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Silence before the first byte of the answer.
    pub wait: Duration,
    /// Silence between the head of a streamed answer (and its first comment) and the first frame.
    pub late: Duration,
    /// Silence before every frame of content but the first.
    pub gap: Duration,
    /// What the answer says.
    pub text: Text,
    /// Frames of content; `None` is one for each word.
    pub chunks: Option<usize>,
    /// The error that is the answer.
    pub refusal: Option<&'static Refusal>,
    /// How many of the first requests are refused; `None` is all.
    pub refused: Option<u64>,
    /// Where the answer goes wrong.
    pub fault: Fault,
    /// What kind of message it is.
    pub content: Content,
    /// Where a stream reports its usage; a whole answer has it or has it not.
    pub usage: Reported,
    /// 1,000 prompt tokens, 900 of them from the cache, instead of 100.
    pub cached: bool,
    /// Comment lines before and between the frames.
    pub comments: bool,
    /// Frames with a `data:` line and no data, before every frame of content.
    pub empty_frames: bool,
    /// Lines of a stream end in CR LF.
    pub crlf: bool,
    /// A stream of chunks ends in `data: [DONE]`.
    pub done: bool,
    /// There is a finish reason.
    pub finish: bool,
    /// The body is written so many bytes at a time, in a stream each an HTTP chunk of its own.
    pub pieces: Option<usize>,
    /// The connection is closed after the answer, unannounced.
    pub closes: bool,
    /// The model that the answer names, if not the one that was asked.
    pub answered_by: Option<String>,
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// These words.
    Fixed(String),
    /// The text of the last message of the user.
    Echo,
    /// So many KiB of letters, a KiB to a frame.
    Filler(usize),
}

/// Where an answer goes wrong. In a stream, "late" means after two frames of content; in a whole answer,
/// after half of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nowhere.
    None,
    /// Status 502 and a page of HTML.
    Html,
    /// Status 200 and a page of HTML.
    HtmlOk,
    /// The request is read and never answered.
    Hang,
    /// A head, and then nothing.
    HangBody,
    /// Late silence; the connection stays open.
    Stall,
    /// Late close between two frames, the last HTTP chunk missing.
    Cut,
    /// Late close in the middle of a frame.
    CutFrame,
    /// A late frame that is no JSON; in a whole answer, half a body with the right length.
    Malformed,
    /// Status 200 and a whole error object, stream or not.
    ErrorOk,
    /// The first frame is an error, and the last one.
    ErrorFirst,
    /// A late frame that is an error, and the last one. A whole answer has both error and choices.
    ErrorMid,
}

/// What kind of message the answer to a chat is. The other dialects know text only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text,
    /// Two tool calls.
    Tools,
    /// Reasoning, then text.
    Reasoning,
}

/// Where a stream reports its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// In a chunk of its own, `choices` empty, before the end.
    Alone,
    /// In the chunk that has the finish reason.
    WithChoices,
    /// Nowhere.
    Never,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            wait: Duration::ZERO,
            late: Duration::ZERO,
            gap: Duration::ZERO,
            text: Text::Fixed("Hello from the stand-in.".to_owned()),
            chunks: None,
            refusal: None,
            refused: None,
            fault: Fault::None,
            content: Content::Text,
            usage: Reported::Alone,
            cached: false,
            comments: false,
            empty_frames: false,
            crlf: false,
            done: true,
            finish: true,
            pieces: None,
            closes: false,
            answered_by: None,
        }
    }
}

/// What a row of the table does to a script.
enum Does {
    /// The name alone.
    Plain(fn(&mut Script)),
    /// The name, a hyphen and a number.
    Number(fn(&mut Script, u64)),
}

use Does::{Number, Plain};

/// Every behaviour but the refusals: name, effect.
const BEHAVIOURS: &[(&str, Does)] = &[
    ("ok", Plain(|_| {})),
    // Names of the catalogue whose prices differ and whose answers do not.
    ("free", Plain(|_| {})),
    ("priced", Plain(|_| {})),
    ("embed", Plain(|_| {})),
    ("echo", Plain(|script| script.text = Text::Echo)),
    ("big", Number(|script, n| script.text = Text::Filler(size(n)))),
    ("chunks", Number(|script, n| script.chunks = Some(size(n)))),
    ("slow", Number(|script, n| script.wait = Duration::from_millis(n))),
    ("late", Number(|script, n| script.late = Duration::from_millis(n))),
    ("gap", Number(|script, n| script.gap = Duration::from_millis(n))),
    ("html", Plain(|script| script.fault = Fault::Html)),
    ("html-200", Plain(|script| script.fault = Fault::HtmlOk)),
    ("hang", Plain(|script| script.fault = Fault::Hang)),
    ("hang-body", Plain(|script| script.fault = Fault::HangBody)),
    ("stall", Plain(|script| script.fault = Fault::Stall)),
    ("cut", Plain(|script| script.fault = Fault::Cut)),
    ("cut-frame", Plain(|script| script.fault = Fault::CutFrame)),
    ("malformed", Plain(|script| script.fault = Fault::Malformed)),
    ("error-200", Plain(|script| script.fault = Fault::ErrorOk)),
    ("error-first", Plain(|script| script.fault = Fault::ErrorFirst)),
    ("error-mid", Plain(|script| script.fault = Fault::ErrorMid)),
    ("tools", Plain(|script| script.content = Content::Tools)),
    ("reasoning", Plain(|script| script.content = Content::Reasoning)),
    ("no-usage", Plain(|script| script.usage = Reported::Never)),
    ("usage-with-choices", Plain(|script| script.usage = Reported::WithChoices)),
    ("cached", Plain(|script| script.cached = true)),
    ("comments", Plain(|script| script.comments = true)),
    ("empty-frames", Plain(|script| script.empty_frames = true)),
    ("crlf", Plain(|script| script.crlf = true)),
    ("no-done", Plain(|script| script.done = false)),
    ("no-finish", Plain(|script| script.finish = false)),
    ("pieces", Number(|script, n| script.pieces = Some(size(n).max(1)))),
    ("close-keepalive", Plain(|script| script.closes = true)),
    ("fallback", Plain(|script| script.answered_by = Some("standin/ok".to_owned()))),
];

impl Script {
    /// The script that a model's whole name asks for; `None` when it asks for nothing known.
    #[must_use]
    pub fn of_model(model: &str) -> Option<Self> {
        Self::parse(model.strip_prefix(PREFIX)?)
    }

    /// The script of behaviours joined by `+`, such as `chunks-100+gap-20`; `None` when one is unknown.
    #[must_use]
    pub fn parse(behaviours: &str) -> Option<Self> {
        let names = behaviours.split(':').next()?;
        let mut script = Self::default();
        names.split('+').all(|name| script.add(name)).then_some(script)
    }

    /// The names of all behaviours; `-N` stands for a number. Every refusal `R` is also `R-then-ok-N`.
    pub fn names() -> impl Iterator<Item = String> {
        let named = BEHAVIOURS.iter().map(|(name, does)| match does {
            Plain(_) => (*name).to_owned(),
            Number(_) => format!("{name}-N"),
        });
        named.chain(REFUSALS.iter().map(|refusal| refusal.name.to_owned()))
    }

    /// Adds one behaviour; false when it is unknown.
    fn add(&mut self, name: &str) -> bool {
        self.add_plain(name) || self.add_refusal(name, None) || self.add_numbered(name)
    }

    fn add_plain(&mut self, name: &str) -> bool {
        let found = BEHAVIOURS.iter().find_map(|(known, does)| match does {
            Plain(effect) if *known == name => Some(effect),
            _ => None,
        });
        found.map(|effect| effect(self)).is_some()
    }

    fn add_refusal(&mut self, name: &str, refused: Option<u64>) -> bool {
        let Some(refusal) = REFUSALS.iter().find(|refusal| refusal.name == name) else { return false };
        (self.refusal, self.refused) = (Some(refusal), refused);
        true
    }

    fn add_numbered(&mut self, name: &str) -> bool {
        let Some((name, number)) = name.rsplit_once('-') else { return false };
        let Some(number) = number.parse().ok().filter(|number| *number <= MOST) else { return false };
        if let Some(refusal) = name.strip_suffix("-then-ok") {
            return self.add_refusal(refusal, Some(number));
        }
        let found = BEHAVIOURS.iter().find_map(|(known, does)| match does {
            Number(effect) if *known == name => Some(effect),
            _ => None,
        });
        found.map(|effect| effect(self, number)).is_some()
    }
}

/// A number of a name as a size; it is at most [`MOST`].
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaviours_are_joined_by_a_plus() {
        let script = Script::of_model("standin/chunks-7+gap-20+cut:free").unwrap();

        assert_eq!(script.chunks, Some(7));
        assert_eq!(script.gap, Duration::from_millis(20));
        assert_eq!(script.fault, Fault::Cut);
    }

    #[test]
    fn a_refusal_can_be_over_after_some_requests() {
        let script = Script::of_model("standin/402-inflight-then-ok-3").unwrap();

        assert_eq!(script.refusal.map(|refusal| refusal.name), Some("402-inflight"));
        assert_eq!(script.refused, Some(3));
    }

    #[test]
    fn an_unknown_behaviour_is_no_script() {
        for model in ["standin/", "standin/nonsense", "standin/slow", "standin/slow-x", "other/ok", "standin/ok+x"] {
            assert_eq!(Script::of_model(model), None, "{model}");
        }
        assert_eq!(Script::of_model("standin/big-100001"), None, "numbers are bounded");
    }

    #[test]
    fn every_name_of_the_table_can_be_asked_for() {
        for name in Script::names() {
            let name = name.strip_suffix("-N").map_or_else(|| name.clone(), |plain| format!("{plain}-5"));

            assert!(Script::parse(&name).is_some(), "{name}");
        }
    }
}
