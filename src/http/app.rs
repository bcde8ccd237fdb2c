//! What all workers share: settings, the gate to memory, and stored answers.
//!
//! # Invariants
//!
//! - The gate opens once, after recovery, and closes once, when the server is told to stop.
//! - While it is closed nothing reaches memory.

use crate::http::error::ApiError;
use crate::http::idempotency::Answers;
use crate::http::metrics::Metrics;
use cmg_actors::Directory;
use cmg_config::Config;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The state of a server.
pub struct App {
    /// The settings it was started with.
    pub config: Config,
    /// Whether requests may reach memory.
    pub gate: Gate,
    /// Answers that are repeated for the same idempotency key.
    pub answers: Answers,
    /// What is counted; `None` where the counters could not be made.
    pub metrics: Option<Metrics>,
    /// When it was started.
    pub started: Instant,
}

impl App {
    /// A server that is not ready yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let (gate, answers, metrics) = (Gate::default(), Answers::default(), Metrics::new().ok());
        Self { config, gate, answers, metrics, started: Instant::now() }
    }

    /// How long a request may take that waits for an upstream: a little longer than the gateway itself waits.
    #[must_use]
    pub fn gateway_timeout(&self) -> Duration {
        Duration::from_millis(self.config.gateway.total_ms) + self.request_timeout()
    }

    /// How long a request may take.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.config.server.request_timeout)
    }
}

/// How a server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Recovery is not done.
    Starting,
    /// It answers.
    Ready,
    /// It finishes what it has begun.
    Draining,
}

impl Phase {
    /// The public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

/// The way to memory, while there is one.
#[derive(Default)]
pub struct Gate {
    directory: OnceLock<Directory>,
    draining: AtomicBool,
    in_flight: AtomicUsize,
}

impl Gate {
    /// Lets requests reach memory from now on.
    pub fn open(&self, directory: Directory) {
        let _ = self.directory.set(directory);
    }

    /// Lets no new request in; those inside finish.
    pub fn close(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// How the server stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.directory.get() {
            _ if self.draining.load(Ordering::Acquire) => Phase::Draining,
            Some(directory) if directory.is_ready() => Phase::Ready,
            _ => Phase::Starting,
        }
    }

    /// The way to memory.
    ///
    /// # Errors
    ///
    /// 503 `not_ready` before recovery is done.
    pub fn directory(&self) -> Result<&Directory, ApiError> {
        self.directory.get().ok_or_else(ApiError::not_ready)
    }

    /// Requests that have begun and are not answered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Counts a request until the answer is dropped.
    #[must_use]
    pub fn enter(&self) -> Inside<'_> {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        Inside(&self.in_flight)
    }
}

/// A request that has begun.
pub struct Inside<'a>(&'a AtomicUsize);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
