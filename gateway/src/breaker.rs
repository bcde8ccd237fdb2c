//! Breakers: an upstream's model that fails again and again is left alone for a while.
//!
//! Closed → open after so many failures in a row → half-open after a rest: one single request is let
//! through, and its outcome decides.
//!
//! # Invariants
//!
//! - While a breaker is half-open exactly one probe is under way.
//! - A [`Pass`] that is dropped without a word counts as nothing, and gives a probe's place free.
//! - What was let through before a breaker changed its state says nothing about it afterwards.
//! - At most [`MOST`] keys are known.
//!
//! # Deliberately absent
//!
//! What counts as a failure: the client's.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Keys that are known at most.
pub const MOST: usize = 4096;
/// What a request is told that comes while a probe is under way.
const PROBE_TIME: Duration = Duration::from_secs(1);

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything.
    Closed,
    /// Nothing.
    Open,
    /// One request.
    HalfOpen,
}

/// A refusal: when it is worth asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfter(pub Duration);

/// The inner state of one breaker.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed { failures: u32, last: Instant },
    Open { until: Instant },
    HalfOpen,
}

#[derive(Debug)]
struct Entry {
    phase: Phase,
    /// Changes with every change of the phase's kind; an older pass has no say.
    epoch: u64,
    used: Instant,
}

/// The breakers of all upstreams and models.
#[derive(Clone)]
pub struct Breakers {
    failures: u32,
    window: Duration,
    rest: Duration,
    entries: Arc<Mutex<HashMap<Arc<str>, Entry>>>,
}

impl fmt::Debug for Breakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failures, window, rest, .. } = self;
        f.debug_struct("Breakers").field("failures", failures).field("window", window).field("rest", rest).finish()
    }
}

impl Breakers {
    /// Breakers that open after `failures` in a row (0 is 1), none of them more than `window` after the
    /// one before, and let a probe through after `rest`.
    #[must_use]
    pub fn new(failures: u32, window: Duration, rest: Duration) -> Self {
        Self { failures: failures.max(1), window, rest, entries: Arc::default() }
    }

    /// Lets a request through, or says when to come again.
    ///
    /// # Errors
    ///
    /// [`RetryAfter`] while the breaker is open or its probe is under way.
    pub fn admit(&self, key: &str, now: Instant) -> Result<Pass, RetryAfter> {
        let mut entries = self.lock();
        let Some((name, entry)) = entries.get_key_value(key) else {
            return Ok(self.first(&mut entries, key, now));
        };
        let name = Arc::clone(name);
        if let Phase::Open { until } = entry.phase
            && now < until
        {
            return Err(RetryAfter(until - now));
        }
        if matches!(entry.phase, Phase::HalfOpen) {
            return Err(RetryAfter(PROBE_TIME.min(self.rest)));
        }
        let Some(entry) = entries.get_mut(key) else { return Ok(self.pass(name, 0)) };
        entry.used = now;
        if matches!(entry.phase, Phase::Open { .. }) {
            entry.turn(Phase::HalfOpen);
        }
        let epoch = entry.epoch;
        Ok(self.pass(name, epoch))
    }

