//! A client of one socket that sees everything: every chunk, every header, and how an answer ended.

use cmg_standin::StandIn;
use serde_json::{Value, json};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Silence that is taken for a stall.
const PATIENCE: Duration = Duration::from_millis(250);

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As HTTP wants it; the connection is open.
    Whole,
    /// The server closed before that.
    Cut,
    /// Nothing more came, and the connection is open.
    Silent,
}

/// An answer, as far as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// HTTP chunks, each with the time since the request.
    pub(crate) chunks: Vec<(String, Duration)>,
    pub(crate) end: End,
    /// Time to the first byte.
    pub(crate) first: Duration,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The data of the frames that are JSON.
    pub(crate) fn events(&self) -> Vec<Value> {
        let lines = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        lines.filter_map(|data| serde_json::from_str(data).ok()).collect()
    }

    /// The text of a streamed chat.
    pub(crate) fn said(&self) -> String {
        self.events().iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect()
    }
}

/// One connection.
pub(crate) struct Client {
    socket: TcpStream,
    pending: Vec<u8>,
    sent: Instant,
}

impl Client {
    pub(crate) fn of(standin: &StandIn) -> Self {
        let socket = TcpStream::connect(standin.address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, pending: Vec::new(), sent: Instant::now() }
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, body: &str) {
        let request = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: standin\r\nAuthorization: Bearer sk-test\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.sent = Instant::now();
        self.socket.write_all(request.as_bytes()).unwrap();
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> Reply {
        self.send(method, path, body);
        self.receive()
    }

    /// Asks `standin/{behaviour}`.
    pub(crate) fn chat(&mut self, behaviour: &str, stream: bool) -> Reply {
        self.ask("POST", "/chat/completions", &chat_body(behaviour, stream))
    }

    /// Reads one answer.
    pub(crate) fn receive(&mut self) -> Reply {
        let mut reply = Reply {
            status: 0,
            headers: Vec::new(),
            body: String::new(),
            chunks: Vec::new(),
            end: End::Whole,
            first: Duration::ZERO,
        };
        reply.end = self.read_into(&mut reply).err().unwrap_or(End::Whole);
        reply
    }

    fn read_into(&mut self, reply: &mut Reply) -> Result<(), End> {
        let first = self.line()?;
        reply.first = self.sent.elapsed();
        reply.status = first.split(' ').nth(1).unwrap().parse().unwrap();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            reply.headers.push((name.to_owned(), value.to_owned()));
        }
        match reply.header("content-length").map(|length| length.parse().unwrap()) {
            Some(length) => self.bytes(length, &mut reply.body),
            None => self.chunks(reply),
        }
    }

    fn chunks(&mut self, reply: &mut Reply) -> Result<(), End> {
        loop {
            let length = usize::from_str_radix(&self.line()?, 16).unwrap();
            let mut chunk = String::new();
            self.bytes(length, &mut chunk)?;
            assert_eq!(self.line()?, "", "a chunk ends with an empty line");
            if length == 0 {
                return Ok(());
            }
            reply.body.push_str(&chunk);
            reply.chunks.push((chunk, self.sent.elapsed()));
        }
    }

    fn line(&mut self) -> Result<String, End> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.pending.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8(line).unwrap());
            }
            self.more()?;
        }
    }

    /// What comes of `length` bytes goes into `text`, also if it is not all.
    fn bytes(&mut self, length: usize, text: &mut String) -> Result<(), End> {
        let mut end = Ok(());
        while self.pending.len() < length && end.is_ok() {
            end = self.more();
        }
        let length = length.min(self.pending.len());
        text.push_str(std::str::from_utf8(&self.pending.drain(..length).collect::<Vec<u8>>()).unwrap());
        end
    }

    fn more(&mut self) -> Result<(), End> {
        let mut buffer = [0; 16 * 1024];
        match self.socket.read(&mut buffer) {
            Ok(0) => Err(End::Cut),
            Ok(read) => {
                self.pending.extend_from_slice(&buffer[..read]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(End::Silent),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A request to `standin/{behaviour}`.
pub(crate) fn chat_body(behaviour: &str, stream: bool) -> String {
    let messages = json!([
        { "role": "user", "content": "an older question" },
        { "role": "assistant", "content": "an answer" },
        { "role": "user", "content": [{ "type": "text", "text": "the last question" }] },
    ]);
    json!({ "model": format!("standin/{behaviour}"), "stream": stream, "messages": messages }).to_string()
}

/// One answer of a new stand-in, which is gone afterwards.
pub(crate) fn chat(behaviour: &str, stream: bool) -> Reply {
    Client::of(&StandIn::start()).chat(behaviour, stream)
}
