//! HTTP/1.1 by hand: heads, whole bodies, chunked bodies, and the ways a whole body goes wrong.
//!
//! Every answer carries what OpenRouter's edge adds and a gateway has to drop: a cookie, a server's name,
//! another address.

use super::{Answer, Step};
use crate::script::{Fault, Script};
use bytes::Bytes;
use std::fmt::Write as _;

/// The kind of a body.
pub(crate) const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=UTF-8";

/// What an error page of an edge looks like.
const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\
                    <body><h1>Bad Gateway</h1></body></html>\n";

/// The first part of an answer, but for what tells the length of its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) status: u16,
    pub(crate) kind: &'a str,
    /// The generation id.
    pub(crate) id: Option<&'a str>,
    pub(crate) fields: &'a [(&'a str, &'a str)],
}

impl<'a> Head<'a> {
    /// Status 200 and JSON.
    pub(crate) const fn json(id: Option<&'a str>) -> Self {
        Self { status: 200, kind: JSON, id, fields: &[] }
    }

    fn bytes(&self, length: &str) -> String {
        let Self { status, kind, .. } = self;
        let mut head = format!(
            "HTTP/1.1 {status} {}\r\ncontent-type: {kind}\r\n{length}\r\nserver: standin\r\n\
             set-cookie: __edge=standin; path=/\r\nalt-svc: h3=\":443\"\r\n",
            reason(*status)
        );
        if let Some(id) = self.id {
            field(&mut head, "x-generation-id", id);
        }
        self.fields.iter().for_each(|(name, value)| field(&mut head, name, value));
        head.push_str("\r\n");
        head
    }
}

fn field(head: &mut String, name: &str, value: &str) {
    // A `String` takes everything.
    let _ = write!(head, "{name}: {value}\r\n");
}

/// The words behind a status; nobody reads them.
const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400..500 => "Client Error",
        _ => "Server Error",
    }
}

/// An answer that is whole, at once.
pub(crate) fn whole(head: &Head<'_>, body: &str) -> Answer {
    let mut bytes = head.bytes(&format!("content-length: {}", body.len()));
    bytes.push_str(body);
    Answer { steps: vec![Step::Send(bytes.into())], closes: false }
}

/// A page of HTML.
pub(crate) fn page(status: u16) -> Answer {
    whole(&Head { status, kind: HTML, id: None, fields: &[] }, PAGE)
}

/// An answer that is no stream, and goes wrong where the script says.
pub(crate) fn whole_by(script: &Script, head: &Head<'_>, body: &str) -> Answer {
    let (half, _) = body.split_at(body.floor_char_boundary(body.len() / 2));
    match script.fault {
        Fault::HangBody => unfinished(head, body, "", Step::Silence),
        Fault::Stall => unfinished(head, body, half, Step::Silence),
        Fault::Cut | Fault::CutFrame => unfinished(head, body, half, Step::Close),
        Fault::Malformed => whole(head, half),
        _ => match script.pieces {
            Some(size) => in_pieces(head, body, size),
            None => whole(head, body),
        },
    }
}

/// A head that promises all of `body`, the `part` of it that comes, and the end.
fn unfinished(head: &Head<'_>, body: &str, part: &str, end: Step) -> Answer {
    let mut bytes = head.bytes(&format!("content-length: {}", body.len()));
    bytes.push_str(part);
    Answer { steps: vec![Step::Send(bytes.into()), end], closes: true }
}

fn in_pieces(head: &Head<'_>, body: &str, size: usize) -> Answer {
    let head = head.bytes(&format!("content-length: {}", body.len()));
    let pieces = body.as_bytes().chunks(size).map(|piece| Step::Send(Bytes::copy_from_slice(piece)));
    Answer { steps: std::iter::once(Step::Send(head.into())).chain(pieces).collect(), closes: false }
}

/// An answer with a chunked body: `body` has the steps, their bytes not yet in chunks.
pub(crate) fn chunked(head: &Head<'_>, body: Vec<Step>, pieces: Option<usize>) -> Answer {
    let broken = body.iter().any(|step| matches!(step, Step::Silence | Step::Close));
    let mut writer = Writer { steps: Vec::new(), pending: head.bytes("transfer-encoding: chunked").into_bytes() };
    for step in body {
        match (step, pieces) {
            (Step::Send(bytes), None) => writer.chunk(&bytes),
            (Step::Send(bytes), Some(size)) => bytes.chunks(size).for_each(|piece| {
                writer.chunk(piece);
                writer.flush();
            }),
            (step, _) => writer.step(step),
        }
    }
    if !broken {
        writer.pending.extend_from_slice(b"0\r\n\r\n");
    }
    writer.flush();
    Answer { steps: writer.steps, closes: false }
}

/// Puts bytes together until something has to happen between them.
struct Writer {
    steps: Vec<Step>,
    pending: Vec<u8>,
}

impl Writer {
    fn chunk(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        self.pending.extend_from_slice(bytes);
        self.pending.extend_from_slice(b"\r\n");
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            self.steps.push(Step::Send(std::mem::take(&mut self.pending).into()));
        }
    }

    fn step(&mut self, step: Step) {
        self.flush();
        self.steps.push(step);
    }
}
