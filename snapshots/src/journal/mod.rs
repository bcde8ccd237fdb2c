//! The journal: one ordered, durable list of frames per workspace.
//!
//! A frame is opaque here: bytes that somebody else encoded.
//!
//! # Promise
//!
//! When the ticket of [`crate::Store::append`] resolves to `Ok`, the frames survive `kill -9` and
//! power loss, and every later [`crate::Store::replay`] yields them, in this order, exactly once,
//! or says by name what is damaged.
//!
//! # Invariants
//!
//! - The sequence numbers of a workspace start at 1 and have no gaps.
//! - An append is all or nothing.
//! - A replay ends with the frame that the head record names, or with an error.
//!
//! # Deliberately absent
//!
//! What a frame means, clocks, and threads beyond their number.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use crate::{
    AppendError, Damage, WorkspaceNo,
    engine::{Engine, Entries},
    layout,
    record::Head,
    seal::{Keyring, Mark},
};

pub(crate) mod committer;
pub(crate) mod frame;

/// A frame to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFrame {
    /// Its number: one more than the last frame of the workspace.
    pub seq: u64,
    /// The thread it belongs to; written in clear.
    pub thread_no: u32,
    /// What to keep; sealed before it is written.
    pub payload: Vec<u8>,
}

/// A frame as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its number.
    pub seq: u64,
    /// The thread it belongs to.
    pub thread_no: u32,
    /// What was kept.
    pub payload: Vec<u8>,
}

/// Resolves when the frames are durable, or will not be. Dropping it does not undo the append.
#[derive(Debug)]
#[must_use = "only the resolved ticket says that the frames are durable"]
pub struct AppendTicket(pub(crate) oneshot::Receiver<Result<(), AppendError>>);

impl Future for AppendTicket {
    type Output = Result<(), AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| {
            answer.unwrap_or_else(|_| {
                let source = Arc::new(std::io::Error::other("the committer died"));
                Err(AppendError::Unknown { source })
            })
        })
    }
}

/// A frame that passed every check of the journal and is not opened yet.
pub(crate) struct Checked {
    pub(crate) header: frame::Header,
    pub(crate) bytes: Vec<u8>,
}

/// Reads frames in order and checks length, crc, chain and that none is missing up to the head.
pub(crate) struct Walk {
    no: u32,
    keys: Arc<Keyring>,
    entries: Entries,
    /// The first piece of the next frame, read ahead.
    ahead: Option<(u64, Vec<u8>)>,
    last: u64,
    chain: Mark,
    head: Head,
    over: bool,
}

impl Walk {
    /// Starts after the frame `after` and ends with `head.seq`.
    pub(crate) fn start(engine: &Engine, no: u32, keys: Arc<Keyring>, head: Head, after: u64) -> Result<Walk, Damage> {
        let workspace = WorkspaceNo(no);
        if after < head.trimmed {
            return Err(Damage::Trimmed { workspace, asked: after, trimmed: head.trimmed });
        }
        let chain = if after >= head.seq {
            head.chain
        } else if after == head.trimmed {
            head.trimmed_chain
        } else {
            let bytes = engine.get_pieces(&layout::frame(no, after))?.ok_or(Damage::MissingFrames {
                workspace,
                first: after,
                missing: 1,
                head: head.seq,
            })?;
            frame::decode(&bytes).map_err(|reason| Damage::Frame { workspace, seq: after, reason })?.chain
        };
        let range = (layout::frame(no, after.saturating_add(1)), layout::frame(no, head.seq.saturating_add(1)));
        Ok(Walk {
            no,
            keys,
            entries: engine.range(range),
            ahead: None,
            last: after.min(head.seq),
            chain,
            head,
            over: false,
        })
    }

    /// The last frame that passed, and its mark.
    pub(crate) fn position(&self) -> (u64, Mark) {
        (self.last, self.chain)
    }

