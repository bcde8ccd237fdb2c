//! The key file: what turns `SECRET_KEY` into the keys of this store, and tells a wrong secret.
//!
//! ```text
//! magic 4 | format 1 | salt 32 | the store's data key, sealed 72 | crc 4
//! ```
//!
//! The salt is not secret. That the sealed key opens is the proof that the secret is right. A copy
//! lies in the database, so that a damaged or lost file can be put back.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use zeroize::Zeroizing;

use crate::{
    Secret, disk,
    seal::{self, DataKey, Key, Keyring},
};

/// The newest format of a store that this program reads, and the one it writes.
pub(crate) const FORMAT: u8 = 1;

const MAGIC: [u8; 4] = *b"CMGK";
const SALT_BYTES: usize = 32;
const PLACE: &[u8] = b"store data key";
/// The store's own data key has this number, as the first of every workspace.
pub(crate) const FIRST_KEY: u32 = 1;

/// A key file whose checksum and format are right.
pub(crate) struct KeyFile {
    pub(crate) bytes: Vec<u8>,
    salt: [u8; SALT_BYTES],
    sealed: Vec<u8>,
}

/// Why bytes are no key file.
pub(crate) enum NoKeyFile {
    Damaged,
    TooNew(u8),
}

/// The two keys that everything else hangs on.
pub(crate) struct StoreKeys {
    /// Seals data keys.
    pub(crate) encryption: Key,
    /// Seals and stamps what belongs to no workspace.
    pub(crate) own: Keyring,
}

impl KeyFile {
    /// A new store's key file.
    pub(crate) fn create(secret: &Secret) -> io::Result<KeyFile> {
        let salt = seal::random::<SALT_BYTES>()?;
        let data_key = Zeroizing::new(seal::random::<32>()?);
        let sealed = Key::encryption_key(secret, &salt).seal(PLACE, &*data_key)?;
        let mut bytes = MAGIC.to_vec();
        bytes.push(FORMAT);
        bytes.extend_from_slice(&salt);
        bytes.extend_from_slice(&sealed);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
        Ok(KeyFile { bytes, salt, sealed })
    }

    /// Checks magic, checksum and format.
    pub(crate) fn parse(bytes: &[u8]) -> Result<KeyFile, NoKeyFile> {
        let parts = || {
            let (covered, crc) = bytes.split_last_chunk::<4>()?;
            let (magic, rest) = covered.split_first_chunk::<4>()?;
            let (&format, rest) = rest.split_first()?;
            let fits = *magic == MAGIC && *crc == crc32c::crc32c(covered).to_be_bytes();
            fits.then_some((format, rest))
        };
        let (format, rest) = parts().ok_or(NoKeyFile::Damaged)?;
        if format > FORMAT {
            return Err(NoKeyFile::TooNew(format));
        }
        let (salt, sealed) = rest.split_first_chunk().ok_or(NoKeyFile::Damaged)?;
        Ok(KeyFile { bytes: bytes.to_vec(), salt: *salt, sealed: sealed.to_vec() })
    }

    /// `None` when the secret is not the one of this store.
    pub(crate) fn unlock(&self, secret: &Secret) -> Option<StoreKeys> {
        let encryption = Key::encryption_key(secret, &self.salt);
        let data_key = Zeroizing::new(encryption.open(PLACE, &self.sealed)?);
        let own = Keyring::new([DataKey::new(FIRST_KEY, data_key.as_slice().try_into().ok()?)])?;
        Some(StoreKeys { encryption, own })
    }

    /// Writes the file so that a crash leaves the old one or the new one.
    pub(crate) fn save(&self, folder: &Path, path: &Path) -> io::Result<()> {
        let draft = path.with_extension("new");
        let mut file = File::create(&draft)?;
        file.write_all(&self.bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        disk::sync_folder(folder)
    }
}
