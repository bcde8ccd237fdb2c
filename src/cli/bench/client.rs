//! The smallest HTTP/1.1 client that measures well: one kept connection, blocking, without a runtime.
//!
//! # Promise
//!
//! A request costs one write and as few reads as the network allows, into buffers that are used again, so that what is
//! timed is the server and not this program. Nothing is answered from memory and nothing is sent twice, but for a
//! request on a kept connection that the server had closed meanwhile: that one is sent again on a new connection.
//!
//! # Deliberately absent
//!
//! TLS, redirects, compression, pipelining and time-outs shorter than a stalled server.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Seconds that a connection, a write or a read may take before the request counts as failed.
const STALLED: Duration = Duration::from_secs(120);
/// Bytes that the head of an answer may have.
const MAX_HEAD: usize = 64 << 10;
/// Bytes that the body of an answer may have.
const MAX_BODY: usize = 512 << 20;
/// Bytes read at once.
const READ_AT_ONCE: usize = 64 << 10;

/// Where a server listens, and the key to it.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    address: SocketAddr,
    host: String,
    key: String,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// The address makes no sense: the caller has to give another one.
    #[error("{url}: {problem}; an address is http://host:port")]
    Address { url: String, problem: String },
    /// Nobody listens, or nobody that can be reached.
    #[error("cannot connect to {address}: {source}")]
    Connect { address: SocketAddr, source: io::Error },
    /// The connection broke on the way.
    #[error("the connection broke while {doing}: {source}")]
    Broken { doing: &'static str, source: io::Error },
    /// The server closed the connection before the answer was complete.
    #[error("the server closed the connection {0}")]
    Closed(&'static str),
    /// What came back is not HTTP/1.1.
    #[error("the answer is not HTTP/1.1: {0}")]
    Malformed(&'static str),
}

impl ClientError {
    /// True when the other side has closed the connection.
    fn is_closed(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        match self {
            Self::Closed(_) => true,
            Self::Broken { source, .. } => matches!(source.kind(), BrokenPipe | ConnectionAborted | ConnectionReset),
            Self::Address { .. } | Self::Connect { .. } | Self::Malformed(_) => false,
        }
    }
}

/// An answer; its body lives until the next request of its connection.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    /// The HTTP status.
    pub(super) status: u16,
    /// The body, without its transfer coding.
    pub(super) body: &'a [u8],
}

impl Answer<'_> {
    /// True for a 2xx.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Status and the beginning of the body, for an error message.
    pub(super) fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(self.body);
        let short: String = text.chars().take(300).collect();
        format!("HTTP {}: {}", self.status, short.trim())
    }
}

impl Endpoint {
    /// Reads `http://host:port`, with or without a slash at its end, and looks the host up.
    pub(super) fn parse(url: &str, key: &str) -> Result<Self, ClientError> {
        let bad = |problem: &str| ClientError::Address { url: url.to_owned(), problem: problem.to_owned() };
        let rest = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(bad("only plain http can be measured")),
            None => return Err(bad("the scheme is missing")),
        };
        let host = rest.strip_suffix('/').unwrap_or(rest);
        if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) || host.chars().any(char::is_control) {
            return Err(bad("there is no path, user or query in it"));
        }
        if key.chars().any(|char| !char.is_ascii_graphic()) {
            return Err(bad("the key has characters that no key has"));
        }
        let ported = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let with_port = if ported { host.to_owned() } else { format!("{host}:80") };
        let mut addresses = with_port.to_socket_addrs().map_err(|error| bad(&error.to_string()))?;
        let address = addresses.next().ok_or_else(|| bad("the host has no address"))?;
        Ok(Self { address, host: host.to_owned(), key: key.to_owned() })
    }

    /// A server on this machine.
    pub(super) fn local(port: u16, key: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self { address, host: address.to_string(), key: key.to_owned() }
    }

    /// The address as the user writes it.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.host)
    }

    /// A connection that opens with its first request.
    pub(super) fn connection(&self) -> Connection {
        let tail = format!("host: {}\r\nauthorization: Bearer {}\r\n", self.host, self.key);
        Connection {
            address: self.address,
            tail,
            stream: None,
            sent: Vec::new(),
            received: Vec::new(),
            body: Vec::new(),
            chunk: vec![0; READ_AT_ONCE],
            latest: None,
            first: None,
        }
    }
}

