//! The pool: actors that talk to upstreams, one on each thread that serves requests, with an HTTP client of its own.
//!
//! A call stays on the thread that took its request: handing it to another one and back costs two wake-ups, which is
//! more than all the rest of our work (`docs/decisions/0006-gateway-in-the-process.md`).
//!
//! # Invariants
//!
//! - A call whose client has gone is dropped at once, whatever phase it is in: before the upstream's answer, before its
//!   first frame, in mid-stream. Dropping it closes the connection to the upstream.
//! - A stream is never buffered: at most [`FRAMES`] pieces wait for a slow client, then the upstream waits.
//! - Calls under way are bounded; more are refused at once.
//!
//! # Deliberately absent
//!
//! What a call costs ([`super::account`]), and what it may not do ([`super::limits`]).

use super::account::{Account, Closing};
use super::memory::Writing;
use crate::ledger::row::Ending;
use actix::prelude::*;
use bytes::Bytes;
use cmg_gateway::breaker::Breakers;
use cmg_gateway::client::{Call, End, Failure, FailureKind, Gateway as Client, Reply, Settings, Stream, Whole};
use cmg_gateway::tally::Tally;
use http::HeaderMap;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Pieces of a stream that may wait for the client.
const FRAMES: usize = 16;

/// An upstream's answer on its way to the client.
#[derive(Debug)]
pub enum Answer {
    /// All of it.
    Whole {
        /// Its status.
        status: u16,
        /// Its headers, those that may pass.
        headers: HeaderMap,
        /// Its body.
        body: Bytes,
        /// Ids of the items that memory made of it, where it was asked to.
        written: Option<Written>,
        /// How long the upstream took.
        upstream: Duration,
    },
    /// Its beginning; the frames follow.
    Stream {
        /// Its status.
        status: u16,
        /// Its headers, those that may pass.
        headers: HeaderMap,
        /// Whole frames, in the bytes in which they came. Dropping it ends the call.
        frames: mpsc::Receiver<Bytes>,
        /// How long the upstream took to its first frame.
        upstream: Duration,
    },
}

/// What became of writing an exchange to memory: the new items, or why there are none.
pub type Written = Result<Vec<cmg_memory::ids::ItemId>, &'static str>;

/// Why there is no answer.
#[derive(Debug)]
pub enum PoolError {
    /// So many calls are under way that another has no place.
    Full,
    /// The server is stopping, or a worker fell.
    Gone,
    /// The upstream did not answer, or not well.
    Failed(Box<Failure>),
}

thread_local! {
    /// The workers of this thread, by the number of their pool: nearly always one.
    static WORKERS: RefCell<Vec<(u64, Addr<Worker>)>> = const { RefCell::new(Vec::new()) };
}

/// Tells pools apart that one process has had.
static POOLS: AtomicU64 = AtomicU64::new(0);

/// The workers: one on each thread that has made a call.
pub(super) struct Pool {
    number: u64,
    settings: Settings,
    breakers: Arc<Breakers>,
    places: Arc<Semaphore>,
}

impl Pool {
    /// A pool that has `places` calls under way at most.
    pub(super) fn new(places: usize, settings: Settings, breakers: Arc<Breakers>) -> Self {
        let number = POOLS.fetch_add(1, Ordering::Relaxed);
        Self { number, settings, breakers, places: Arc::new(Semaphore::new(places)) }
    }

    /// The worker of this thread; begins with the thread's first call, and again after a fall.
    fn worker(&self) -> Result<Addr<Worker>, PoolError> {
        WORKERS.with_borrow_mut(|workers| {
            workers.retain(|(_, worker)| worker.connected());
            if let Some((_, worker)) = workers.iter().find(|(number, _)| *number == self.number) {
                return Ok(worker.clone());
            }
            let client = Client::new(self.settings.clone(), Arc::clone(&self.breakers)).map_err(|error| {
                tracing::error!(%error, "no client for the upstreams");
                PoolError::Gone
            })?;
            let worker = Worker { client: Arc::new(client) }.start();
            workers.push((self.number, worker.clone()));
            Ok(worker)
        })
    }

    /// Has a call made by the worker of this thread.
    pub(super) async fn call(
        &self,
        call: Call,
        account: Account,
        writing: Option<Writing>,
    ) -> Result<Answer, PoolError> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            account.close(refused(503, "overloaded"), None);
            return Err(PoolError::Full);
        };
        let worker = self.worker()?;
        let (answer, answered) = oneshot::channel();
        // The permit was taken before: the mailbox holds no more than the places.
        worker.do_send(Run { call, account, writing, place, answer });
        answered.await.map_err(|_| PoolError::Gone)?.map_err(PoolError::Failed)
    }

    /// Has a call of our own made, which is on nobody's account; the failure in words.
    pub(super) async fn ask(&self, call: Call) -> Result<Reply, String> {
        let worker = self.worker().map_err(|_| "there is no client for the upstreams")?;
        let (answer, answered) = oneshot::channel();
        worker.send(Ask { call, answer }).await.map_err(|_| "the server is stopping")?;
        let reply = answered.await.map_err(|_| "the server is stopping")?;
        reply.map_err(|failure| format!("{} (HTTP {})", failure.message, failure.status))
    }

    /// Calls under way.
    pub(super) fn under_way(&self, places: usize) -> usize {
        places.saturating_sub(self.places.available_permits())
    }
}

