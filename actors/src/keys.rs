//! API keys: who may call, for which workspace.

use crate::directory::WorkspaceId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cmg_memory::time::Timestamp;
use cmg_snapshots::Store;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyScope {
    /// Recall, working sets, lists.
    Read,
    /// Ingest, feedback, edits, deletion.
    Write,
}

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The key, as it was when it was looked up.
    pub key: Arc<KeyInfo>,
    /// The only workspace that it reaches.
    pub workspace: WorkspaceId,
}

/// Why a key does not open anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not one of ours, or revoked.
    #[error("the API key is not valid")]
    Unknown,
    /// It was valid once.
    #[error("the API key has expired")]
    Expired,
    /// There is no key with this id to change.
    #[error("there is no key with this id")]
    NoKey,
    /// The keys cannot be stored now.
    #[error("keys cannot be stored now")]
    Storage,
}

/// A key as lists show it: never the key itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyInfo {
    /// Its id.
    pub id: String,
    /// Its workspace.
    pub workspace_id: String,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<KeyScope>,
    /// The first characters of the key, to recognise it by.
    pub prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// What it may ask for.
    #[serde(flatten)]
    pub limits: KeyLimits,
}

/// What a key may ask for; what is not said here is as the settings say for all keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct KeyLimits {
    /// Requests a minute; 0 for as many as it likes.
    pub rpm_limit: Option<u32>,
    /// Calls to upstreams under way at once; 0 for as many as it likes.
    pub max_concurrent: Option<u32>,
    /// Tokens of upstream models a day (UTC); 0 for as many as it likes.
    pub daily_quota_tokens: Option<u64>,
    /// US dollars a day (UTC), such as `2.50`.
    pub daily_budget_usd: Option<String>,
    /// US dollars a month (UTC).
    pub monthly_budget_usd: Option<String>,
    /// Models that it may use, `author/*` for all of an author; empty: all.
    pub model_allowlist: Vec<String>,
    /// Models that it may not use, in the same form.
    pub model_blocklist: Vec<String>,
    /// The model of a request that names none.
    pub default_model: Option<String>,
}

/// A key to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewKey {
    /// The workspace; checked by [`WorkspaceId::parse`] before.
    pub workspace_id: String,
    /// What people call it.
    pub name: String,
    /// What it may do; empty: everything.
    pub scopes: Vec<KeyScope>,
    /// When it stops.
    pub expires_at: Option<Timestamp>,
    /// What it may ask for.
    pub limits: KeyLimits,
}

/// Fields of a key to be changed; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPatch {
    /// Another name.
    pub name: Option<String>,
    /// Other scopes.
    pub scopes: Option<Vec<KeyScope>>,
    /// Another end; `Some(None)` for none.
    pub expires_at: Option<Option<Timestamp>>,
    /// See [`KeyLimits`], as all that follow.
    pub rpm_limit: Option<Option<u32>>,
    #[expect(missing_docs, reason = "see KeyLimits")]
    pub max_concurrent: Option<Option<u32>>,
    #[expect(missing_docs, reason = "see KeyLimits")]
    pub daily_quota_tokens: Option<Option<u64>>,
    #[expect(missing_docs, reason = "see KeyLimits")]
    pub daily_budget_usd: Option<Option<String>>,
    #[expect(missing_docs, reason = "see KeyLimits")]
    pub monthly_budget_usd: Option<Option<String>>,
    #[expect(missing_docs, reason = "see KeyLimits")]
    pub model_allowlist: Option<Vec<String>>,
    #[expect(missing_docs, reason = "see KeyLimits")]
    pub model_blocklist: Option<Vec<String>>,
    #[expect(missing_docs, reason = "see KeyLimits")]
    pub default_model: Option<Option<String>>,
}

/// A key as it is stored: never the key itself, only its keyed hash.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Stored {
    info: Arc<KeyInfo>,
    hash: Hash,
}

type Hash = [u8; 32];

