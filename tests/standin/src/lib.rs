//! A stand-in for OpenRouter that misbehaves on demand, for tests and benchmarks.
//!
//! [`StandIn::start`] gives a server on a free port of the loopback, on a thread of its own; dropping it stops
//! the server. What a request gets is chosen by its model, `standin/` and a behaviour (see [`Script::names`]), so
//! that a test has nothing to set up:
//!
//! | behaviour | answer |
//! | --- | --- |
//! | `ok`, `echo`, `big-KB`, `chunks-N` | a fixed text, the user's last text, KiB of letters, N words |
//! | `tools`, `reasoning`, `cached`, `fallback` | tool calls, reasoning, cached tokens, another `model` |
//! | `slow-MS`, `late-MS`, `gap-MS` | a pause before the head, before the first frame, between frames |
//! | `400` … `529`, `402-inflight`, `moderation`, `availability` | OpenRouter's errors |
//! | any of those with `-then-ok-K` | the error K times, then `ok` |
//! | `html`, `html-200`, `error-200`, `error-first`, `error-mid`, `malformed` | the wrong words |
//! | `hang`, `hang-body`, `stall`, `cut`, `cut-frame`, `close-keepalive` | the wrong end |
//! | `comments`, `empty-frames`, `crlf`, `pieces-N` | right, but hard to read |
//! | `no-usage`, `usage-with-choices`, `no-done`, `no-finish` | something is missing |
//!
//! Behaviours are joined by `+`: `standin/chunks-100+gap-20+cut`. A suffix (`standin/429-then-ok-2:mine`) changes
//! nothing but gives the model a count of its own.
//!
//! Every answer of the same model costs the same: 100 tokens in, 20 out, 0.00014 dollars (`cached`: 1,000 in, 900
//! of them cached, 0.00023 dollars).
//!
//! # Deliberately absent
//!
//! A model, keys, limits, TLS. Nothing of the project is known here: it stands in for somebody else.

mod answers;
mod refusal;
mod route;
mod script;
mod seen;
mod server;
mod state;

pub use refusal::{Refusal, Shape};
pub use script::{Content, Fault, PREFIX, Reported, Script, Text};
pub use seen::Seen;

use serde_json::Value;
use state::Shared;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a waiting helper sleeps between two looks.
const LOOK: Duration = Duration::from_millis(2);

/// Where a stand-in listens, and what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The port of the loopback; 0 is any free one.
    pub port: u16,
    /// How many requests [`StandIn::requests`] remembers, the latest ones.
    pub keep: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { port: 0, keep: 4096 }
    }
}

/// A running stand-in; dropped, it closes all connections and is gone.
pub struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Starts one on a free port. Can be called with and without an async runtime; returns when it listens.
    ///
    /// # Panics
    ///
    /// When the machine has no port or no thread left: a test cannot go on then.
    #[must_use]
    pub fn start() -> Self {
        Self::with(Options::default()).unwrap_or_else(|error| panic!("the stand-in does not start: {error}"))
    }

    /// Starts one as `options` say.
    ///
    /// # Errors
    ///
    /// When the port is taken, or the machine has no port or no thread left.
    pub fn with(options: Options) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(options.keep));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("standin".to_owned()).spawn(move || {
            runtime.block_on(async {
                if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                    tokio::spawn(server::serve(listener, served));
                    // An error is the sender's end, and means the same.
                    let _ = stopped.await;
                }
            });
        })?;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// The base of its paths, such as `http://127.0.0.1:40123/api/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, route::BASE)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was asked, in the order of coming: the latest [`Options::keep`] requests.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.desk().log.all()
    }

    /// The latest request.
    #[must_use]
    pub fn last(&self) -> Option<Seen> {
        self.shared.desk().log.last()
    }

    /// How many requests came, whether they are still remembered or not.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.shared.received.load(Ordering::SeqCst)
    }

    /// Answers under way, streams or not. One may be counted for a moment after its last byte was read.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.shared.under_way.load(Ordering::SeqCst)
    }

    /// Answers whose client closed its connection before they were complete.
    #[must_use]
    pub fn closed_early(&self) -> u64 {
        self.shared.closed_early.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// From now on a request for `model`, whatever its name, is answered by `script`. Its count of refusals
    /// begins anew.
    pub fn set(&self, model: &str, script: Script) {
        self.shared.set(model, script);
    }

    /// What `GET /generation?id=` has under `data` for `id`; an id that was not set is 404.
    pub fn generation(&self, id: &str, data: Value) {
        self.shared.desk().settled.insert(id.to_owned(), data);
    }

    /// Blocks until `condition` holds, for at most `patience`; whether it did. In async code it would block the
    /// runtime: use [`StandIn::until`] there.
    pub fn wait_until(&self, condition: impl Fn(&Self) -> bool, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while !condition(self) {
            if Instant::now() >= end {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
    }

    /// As [`StandIn::wait_until`], for code that runs on tokio.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while !condition(self) {
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }
}

impl fmt::Debug for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandIn").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there was shown by its own thread.
            let _ = thread.join();
        }
    }
}
