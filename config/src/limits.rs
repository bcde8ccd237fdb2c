//! The room of the limits: what one API key may ask for. Read by the limiter and the ledger of the gateway.

use crate::table::{Kind, room};

room! {
    /// What one API key may ask for, unless the key itself says otherwise.
    Limits in "limits" {
        /// Requests that a key may make in a window; `0` means no limit. Read by the rate limiter.
        rate_limit_requests: u32 = "RATE_LIMIT_REQUESTS", Kind::Integer { min: 0, max: 1_000_000_000 };
        /// Length of the window in seconds. Read by the rate limiter.
        rate_limit_window: u64 = "RATE_LIMIT_WINDOW", Kind::Integer { min: 1, max: 86_400 };
        /// Requests that a key may make at once above its steady rate. Read by the rate limiter.
        rate_limit_burst: u32 = "RATE_LIMIT_BURST", Kind::Integer { min: 0, max: 1_000_000_000 };
        /// Tokens of upstream models that a key may spend a day; `0` means no quota. Read by the gateway's ledger.
        daily_quota_tokens: u64 = "DEFAULT_DAILY_QUOTA_TOKENS", Kind::Integer { min: 0, max: 1 << 53 };
    }
}
