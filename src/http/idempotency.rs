//! Idempotency keys: the same request under the same key gets the same answer for 24 hours.
//!
//! At most [`MOST`] answers of `MOST_BYTES` bytes together are kept, the oldest going first. Each is in the ledger
//! before it is given, and so survives a restart. One over `LARGEST` bytes is not kept: its request is done again.
//!
//! # Invariants
//!
//! - A key belongs to one workspace.
//! - While the first request of a key is under way, a second one is refused; one that failed leaves
//!   no trace.

use crate::http::app::App;
use crate::http::error::ApiError;
use actix_web::http::header::{ContentType, HeaderName};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use cmg_actors::ledger::state::{self, StoredAnswer};
use cmg_actors::{WorkspaceId, clock};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The header of the request.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of a repeated answer.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Answers that are kept at most.
pub const MOST: usize = 10_000;
/// Bytes of an answer that is kept, and of all that are kept together.
const LARGEST: usize = 1 << 20;
const MOST_BYTES: usize = 64 << 20;
/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Characters that a key may have at most.
const LONGEST: usize = 255;

type Name = (WorkspaceId, String);

/// What is known of a key.
struct Entry {
    /// The hash of the first request's body.
    digest: [u8; 32],
    /// Tells entries of one name apart.
    number: u64,
    begun: Instant,
    /// The answer; `None` while the first request is under way.
    answer: Option<Bytes>,
}

#[derive(Default)]
struct Shelf {
    entries: HashMap<Name, Entry>,
    /// Names in order of their beginning; an outdated one is skipped by its number.
    order: VecDeque<(u64, Name)>,
    next: u64,
    /// Bytes of all answers.
    bytes: usize,
}

/// The answers that are kept.
#[derive(Default)]
pub struct Answers(Mutex<Shelf>);

/// What a request has to do.
pub enum Begun {
    /// Nothing: this was answered before.
    Replayed(HttpResponse),
    /// Its work, and then hand the answer to the slot.
    Fresh(Slot),
}

/// The place for the answer of a request; dropped without one, it is free again.
pub struct Slot(Option<(Data<App>, Name, u64)>);

impl Slot {
    /// Keeps the answer; durable when this returns, unless the ledger cannot be written: then for this run alone.
    pub async fn keep(mut self, answer: &Bytes) {
        if answer.len() > LARGEST {
            return;
        }
        let Some((app, name, number)) = self.0.take() else { return };
        let Some(digest) = app.answers.shelf().fill(&name, number, answer) else { return };
        let (workspace, key) = (name.0.as_str().to_owned(), name.1);
        let stored = StoredAnswer { workspace, key, digest, at: clock::now(), body: answer.to_vec() };
        let Ok(directory) = app.gate.directory() else { return };
        if let Err(error) = directory.gateway().ledger().write(state::Entry::Answer(stored)).await {
            tracing::warn!(%error, "an answer will not be repeated after a restart");
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some((app, name, number)) = self.0.take() {
            app.answers.shelf().forget(&name, number);
        }
    }
}

/// Begins a request under the key of its headers, if it has one.
///
/// # Errors
///
/// 400 for a key that is none, 409 for one that is in use or was used with another body or on another route.
pub fn begin(app: &Data<App>, workspace: &WorkspaceId, request: &HttpRequest, body: &[u8]) -> Result<Begun, ApiError> {
    let headers = request.headers();
    let Some(key) = headers.get(&IDEMPOTENCY_KEY) else { return Ok(Begun::Fresh(Slot(None))) };
    let key = key.to_str().ok().filter(|key| is_sane(key)).ok_or_else(|| {
        ApiError::invalid_value("idempotency-key", "an Idempotency-Key is 1 to 255 visible ASCII characters")
    })?;
    let name = (workspace.clone(), key.to_owned());
    let digest =
        *blake3::Hasher::new().update(request.path().as_bytes()).update(&[0]).update(body).finalize().as_bytes();
    let found = app.answers.shelf().begin(&name, digest, Instant::now())?;
    Ok(match found {
        Found::Answer(body) => Begun::Replayed(replay(body)),
        Found::Place(number) => Begun::Fresh(Slot(Some((app.clone(), name, number)))),
    })
}

fn replay(body: Bytes) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).insert_header((IDEMPOTENT_REPLAYED, "true")).body(body)
}

