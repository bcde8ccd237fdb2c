//! An answer as a stream: whole frames only, read as they pass, and never an end that looks better than
//! it was.
//!
//! # Invariants
//!
//! - What is given out are whole frames as they came, but for empty ones, which break clients.
//! - A stream that did not end well ends with an error frame of its own dialect, and never with `[DONE]`.
//! - The breaker hears of the end, whatever it is; of a stream that was dropped it hears nothing.

use crate::breaker::Pass;
use crate::client::failure::Failed;
use crate::client::{Call, ChunkKind, Clock, FailureKind, Settings, Upstream, after, headers};
use crate::error::{UpstreamError, holds, scrub, wait};
use crate::sse::{Frame, FrameKind, Splitter};
use crate::tally::Tally;
use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::HeaderMap;
use serde::de::IgnoredAny;
use serde_json::json;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout, timeout_at};

/// Our own sign of life.
const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");
/// How long the rest of a complete stream may take, so that its connection can be used again.
const DRAIN: Duration = Duration::from_secs(1);
/// The code of an error frame of ours.
const BAD_GATEWAY: u16 = 502;

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// As it should.
    Complete,
    /// It broke off.
    Cut,
    /// It fell silent.
    Stalled,
    /// It turned into something that is no stream.
    Malformed,
    /// The upstream reported an error in it.
    Failed,
    /// The call's whole time was over.
    TimedOut,
}

impl End {
    /// The words and OpenRouter's type for an end that the upstream did not report itself.
    fn words(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Complete | Self::Failed => None,
            Self::Cut => Some(("the upstream closed the stream before it was complete", "provider_unavailable")),
            Self::Stalled => Some(("the upstream fell silent before the stream was complete", "timeout")),
            Self::Malformed => Some(("the upstream sent something that is no event", "provider_unavailable")),
            Self::TimedOut => Some(("the stream took longer than the whole call may", "timeout")),
        }
    }
}

/// An answer under way.
pub struct Stream {
    upstream: Arc<Upstream>,
    model: String,
    kind: ChunkKind,
    status: u16,
    headers: HeaderMap,
    attempts: u32,
    /// `None` once the end is known.
    response: Option<Response>,
    splitter: Splitter,
    tally: Tally,
    /// What is ready to be given out.
    ready: VecDeque<Bytes>,
    /// Frames with a payload that were no error.
    passed: u64,
    end: Option<End>,
    pass: Option<Pass>,
    clock: Clock,
    idle: Duration,
    keep_alive: Duration,
    /// When the upstream last sent something.
    heard: Instant,
    /// When something was last given out.
    said: Instant,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("upstream", &self.upstream.name)
            .field("status", &self.status)
            .field("attempts", &self.attempts)
            .field("end", &self.end)
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}

/// What becomes of a frame.
enum Fate {
    Pass,
    Drop,
    /// It is given out, and is the last one.
    Last(End),
    /// It is not given out, and nothing after it.
    Stop(End),
}

