//! Server-sent events, cut into frames without changing a byte.
//!
//! A frame is what lies between two blank lines, the closing blank line included. All three line endings
//! of the standard are understood: LF, CRLF and CR.
//!
//! # Invariants
//!
//! - The frames, joined with what is pending, are exactly the bytes that were fed.
//! - Where a frame ends depends on the bytes alone, never on the pieces in which they came.
//! - Every byte is looked at once; at most one frame of [`LONGEST`] bytes is held.
//!
//! # Deliberately absent
//!
//! What the data mean: that is the tally's.

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr2};
use std::borrow::Cow;
use std::collections::VecDeque;
use thiserror::Error;

/// The most bytes that one frame may have.
pub const LONGEST: usize = 8 * 1024 * 1024;

/// The payload that ends a stream of OpenAI's kind.
const DONE: &[u8] = b"[DONE]";
/// A byte order mark; the standard lets a stream begin with one.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A frame has more than [`LONGEST`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an event of the stream is longer than {LONGEST} bytes")]
pub struct TooLong;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Nothing but comment lines: a sign of life.
    Comment,
    /// It carries a payload.
    Data,
    /// Its payload is `[DONE]`.
    Done,
    /// It carries nothing: an empty payload, or a blank line alone.
    Empty,
    /// Fields, but no payload; or lines that are no fields at all.
    Other,
}

/// One event, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Exactly the bytes that came, the closing blank line included.
    pub bytes: Bytes,
    /// What it is for.
    pub kind: FrameKind,
}

impl Frame {
    fn new(bytes: Bytes) -> Self {
        let kind = kind(&bytes);
        Self { bytes, kind }
    }

    /// The payload: the `data` lines, joined by a line feed where there are several.
    #[must_use]
    pub fn data(&self) -> Cow<'_, [u8]> {
        let mut lines = values(&self.bytes, b"data");
        let first = lines.next().unwrap_or_default();
        let Some(second) = lines.next() else { return Cow::Borrowed(first) };
        let mut joined = first.to_vec();
        for line in std::iter::once(second).chain(lines) {
            joined.push(b'\n');
            joined.extend_from_slice(line);
        }
        Cow::Owned(joined)
    }

    /// The last `event` field, if there is one.
    #[must_use]
    pub fn event(&self) -> Option<&[u8]> {
        values(&self.bytes, b"event").last()
    }
}

fn kind(bytes: &[u8]) -> FrameKind {
    let (mut comments, mut others, mut data) = (false, false, Payload::None);
    for (name, value) in fields(bytes) {
        match name {
            b"" => comments = true,
            b"data" => data = data.and(value),
            _ => others = true,
        }
    }
    match data {
        Payload::Done => FrameKind::Done,
        Payload::Some => FrameKind::Data,
        Payload::Empty => FrameKind::Empty,
        Payload::None if others => FrameKind::Other,
        Payload::None if comments => FrameKind::Comment,
        Payload::None => FrameKind::Empty,
    }
}

/// What the `data` lines of a frame amount to.
enum Payload {
    None,
    Empty,
    Done,
    Some,
}

impl Payload {
    fn and(self, value: &[u8]) -> Self {
        match (self, value.trim_ascii()) {
            (Self::None | Self::Empty, DONE) => Self::Done,
            (before @ (Self::Empty | Self::Done | Self::Some), b"") => before,
            (Self::None, b"") => Self::Empty,
            _ => Self::Some,
        }
    }
}

/// The values of one field, in order.
fn values<'a>(bytes: &'a [u8], wanted: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    fields(bytes).filter(move |(name, _)| *name == wanted).map(|(_, value)| value)
}

/// Name and value of every line that is not blank; a comment's name is empty.
fn fields(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut left = bytes.strip_prefix(BOM).unwrap_or(bytes);
    std::iter::from_fn(move || {
        while !left.is_empty() {
            let (line, rest) = first_line(left);
            left = rest;
            if !line.is_empty() {
                return Some(field(line));
            }
        }
        None
    })
}

/// The first line without its ending, and what follows. A CRLF counts as a line and a blank one: here
/// blank lines mean nothing.
fn first_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    (line, rest.split_first().map_or(&[][..], |(_, rest)| rest))
}

fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some((name, value)) = memchr(b':', line).and_then(|colon| line.split_at_checked(colon)) else {
        return (line, &[]);
    };
    let value = value.strip_prefix(b":").unwrap_or(value);
    (name, value.strip_prefix(b" ").unwrap_or(value))
}