fn is_sane(key: &str) -> bool {
    (1..=LONGEST).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

enum Found {
    Answer(Bytes),
    Place(u64),
}

impl Answers {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what was kept before a restart.
    pub fn restore(&self, stored: Vec<StoredAnswer>) {
        let (mut shelf, now, today) = (self.shelf(), Instant::now(), clock::now());
        for answer in stored {
            let age = Duration::from_micros(u64::try_from(today.0.saturating_sub(answer.at.0)).unwrap_or(0));
            let Some(workspace) = WorkspaceId::parse(&answer.workspace).filter(|_| age < KEPT) else { continue };
            let name = (workspace, answer.key);
            if let Ok(Found::Place(number)) = shelf.begin(&name, answer.digest, now.checked_sub(age).unwrap_or(now)) {
                shelf.fill(&name, number, &Bytes::from(answer.body));
            }
        }
    }

    /// How many answers are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shelf().entries.len()
    }

    /// True when none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Shelf {
    fn begin(&mut self, name: &Name, digest: [u8; 32], now: Instant) -> Result<Found, ApiError> {
        self.make_room(now);
        match self.entries.get(name) {
            Some(entry) if entry.digest != digest => return Err(ApiError::idempotency_mismatch()),
            Some(Entry { answer: Some(answer), .. }) => return Ok(Found::Answer(answer.clone())),
            Some(_) => {
                return Err(ApiError::conflict(
                    "a request with this Idempotency-Key is under way: wait for its answer",
                ));
            }
            None => {}
        }
        let number = self.next;
        self.next += 1;
        self.entries.insert(name.clone(), Entry { digest, number, begun: now, answer: None });
        self.order.push_back((number, name.clone()));
        Ok(Found::Place(number))
    }

    /// Drops what is too old, and the oldest where there are too many.
    fn make_room(&mut self, now: Instant) {
        while let Some((number, name)) = self.order.front() {
            let entry = self.entries.get(name).filter(|entry| entry.number == *number);
            let stays = entry.is_some_and(|entry| now.saturating_duration_since(entry.begun) < KEPT);
            if stays && self.entries.len() < MOST && self.bytes <= MOST_BYTES {
                return;
            }
            let there = entry.is_some();
            if let Some((_, name)) = self.order.pop_front().filter(|_| there) {
                self.remove(&name);
            }
        }
    }

    /// Fills a place; the digest of its request, if it is still there.
    fn fill(&mut self, name: &Name, number: u64, answer: &Bytes) -> Option<[u8; 32]> {
        let entry = self.entries.get_mut(name).filter(|entry| entry.number == number)?;
        entry.answer = Some(answer.clone());
        self.bytes += answer.len();
        Some(entry.digest)
    }

    fn remove(&mut self, name: &Name) {
        let answer = self.entries.remove(name).and_then(|entry| entry.answer);
        self.bytes = self.bytes.saturating_sub(answer.map_or(0, |answer| answer.len()));
    }

    fn forget(&mut self, name: &Name, number: u64) {
        if self.entries.get(name).is_some_and(|entry| entry.number == number) {
            self.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(key: &str) -> Name {
        (WorkspaceId::parse("default").unwrap(), key.to_owned())
    }

    fn place(shelf: &mut Shelf, key: &str, digest: u8, now: Instant) -> u64 {
        match shelf.begin(&name(key), [digest; 32], now) {
            Ok(Found::Place(number)) => number,
            _ => panic!("{key} has no place"),
        }
    }

    #[test]
    fn the_same_request_gets_the_same_answer_and_another_one_a_conflict() {
        let (mut shelf, now) = (Shelf::default(), Instant::now());
        let number = place(&mut shelf, "a", 1, now);

        let meanwhile = shelf.begin(&name("a"), [1; 32], now).err().unwrap();
        shelf.fill(&name("a"), number, &Bytes::from_static(b"{}"));
        let after = shelf.begin(&name("a"), [1; 32], now);
        let other = shelf.begin(&name("a"), [2; 32], now).err().unwrap();

        assert_eq!(meanwhile.code(), "conflict");
        assert!(matches!(after, Ok(Found::Answer(body)) if body == "{}"));
        assert_eq!(other.code(), "idempotency_mismatch");
    }

    #[test]
    fn a_failed_request_leaves_no_trace_and_an_old_answer_goes() {
        let (mut shelf, now) = (Shelf::default(), Instant::now());
        let number = place(&mut shelf, "a", 1, now);
        shelf.forget(&name("a"), number);
        let number = place(&mut shelf, "a", 2, now);
        shelf.fill(&name("a"), number, &Bytes::new());

        place(&mut shelf, "a", 3, now + KEPT);

        assert_eq!(shelf.entries.len(), 1);
    }

    #[test]
    fn there_are_never_more_than_fit() {
        let (mut shelf, now) = (Shelf::default(), Instant::now());
        for number in 0..MOST + 10 {
            place(&mut shelf, &number.to_string(), 0, now);
        }

        assert_eq!(shelf.entries.len(), MOST);
        assert!(!shelf.entries.contains_key(&name("0")), "the oldest went first");
    }
}
