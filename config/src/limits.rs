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
        /// Requests of a key that may be under way at the upstreams at once; `0` means no limit. Read by the gateway's limits.
        max_concurrent: u32 = "MAX_CONCURRENT_REQUESTS", Kind::Integer { min: 0, max: 1_000_000 };
        /// US dollars that a key may spend a day (UTC), such as `2.50`; not set: no budget. Read by the gateway's limits.
        daily_budget_usd: Option<String> = "DEFAULT_DAILY_BUDGET_USD", Kind::Text { allowed: "an amount such as 2.50", check: is_amount };
        /// US dollars that a key may spend a month (UTC); not set: no budget. Read by the gateway's limits.
        monthly_budget_usd: Option<String> = "DEFAULT_MONTHLY_BUDGET_USD", Kind::Text { allowed: "an amount such as 50", check: is_amount };
        /// Tokens of upstream models that a workspace may spend a day, all its keys together; `0` means no quota. Read by the gateway's limits.
        workspace_daily_quota_tokens: u64 = "WORKSPACE_DAILY_QUOTA_TOKENS", Kind::Integer { min: 0, max: 1 << 53 };
        /// US dollars that a workspace may spend a month (UTC), all its keys together; not set: no budget. Read by the gateway's limits.
        workspace_monthly_budget_usd: Option<String> = "WORKSPACE_MONTHLY_BUDGET_USD", Kind::Text { allowed: "an amount such as 200", check: is_amount };
    }
}

/// Digits with at most one point, at most nine digits on either side of it; or nothing, for no budget.
fn is_amount(text: &str) -> bool {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.is_empty() || (digits(whole) && digits(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_a_decimal_number_of_dollars() {
        assert!(["", "0", "2.50", "1000", "0.000000001"].into_iter().all(is_amount));
        assert!(!["-1", "1e3", "1.", ".5", "$2", "2,50", "1.0000000001"].into_iter().any(is_amount));
    }
}