/// The end of a call that was refused before it began.
pub(super) fn refused(status: u16, code: &str) -> Closing {
    Closing { ending: Ending::Refused, status, code: Some(code.to_owned()), attempts: 0 }
}

/// One worker.
struct Worker {
    client: Arc<Client>,
}

impl Actor for Worker {
    type Context = Context<Self>;
}

/// A call to be made.
#[derive(Message)]
#[rtype(result = "()")]
struct Run {
    call: Call,
    account: Account,
    writing: Option<Writing>,
    place: OwnedSemaphorePermit,
    answer: oneshot::Sender<Result<Answer, Box<Failure>>>,
}

impl Handler<Run> for Worker {
    type Result = ();

    fn handle(&mut self, run: Run, _: &mut Self::Context) {
        actix_rt::spawn(run.carry_out(Arc::clone(&self.client)));
    }
}

/// A call of our own.
#[derive(Message)]
#[rtype(result = "()")]
struct Ask {
    call: Call,
    answer: oneshot::Sender<Result<Reply, Failure>>,
}

impl Handler<Ask> for Worker {
    type Result = ();

    fn handle(&mut self, Ask { call, answer }: Ask, _: &mut Self::Context) {
        let client = Arc::clone(&self.client);
        actix_rt::spawn(async move { drop(answer.send(client.call(call).await)) });
    }
}

impl Run {
    async fn carry_out(self, client: Arc<Client>) {
        let Self { call, account, writing, place, mut answer } = self;
        let begun = Instant::now();
        let called = tokio::select! {
            biased;
            // The account, dropped, says that the client has gone; the call, dropped, closes its connection.
            () = answer.closed() => return,
            called = client.call(call) => called,
        };
        let upstream = begun.elapsed();
        match called {
            Ok(Reply::Whole(whole)) => answer_whole(whole, upstream, (account, writing), answer).await,
            Ok(Reply::Stream(stream)) => answer_stream(stream, upstream, (account, writing), answer).await,
            Err(mut failure) => {
                // Our credentials are not the caller's: a 401 would send it looking for a mistake of its own.
                if failure.kind == FailureKind::Refused && failure.status == 401 {
                    failure.status = 502;
                }
                let mut tally = Tally::default();
                let id = failure.headers.get("x-generation-id").and_then(|id| id.to_str().ok());
                tally.generation_id = id.map(str::to_owned);
                account.close(closing_of(&failure), Some(&tally));
                drop(answer.send(Err(Box::new(failure))));
            }
        }
        drop(place);
    }
}

type Answering = oneshot::Sender<Result<Answer, Box<Failure>>>;

/// Whose call it is, and what is to be remembered of it.
type Of = (Account, Option<Writing>);

async fn answer_whole(whole: Whole, upstream: Duration, (account, writing): Of, answer: Answering) {
    let Whole { status, headers, body, tally, attempts } = whole;
    account.close(Closing { ending: Ending::Ok, status, code: None, attempts }, Some(&tally));
    let written = match writing {
        Some(writing) => Some(writing.write(&tally.text).await),
        None => None,
    };
    drop(answer.send(Ok(Answer::Whole { status, headers, body, written, upstream })));
}

async fn answer_stream(mut stream: Stream, upstream: Duration, (mut account, writing): Of, answer: Answering) {
    let (frames, receiver) = mpsc::channel(FRAMES);
    let (status, headers) = (stream.status(), stream.headers().clone());
    account.answering(stream.tally());
    if answer.send(Ok(Answer::Stream { status, headers, frames: receiver, upstream })).is_err() {
        return;
    }
    loop {
        let piece = tokio::select! {
            biased;
            () = frames.closed() => None,
            piece = stream.next() => piece,
        };
        let Some(piece) = piece else { break };
        if frames.send(piece).await.is_err() {
            break;
        }
    }
    let tally = stream.tally();
    let Some(end) = stream.end() else {
        // The client has gone.
        account.answering(tally);
        return;
    };
    let (ending, code) = ending_of(end);
    let code = code.map(str::to_owned);
    account.close(Closing { ending, status, code, attempts: stream.attempts() }, Some(tally));
    if let Some(writing) = writing.filter(|_| end == End::Complete)
        && let Err(reason) = writing.write(&tally.text).await
    {
        tracing::warn!(reason, "an exchange was not written to memory");
    }
}

fn ending_of(end: End) -> (Ending, Option<&'static str>) {
    match end {
        End::Complete => (Ending::Ok, None),
        End::Cut => (Ending::Cut, Some("upstream_cut")),
        End::Stalled => (Ending::Timeout, Some("upstream_idle_timeout")),
        End::Malformed => (Ending::Cut, Some("upstream_malformed")),
        End::Failed => (Ending::UpstreamError, Some("upstream_error")),
        End::TimedOut => (Ending::Timeout, Some("upstream_total_timeout")),
    }
}

fn closing_of(failure: &Failure) -> Closing {
    let ending = match failure.kind {
        FailureKind::FirstByteTimeout | FailureKind::IdleTimeout | FailureKind::TotalTimeout => Ending::Timeout,
        FailureKind::Cut | FailureKind::TooLarge => Ending::Cut,
        FailureKind::BreakerOpen | FailureKind::Unsendable => Ending::Refused,
        FailureKind::Connect | FailureKind::Refused | FailureKind::Malformed => Ending::UpstreamError,
    };
    let Failure { status, code, attempts, .. } = failure;
    Closing { ending, status: *status, code: Some((*code).to_owned()), attempts: *attempts }
}