/// A kept connection to one server, with its buffers.
#[derive(Debug)]
pub(super) struct Connection {
    address: SocketAddr,
    /// The header lines that every request has.
    tail: String,
    stream: Option<TcpStream>,
    sent: Vec<u8>,
    received: Vec<u8>,
    body: Vec<u8>,
    chunk: Vec<u8>,
    /// When the last bytes came, and when the first ones of a body did.
    latest: Option<Instant>,
    first: Option<Instant>,
}

/// What is known of an answer once it is complete.
struct Complete {
    status: u16,
    body: BodyPlace,
    keep: bool,
}

/// Where the body is: within what was received, or decoded apart.
enum BodyPlace {
    Received(usize, usize),
    Decoded,
}

impl Connection {
    /// Asks for `path` and waits for the whole answer.
    pub(super) fn get(&mut self, path: &str) -> Result<Answer<'_>, ClientError> {
        self.write_request("GET", path, None);
        self.exchange()
    }

    /// Sends a JSON body to `path` and waits for the whole answer.
    pub(super) fn post(&mut self, path: &str, body: &[u8]) -> Result<Answer<'_>, ClientError> {
        self.write_request("POST", path, Some(body));
        self.exchange()
    }

    /// Deletes what is at `path` and waits for the whole answer.
    pub(super) fn delete(&mut self, path: &str) -> Result<Answer<'_>, ClientError> {
        self.write_request("DELETE", path, None);
        self.exchange()
    }

    /// When the first byte of the last answer's body came.
    pub(super) fn first_byte(&self) -> Option<Instant> {
        self.first
    }

    fn write_request(&mut self, method: &str, path: &str, body: Option<&[u8]>) {
        self.sent.clear();
        for part in [method, " ", path, " HTTP/1.1\r\n", &self.tail] {
            self.sent.extend_from_slice(part.as_bytes());
        }
        if let Some(body) = body {
            let about = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
            self.sent.extend_from_slice(about.as_bytes());
            self.sent.extend_from_slice(body);
        } else {
            self.sent.extend_from_slice(b"\r\n");
        }
    }

    fn exchange(&mut self) -> Result<Answer<'_>, ClientError> {
        let kept = self.stream.is_some();
        let complete = match self.attempt() {
            // A kept connection may have been closed since; if nothing came back, a new one gets the request.
            Err(error) if kept && self.received.is_empty() && error.is_closed() => {
                self.stream = None;
                self.attempt()
            }
            other => other,
        };
        let complete = match complete {
            Ok(complete) => complete,
            Err(error) => {
                self.stream = None;
                return Err(error);
            }
        };
        if !complete.keep {
            self.stream = None;
        }
        let body = match complete.body {
            BodyPlace::Decoded => self.body.as_slice(),
            BodyPlace::Received(start, end) => self.received.get(start..end).unwrap_or_default(),
        };
        Ok(Answer { status: complete.status, body })
    }

    fn attempt(&mut self) -> Result<Complete, ClientError> {
        self.received.clear();
        self.body.clear();
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address)?,
        };
        stream.write_all(&self.sent).map_err(|source| ClientError::Broken { doing: "sending", source })?;
        let complete = self.receive(&mut stream)?;
        self.stream = Some(stream);
        Ok(complete)
    }

    fn receive(&mut self, stream: &mut TcpStream) -> Result<Complete, ClientError> {
        let head = loop {
            match parse_head(&self.received)? {
                Some(head) if head.is_interim() => drop(self.received.drain(..head.end)),
                Some(head) => break head,
                None if self.received.len() > MAX_HEAD => return Err(ClientError::Malformed("its head has no end")),
                None if self.read_more(stream)? == 0 => return Err(ClientError::Closed("before it answered")),
                None => {}
            }
        };
        self.first = if self.received.len() > head.end { self.latest } else { None };
        let (body, end) = match head.length {
            Length::Bytes(count) => {
                let end = head.end.saturating_add(count);
                while self.received.len() < end {
                    self.must_read_more(stream)?;
                }
                (BodyPlace::Received(head.end, end), end)
            }
            Length::Chunked => {
                let mut decoder = Dechunker { at: head.end };
                while !decoder.decode(&self.received, &mut self.body)? {
                    self.must_read_more(stream)?;
                }
                (BodyPlace::Decoded, decoder.at)
            }
            Length::UntilClosed => {
                while self.read_more(stream)? > 0 {}
                (BodyPlace::Received(head.end, self.received.len()), self.received.len())
            }
        };
        if self.received.len() > end {
            return Err(ClientError::Malformed("there is more of it than it says"));
        }
        Ok(Complete { status: head.status, body, keep: head.keep })
    }

    fn must_read_more(&mut self, stream: &mut TcpStream) -> Result<(), ClientError> {
        if self.read_more(stream)? == 0 {
            return Err(ClientError::Closed("in the middle of its answer"));
        }
        self.first = self.first.or(self.latest);
        Ok(())
    }

    /// Reads what is there, or waits for it; 0 when the server has closed the connection.
    fn read_more(&mut self, stream: &mut TcpStream) -> Result<usize, ClientError> {
        if self.received.len() > MAX_BODY {
            return Err(ClientError::Malformed("it is larger than any answer"));
        }
        loop {
            match stream.read(&mut self.chunk) {
                Ok(count) => {
                    self.latest = Some(Instant::now());
                    self.received.extend_from_slice(self.chunk.get(..count).unwrap_or_default());
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(ClientError::Broken { doing: "waiting for the answer", source }),
            }
        }
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream, ClientError> {
    let open = || {
        let stream = TcpStream::connect_timeout(&address, STALLED)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STALLED))?;
        stream.set_write_timeout(Some(STALLED))?;
        Ok(stream)
    };
    open().map_err(|source| ClientError::Connect { address, source })
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Bytes(usize),
    Chunked,
    UntilClosed,
}