impl Stream {
    pub(super) fn new(
        call: &Call,
        settings: &Settings,
        clock: Clock,
        status: u16,
        headers: HeaderMap,
        response: Response,
    ) -> Self {
        let now = Instant::now();
        let tally = Tally { generation_id: headers::generation_id(&headers), ..Tally::default() };
        Self {
            upstream: Arc::clone(&call.upstream),
            model: call.model.clone(),
            kind: call.wants_chunks,
            status,
            headers,
            attempts: 1,
            response: Some(response),
            splitter: Splitter::default(),
            tally,
            ready: VecDeque::new(),
            passed: 0,
            end: None,
            pass: None,
            clock,
            idle: settings.idle,
            keep_alive: settings.keep_alive,
            heard: now,
            said: now,
        }
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The headers of the answer, without those that belong to the connection or the upstream's site.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The attempts that it took.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// What is known of the answer so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How it ended; `None` while it is under way.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// The next whole frames; `None` after the last ones. A call that is dropped half-way loses nothing.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                self.said = Instant::now();
                return Some(bytes);
            }
            if self.end.is_some() {
                return None;
            }
            self.advance().await;
        }
    }

    /// Reads on to the first real frame.
    pub(super) async fn open(mut self) -> Result<Self, Failed> {
        let hints = self.response.as_ref().and_then(|response| wait(response.headers()));
        while self.passed == 0 {
            let Some(response) = &mut self.response else { break };
            match self.clock.within(self.clock.first, FailureKind::FirstByteTimeout, response.chunk()).await {
                Ok(Ok(Some(bytes))) => self.take(bytes),
                Ok(Ok(None)) => self.finish(),
                Ok(Err(_)) => return Err(Failed::cut_early(&self.upstream, self.headers)),
                Err(kind) => return Err(Failed::late(&self.upstream, kind, self.headers)),
            }
        }
        if self.passed == 0 {
            return Err(self.nothing(hints));
        }
        self.heard = Instant::now();
        self.said = self.heard;
        Ok(self)
    }

    /// Takes what belongs to a stream that is passed on.
    pub(super) fn commit(&mut self, attempts: u32, pass: Pass) {
        self.attempts = attempts;
        self.pass = Some(pass);
        self.report();
    }

    /// Why there was no real frame.
    fn nothing(mut self, hints: Option<Duration>) -> Failed {
        match (self.tally.last_error.take(), self.end) {
            (Some(mut error), _) => {
                error.retry_after = hints.or(error.retry_after);
                Failed::refused(&self.upstream, error.status, Some(error), self.headers)
            }
            (None, Some(End::Cut)) if self.splitter.rest() => Failed::cut_early(&self.upstream, self.headers),
            (None, Some(End::Malformed)) => {
                Failed::malformed(&self.upstream, "answered with something that is no stream", self.headers)
            }
            (None, _) => Failed::malformed(&self.upstream, "answered with an empty stream", self.headers),
        }
    }

    /// Waits for the upstream, but not for ever.
    async fn advance(&mut self) {
        let Some(response) = &mut self.response else { return };
        let idle = after(self.heard, self.idle);
        let mut until = idle.min(self.clock.deadline);
        if !self.keep_alive.is_zero() {
            until = until.min(after(self.said, self.keep_alive));
        }
        match timeout_at(until, response.chunk()).await {
            Ok(Ok(Some(bytes))) => {
                self.heard = Instant::now();
                self.take(bytes);
            }
            Ok(Ok(None)) => self.finish(),
            Ok(Err(_)) => self.close(self.or_complete(End::Cut)),
            Err(_) => {
                let now = Instant::now();
                if now >= self.clock.deadline {
                    self.close(self.or_complete(End::TimedOut));
                } else if now >= idle {
                    self.close(self.or_complete(End::Stalled));
                } else {
                    self.ready.push_back(KEEP_ALIVE);
                }
            }
        }
    }

    /// Takes one read: looks at its frames, and makes them ready to be given out.
    fn take(&mut self, read: Bytes) {
        let mut as_came = !self.splitter.rest();
        let sound = self.splitter.feed_bytes(read.clone()).is_ok();
        let mut frames = Vec::new();
        let mut end = None;
        while let Some(frame) = self.splitter.next() {
            let fate = match end {
                None => self.look(&frame),
                Some(end) => self.look_after(&frame, end),
            };
            match fate {
                Fate::Pass => frames.push(frame.bytes),
                Fate::Drop => as_came = false,
                Fate::Last(last) => {
                    let clean = self.clean(frame.bytes.clone());
                    as_came &= clean == frame.bytes;
                    frames.push(clean);
                    end = Some(last);
                }
                Fate::Stop(stop) => {
                    as_came = false;
                    end = Some(stop);
                }
            }
        }
        self.push(read, &frames, as_came);
        if let Some(end) = end.or_else(|| (!sound).then_some(End::Malformed)) {
            self.close(end);
        }
    }

    /// Frames as one piece; when they are all that the read holds from its first byte on, without a copy.
    fn push(&mut self, mut read: Bytes, frames: &[Bytes], as_came: bool) {
        let total = frames.iter().map(Bytes::len).sum();
        if total == 0 {
            return;
        }
        if as_came && total <= read.len() {
            self.ready.push_back(read.split_to(total));
            return;
        }
        let mut joined = BytesMut::with_capacity(total);
        frames.iter().for_each(|frame| joined.extend_from_slice(frame));
        self.ready.push_back(joined.freeze());
    }

    fn look(&mut self, frame: &Frame) -> Fate {
        match frame.kind {
            FrameKind::Comment => Fate::Pass,
            FrameKind::Empty => Fate::Drop,
            FrameKind::Other if is_foreign(&frame.bytes) => self.foreign(&frame.bytes),
            FrameKind::Other => Fate::Pass,
            FrameKind::Done => Fate::Last(self.ending()),
            FrameKind::Data => self.payload(&frame.data()),
        }
    }

    /// After an error of the upstream only the figures count; after any other end nothing does.
    fn look_after(&mut self, frame: &Frame, end: End) -> Fate {
        if end == End::Failed && frame.kind == FrameKind::Data {
            self.tally.chunk(&frame.data());
        }
        Fate::Drop
    }

    /// What is no event: in the place of a stream it may be an error in plain JSON.
    fn foreign(&mut self, bytes: &[u8]) -> Fate {
        if self.passed == 0 {
            self.tally.last_error = UpstreamError::read(200, &HeaderMap::new(), bytes);
        }
        Fate::Stop(End::Malformed)
    }

    fn payload(&mut self, json: &[u8]) -> Fate {
        if !self.tally.chunk(json) {
            return Fate::Stop(End::Malformed);
        }
        if let Some(error) = &mut self.tally.last_error {
            if let Some(key) = &self.upstream.key {
                error.hide(key.secret());
            }
            return Fate::Last(End::Failed);
        }
        self.passed += 1;
        let begun = self.clock.begun;
        self.tally.first_byte.get_or_insert_with(|| begun.elapsed());
        Fate::Pass
    }

    /// The upstream closed the stream.
    fn finish(&mut self) {
        if let Some(frame) = self.splitter.finish() {
            self.finish_half(&frame);
        }
        if self.end.is_none() {
            self.close(self.or_complete(End::Cut));
        }
    }

    /// The last frame lacks its blank line: taken for whole when its payload is, and mended.
    fn finish_half(&mut self, frame: &Frame) {
        let data = frame.data();
        let whole = serde_json::from_slice::<IgnoredAny>(&data).is_ok();
        let fate = match frame.kind {
            FrameKind::Done => self.look(frame),
            FrameKind::Data if whole => self.look(frame),
            FrameKind::Comment | FrameKind::Empty => Fate::Drop,
            FrameKind::Other if self.passed == 0 => self.foreign(&frame.bytes),
            FrameKind::Data | FrameKind::Other => Fate::Stop(self.or_complete(End::Cut)),
        };
        let (passes, end) = match fate {
            Fate::Pass => (true, None),
            Fate::Drop => (false, None),
            Fate::Last(end) => (true, Some(end)),
            Fate::Stop(end) => (false, Some(end)),
        };
        if passes {
            let mut mended = BytesMut::from(self.clean(frame.bytes.clone()).as_ref());
            mended.extend_from_slice(if mended.ends_with(b"\n") { b"\n" } else { b"\n\n" });
            self.ready.push_back(mended.freeze());
        }
        if let Some(end) = end {
            self.close(end);
        }
    }

    /// How a stream ends that the upstream declares to be over.
    fn ending(&self) -> End {
        if self.tally.finish_reason.as_deref() == Some("error") { End::Failed } else { End::Complete }
    }

    /// What the end without a `[DONE]` is: all was said before it, or not.
    fn or_complete(&self, end: End) -> End {
        let complete = match self.kind {
            ChunkKind::Chat => self.tally.finish_reason.is_some(),
            ChunkKind::Other => self.tally.last_event,
        };
        if complete { self.ending() } else { end }
    }

    /// A frame that reports an error, without the upstream's key.
    fn clean(&self, frame: Bytes) -> Bytes {
        let Some(key) = self.upstream.key.as_ref().filter(|_| self.tally.last_error.is_some()) else { return frame };
        let text = String::from_utf8_lossy(&frame);
        if holds(&text, key.secret()) { Bytes::from(scrub(&text, key.secret())) } else { frame }
    }

    /// Sets the end, and says so to the client where the upstream did not.
    fn close(&mut self, end: End) {
        self.end = Some(end);
        if let Some((message, error_type)) = end.words().filter(|_| self.passed > 0) {
            self.ready.push_back(self.error_frame(message, error_type));
        }
        let response = self.response.take();
        if let Some(response) = response.filter(|_| matches!(end, End::Complete | End::Failed)) {
            tokio::spawn(drain(response));
        }
        self.report();
    }

    /// Tells the breaker of the end, once both are known.
    fn report(&mut self) {
        let Some(end) = self.end else { return };
        let Some(mut pass) = self.pass.take() else { return };
        let status = self.tally.last_error.as_ref().map_or(BAD_GATEWAY, |error| error.status);
        match end {
            End::Complete => pass.ok(),
            End::Failed if status < 500 => pass.alive(),
            _ => pass.failed(Instant::now().into_std()),
        }
    }

    fn error_frame(&self, message: &str, error_type: &str) -> Bytes {
        let tally = &self.tally;
        let metadata = json!({ "error_type": error_type });
        let frame = match self.kind {
            ChunkKind::Chat => {
                let chunk = json!({
                    "id": tally.generation_id,
                    "object": "chat.completion.chunk",
                    "created": SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
                    "model": tally.model.as_deref().unwrap_or(&self.model),
                    "provider": tally.provider,
                    "error": { "code": BAD_GATEWAY, "message": message, "metadata": metadata },
                    "choices": [{ "index": 0, "delta": { "content": "" }, "finish_reason": "error" }],
                });
                format!("data: {chunk}\n\n")
            }
            // The responses API reads `code` and `message`, the messages API reads `error`.
            ChunkKind::Other => {
                let event = json!({
                    "type": "error",
                    "sequence_number": tally.chunks,
                    "code": "server_error",
                    "message": message,
                    "param": null,
                    "error": { "type": "api_error", "code": BAD_GATEWAY, "message": message, "metadata": metadata },
                });
                format!("event: error\ndata: {event}\n\n")
            }
        };
        Bytes::from(frame)
    }
}

/// True for a page or a bare JSON where an event should be.
fn is_foreign(bytes: &[u8]) -> bool {
    matches!(bytes.trim_ascii_start().first(), Some(b'<' | b'{'))
}

/// Reads what is left of a complete stream, so that its connection goes back to the pool.
async fn drain(mut response: Response) {
    let rest = async { while let Ok(Some(_)) = response.chunk().await {} };
    // Not over in time: the connection is closed, which is all there is to do.
    let _over = timeout(DRAIN, rest).await;
}
