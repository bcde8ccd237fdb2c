//! Where everything lies inside the one tree: the keys, and the cutting of long values.
//!
//! | key | value |
//! | --- | --- |
//! | `c` | number of the last commit |
//! | `d` no | a workspace that is being deleted |
//! | `h` no | head of a workspace |
//! | `j` no seq piece | frame |
//! | `k` | copy of the key file |
//! | `m` no generation piece | manifest of a snapshot |
//! | `n` | census of workspaces |
//! | `q` | roll of the small records |
//! | `r` kind id | small record |
//! | `s` no generation part piece | part of a snapshot |
//! | `w` no | workspace: name and data keys |
//!
//! Numbers are big-endian, so that a range of keys is a range of frames.
//!
//! # Invariants
//!
//! - No value is longer than [`PIECE_BYTES`]. sled writes a page, which holds up to 20 values, as
//!   one message, and a message over 128 KiB into a file under `blobs/` that it never syncs.
//!   20 × 6 KiB stay below, so there are no such files.

use crate::engine::Op;

/// The longest value in bytes.
pub(crate) const PIECE_BYTES: usize = 6 * 1024;

pub(crate) const COMMIT: &[u8] = b"c";
pub(crate) const KEY_FILE: &[u8] = b"k";
pub(crate) const CENSUS: &[u8] = b"n";
pub(crate) const ROLL: &[u8] = b"q";

fn key(kind: u8, no: u32, rest: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&no.to_be_bytes());
    for part in rest {
        key.extend_from_slice(part);
    }
    key
}

pub(crate) fn workspace(no: u32) -> Vec<u8> {
    key(b'w', no, &[])
}

pub(crate) fn head(no: u32) -> Vec<u8> {
    key(b'h', no, &[])
}

pub(crate) fn deleting(no: u32) -> Vec<u8> {
    key(b'd', no, &[])
}

pub(crate) fn frame(no: u32, seq: u64) -> Vec<u8> {
    key(b'j', no, &[&seq.to_be_bytes()])
}

pub(crate) fn manifest(no: u32, generation: u64) -> Vec<u8> {
    key(b'm', no, &[&generation.to_be_bytes()])
}

pub(crate) fn generation(no: u32, generation: u64) -> Vec<u8> {
    key(b's', no, &[&generation.to_be_bytes()])
}

pub(crate) fn part(no: u32, generation: u64, part: u32) -> Vec<u8> {
    key(b's', no, &[&generation.to_be_bytes(), &part.to_be_bytes()])
}

pub(crate) fn record(kind: &[u8; 16], id: &[u8; 16]) -> Vec<u8> {
    let mut key = vec![b'r'];
    key.extend_from_slice(kind);
    key.extend_from_slice(id);
    key
}

/// All keys of one kind, from `from` to before `to`.
pub(crate) fn all(kind: u8) -> (Vec<u8>, Vec<u8>) {
    (vec![kind], vec![kind + 1])
}

/// All keys of one kind and workspace.
pub(crate) fn all_of(kind: u8, no: u32) -> (Vec<u8>, Vec<u8>) {
    (key(kind, no, &[]), key(kind, no, &[&[0xff; 32]]))
}

/// The number of the workspace in a key of this layout.
pub(crate) fn number_in(key: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*key.get(1..)?.first_chunk()?))
}

/// The sequence number and the piece in the key of a frame.
pub(crate) fn frame_in(key: &[u8]) -> Option<(u64, u32)> {
    let (seq, rest) = key.get(5..)?.split_first_chunk()?;
    Some((u64::from_be_bytes(*seq), u32::from_be_bytes(rest.try_into().ok()?)))
}

/// The key of the `piece`-th piece of the value at `base`.
pub(crate) fn piece(base: &[u8], piece: u32) -> Vec<u8> {
    [base, &piece.to_be_bytes()].concat()
}

/// The operations that store `value` in pieces under `base`; an empty value has one empty piece.
pub(crate) fn put_pieces(base: &[u8], value: &[u8]) -> Vec<Op> {
    if value.is_empty() {
        return vec![Op::Put(piece(base, 0), Vec::new())];
    }
    (0..).zip(value.chunks(PIECE_BYTES)).map(|(number, chunk)| Op::Put(piece(base, number), chunk.to_vec())).collect()
}
