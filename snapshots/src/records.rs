//! Small records: sealed values by kind and id, for what belongs to no workspace (API keys).
//!
//! # Invariants
//!
//! - Neither kind, id nor value is readable on disk.
//! - The roll holds the count of all records and their marks XORed; it changes in the same commit,
//!   so a record that is lost, or comes back, is noticed when the store opens.
//!
//! # Deliberately absent
//!
//! Large values and queries: a record is read by its kind, all at once.

use crate::{
    Damage, Store, WriteError,
    engine::{Engine, Op},
    journal::committer::Change,
    layout,
    record::{self, Roll, SmallRecord},
    seal::{Keyring, Mark},
    store::{cannot_encode, put_stamped},
};

/// The longest value of a record, in bytes; kind and id have 256 each.
const RECORD_MAX_BYTES: usize = 4096;
const NAME_MAX_BYTES: usize = 256;

fn place(keys: &Keyring, kind: &str, id: &str) -> Vec<u8> {
    let key = keys.current();
    let kind = key.mark(&[b"kind", kind.as_bytes()]);
    layout::record(&kind, &key.mark(&[b"id", &kind, id.as_bytes()]))
}

impl Roll {
    /// Adds a record that is not in it.
    fn add(&mut self, keys: &Keyring, key: &[u8], value: &[u8]) {
        self.count += 1;
        self.turn(&keys.current().mark(&[b"roll", key, value]));
    }

    /// Removes a record that is in it.
    fn remove(&mut self, keys: &Keyring, key: &[u8], value: &[u8]) {
        self.count = self.count.saturating_sub(1);
        self.turn(&keys.current().mark(&[b"roll", key, value]));
    }

    fn turn(&mut self, mark: &Mark) {
        for (ours, theirs) in self.marks.iter_mut().zip(mark) {
            *ours ^= theirs;
        }
    }
}

/// Checks that exactly the records of the roll are there.
pub(crate) fn check_roll(engine: &Engine, keys: &Keyring, roll: &Roll) -> Result<(), Damage> {
    let mut found = Roll::default();
    for entry in engine.range(layout::all(b'r')) {
        let (key, value) = entry?;
        found.add(keys, &key, &value);
    }
    if found == *roll {
        return Ok(());
    }
    let reason = if found.count == roll.count {
        "at least one of them has changed".to_owned()
    } else {
        format!("{} of {} are there", found.count, roll.count)
    };
    Err(Damage::Record { what: "the set of small records".to_owned(), reason })
}

impl Store {
    /// Stores or replaces the record `id` of `kind`; it is durable when this returns. Blocks.
    ///
    /// # Errors
    ///
    /// [`WriteError::Refused`] for a value over 4096 bytes or a name over 256; the general ones.
    pub fn put_record(&self, kind: &str, id: &str, plain: &[u8]) -> Result<(), WriteError> {
        if plain.len() > RECORD_MAX_BYTES || kind.len().max(id.len()) > NAME_MAX_BYTES {
            let reason = format!("a record has {RECORD_MAX_BYTES} bytes at most, its kind and id {NAME_MAX_BYTES}");
            return Err(WriteError::Refused { reason });
        }
        let keys = &self.shared().own_keys;
        let key = place(keys, kind, id);
        let text = SmallRecord { kind: kind.to_owned(), id: id.to_owned(), plain: plain.to_vec() };
        let sealed = record::encode(&text).and_then(|text| keys.seal(&key, &text)).map_err(cannot_encode)?;
        self.replace_record(key, Some(sealed))
    }

    /// Deletes the record `id` of `kind`; true when there was one. Durable when this returns.
    /// Blocks.
    ///
    /// # Errors
    ///
    /// The general ones of [`WriteError`].
    pub fn delete_record(&self, kind: &str, id: &str) -> Result<bool, WriteError> {
        let key = place(&self.shared().own_keys, kind, id);
        let exists = self.shared().engine.get(&key)?.is_some();
        if exists {
            self.replace_record(key, None)?;
        }
        Ok(exists)
    }

    fn replace_record(&self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), WriteError> {
        let keys = &self.shared().own_keys;
        let mut roll = self.roll();
        let mut after = *roll;
        if let Some(old) = self.shared().engine.get(&key)? {
            after.remove(keys, &key, &old);
        }
        let op = match value {
            Some(value) => {
                after.add(keys, &key, &value);
                Op::Put(key, value)
            }
            None => Op::Delete(key),
        };
        let needs_room = matches!(op, Op::Put(..));
        let roll_op = put_stamped(keys, layout::ROLL, &after).map_err(cannot_encode)?;
        self.shared().change(Change { ops: vec![op, roll_op], head: None, needs_room })?;
        *roll = after;
        Ok(())
    }

    /// All records of `kind` as id and value, sorted by id. Blocks.
    ///
    /// # Errors
    ///
    /// [`Damage::Record`] when one of them cannot be read, [`Damage::Unreadable`].
    pub fn records(&self, kind: &str) -> Result<Vec<(String, Vec<u8>)>, Damage> {
        let keys = &self.shared().own_keys;
        let kind_mark = keys.current().mark(&[b"kind", kind.as_bytes()]);
        let range = (layout::record(&kind_mark, &[0; 16]), layout::record(&kind_mark, &[255; 16]));
        let mut records = Vec::new();
        for entry in self.shared().engine.range(range) {
            let (key, sealed) = entry?;
            let damaged =
                |reason: &str| Damage::Record { what: format!("a record of kind {kind}"), reason: reason.to_owned() };
            let text = keys.open(&key, &sealed).ok_or_else(|| damaged("its seal is broken"))?;
            let found: SmallRecord = record::decode(&text).map_err(|reason| damaged(&reason))?;
            records.push((found.id, found.plain));
        }
        records.sort();
        Ok(records)
    }
}