/// The head of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    length: Length,
    /// Where the body begins.
    end: usize,
    /// Whether the connection stays open after the answer.
    keep: bool,
}

impl Head {
    /// True for `100 Continue` and its like: the answer itself is still to come.
    fn is_interim(&self) -> bool {
        (100..200).contains(&self.status)
    }
}

/// The head at the beginning of `bytes`; `None` while its end has not come yet.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, ClientError> {
    if !b"HTTP/1.".starts_with(bytes.get(..bytes.len().min(7)).unwrap_or_default()) {
        return Err(ClientError::Malformed("it does not begin with HTTP/1."));
    }
    let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(bytes.get(..at).unwrap_or_default())
        .map_err(|_| ClientError::Malformed("its head is no text"))?;
    let mut lines = text.split("\r\n");
    let (status, mut keep) = parse_status(lines.next().unwrap_or_default())?;
    let (mut bytes_told, mut chunked) = (None, false);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(ClientError::Malformed("a header line has no colon"))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let count = value.parse::<usize>().map_err(|_| ClientError::Malformed("its length is no number"))?;
            if bytes_told.is_some_and(|told| told != count) || count > MAX_BODY {
                return Err(ClientError::Malformed("its length makes no sense"));
            }
            bytes_told = Some(count);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(ClientError::Malformed("its transfer coding is not `chunked`"));
            }
            chunked = true;
        } else if name.eq_ignore_ascii_case("connection") {
            keep = !value.eq_ignore_ascii_case("close") && (keep || value.eq_ignore_ascii_case("keep-alive"));
        }
    }
    let length = match bytes_told {
        _ if (100..200).contains(&status) || status == 204 || status == 304 => Length::Bytes(0),
        _ if chunked => Length::Chunked,
        Some(count) => Length::Bytes(count),
        None => Length::UntilClosed,
    };
    Ok(Some(Head { status, length, end: at + 4, keep: keep && length != Length::UntilClosed }))
}