/// The kind of the store's records that hold keys.
const RECORD: &str = "api-key";
/// The id of the key that the environment gives.
const BOOTSTRAP_ID: &str = "key_bootstrap";
/// What every key begins with.
const PREFIX: &str = "cmg_";
/// Characters of a key that lists show: enough to tell keys apart, far too few to guess the rest.
const SHOWN: usize = 10;

/// All keys. A verification takes a look-up's lock and no more; changes are durable when they return.
pub struct KeyRing {
    store: Store,
    hashing: Zeroizing<Hash>,
    /// By hash. Locked for a look-up or a change of one entry, never over a write to the disk.
    keys: RwLock<HashMap<Hash, Stored>>,
    /// Held while a change is written, so that changes do not overtake each other.
    writing: Mutex<()>,
}

impl KeyRing {
    /// Reads the keys from the store. `secret` keys the hashes; `bootstrap` is a key that exists
    /// for workspace `default`. Blocks.
    ///
    /// # Errors
    ///
    /// [`KeyError::Storage`].
    pub(crate) fn open(store: Store, secret: &str, bootstrap: Option<&str>, now: Timestamp) -> Result<Self, KeyError> {
        let hashing = Zeroizing::new(blake3::derive_key("cmg 2026-11 api key hashing", secret.as_bytes()));
        let mut keys = HashMap::new();
        for (_, bytes) in store.records(RECORD).map_err(storage)? {
            let stored: Stored = serde_json::from_slice(&bytes).map_err(storage)?;
            keys.insert(stored.hash, stored);
        }
        let ring = Self { store, hashing, keys: RwLock::new(keys), writing: Mutex::default() };
        if let Some(key) = bootstrap {
            ring.bootstrap(key, now)?;
        }
        Ok(ring)
    }

    /// Lets the environment's key in, in place of the one it gave before.
    fn bootstrap(&self, key: &str, now: Timestamp) -> Result<(), KeyError> {
        let hash = self.hash(key);
        if self.read().contains_key(&hash) {
            return Ok(());
        }
        let new = NewKey { workspace_id: "default".into(), name: "bootstrap".into(), ..NewKey::default() };
        let info = describe(new, BOOTSTRAP_ID.into(), key, now);
        self.write(Stored { info: Arc::new(info), hash })
    }

