//! The frame: how one entry of the journal looks as bytes.
//!
//! ```text
//! version 1 | flags 1 | key id 4 | seq 8 | thread 4 | body length 4 | body | chain 16 | crc 4
//!                                                     body = nonce 24 | ciphertext | tag 16
//! ```
//!
//! All numbers are big-endian. The header is clear, so that a reader can skip the frames of other
//! threads; the payload is compressed when that helps, and sealed.
//!
//! # Invariants
//!
//! - The crc covers everything before it and tells accident; the tag and the chain, keyed by the
//!   workspace's data key, tell intent.
//! - The chain mark covers the previous frame's mark and this frame: a frame that is lost, swapped
//!   or repeated breaks it at that place.
//! - The seal is bound to workspace, seq, thread, version, flags and key.
//! - [`decode`] never panics, whatever it is given.

use std::io;

use super::NewFrame;
use crate::seal::{Keyring, Mark};

/// The version byte of every frame written today.
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 22;
const CHAIN_BYTES: usize = 16;
const CRC_BYTES: usize = 4;

/// The clear part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) flags: u8,
    pub(crate) key_id: u32,
    pub(crate) seq: u64,
    pub(crate) thread_no: u32,
}

/// A frame whose length and crc are right; nothing else has been checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawFrame<'a> {
    pub(crate) header: Header,
    pub(crate) chain: Mark,
    chained: &'a [u8],
    body: &'a [u8],
}

/// What a sealed payload is bound to.
fn bound_to(workspace: u32, header: Header) -> Vec<u8> {
    let mut bytes = b"frame".to_vec();
    bytes.extend_from_slice(&[VERSION, header.flags]);
    bytes.extend_from_slice(&workspace.to_be_bytes());
    bytes.extend_from_slice(&header.key_id.to_be_bytes());
    bytes.extend_from_slice(&header.seq.to_be_bytes());
    bytes.extend_from_slice(&header.thread_no.to_be_bytes());
    bytes
}

/// The bytes of a frame that follows a frame with the mark `previous`, and its own mark.
pub(crate) fn encode(keys: &Keyring, workspace: u32, previous: &Mark, frame: &NewFrame) -> io::Result<(Vec<u8>, Mark)> {
    let key = keys.current();
    let header = |flags| Header { flags, key_id: key.id, seq: frame.seq, thread_no: frame.thread_no };
    let (flags, body) = key.pack(|flags| bound_to(workspace, header(flags)), &frame.payload)?;
    let body_bytes = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len() + CHAIN_BYTES + CRC_BYTES);
    bytes.extend_from_slice(&[VERSION, flags]);
    bytes.extend_from_slice(&key.id.to_be_bytes());
    bytes.extend_from_slice(&frame.seq.to_be_bytes());
    bytes.extend_from_slice(&frame.thread_no.to_be_bytes());
    bytes.extend_from_slice(&body_bytes.to_be_bytes());
    bytes.extend_from_slice(&body);
    let chain = key.mark(&[previous, &bytes]);
    bytes.extend_from_slice(&chain);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
    Ok((bytes, chain))
}

/// Takes a number off the front.
macro_rules! take {
    ($number:ty, $bytes:ident) => {{
        let (number, rest) = $bytes.split_first_chunk().ok_or("it is too short")?;
        $bytes = rest;
        <$number>::from_be_bytes(*number)
    }};
}

/// Checks length, crc and version; says which one failed.
pub(crate) fn decode(bytes: &[u8]) -> Result<RawFrame<'_>, String> {
    let (covered, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or("it is too short")?;
    if crc32c::crc32c(covered) != u32::from_be_bytes(*crc) {
        return Err("its checksum does not fit".to_owned());
    }
    let (chained, chain) = covered.split_last_chunk::<CHAIN_BYTES>().ok_or("it is too short")?;
    let mut rest = chained;
    let version = take!(u8, rest);
    if version != VERSION {
        return Err(format!("it has version {version}, this program knows {VERSION}"));
    }
    let header =
        Header { flags: take!(u8, rest), key_id: take!(u32, rest), seq: take!(u64, rest), thread_no: take!(u32, rest) };
    let body_bytes = take!(u32, rest);
    if usize::try_from(body_bytes).is_ok_and(|length| length == rest.len()) {
        Ok(RawFrame { header, chain: *chain, chained, body: rest })
    } else {
        Err("its length does not fit".to_owned())
    }
}

impl RawFrame<'_> {
    /// Checks that this frame is the one after a frame with the mark `previous`.
    pub(crate) fn check_chain(&self, keys: &Keyring, previous: &Mark) -> Result<(), String> {
        let key = keys.get(self.header.key_id).ok_or("its key is not known")?;
        if key.mark(&[previous, self.chained]) == self.chain {
            Ok(())
        } else {
            Err("it does not continue the frame before it".to_owned())
        }
    }

    /// The payload as it was given to `append`.
    pub(crate) fn open(&self, keys: &Keyring, workspace: u32) -> Result<Vec<u8>, String> {
        let key = keys.get(self.header.key_id).ok_or("its key is not known")?;
        key.unpack(&bound_to(workspace, self.header), self.header.flags, self.body)
            .ok_or_else(|| "its seal is broken".to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::seal::DataKey;

    #[test]
    fn a_seal_opens_only_at_its_own_place() {
        let keys = Keyring::new([DataKey::new(1, &[1; 32]), DataKey::new(2, &[2; 32])]).unwrap();
        let frame = NewFrame { seq: 5, thread_no: 7, payload: b"we use JWT, we use JWT, we use JWT".to_vec() };
        let (bytes, _) = encode(&keys, 3, &[0; 16], &frame).unwrap();
        let raw = decode(&bytes).unwrap();
        assert_eq!(raw.open(&keys, 3).unwrap(), frame.payload);

        let elsewhere = |header| RawFrame { header, ..raw }.open(&keys, 3).unwrap_err();

        let header = raw.header;
        assert_eq!(header, Header { flags: 1, key_id: 2, seq: 5, thread_no: 7 });
        assert_eq!(elsewhere(Header { flags: 0, ..header }), "its seal is broken");
        assert_eq!(elsewhere(Header { key_id: 1, ..header }), "its seal is broken");
        assert_eq!(elsewhere(Header { key_id: 9, ..header }), "its key is not known");
        assert_eq!(elsewhere(Header { seq: 6, ..header }), "its seal is broken");
        assert_eq!(elsewhere(Header { thread_no: 8, ..header }), "its seal is broken");
        assert_eq!(raw.open(&keys, 4).unwrap_err(), "its seal is broken", "another workspace");
    }
}