/// Where the splitter is within a frame.
#[derive(Debug, Clone, Copy)]
enum At {
    /// Before the first byte of a line. `cr`: the line before it ended in a CR alone, so a further CR is
    /// a blank line without waiting for the byte after it.
    Line { cr: bool },
    /// Within a line.
    Text,
    /// After a CR that a LF may still belong to; `blank`: the line it ends is blank.
    Cr { blank: bool },
}

/// Cuts a stream into frames.
#[derive(Debug)]
pub struct Splitter {
    at: At,
    /// The beginning of a frame whose end has not come.
    held: BytesMut,
    frames: VecDeque<Frame>,
}

impl Default for Splitter {
    fn default() -> Self {
        Self { at: At::Line { cr: false }, held: BytesMut::new(), frames: VecDeque::new() }
    }
}

impl Splitter {
    /// Takes the next bytes of the stream, by a copy.
    ///
    /// # Errors
    ///
    /// [`TooLong`]; the splitter is of no further use then.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        self.feed_bytes(Bytes::copy_from_slice(bytes))
    }

    /// Takes the next bytes of the stream; a frame that lies wholly in them is not copied.
    ///
    /// # Errors
    ///
    /// [`TooLong`]; the splitter is of no further use then.
    pub fn feed_bytes(&mut self, mut bytes: Bytes) -> Result<(), TooLong> {
        while let Some(end) = self.scan(&bytes) {
            let tail = bytes.split_to(end.min(bytes.len()));
            let frame = self.complete(tail)?;
            self.frames.push_back(Frame::new(frame));
        }
        self.hold(&bytes)
    }

    /// The next whole frame.
    #[expect(clippy::should_implement_trait, reason = "more frames may follow after a `None`")]
    pub fn next(&mut self) -> Option<Frame> {
        self.frames.pop_front()
    }

    /// True when half a frame is pending.
    #[must_use]
    pub fn rest(&self) -> bool {
        !self.held.is_empty()
    }

    /// The half frame at the end of a stream, as a frame that lacks its blank line.
    pub fn finish(&mut self) -> Option<Frame> {
        self.at = At::Line { cr: false };
        let bytes = std::mem::take(&mut self.held).freeze();
        (!bytes.is_empty()).then(|| Frame::new(bytes))
    }

    fn complete(&mut self, tail: Bytes) -> Result<Bytes, TooLong> {
        if self.held.is_empty() {
            return if tail.len() > LONGEST { Err(TooLong) } else { Ok(tail) };
        }
        self.hold(&tail)?;
        Ok(self.held.split().freeze())
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.held.len() + bytes.len() > LONGEST {
            return Err(TooLong);
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// Goes on to the end of the frame and says where in `bytes` it lies; `None` when the bytes ran out.
    fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut place = 0;
        loop {
            let left = bytes.get(place..).filter(|left| !left.is_empty())?;
            let next = left.first().copied();
            match (self.at, next) {
                (At::Line { .. }, Some(b'\n')) | (At::Cr { blank: true }, Some(b'\n')) => {
                    return self.begin(place + 1);
                }
                (At::Line { cr: true }, Some(b'\r')) => return self.begin(place + 1),
                (At::Cr { blank: true }, _) => return self.begin(place),
                (At::Line { cr: false }, Some(b'\r')) => {
                    self.at = At::Cr { blank: true };
                    place += 1;
                }
                (At::Cr { blank: false }, Some(b'\n')) => {
                    self.at = At::Line { cr: false };
                    place += 1;
                }
                (At::Cr { blank: false }, _) => self.at = At::Line { cr: true },
                (At::Line { .. }, _) => self.at = At::Text,
                (At::Text, _) => match memchr2(b'\n', b'\r', left) {
                    None => return None,
                    Some(end) => {
                        let lf = left.get(end) == Some(&b'\n');
                        self.at = if lf { At::Line { cr: false } } else { At::Cr { blank: false } };
                        place += end + 1;
                    }
                },
            }
        }
    }

    fn begin(&mut self, end: usize) -> Option<usize> {
        self.at = At::Line { cr: false };
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(pieces: &[&[u8]]) -> (Vec<Frame>, bool) {
        let mut splitter = Splitter::default();
        let mut frames = Vec::new();
        for piece in pieces {
            splitter.feed(piece).unwrap();
            frames.extend(std::iter::from_fn(|| splitter.next()));
        }
        (frames, splitter.rest())
    }

    fn kinds(text: &str) -> Vec<FrameKind> {
        split(&[text.as_bytes()]).0.iter().map(|frame| frame.kind).collect()
    }

    #[test]
    fn a_frame_is_named_by_what_it_carries() {
        use FrameKind::{Comment, Data, Done, Empty, Other};

        let found = kinds(
            ": hi\n\ndata: {}\n\ndata: [DONE]\n\ndata:\n\n\nevent: x\ndata: 1\n\nretry: 3\n\n<html>\n\ndata\n\n\
             data:[DONE] \n\ndata: a\ndata: [DONE]\n\n",
        );

        assert_eq!(found, [Comment, Data, Done, Empty, Empty, Data, Other, Other, Empty, Done, Data]);
    }

    #[test]
    fn every_line_ending_ends_a_frame_and_stays_in_it() {
        for (text, first) in [
            ("data: 1\n\ndata: 2\n\n", "data: 1\n\n"),
            ("data: 1\r\n\r\ndata: 2\r\n\r\n", "data: 1\r\n\r\n"),
            ("data: 1\r\rdata: 2\r\r", "data: 1\r\r"),
            ("data: 1\n\r\ndata: 2\r\n\n", "data: 1\n\r\n"),
        ] {
            let (frames, rest) = split(&[text.as_bytes()]);

            assert_eq!(frames.len(), 2, "{text:?}");
            assert_eq!(frames[0].bytes, first);
            assert_eq!(frames[1].data().as_ref(), b"2");
            assert!(!rest);
        }
    }

    #[test]
    fn a_frame_of_crs_is_given_out_without_waiting_for_another_byte() {
        let (frames, rest) = split(&[b"data: [DONE]\r\r"]);

        assert_eq!(frames[0].kind, FrameKind::Done);
        assert!(!rest);
    }

    #[test]
    fn payload_lines_are_joined_and_a_byte_order_mark_is_no_part_of_a_name() {
        let (frames, _) = split(&[b"\xef\xbb\xbfdata: a\r\nevent: e\r\ndata:  b\r\n\r\n"]);

        assert_eq!(frames[0].data().as_ref(), b"a\n b");
        assert_eq!(frames[0].event(), Some(&b"e"[..]));
    }

    #[test]
    fn a_frame_in_one_read_is_not_copied() {
        let read = Bytes::from_static(b"data: 1\n\ndata: 2\n\nda");
        let mut splitter = Splitter::default();

        splitter.feed_bytes(read.clone()).unwrap();

        let second = splitter.nth_frame(1);
        assert_eq!(second.bytes.as_ptr(), read[9..].as_ptr());
        assert!(splitter.rest());
        assert_eq!(splitter.finish().unwrap().bytes, "da");
        assert!(!splitter.rest());
    }

    impl Splitter {
        fn nth_frame(&mut self, number: usize) -> Frame {
            self.frames.remove(number).unwrap()
        }
    }

    #[test]
    fn a_frame_that_never_ends_is_refused() {
        let mut splitter = Splitter::default();
        let piece = vec![b'x'; LONGEST / 8];
        for _ in 0..8 {
            splitter.feed(&piece).unwrap();
        }

        let outcome = splitter.feed(b"x");

        assert_eq!(outcome, Err(TooLong));
    }

    #[test]
    fn many_frames_in_one_read_may_be_longer_together() {
        let mut frame = vec![b'x'; LONGEST - 2];
        frame.extend_from_slice(b"\n\n");
        let three = frame.repeat(3);

        let (frames, _) = split(&[&three]);

        assert_eq!(frames.len(), 3);
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter_and_no_byte_is_lost(
            text in proptest::collection::vec(prop_oneof![
                Just("data: {\"a\":1}"), Just("data:"), Just(": c"), Just("\n"), Just("\r"), Just("\r\n"),
                Just("\n\n"), Just("event: e"), Just("data: [DONE]"), Just("x"),
            ], 0..40),
            cuts in proptest::collection::vec(0_usize..300, 0..20),
        ) {
            let text = text.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let single: Vec<&[u8]> = text.chunks(1).collect();

            let whole = split(&[&text]);
            let pieces = split(&pieces);
            let single = split(&single);

            prop_assert_eq!(&whole, &pieces);
            prop_assert_eq!(&whole, &single);
            let joined: usize = whole.0.iter().map(|frame| frame.bytes.len()).sum();
            prop_assert!(text.starts_with(&whole.0.iter().flat_map(|frame| frame.bytes.to_vec()).collect::<Vec<_>>()));
            prop_assert_eq!(joined == text.len(), !whole.1);
        }
    }
}