/// The status of `HTTP/1.1 200 OK`, and whether this version keeps connections by itself.
fn parse_status(line: &str) -> Result<(u16, bool), ClientError> {
    let bad = || ClientError::Malformed("its status line makes no sense");
    let (version, rest) = line.split_once(' ').ok_or_else(bad)?;
    let code = rest.get(..3).filter(|_| rest.len() == 3 || rest.as_bytes().get(3) == Some(&b' ')).ok_or_else(bad)?;
    let status = code.parse::<u16>().ok().filter(|code| (100..600).contains(code)).ok_or_else(bad)?;
    match version {
        "HTTP/1.1" => Ok((status, true)),
        "HTTP/1.0" => Ok((status, false)),
        _ => Err(bad()),
    }
}

/// Takes a chunked body apart, as far as it has come.
struct Dechunker {
    /// Where in the received bytes the next chunk, or the end, begins.
    at: usize,
}

impl Dechunker {
    /// Appends the chunks that are complete to `body`; true when the last one was among them.
    fn decode(&mut self, received: &[u8], body: &mut Vec<u8>) -> Result<bool, ClientError> {
        loop {
            let rest = received.get(self.at..).unwrap_or_default();
            let Some((line, size_end)) = line(rest) else {
                return if rest.len() > MAX_HEAD {
                    Err(ClientError::Malformed("a chunk has no size"))
                } else {
                    Ok(false)
                };
            };
            let size = chunk_size(line)?;
            if size == 0 {
                return Ok(self.skip_trailers(received, self.at + size_end));
            }
            let Some(chunk) = rest.get(size_end..size_end + size + 2) else { return Ok(false) };
            let (data, end) = chunk.split_at(size);
            if end != b"\r\n" {
                return Err(ClientError::Malformed("a chunk is longer than it says"));
            }
            body.extend_from_slice(data);
            self.at += size_end + size + 2;
        }
    }

    /// Goes behind the empty line that ends the body, header lines before it skipped; false while it is missing.
    fn skip_trailers(&mut self, received: &[u8], mut at: usize) -> bool {
        while let Some((line, length)) = line(received.get(at..).unwrap_or_default()) {
            at += length;
            if line.is_empty() {
                self.at = at;
                return true;
            }
        }
        false
    }
}

/// The first line without its end, and its length with it.
fn line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let at = bytes.windows(2).position(|two| two == b"\r\n")?;
    Some((bytes.get(..at)?, at + 2))
}

