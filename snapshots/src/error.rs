//! Why the store did not do it, sorted by what the receiver may do next.
//!
//! Four moments, four enums: opening ([`OpenError`]), appending ([`AppendError`]), other writes
//! ([`WriteError`]) and reading ([`Damage`]).

use std::{io, path::PathBuf, sync::Arc};

use crate::WorkspaceNo;

/// Why a store did not open. Nothing was changed, except where `Io` came in the middle.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operator must give the secret that the store was created with.
    #[error("SECRET_KEY is not the one this store was created with; nothing was touched")]
    WrongSecret,
    /// The operator must stop the other process, or choose another folder.
    #[error("another process holds the store in {folder}; stop it or choose another folder")]
    Locked {
        /// The folder given to `open`.
        folder: PathBuf,
    },
    /// Something that was acknowledged cannot be read; a person must decide.
    #[error("the store is damaged: {what} ({at}); {advice}")]
    Damaged {
        /// What is wrong, and how much is missing where that is known.
        what: String,
        /// The file or record.
        at: String,
        /// What the operator can do.
        advice: &'static str,
    },
    /// The operator must use a newer program.
    #[error("the store has format {found}; this program reads up to {supported}")]
    TooNew {
        /// The format found on disk.
        found: u8,
        /// The newest format this program knows.
        supported: u8,
    },
    /// The operating system refused; trying again later may help.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was attempted, as a verb.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Why an append gave no acknowledgement.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The caller numbered its frames wrongly; nothing was written.
    #[error("workspace {workspace} expects frame {expected}, not {got}")]
    OutOfOrder {
        /// The workspace.
        workspace: WorkspaceNo,
        /// The only number that can come next.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// The payload of a frame is beyond the limit; nothing was written.
    #[error("frame {seq} has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// The frame.
        seq: u64,
        /// Its payload in bytes.
        bytes: usize,
        /// The largest payload in bytes.
        limit: usize,
    },
    /// Too many frames wait for a commit; nothing was written, try again shortly.
    #[error("{waiting} frames wait already, the limit is {limit}")]
    QueueFull {
        /// Frames that wait.
        waiting: usize,
        /// The limit from the options.
        limit: usize,
    },
    /// The disk has no room; nothing was written. Appends work again once there is room, and go
    /// on after the workspace's last acknowledged frame.
    #[error("the disk is full: {free_bytes} bytes free, {needed_bytes} needed")]
    Full {
        /// Bytes free.
        free_bytes: u64,
        /// Bytes that must be free for this append, the reserve included.
        needed_bytes: u64,
    },
    /// There is no such workspace; nothing was written.
    #[error("there is no workspace {workspace}")]
    UnknownWorkspace {
        /// The number asked for.
        workspace: WorkspaceNo,
    },
    /// It may or may not have been written: reopen the store before answering anything.
    #[error("the outcome of the append is unknown: {source}")]
    Unknown {
        /// What failed.
        source: Arc<io::Error>,
    },
    /// The store takes no more writes; nothing was written. Reopen it.
    #[error("the store takes no more writes: {reason}")]
    Stopped {
        /// Why it stopped.
        reason: String,
    },
}

impl AppendError {
    /// True when the store must be reopened before anything else can be written.
    #[must_use]
    pub fn ends_ownership(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Stopped { .. })
    }
}

/// Why a blocking write (workspace, record, snapshot) was not done.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The caller asked for something that cannot be right; nothing was written.
    #[error("refused: {reason}")]
    Refused {
        /// Which rule it breaks.
        reason: String,
    },
    /// There is no such workspace; nothing was written.
    #[error("there is no workspace {workspace}")]
    UnknownWorkspace {
        /// The number asked for.
        workspace: WorkspaceNo,
    },
    /// The name is taken; nothing was written.
    #[error("the name is taken by workspace {workspace}")]
    NameTaken {
        /// Who has it.
        workspace: WorkspaceNo,
    },
    /// The disk has no room; nothing was written; try again once there is room.
    #[error("the disk is full: {free_bytes} bytes free, {needed_bytes} needed")]
    Full {
        /// Bytes free.
        free_bytes: u64,
        /// Bytes that must be free, the reserve included.
        needed_bytes: u64,
    },
    /// Something that had to be read first is damaged; nothing was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// It may or may not have been written: reopen the store before answering anything.
    #[error("the outcome of the write is unknown: {source}")]
    Unknown {
        /// What failed.
        source: Arc<io::Error>,
    },
    /// The store takes no more writes; nothing was written. Reopen it.
    #[error("the store takes no more writes: {reason}")]
    Stopped {
        /// Why it stopped.
        reason: String,
    },
}

/// Something on disk is not what was written, or no longer there. Never served as if it were.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A frame is there and cannot be trusted.
    #[error("frame {seq} of workspace {workspace} is damaged: {reason}")]
    Frame {
        /// The workspace.
        workspace: WorkspaceNo,
        /// The frame.
        seq: u64,
        /// Which check failed.
        reason: String,
    },
    /// Acknowledged frames are not there.
    #[error(
        "{missing} frames of workspace {workspace} are missing, from {first} on, of {head} acknowledged; a backup may help"
    )]
    MissingFrames {
        /// The workspace.
        workspace: WorkspaceNo,
        /// The first one missing.
        first: u64,
        /// How many are missing there.
        missing: u64,
        /// The last acknowledged frame.
        head: u64,
    },
    /// No damage: a snapshot replaced these frames. Load the snapshot and replay after it.
    #[error(
        "frames after {asked} of workspace {workspace} were asked for; up to {trimmed} they live in snapshots only"
    )]
    Trimmed {
        /// The workspace.
        workspace: WorkspaceNo,
        /// Frames after this one were asked for.
        asked: u64,
        /// Replay can start after this frame at the earliest.
        trimmed: u64,
    },
    /// No generation of a snapshot part can be read, and the journal no longer reaches back.
    #[error("part {part} of workspace {workspace} cannot be read from any snapshot: {}", reasons.join("; "))]
    Part {
        /// The workspace.
        workspace: WorkspaceNo,
        /// The part.
        part: u32,
        /// One reason per generation.
        reasons: Vec<String>,
    },
    /// A record of the store itself cannot be trusted.
    #[error("{what} is damaged: {reason}")]
    Record {
        /// Which record.
        what: String,
        /// Which check failed.
        reason: String,
    },
    /// No damage: the workspace does not exist (any more).
    #[error("there is no workspace {workspace}")]
    UnknownWorkspace {
        /// The number asked for.
        workspace: WorkspaceNo,
    },
    /// The database below gave an error or a panic instead of an answer.
    #[error("the database cannot be read: {reason}")]
    Unreadable {
        /// In its own words.
        reason: String,
    },
}
