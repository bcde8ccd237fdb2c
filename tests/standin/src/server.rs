//! Connections: requests are read, answers written, and clients watched while an answer pauses.
//!
//! # Invariants
//!
//! - One request at a time on a connection; what a client sends ahead waits in the buffer.
//! - A client that goes away is noticed in every pause, and at the first write that fails. Between the last
//!   write and the client's reading of it nothing is noticed.
//! - A request is bounded: [`MOST_HEAD`] and [`MOST_BODY`].
//!
//! # Deliberately absent
//!
//! Chunked request bodies (411), HTTP/2, TLS.

use crate::answers::{Answer, Step};
use crate::refusal::plain;
use crate::route;
use crate::seen::{Kept, RequestHead};
use crate::state::{Counted, Shared};
use bytes::{Bytes, BytesMut};
use memchr::memmem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

/// Bytes of a request's head, and of what is sent ahead while an answer pauses.
const MOST_HEAD: usize = 64 * 1024;
/// Bytes of a request's body.
const MOST_BODY: usize = 64 * 1024 * 1024;

/// Takes connections until it is dropped.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                // Without it small writes wait for each other; with an error the connection is gone anyway.
                let _ = socket.set_nodelay(true);
                let connection = Connection { socket, buffer: BytesMut::new(), shared: Arc::clone(&shared) };
                tokio::spawn(connection.converse());
            }
            // No file descriptors left: some come back.
            Err(_) => sleep(Duration::from_millis(5)).await,
        }
    }
}

/// The client closed, or its connection broke.
struct Gone;

/// How an answer ended, the client being there.
enum End {
    Complete,
    /// Closed by the stand-in, as the answer says.
    Closed,
}

/// A request, wholly read.
struct Request {
    head: Bytes,
    body: Bytes,
    /// The client will not send another one.
    last: bool,
}

/// What a head says about its body.
enum Announced {
    Body { length: usize, expects: bool, last: bool },
    Wrong(Answer),
}

struct Connection {
    socket: TcpStream,
    buffer: BytesMut,
    shared: Arc<Shared>,
}

impl Connection {
    async fn converse(mut self) {
        let shared = Arc::clone(&self.shared);
        let _open = Counted::new(&shared.connections);
        while let Ok(Some(request)) = self.request().await {
            if !self.answer(request).await {
                return;
            }
        }
    }

    /// Answers a request; true when the connection goes on.
    async fn answer(&mut self, request: Request) -> bool {
        let shared = Arc::clone(&self.shared);
        let _under_way = Counted::new(&shared.under_way);
        shared.saw(Kept { head: request.head.clone(), body: request.body.clone(), when: Instant::now() });
        let answer = match RequestHead::parse(&request.head) {
            Some(head) => route::answer(&shared, &head, &request.body),
            None => return false,
        };
        match self.perform(&answer).await {
            Ok(End::Complete) => !answer.closes && !request.last,
            Ok(End::Closed) => false,
            Err(Gone) => {
                shared.closed_early.fetch_add(1, Ordering::SeqCst);
                false
            }
        }
    }

    /// The next request; `None` when the client sent something that is none and has been told so.
    async fn request(&mut self) -> Result<Option<Request>, Gone> {
        let end = self.head_end().await?;
        let head = self.buffer.split_to(end).freeze();
        let _blank = self.buffer.split_to(4);
        let (length, expects, last) = match announced(&head) {
            Announced::Body { length, expects, last } => (length, expects, last),
            Announced::Wrong(answer) => {
                self.perform(&answer).await?;
                return Ok(None);
            }
        };
        if expects {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        self.buffer.reserve(length.saturating_sub(self.buffer.len()));
        while self.buffer.len() < length {
            self.read().await?;
        }
        let body = self.buffer.split_to(length).freeze();
        Ok(Some(Request { head, body, last }))
    }

    /// Reads until there is a whole head; where its empty line begins.
    async fn head_end(&mut self) -> Result<usize, Gone> {
        loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                return Ok(end);
            }
            if self.buffer.len() > MOST_HEAD {
                return Err(Gone);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), Gone> {
        match self.socket.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => Err(Gone),
            Ok(_) => Ok(()),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.socket.write_all(bytes).await.map_err(|_| Gone)
    }

    async fn perform(&mut self, answer: &Answer) -> Result<End, Gone> {
        for (place, step) in answer.steps.iter().enumerate() {
            match step {
                Step::Send(bytes) => {
                    if place > 0 {
                        // Lets the client see what it has before more comes.
                        yield_now().await;
                    }
                    self.write(bytes).await?;
                }
                Step::Wait(time) => self.pause(*time).await?,
                Step::Silence => return Err(self.gone().await),
                Step::Close => return Ok(End::Closed),
            }
        }
        Ok(End::Complete)
    }

    /// Waits, unless the client goes away meanwhile.
    async fn pause(&mut self, time: Duration) -> Result<(), Gone> {
        timeout(time, self.gone()).await.map_or(Ok(()), Err)
    }

    /// Waits until the client goes away; what it sends ahead is kept.
    async fn gone(&mut self) -> Gone {
        while self.buffer.len() <= MOST_HEAD {
            if self.read().await.is_err() {
                break;
            }
        }
        Gone
    }
}

fn announced(head: &[u8]) -> Announced {
    let Some(head) = RequestHead::parse(head) else {
        return Announced::Wrong(plain(400, "invalid_request", "this is no HTTP request"));
    };
    if head.field("transfer-encoding").is_some() {
        return Announced::Wrong(plain(411, "invalid_request", "the stand-in wants a Content-Length"));
    }
    match head.field("content-length").map_or(Ok(0), str::parse) {
        Ok(length) if length <= MOST_BODY => Announced::Body {
            length,
            expects: head.field("expect").is_some(),
            last: head.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
        },
        _ => Announced::Wrong(plain(413, "payload_too_large", "the body is too large for the stand-in")),
    }
}