    /// The next frame's number and bytes, put together from its pieces.
    fn assemble(&mut self) -> Result<Option<(u64, Vec<u8>)>, Damage> {
        let mut frame = self.ahead.take();
        let mut pieces = 1;
        for entry in self.entries.by_ref() {
            let (key, piece) = entry?;
            let Some((seq, number)) = layout::frame_in(&key) else {
                return Err(Damage::Unreadable { reason: "a key has the wrong length".to_owned() });
            };
            match &mut frame {
                None if number == 0 => frame = Some((seq, piece)),
                Some((of, bytes)) if *of == seq && number == pieces => {
                    bytes.extend_from_slice(&piece);
                    pieces += 1;
                }
                Some((of, _)) if *of != seq && number == 0 => {
                    self.ahead = Some((seq, piece));
                    break;
                }
                _ => {
                    let reason = "a piece of it is missing".to_owned();
                    return Err(Damage::Frame { workspace: WorkspaceNo(self.no), seq, reason });
                }
            }
        }
        Ok(frame)
    }

    fn step(&mut self) -> Result<Option<Checked>, Damage> {
        if self.last == self.head.seq {
            return Ok(None);
        }
        let workspace = WorkspaceNo(self.no);
        let expected = self.last + 1;
        let found = self.assemble()?;
        let next = found.as_ref().map_or(self.head.seq + 1, |(seq, _)| *seq);
        let (Some((seq, bytes)), true) = (found, next == expected) else {
            return Err(Damage::MissingFrames {
                workspace,
                first: expected,
                missing: next.saturating_sub(expected),
                head: self.head.seq,
            });
        };
        let damaged = |reason| Damage::Frame { workspace, seq, reason };
        let (header, chain) = {
            let raw = frame::decode(&bytes).map_err(damaged)?;
            if raw.header.seq != seq {
                return Err(damaged(format!("it says it is frame {}", raw.header.seq)));
            }
            raw.check_chain(&self.keys, &self.chain).map_err(damaged)?;
            if seq == self.head.seq && raw.chain != self.head.chain {
                return Err(damaged("it is not the one that the head record names".to_owned()));
            }
            (raw.header, raw.chain)
        };
        self.last = seq;
        self.chain = chain;
        Ok(Some(Checked { header, bytes }))
    }
}

impl Iterator for Walk {
    type Item = Result<Checked, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let step = self.step().transpose();
        self.over = !matches!(step, Some(Ok(_)));
        step
    }
}

/// Yields the frames of a replay in order; ends after the last one or the first damage.
pub struct Replay {
    pub(crate) walk: Walk,
    pub(crate) thread: Option<u32>,
    /// Tells whether frames were trimmed since the walk began.
    pub(crate) trimmed_now: Box<dyn Fn() -> u64 + Send>,
}

impl Replay {
    fn open(&self, checked: &Checked) -> Result<Frame, Damage> {
        let frame::Header { seq, thread_no, .. } = checked.header;
        frame::decode(&checked.bytes)
            .and_then(|raw| raw.open(&self.walk.keys, self.walk.no))
            .map(|payload| Frame { seq, thread_no, payload })
            .map_err(|reason| Damage::Frame { workspace: WorkspaceNo(self.walk.no), seq, reason })
    }

    /// A frame that a snapshot replaced while we were reading is not damage.
    fn explain(&self, damage: Damage) -> Damage {
        let trimmed = (self.trimmed_now)();
        let (last, _) = self.walk.position();
        if trimmed > last {
            Damage::Trimmed { workspace: WorkspaceNo(self.walk.no), asked: last, trimmed }
        } else {
            damage
        }
    }
}

impl Iterator for Replay {
    type Item = Result<Frame, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let checked = match self.walk.next()? {
                Ok(checked) => checked,
                Err(damage) => return Some(Err(self.explain(damage))),
            };
            if self.thread.is_none_or(|thread| thread == checked.header.thread_no) {
                let frame = self.open(&checked);
                self.walk.over |= frame.is_err();
                return Some(frame);
            }
        }
    }
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (last, _) = self.walk.position();
        out.debug_struct("Replay").field("last", &last).finish_non_exhaustive()
    }
}
