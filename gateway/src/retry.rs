//! When a failed attempt is worth another one, and after how long. One table, and no clock.
//!
//! # Invariants
//!
//! - Nothing is tried again after the first byte.
//! - A wait never reaches the deadline.
//!
//! # Deliberately absent
//!
//! The waiting and the counting: the client's. Other models and other upstreams: the caller's.

use std::time::Duration;

/// The longest first wait.
const BASE: Duration = Duration::from_millis(200);
/// The longest wait that is our own idea.
const CAP: Duration = Duration::from_secs(5);

/// How far an attempt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// There was no connection: the upstream has not seen the request.
    Connect,
    /// Nothing of the answer was used.
    BeforeFirstByte,
    /// A part of the answer has come.
    AfterFirstByte,
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The upstream said so, by a status of its own or within a 200.
    Status(u16),
    /// A 402 that passes by itself: see [`crate::UpstreamError::in_flight_budget`].
    InFlightBudget,
    /// The connection was refused, reset or closed.
    Transport,
    /// Nothing came in time.
    Timeout,
    /// What came was no answer: a page, an empty stream, half a JSON.
    Malformed,
    /// The answer is larger than we take.
    TooLarge,
}

/// Whether another attempt may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Retry,
    /// It cannot, or must not be made.
    Final,
}

/// The table. `retryable` is the upstream's own word on it, if it gave one; it can forbid another
/// attempt, but ask for one only where the status leaves it open.
#[must_use]
pub const fn verdict(phase: Phase, cause: Cause, retryable: Option<bool>) -> Verdict {
    match (phase, cause, retryable) {
        (Phase::AfterFirstByte, _, _) | (_, Cause::TooLarge, _) | (_, _, Some(false)) => Verdict::Final,
        (_, Cause::InFlightBudget | Cause::Transport | Cause::Timeout | Cause::Malformed, _) => Verdict::Retry,
        (_, Cause::Status(status), _) => match status {
            408 | 429 | 500 | 502 | 503 | 504 | 520..=524 | 529 => Verdict::Retry,
            501 | 505..=519 | 525..=528 | 530..=599 if matches!(retryable, Some(true)) => Verdict::Retry,
            _ => Verdict::Final,
        },
    }
}

/// How long to wait after so many attempts (the first is 1): the upstream's own word where it gave one,
/// otherwise a random part (`random` is any number) of 200 ms doubled for each attempt, at most 5 s.
/// `None` when that reaches the deadline, which is `left` away, or when the upstream asks for more than
/// ten seconds: then its word is for the client, who knows whether it can wait.
#[must_use]
pub fn delay(attempt: u32, retry_after: Option<Duration>, random: u64, left: Duration) -> Option<Duration> {
    let wait = match retry_after {
        Some(asked) if asked > Duration::ZERO => asked,
        _ => jitter(attempt, random),
    };
    (wait < left && wait <= PATIENCE).then_some(wait)
}

/// The longest wait that is ours to make: a client that hears nothing for longer gives up.
const PATIENCE: Duration = Duration::from_secs(10);

fn jitter(attempt: u32, random: u64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    let most = BASE.saturating_mul(1 << doublings).min(CAP);
    let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random % nanos.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_table_is_what_it_promises() {
        use Cause::{InFlightBudget, Malformed, Status, Timeout, TooLarge, Transport};
        use Phase::{BeforeFirstByte, Connect};
        let retried = [408, 429, 500, 502, 503, 504, 524, 529].map(Status);
        let last = [301, 400, 401, 402, 403, 404, 409, 413, 422, 501].map(Status);

        for cause in retried.into_iter().chain([InFlightBudget, Transport, Timeout, Malformed]) {
            assert_eq!(verdict(BeforeFirstByte, cause, None), Verdict::Retry, "{cause:?}");
            assert_eq!(verdict(Connect, cause, Some(true)), Verdict::Retry, "{cause:?}");
            assert_eq!(verdict(BeforeFirstByte, cause, Some(false)), Verdict::Final, "{cause:?}");
        }
        for cause in last.into_iter().chain([TooLarge]) {
            assert_eq!(verdict(BeforeFirstByte, cause, None), Verdict::Final, "{cause:?}");
        }
        for status in [400, 401, 402, 403, 404, 413, 422] {
            assert_eq!(verdict(BeforeFirstByte, Status(status), Some(true)), Verdict::Final, "{status}");
        }
        assert_eq!(verdict(BeforeFirstByte, Status(501), Some(true)), Verdict::Retry);
    }

    #[test]
    fn the_upstreams_own_wait_is_kept_where_it_fits() {
        let second = Duration::from_secs(1);

        assert_eq!(delay(1, Some(second), 7, second * 2), Some(second));
        assert_eq!(delay(1, Some(second), 7, second), None);
        assert_eq!(delay(1, Some(Duration::ZERO), 7, second), Some(Duration::from_nanos(7)));
    }

    proptest! {
        #[test]
        fn nothing_is_tried_again_after_the_first_byte(status: u16, word: Option<bool>) {
            for cause in [Cause::Status(status), Cause::Transport, Cause::Timeout, Cause::InFlightBudget, Cause::Malformed] {
                prop_assert_eq!(verdict(Phase::AfterFirstByte, cause, word), Verdict::Final);
            }
        }

        #[test]
        fn a_wait_grows_to_its_cap_and_ends_before_the_deadline(attempt: u32, random: u64, left in 0_u64..20_000) {
            let left = Duration::from_millis(left);
            let most = Duration::from_millis(200).saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(CAP);

            let wait = delay(attempt, None, random, left);

            prop_assert!(wait.is_none_or(|wait| wait <= most && wait < left));
            prop_assert!(wait.is_some() || left <= most);
        }
    }
}
