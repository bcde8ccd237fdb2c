//! Calls to an upstream: sent, tried again by the table, watched by the breakers, counted on the way.
//!
//! # Invariants
//!
//! - A call answers only when the outcome is worth committing to: a whole answer, or a stream whose first
//!   real frame has come.
//! - One deadline covers all attempts; connecting, the first byte and silence have limits of their own.
//! - Dropping a call or its stream closes the connection to the upstream.
//! - The upstream's key comes from [`Upstream`] alone, and stands in no failure.
//!
//! # Deliberately absent
//!
//! Other models and other upstreams to fall back on, budgets, and the ledger: the caller's.

mod failure;
mod headers;
mod stream;

pub use failure::{Failure, FailureKind};
pub use stream::{End, Stream};

use crate::breaker::{Breakers, RetryAfter};
use crate::error::{UpstreamError, wait};
use crate::retry::{Verdict, delay, verdict};
use crate::tally::Tally;
use bytes::{Bytes, BytesMut};
use failure::Failed;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, Url, redirect};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout_at};

/// The most bytes that are read of a refusal.
const LONGEST_REFUSAL: usize = 1024 * 1024;
/// The most bytes of a model's name that a breaker's name keeps: clients choose them.
const LONGEST_MODEL: usize = 256;
/// How long a connection may lie idle in the pool.
const POOLED: Duration = Duration::from_secs(90);
/// How often a connection is asked whether it is still there.
const PROBED: Duration = Duration::from_secs(20);
/// What stands for "never" where a limit is beyond what a clock can hold.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The limits of every call.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For connecting.
    pub connect: Duration,
    /// From an attempt's begin to the head of a whole answer or the first real frame of a stream.
    pub first_byte: Duration,
    /// For silence within an answer.
    pub idle: Duration,
    /// For the call with all its attempts and its whole answer.
    pub total: Duration,
    /// Bytes of a whole answer.
    pub max_answer: usize,
    /// Attempts; 0 is 1.
    pub attempts: u32,
    /// The silence after which a stream gives a comment of its own; zero for never.
    pub keep_alive: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(600),
            max_answer: 64 * 1024 * 1024,
            attempts: 3,
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// A key that cannot be sent: not visible ASCII, or empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the key of an upstream must be visible ASCII characters")]
pub struct KeyError;

/// An upstream's secret key; nothing shows it.
#[derive(Clone)]
pub struct Key(String);

impl Key {
    /// Takes a key.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when it could not be sent.
    pub fn new(text: String) -> Result<Self, KeyError> {
        let sane = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if sane { Ok(Self(text)) } else { Err(KeyError) }
    }

    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where calls go.
#[derive(Clone)]
pub struct Upstream {
    /// Its name in messages and breakers.
    pub name: String,
    /// The address that paths are added to, such as `https://openrouter.ai/api/v1`.
    pub base: String,
    /// The bearer token, if it wants one.
    pub key: Option<Key>,
    /// Headers of every request where the client sends none of that name.
    pub extra: Vec<(HeaderName, HeaderValue)>,
}

impl fmt::Debug for Upstream {
    /// The name alone: an address and a header may hold secrets too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("name", &self.name).field("key", &self.key).finish_non_exhaustive()
    }
}

/// The dialect of an answer's chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkKind {
    /// Chat completions.
    Chat,
    /// Everything else: the responses and messages APIs, embeddings, lists, files.
    Other,
}

/// One request.
pub struct Call {
    /// Where it goes.
    pub upstream: Arc<Upstream>,
    /// Its method.
    pub method: Method,
    /// What is added to the upstream's address; begins with `/`, and may have a query.
    pub path: String,
    /// The client's headers, as far as the caller wants to pass them on.
    pub headers: HeaderMap,
    /// Its body, sent as it is.
    pub body: Bytes,
    /// The model asked for; empty where there is none.
    pub model: String,
    /// The client wants a stream.
    pub streamed: bool,
    /// The dialect of the answer.
    pub wants_chunks: ChunkKind,
}

/// A whole answer with a status of success.
#[derive(Debug)]
pub struct Whole {
    /// Its status.
    pub status: u16,
    /// Its headers, without those that belong to the connection or the upstream's site.
    pub headers: HeaderMap,
    /// Its body as it came.
    pub body: Bytes,
    /// What is known of it.
    pub tally: Tally,
    /// The attempts it took.
    pub attempts: u32,
}

/// An answer.
#[expect(clippy::large_enum_variant, reason = "moved once for each request; a box would cost as much")]
#[derive(Debug)]
pub enum Reply {
    /// All of it.
    Whole(Whole),
    /// Its beginning, and the rest as it comes.
    Stream(Stream),
}

/// The client for the upstreams could not be built.
#[derive(Debug, Error)]
#[error("no client for upstreams: {0}")]
pub struct BuildError(#[from] reqwest::Error);

/// Makes calls.
#[derive(Debug, Clone)]
pub struct Gateway {
    client: Client,
    settings: Settings,
    breakers: Arc<Breakers>,
}

/// A call made ready: what every attempt sends.
struct Request<'a> {
    call: &'a Call,
    url: Url,
    headers: HeaderMap,
}