    /// Who a bearer token belongs to. The keyed hash is what is looked up and, in constant time,
    /// compared: nothing about a key can be learnt from how long a wrong one takes.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unknown`] for a token that is none or was revoked, [`KeyError::Expired`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Caller, KeyError> {
        let hash = self.hash(token);
        let keys = self.read();
        let stored = keys.get(&hash).filter(|stored| bool::from(stored.hash.ct_eq(&hash))).ok_or(KeyError::Unknown)?;
        if stored.info.revoked_at.is_some() {
            return Err(KeyError::Unknown);
        }
        if stored.info.expires_at.is_some_and(|end| end <= now) {
            return Err(KeyError::Expired);
        }
        let workspace = WorkspaceId::parse(&stored.info.workspace_id).ok_or(KeyError::Unknown)?;
        Ok(Caller { key: Arc::clone(&stored.info), workspace })
    }

    /// Makes a key; the second value is the key itself, shown this once. Blocks until it is durable.
    ///
    /// # Errors
    ///
    /// [`KeyError::Storage`].
    pub fn create(&self, new: NewKey, now: Timestamp) -> Result<(KeyInfo, String), KeyError> {
        let key = new_key()?;
        let id = format!("key_{}", URL_SAFE_NO_PAD.encode(random::<9>()?));
        let info = describe(new, id, &key, now);
        self.write(Stored { info: Arc::new(info.clone()), hash: self.hash(&key) })?;
        Ok((info, key))
    }

    /// All keys in the order in which they were made.
    #[must_use]
    pub fn list(&self) -> Vec<KeyInfo> {
        let mut all: Vec<KeyInfo> = self.read().values().map(|stored| KeyInfo::clone(&stored.info)).collect();
        all.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        all
    }

    /// Changes a key. Blocks until it is durable.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoKey`], [`KeyError::Storage`].
    pub fn update(&self, id: &str, patch: KeyPatch) -> Result<KeyInfo, KeyError> {
        self.change(id, |info| {
            set(&mut info.name, patch.name);
            set(&mut info.scopes, patch.scopes);
            set(&mut info.expires_at, patch.expires_at);
            let limits = &mut info.limits;
            set(&mut limits.rpm_limit, patch.rpm_limit);
            set(&mut limits.max_concurrent, patch.max_concurrent);
            set(&mut limits.daily_quota_tokens, patch.daily_quota_tokens);
            set(&mut limits.daily_budget_usd, patch.daily_budget_usd);
            set(&mut limits.monthly_budget_usd, patch.monthly_budget_usd);
            set(&mut limits.model_allowlist, patch.model_allowlist);
            set(&mut limits.model_blocklist, patch.model_blocklist);
            set(&mut limits.default_model, patch.default_model);
        })
    }

    /// Puts a new key in the place of one, with all its limits; the second value is the key itself, shown this once. Once
    /// this returns the old one opens nothing. Blocks until it is durable.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoKey`], [`KeyError::Storage`].
    pub fn rotate(&self, id: &str) -> Result<(KeyInfo, String), KeyError> {
        let found = self.read().values().find(|stored| stored.info.id == id).cloned().ok_or(KeyError::NoKey)?;
        let key = new_key()?;
        let info = KeyInfo { prefix: shown(&key), ..KeyInfo::clone(&found.info) };
        self.write(Stored { info: Arc::new(info.clone()), hash: self.hash(&key) })?;
        Ok((info, key))
    }

    /// Revokes a key: once this returns it opens nothing. Blocks until it is durable.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoKey`], [`KeyError::Storage`].
    pub fn revoke(&self, id: &str, now: Timestamp) -> Result<KeyInfo, KeyError> {
        self.change(id, |info| info.revoked_at = info.revoked_at.or(Some(now)))
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut KeyInfo)) -> Result<KeyInfo, KeyError> {
        let found = self.read().values().find(|stored| stored.info.id == id).cloned();
        let mut stored = found.ok_or(KeyError::NoKey)?;
        let mut info = KeyInfo::clone(&stored.info);
        change(&mut info);
        stored.info = Arc::new(info.clone());
        self.write(stored)?;
        Ok(info)
    }

    fn write(&self, stored: Stored) -> Result<(), KeyError> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = serde_json::to_vec(&stored).map_err(storage)?;
        self.store.put_record(RECORD, &stored.info.id, &bytes).map_err(storage)?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|_, other| other.info.id != stored.info.id);
        keys.insert(stored.hash, stored);
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Hash, Stored>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash(&self, key: &str) -> Hash {
        *blake3::keyed_hash(&self.hashing, key.as_bytes()).as_bytes()
    }
}

/// Takes over what is to be changed.
fn set<T>(field: &mut T, to: Option<T>) {
    if let Some(to) = to {
        *field = to;
    }
}

fn describe(new: NewKey, id: String, key: &str, now: Timestamp) -> KeyInfo {
    let everything = vec![KeyScope::Read, KeyScope::Write];
    KeyInfo {
        id,
        workspace_id: new.workspace_id,
        name: new.name,
        scopes: if new.scopes.is_empty() { everything } else { new.scopes },
        prefix: shown(key),
        created_at: now,
        expires_at: new.expires_at,
        revoked_at: None,
        limits: new.limits,
    }
}

/// A key that nobody had before.
fn new_key() -> Result<String, KeyError> {
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()?)))
}

/// What lists show of a key.
fn shown(key: &str) -> String {
    key.chars().take(SHOWN).collect()
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(storage)?;
    Ok(bytes)
}

fn storage(error: impl std::fmt::Display) -> KeyError {
    tracing::error!(%error, "keys cannot be read or written");
    KeyError::Storage
}