fn chunk_size(line: &[u8]) -> Result<usize, ClientError> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let text = std::str::from_utf8(digits).unwrap_or_default().trim();
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let size = plain.then(|| usize::from_str_radix(text, 16).ok()).flatten();
    size.filter(|size| *size <= MAX_BODY).ok_or(ClientError::Malformed("the size of a chunk is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn head(text: &str) -> Head {
        parse_head(text.as_bytes()).expect("well formed").expect("complete")
    }

    #[test]
    fn a_head_tells_status_length_and_whether_the_connection_stays() {
        let plain = head("HTTP/1.1 200 OK\r\nContent-Length: 12\r\nx: y\r\n\r\n");
        let closing = head("HTTP/1.1 503 Service Unavailable\r\ncontent-length:0\r\nconnection: close\r\n\r\n");
        let chunked = head("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n");
        let old = head("HTTP/1.0 200 OK\r\n\r\n");
        let empty = head("HTTP/1.1 204 No Content\r\n\r\n");

        assert_eq!((plain.status, plain.length, plain.keep), (200, Length::Bytes(12), true));
        assert_eq!((closing.status, closing.length, closing.keep), (503, Length::Bytes(0), false));
        assert_eq!((chunked.status, chunked.length, chunked.keep), (200, Length::Chunked, true));
        assert_eq!((old.length, old.keep), (Length::UntilClosed, false));
        assert_eq!((empty.length, empty.keep), (Length::Bytes(0), true));
    }

    #[test]
    fn half_a_head_is_waited_for() {
        let whole = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

        for cut in 0..whole.len() {
            assert_eq!(parse_head(&whole.as_bytes()[..cut]).expect("not wrong yet"), None, "{cut}");
        }
    }

    #[test]
    fn garbage_is_refused_and_never_panics() {
        let garbage: [&[u8]; 11] = [
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"\x16\x03\x01\x02\x00\x01",
            b"HTTP/2 200\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 \xff\xfe\r\n\r\n",
        ];

        for bytes in garbage {
            assert!(parse_head(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_chunked_body_is_put_together_wherever_it_was_cut() {
        let wire = b"4\r\nWiki\r\n6;name=value\r\npedia \r\nB\r\nin \r\nchunks\r\n0\r\nTrailer: x\r\n\r\n";

        for cut in 0..wire.len() {
            let (mut decoder, mut body) = (Dechunker { at: 0 }, Vec::new());
            assert!(!decoder.decode(&wire[..cut], &mut body).expect("not wrong yet"), "{cut}");
            assert!(decoder.decode(wire, &mut body).expect("well formed"), "{cut}");
            assert_eq!(body, b"Wikipedia in \r\nchunks", "{cut}");
            assert_eq!(decoder.at, wire.len());
        }
    }

    #[test]
    fn chunks_that_lie_are_refused() {
        for wire in ["xyz\r\n", "-1\r\n", "\r\n\r\n", "2\r\nabc\r\n", "ffffffffffffffffff\r\n", "+4\r\nWiki\r\n"] {
            let outcome = Dechunker { at: 0 }.decode(wire.as_bytes(), &mut Vec::new());
            assert!(outcome.is_err(), "{wire:?}");
        }
    }

    #[test]
    fn an_address_is_a_scheme_a_host_and_a_port() {
        assert_eq!(Endpoint::parse("http://127.0.0.1:8080/", "cmg_x").expect("good").url(), "http://127.0.0.1:8080");
        for url in ["127.0.0.1:80", "https://127.0.0.1", "http://", "http://127.0.0.1/v1", "http://a b", "http://u@h"] {
            assert!(matches!(Endpoint::parse(url, ""), Err(ClientError::Address { .. })), "{url}");
        }
        assert!(Endpoint::parse("http://127.0.0.1", "cmg_\r\nx: y").is_err(), "a key cannot smuggle header lines");
    }

    /// A server that answers each connection's requests with these texts, one after the other, then closes.
    fn stub(scripts: Vec<Vec<&'static str>>) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        std::thread::spawn(move || {
            for script in scripts {
                let (mut stream, _) = listener.accept().expect("a client");
                for answer in script {
                    let mut request = Vec::new();
                    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                        let mut byte = [0];
                        stream.read_exact(&mut byte).expect("a request");
                        request.push(byte[0]);
                    }
                    stream.write_all(answer.as_bytes()).expect("sent");
                }
            }
        });
        Endpoint::local(port, "cmg_test")
    }

    #[test]
    fn one_connection_serves_many_requests_and_a_closed_one_is_opened_again() {
        let first = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
        let second =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nyou\r\n0\r\n\r\n";
        let third = "HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\nnothing here";
        let mut connection = stub(vec![vec![first, second], vec![third]]).connection();

        assert_eq!(connection.get("/").expect("first").body, b"hi");
        assert_eq!(connection.get("/").expect("second").body, b"you");
        let answer = connection.get("/").expect("third, on a new connection");
        assert_eq!(answer.excerpt(), "HTTP 404: nothing here");
        assert!(!answer.is_success());
    }

    #[test]
    fn an_answer_that_breaks_off_is_an_error_and_not_a_short_body() {
        let mut connection = stub(vec![vec!["HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"]]).connection();

        assert!(matches!(connection.get("/"), Err(ClientError::Closed(_) | ClientError::Broken { .. })));
    }
}