/// The instants that bound one attempt.
#[derive(Debug, Clone, Copy)]
struct Clock {
    /// The call's begin.
    begun: Instant,
    /// The attempt's limit for the first byte.
    first: Instant,
    /// The call's end.
    deadline: Instant,
}

impl Clock {
    /// Waits for something, until a limit or the call's end.
    async fn within<T>(
        &self,
        limit: Instant,
        kind: FailureKind,
        future: impl Future<Output = T>,
    ) -> Result<T, FailureKind> {
        let until = limit.min(self.deadline);
        let late = if self.deadline <= limit { FailureKind::TotalTimeout } else { kind };
        timeout_at(until, future).await.map_err(|_| late)
    }
}

/// A time from an instant on, however long.
fn after(instant: Instant, time: Duration) -> Instant {
    instant.checked_add(time).or_else(|| instant.checked_add(NEVER)).unwrap_or(instant)
}

impl Gateway {
    /// A gateway with its own pool of connections.
    ///
    /// # Errors
    ///
    /// [`BuildError`] when the machine has no usable TLS or resolver.
    pub fn new(settings: Settings, breakers: Arc<Breakers>) -> Result<Self, BuildError> {
        let client = Client::builder()
            .connect_timeout(settings.connect)
            .tcp_nodelay(true)
            .tcp_keepalive(PROBED)
            .http2_keep_alive_interval(PROBED)
            .pool_idle_timeout(POOLED)
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self { client, settings, breakers })
    }

    /// The breakers that watch the calls.
    #[must_use]
    pub fn breakers(&self) -> &Arc<Breakers> {
        &self.breakers
    }

    /// Makes a call, with as many attempts as the table, the settings and the deadline allow.
    ///
    /// # Errors
    ///
    /// The [`Failure`] of the last attempt that was made.
    pub async fn call(&self, call: Call) -> Result<Reply, Failure> {
        let begun = Instant::now();
        let deadline = after(begun, self.settings.total);
        let request = Request::of(&call).ok_or_else(|| Failure::unsendable(&call.upstream.name))?;
        let key = breaker_key(&call);
        let mut attempts = 0;
        let mut last = None;
        loop {
            let mut pass = match self.breakers.admit(&key, Instant::now().into_std()) {
                Ok(pass) => pass,
                Err(RetryAfter(wait)) => {
                    return Err(last.unwrap_or_else(|| Failure::breaker_open(&call.upstream.name, wait)));
                }
            };
            attempts += 1;
            let clock = Clock { begun, first: after(Instant::now(), self.settings.first_byte), deadline };
            let mut failed = match self.attempt(&request, clock).await {
                Ok(Reply::Whole(mut whole)) => {
                    pass.ok();
                    whole.attempts = attempts;
                    return Ok(Reply::Whole(whole));
                }
                Ok(Reply::Stream(mut stream)) => {
                    pass.alive();
                    stream.commit(attempts, pass);
                    return Ok(Reply::Stream(stream));
                }
                Err(failed) => failed,
            };
            match failed.blame() {
                Some(true) => pass.failed(Instant::now().into_std()),
                Some(false) => pass.alive(),
                None => drop(pass),
            }
            failed.failure.attempts = attempts;
            let Some(wait) = self.next_attempt(&failed, attempts, deadline) else { return Err(failed.failure) };
            last = Some(failed.failure);
            sleep(wait).await;
        }
    }

    /// How long to wait for another attempt; `None` when there must be none.
    fn next_attempt(&self, failed: &Failed, attempts: u32, deadline: Instant) -> Option<Duration> {
        let retryable = failed.failure.upstream.as_ref().and_then(|upstream| upstream.retryable);
        let again =
            verdict(failed.phase, failed.cause, retryable) == Verdict::Retry && attempts < self.settings.attempts;
        let left = deadline.saturating_duration_since(Instant::now());
        let random = getrandom::u64().unwrap_or(u64::MAX / 2);
        delay(attempts, failed.failure.retry_after, random, left).filter(|_| again)
    }

    async fn attempt(&self, request: &Request<'_>, clock: Clock) -> Result<Reply, Failed> {
        let call = request.call;
        let sent = clock.within(clock.first, FailureKind::FirstByteTimeout, self.client.execute(request.build())).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Failed::unsent(&call.upstream, &error)),
            Err(kind) => return Err(Failed::late(&call.upstream, kind, HeaderMap::new())),
        };
        let status = response.status().as_u16();
        let headers = headers::of_answer(response.headers(), call.upstream.key.as_ref());
        if !response.status().is_success() {
            return Err(self.refused(call, clock, status, headers, response).await);
        }
        if is_encoded(response.headers()) {
            let why = "compressed its answer though it was asked not to";
            return Err(Failed::malformed(&call.upstream, why, headers));
        }
        match Shape::of(call, response.headers()) {
            Shape::Page => Err(Failed::malformed(&call.upstream, "answered with a page", headers)),
            Shape::Stream => {
                let stream = Stream::new(call, &self.settings, clock, status, headers, response);
                stream.open().await.map(Reply::Stream)
            }
            Shape::Json => self.whole(call, clock, status, headers, response, true).await,
            Shape::Raw => self.whole(call, clock, status, headers, response, false).await,
        }
    }

    async fn refused(
        &self,
        call: &Call,
        clock: Clock,
        status: u16,
        headers: HeaderMap,
        mut response: Response,
    ) -> Failed {
        let own = response.headers().clone();
        // A refusal that cannot be read is still a refusal.
        let body = self.collect(&mut response, clock, LONGEST_REFUSAL).await.unwrap_or_default();
        let error = UpstreamError::read(status, &own, &body);
        Failed::refused(&call.upstream, status, error, headers)
    }

    async fn whole(
        &self,
        call: &Call,
        clock: Clock,
        status: u16,
        headers: HeaderMap,
        mut response: Response,
        json: bool,
    ) -> Result<Reply, Failed> {
        let (generation_id, first_byte) = (headers::generation_id(&headers), Some(clock.begun.elapsed()));
        let mut tally = Tally { generation_id, first_byte, ..Tally::default() };
        let body = match self.collect(&mut response, clock, self.settings.max_answer).await {
            Ok(body) => body,
            Err(kind) => return Err(Failed::within(&call.upstream, kind, headers)),
        };
        if json && !(tally.whole(&body) || (body.is_empty() && call.wants_chunks == ChunkKind::Other)) {
            return Err(Failed::malformed(&call.upstream, "answered with something that is not JSON", headers));
        }
        if let Some(mut error) = tally.last_error.take() {
            error.retry_after = wait(response.headers()).or(error.retry_after);
            return Err(Failed::refused(&call.upstream, error.status, Some(error), headers));
        }
        Ok(Reply::Whole(Whole { status, headers, body, tally, attempts: 1 }))
    }

    /// Reads a whole body.
    async fn collect(&self, response: &mut Response, clock: Clock, most: usize) -> Result<Bytes, FailureKind> {
        let announced = response.content_length().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
        if announced > most {
            return Err(FailureKind::TooLarge);
        }
        let (mut first, mut all) = (Bytes::new(), BytesMut::new());
        loop {
            let idle = after(Instant::now(), self.settings.idle);
            let piece = match clock.within(idle, FailureKind::IdleTimeout, response.chunk()).await? {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(if all.is_empty() { first } else { all.freeze() }),
                Err(_) => return Err(FailureKind::Cut),
            };
            if first.len().max(all.len()) + piece.len() > most {
                return Err(FailureKind::TooLarge);
            }
            if first.is_empty() {
                first = piece;
                continue;
            }
            if all.is_empty() {
                all.reserve(announced.max(first.len() + piece.len()));
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&piece);
        }
    }
}