    /// All breakers that are known, in no order.
    #[must_use]
    pub fn states(&self) -> Vec<(String, State)> {
        let state = |entry: &Entry| match entry.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen => State::HalfOpen,
        };
        self.lock().iter().map(|(key, entry)| (key.to_string(), state(entry))).collect()
    }

    fn first(&self, entries: &mut HashMap<Arc<str>, Entry>, key: &str, now: Instant) -> Pass {
        if entries.len() >= MOST {
            forget(entries);
        }
        let name: Arc<str> = Arc::from(key);
        // With every place taken by a breaker that is not closed, a new key goes unwatched.
        if entries.len() < MOST {
            let phase = Phase::Closed { failures: 0, last: now };
            entries.insert(Arc::clone(&name), Entry { phase, epoch: 0, used: now });
        }
        self.pass(name, 0)
    }

    fn pass(&self, key: Arc<str>, epoch: u64) -> Pass {
        Pass { breakers: self.clone(), key, epoch, spent: false }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops the quarter of the closed breakers that was used longest ago.
fn forget(entries: &mut HashMap<Arc<str>, Entry>) {
    let closed = entries.iter().filter(|(_, entry)| matches!(entry.phase, Phase::Closed { .. }));
    let mut oldest: Vec<(Instant, Arc<str>)> = closed.map(|(key, entry)| (entry.used, Arc::clone(key))).collect();
    oldest.sort_unstable();
    for (_, key) in oldest.iter().take(oldest.len().div_ceil(4)) {
        entries.remove(key);
    }
}

impl Entry {
    fn turn(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
    }
}

/// The leave to make one attempt; it wants to hear how that went.
#[must_use = "dropped at once, it says nothing about the attempt"]
pub struct Pass {
    breakers: Breakers,
    key: Arc<str>,
    epoch: u64,
    /// Nothing more is to be said.
    spent: bool,
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Pass {
    /// The attempt went well: the breaker is closed, and its failures are forgotten.
    pub fn ok(mut self) {
        self.alive();
        self.with(|_, entry| {
            if let Phase::Closed { failures, .. } = &mut entry.phase {
                *failures = 0;
            }
        });
        self.spent = true;
    }

    /// The upstream lives, though the attempt is not over or was refused for the request's sake: a probe
    /// closes its breaker; failures in a row go on being counted.
    pub fn alive(&mut self) {
        let closed = self.with(|_, entry| {
            if let Phase::HalfOpen = entry.phase {
                let last = entry.used;
                entry.turn(Phase::Closed { failures: 0, last });
            }
            entry.epoch
        });
        self.epoch = closed.unwrap_or(self.epoch);
    }

    /// The attempt failed through the upstream's fault.
    pub fn failed(mut self, now: Instant) {
        self.with(|breakers, entry| match entry.phase {
            Phase::Closed { failures, last } => {
                let in_a_row = now.saturating_duration_since(last) <= breakers.window;
                let failures = if in_a_row { failures.saturating_add(1) } else { 1 };
                if failures >= breakers.failures {
                    entry.turn(Phase::Open { until: now + breakers.rest });
                } else {
                    entry.phase = Phase::Closed { failures, last: now };
                }
            }
            Phase::HalfOpen => entry.turn(Phase::Open { until: now + breakers.rest }),
            Phase::Open { .. } => {}
        });
        self.spent = true;
    }

    /// Does something to the breaker, unless it has changed since this pass was given.
    fn with<T>(&self, act: impl FnOnce(&Breakers, &mut Entry) -> T) -> Option<T> {
        let mut entries = self.breakers.lock();
        let entry = entries.get_mut(&self.key).filter(|entry| entry.epoch == self.epoch)?;
        Some(act(&self.breakers, entry))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.spent {
            return;
        }
        self.with(|_, entry| {
            if let Phase::HalfOpen = entry.phase {
                let until = entry.used;
                entry.turn(Phase::Open { until });
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(10);
    const WINDOW: Duration = Duration::from_secs(60);

    fn breakers() -> (Breakers, Instant) {
        (Breakers::new(3, WINDOW, REST), Instant::now())
    }

    fn fail(breakers: &Breakers, times: u32, now: Instant) {
        for _ in 0..times {
            breakers.admit("k", now).unwrap().failed(now);
        }
    }

    fn state(breakers: &Breakers) -> State {
        breakers.states().first().unwrap().1
    }

    #[test]
    fn so_many_failures_in_a_row_open_it_and_others_are_not_touched() {
        let (breakers, now) = breakers();
        fail(&breakers, 2, now);
        assert_eq!(state(&breakers), State::Closed);

        fail(&breakers, 1, now);

        assert_eq!(breakers.admit("k", now + REST / 2).unwrap_err(), RetryAfter(REST / 2));
        assert!(breakers.admit("other", now).is_ok());
    }

    #[test]
    fn a_success_between_or_a_long_pause_begins_the_count_anew() {
        let (breakers, now) = breakers();
        fail(&breakers, 2, now);
        breakers.admit("k", now).unwrap().ok();
        fail(&breakers, 2, now);
        fail(&breakers, 1, now + WINDOW + Duration::from_secs(1));

        assert_eq!(state(&breakers), State::Closed);
    }

    #[test]
    fn a_refusal_for_the_requests_sake_neither_counts_nor_forgives() {
        let (breakers, now) = breakers();
        fail(&breakers, 2, now);
        breakers.admit("k", now).unwrap().alive();
        assert_eq!(state(&breakers), State::Closed);

        fail(&breakers, 1, now);

        assert_eq!(state(&breakers), State::Open);
    }

    #[test]
    fn after_the_rest_exactly_one_probe_goes_through_and_decides() {
        let (breakers, now) = breakers();
        fail(&breakers, 3, now);
        let later = now + REST;

        let probe = breakers.admit("k", later).unwrap();
        assert!(breakers.admit("k", later).is_err());
        assert_eq!(state(&breakers), State::HalfOpen);
        probe.failed(later);
        assert!(breakers.admit("k", later + REST / 2).is_err());
        breakers.admit("k", later + REST).unwrap().ok();

        assert_eq!(state(&breakers), State::Closed);
    }

    #[test]
    fn a_probe_that_is_dropped_gives_its_place_free() {
        let (breakers, now) = breakers();
        fail(&breakers, 3, now);
        let later = now + REST;

        drop(breakers.admit("k", later).unwrap());

        assert!(breakers.admit("k", later).is_ok());
    }

    #[test]
    fn a_probe_that_shows_life_opens_the_door_and_may_still_fail() {
        let (breakers, now) = breakers();
        fail(&breakers, 3, now);
        let later = now + REST;
        let mut probe = breakers.admit("k", later).unwrap();

        probe.alive();
        assert!(breakers.admit("k", later).is_ok());
        probe.failed(later);

        assert_eq!(state(&breakers), State::Closed, "one failure of three");
        fail(&breakers, 2, later);
        assert_eq!(state(&breakers), State::Open);
    }

    #[test]
    fn an_attempt_from_before_the_change_has_no_say() {
        let (breakers, now) = breakers();
        let (late_ok, late_failure) = (breakers.admit("k", now).unwrap(), breakers.admit("k", now).unwrap());
        let dropped = breakers.admit("k", now).unwrap();
        fail(&breakers, 3, now);

        late_ok.ok();
        assert_eq!(state(&breakers), State::Open);
        let probe = breakers.admit("k", now + REST).unwrap();
        late_failure.failed(now + REST);
        drop(dropped);

        assert_eq!(state(&breakers), State::HalfOpen);
        probe.ok();
        assert_eq!(state(&breakers), State::Closed);
    }

    #[test]
    fn there_are_never_more_keys_than_fit_and_an_open_one_is_not_forgotten() {
        let (breakers, now) = breakers();
        fail(&breakers, 3, now);

        for number in 0..MOST * 2 {
            drop(breakers.admit(&number.to_string(), now + Duration::from_millis(1)));
        }

        assert!(breakers.states().len() <= MOST);
        assert!(breakers.admit("k", now).is_err());
    }

    #[test]
    fn with_every_place_taken_a_new_key_goes_unwatched() {
        let breakers = Breakers::new(1, WINDOW, REST);
        let now = Instant::now();
        for number in 0..MOST {
            breakers.admit(&number.to_string(), now).unwrap().failed(now);
        }

        breakers.admit("new", now).unwrap().failed(now);

        assert!(breakers.admit("new", now).is_ok());
        assert_eq!(breakers.states().len(), MOST);
    }
}
