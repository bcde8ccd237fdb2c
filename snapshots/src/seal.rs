//! The seal: what lies on the disk can be read and changed only by who holds the secret.
//!
//! ```text
//! SECRET_KEY ──salted derivation──▶ key-encryption key ──seals──▶ data key of each workspace
//!                                                                  ├─ seal key   XChaCha20-Poly1305
//!                                                                  └─ mark key   keyed BLAKE3
//! ```
//!
//! Everything sealed names the number of its data key, so that a later rotation can add a second
//! key beside the first; a change of `SECRET_KEY` only has to seal the small key records again.
//!
//! # Invariants
//!
//! - Every nonce is 24 fresh random bytes of the operating system: no counter to lose or repeat.
//! - The associated data binds a sealed text to its place; moved elsewhere it does not open.
//!
//! # Deliberately absent
//!
//! Password stretching: see [`crate::Secret`].

use std::io;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use zeroize::Zeroizing;

use crate::secret::Secret;

const NONCE_BYTES: usize = 24;

/// A keyed or chained hash, cut to 16 bytes.
pub(crate) type Mark = [u8; 16];

const COMPRESSED: u8 = 1;

/// Fills an array from the operating system's randomness.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// One 256-bit key; overwritten when dropped, never printed.
pub(crate) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Key {
        Key(Zeroizing::new(bytes))
    }

    /// The key that seals data keys.
    pub(crate) fn encryption_key(secret: &Secret, salt: &[u8; 32]) -> Key {
        let mut material = Zeroizing::new(salt.to_vec());
        material.extend_from_slice(secret.bytes());
        Key::from_bytes(blake3::derive_key("cmg-snapshots 2025 key-encryption key v1", &material))
    }

    /// Returns nonce, ciphertext and tag in one piece.
    pub(crate) fn seal(&self, bound_to: &[u8], plain: &[u8]) -> io::Result<Vec<u8>> {
        let nonce: [u8; NONCE_BYTES] = random()?;
        let cipher = XChaCha20Poly1305::new(&(*self.0).into());
        let body = cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: bound_to })
            .map_err(|_| io::Error::other("the text is too long to be sealed"))?;
        let mut sealed = Vec::with_capacity(NONCE_BYTES + body.len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// `None` when the key, the place or a single bit differs.
    pub(crate) fn open(&self, bound_to: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let cipher = XChaCha20Poly1305::new(&(*self.0).into());
        cipher.decrypt(&XNonce::from(*nonce), Payload { msg: body, aad: bound_to }).ok()
    }
}

/// What one data key is used for.
pub(crate) struct DataKey {
    pub(crate) id: u32,
    seal: Key,
    mark: Key,
}

impl DataKey {
    pub(crate) fn new(id: u32, bytes: &[u8; 32]) -> DataKey {
        let derive = |context| Key::from_bytes(blake3::derive_key(context, bytes));
        DataKey { id, seal: derive("cmg-snapshots 2025 data seal v1"), mark: derive("cmg-snapshots 2025 data mark v1") }
    }

    /// Compresses when that helps, then seals. The flags belong into the clear header.
    pub(crate) fn pack(&self, bound_to: impl Fn(u8) -> Vec<u8>, plain: &[u8]) -> io::Result<(u8, Vec<u8>)> {
        let compressed = lz4_flex::block::compress_prepend_size(plain);
        let (flags, text) = if compressed.len() < plain.len() { (COMPRESSED, &*compressed) } else { (0, plain) };
        Ok((flags, self.seal.seal(&bound_to(flags), text)?))
    }

    /// The reverse of [`DataKey::pack`]; `None` when anything differs.
    pub(crate) fn unpack(&self, bound_to: &[u8], flags: u8, sealed: &[u8]) -> Option<Vec<u8>> {
        let text = self.seal.open(bound_to, sealed)?;
        match flags {
            0 => Some(text),
            COMPRESSED => lz4_flex::block::decompress_size_prepended(&text).ok(),
            _ => None,
        }
    }

    /// A keyed hash over `parts` as if they were one text.
    pub(crate) fn mark(&self, parts: &[&[u8]]) -> Mark {
        let mut hasher = blake3::Hasher::new_keyed(&self.mark.0);
        for part in parts {
            hasher.update(part);
        }
        let mut mark = [0; 16];
        hasher.finalize_xof().fill(&mut mark);
        mark
    }
}

/// The data keys of one workspace; the last one seals what is new.
pub(crate) struct Keyring {
    current: DataKey,
    earlier: Vec<DataKey>,
}

impl Keyring {
    /// `None` when there is no key at all.
    pub(crate) fn new(keys: impl IntoIterator<Item = DataKey>) -> Option<Keyring> {
        let mut earlier: Vec<DataKey> = keys.into_iter().collect();
        let current = earlier.pop()?;
        Some(Keyring { current, earlier })
    }

    pub(crate) fn current(&self) -> &DataKey {
        &self.current
    }

    pub(crate) fn get(&self, id: u32) -> Option<&DataKey> {
        std::iter::once(&self.current).chain(&self.earlier).find(|key| key.id == id)
    }

    /// `text` with the key's number in front and a mark behind that binds it to `place`.
    pub(crate) fn stamp(&self, place: &[u8], text: &[u8]) -> Vec<u8> {
        let key = self.current();
        let mut stamped = key.id.to_be_bytes().to_vec();
        stamped.extend_from_slice(text);
        let mark = key.mark(&[b"stamp", place, &stamped]);
        stamped.extend_from_slice(&mark);
        stamped
    }

    /// The text inside, when not a bit of it and its place has changed.
    pub(crate) fn check_stamp<'a>(&self, place: &[u8], stamped: &'a [u8]) -> Option<&'a [u8]> {
        let (marked, mark) = stamped.split_last_chunk::<16>()?;
        let (id, text) = marked.split_first_chunk()?;
        let key = self.get(u32::from_be_bytes(*id))?;
        (key.mark(&[b"stamp", place, marked]) == *mark).then_some(text)
    }

    /// Seals `plain` for `place`, with the key's number and the flags in front.
    pub(crate) fn seal(&self, place: &[u8], plain: &[u8]) -> io::Result<Vec<u8>> {
        let key = self.current();
        let (flags, sealed) = key.pack(|flags| sealed_at(place, key.id, flags), plain)?;
        let mut bytes = key.id.to_be_bytes().to_vec();
        bytes.push(flags);
        bytes.extend_from_slice(&sealed);
        Ok(bytes)
    }

    /// The reverse of [`Keyring::seal`]; `None` when anything differs.
    pub(crate) fn open(&self, place: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
        let (id, rest) = bytes.split_first_chunk()?;
        let (&flags, sealed) = rest.split_first()?;
        let key = self.get(u32::from_be_bytes(*id))?;
        key.unpack(&sealed_at(place, key.id, flags), flags, sealed)
    }
}

fn sealed_at(place: &[u8], key_id: u32, flags: u8) -> Vec<u8> {
    let mut bytes = b"value".to_vec();
    bytes.extend_from_slice(&key_id.to_be_bytes());
    bytes.push(flags);
    bytes.extend_from_slice(place);
    bytes
}