/// The name of the breaker that watches a call.
fn breaker_key(call: &Call) -> String {
    let end = call.model.floor_char_boundary(LONGEST_MODEL);
    format!("{}/{}", call.upstream.name, call.model.get(..end).unwrap_or_default())
}

impl<'a> Request<'a> {
    /// `None` when the path or the upstream's address is no good.
    fn of(call: &'a Call) -> Option<Self> {
        let base = call.upstream.base.trim_end_matches('/');
        let url = is_below(&call.path).then(|| Url::parse(&format!("{base}{}", call.path)).ok())??;
        matches!(url.scheme(), "http" | "https").then(|| Self { call, url, headers: headers::of_request(call) })
    }

    fn build(&self) -> reqwest::Request {
        let mut request = reqwest::Request::new(self.call.method.clone(), self.url.clone());
        *request.headers_mut() = self.headers.clone();
        let bodily = matches!(self.call.method, Method::POST | Method::PUT | Method::PATCH);
        if bodily || !self.call.body.is_empty() {
            *request.body_mut() = Some(self.call.body.clone().into());
        }
        request
    }
}

/// True for a path that stays below the upstream's address, however a URL parser reads it.
fn is_below(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let climbs = |step: &str| matches!(step.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    path.starts_with('/') && !path.split(['/', '\\']).any(climbs) && !path.contains(|c: char| c.is_ascii_control())
}

fn is_encoded(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    encodings.any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity") && !value.is_empty())
}

/// How an answer is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Frames.
    Stream,
    /// One JSON.
    Json,
    /// Bytes that mean nothing here.
    Raw,
    /// A page for people: no answer at all.
    Page,
}

impl Shape {
    fn of(call: &Call, headers: &HeaderMap) -> Self {
        let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let chat = call.wants_chunks == ChunkKind::Chat;
        match media.as_str() {
            "text/html" | "application/xhtml+xml" => Self::Page,
            "text/event-stream" if call.streamed || !chat => Self::Stream,
            "" if call.streamed => Self::Stream,
            "" => Self::Json,
            json if json.ends_with("json") => Self::Json,
            _ if chat && call.streamed => Self::Stream,
            _ if chat => Self::Json,
            _ => Self::Raw,
        }
    }
}
