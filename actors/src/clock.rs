//! The one place of this crate that asks for the time.

use cmg_memory::time::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in µs since 1970; 0 on a machine whose clock stands before that.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
