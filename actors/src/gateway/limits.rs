//! Limits: how often a key may ask, how much it may have under way, and what it and its workspace may still spend.
//!
//! A rate is governor's; what is spent is reserved before a call and settled after it.
//!
//! # Promise
//!
//! However many calls come at once, a key or workspace spends its limit and at most the over-run of one call: a call
//! is admitted when its reservation fits, or when nothing else is reserved and something is left.
//!
//! # Invariants
//!
//! - One lock over all meters, held for some arithmetic and never longer.
//! - A reservation that is dropped gives back what it held, whatever became of its call.
//!
//! # Deliberately absent
//!
//! Where the figures of yesterday are kept (the ledger's), and statuses of HTTP.

use crate::directory::WorkspaceId;
use crate::keys::KeyLimits;
use cmg_config::Limits as Settings;
use cmg_gateway::money::Nanos;
use cmg_memory::time::Timestamp;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// What a call asks of the limits.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The key's id.
    pub key_id: &'a str,
    /// The key's workspace.
    pub workspace: &'a WorkspaceId,
    /// The key's own limits.
    pub limits: &'a KeyLimits,
    /// Tokens that the call may take, as far as can be told before it.
    pub tokens: u64,
    /// What it may cost; `None` where nobody knows the price.
    pub cost: Option<Nanos>,
}

/// How a key stands with its rate, after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateState {
    /// Requests in a window.
    pub limit: u32,
    /// Requests that it may make at once now.
    pub remaining: u32,
    /// Until it may make as many at once as ever.
    pub reset: Duration,
}

/// How a key stands with its tokens of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenState {
    /// Tokens a day.
    pub limit: u64,
    /// What is left of them, reservations taken off.
    pub remaining: u64,
    /// Until the day (UTC) ends.
    pub reset: Duration,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Tokens a day.
    DayTokens,
    /// Dollars a day.
    DayCost,
    /// Dollars a month.
    MonthCost,
}

/// Whose limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The API key's.
    Key,
    /// Its workspace's.
    Workspace,
}

/// Why a call is not admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitError {
    /// Too many requests: one more fits after this long.
    Rate {
        /// Until the next request fits.
        retry_after: Duration,
        /// How the key stands.
        state: RateState,
    },
    /// So many calls of the key are under way already.
    Concurrent {
        /// At most.
        limit: u32,
    },
    /// Spent: nothing is left until the reset.
    Spent {
        /// What is spent.
        budget: Budget,
        /// Whose it is.
        holder: Holder,
        /// How much it is, in words.
        limit: String,
        /// When there is a new one.
        resets_at: Timestamp,
    },
    /// What is left is reserved by calls under way: some of it comes back when they end.
    Held {
        /// What is short.
        budget: Budget,
        /// Whose it is.
        holder: Holder,
    },
}

/// What a holder has spent, and what is reserved.
#[derive(Debug, Clone, Copy, Default)]
struct Meter {
    /// Days since 1970 that `day_tokens` and `day_cost` are of.
    day: i64,
    /// Years and months that `month_cost` is of.
    month: (i64, u8),
    day_tokens: u64,
    day_cost: u64,
    month_cost: u64,
    held_tokens: u64,
    held_cost: u64,
    under_way: u32,
}

impl Meter {
    /// Begins a new day or month where there is one.
    fn turn(&mut self, now: Timestamp) {
        if self.day != now.days_since_epoch() {
            (self.day, self.day_tokens, self.day_cost) = (now.days_since_epoch(), 0, 0);
        }
        if self.month != (now.year(), now.month()) {
            (self.month, self.month_cost) = ((now.year(), now.month()), 0);
        }
    }

    fn spend(&mut self, tokens: u64, cost: Nanos) {
        self.day_tokens = self.day_tokens.saturating_add(tokens);
        self.day_cost = self.day_cost.saturating_add(cost.0);
        self.month_cost = self.month_cost.saturating_add(cost.0);
    }
}

impl Meter {
    fn take_back(&mut self, tokens: u64, cost: Nanos) {
        self.day_tokens = self.day_tokens.saturating_sub(tokens);
        self.day_cost = self.day_cost.saturating_sub(cost.0);
        self.month_cost = self.month_cost.saturating_sub(cost.0);
    }
}

/// What a holder may spend; `None`: as much as it likes.
#[derive(Debug, Clone, Copy, Default)]
struct Caps {
    day_tokens: Option<u64>,
    day_cost: Option<u64>,
    month_cost: Option<u64>,
}

impl Caps {
    fn each(self, meter: &Meter) -> [(Budget, Option<u64>, u64, u64); 3] {
        [
            (Budget::DayTokens, self.day_tokens, meter.day_tokens, meter.held_tokens),
            (Budget::DayCost, self.day_cost, meter.day_cost, meter.held_cost),
            (Budget::MonthCost, self.month_cost, meter.month_cost, meter.held_cost),
        ]
    }

    /// The dollars that are left before a cap, the tightest one's; `None` without one.
    fn cost_left(self, meter: &Meter) -> Option<u64> {
        let left = |cap: Option<u64>, spent: u64| cap.map(|cap| cap.saturating_sub(spent));
        let (day, month) = (left(self.day_cost, meter.day_cost), left(self.month_cost, meter.month_cost));
        day.into_iter().chain(month).min()
    }
}

type Meters = HashMap<(Holder, String), Meter>;
type Bucket = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

impl std::hash::Hash for Holder {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (*self as u8).hash(state);
    }
}

/// A key's rate, as it was set when the bucket was made.
struct Rate {
    requests: u32,
    window: Duration,
    bucket: Bucket,
}

/// All limits of a server.
pub struct Limits {
    settings: Settings,
    clock: DefaultClock,
    rates: RwLock<HashMap<String, Arc<Rate>>>,
    meters: Mutex<Meters>,
}

impl Limits {
    /// Limits with nothing spent.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let (rates, meters) = (RwLock::default(), Mutex::default());
        Self { settings, clock: DefaultClock::default(), rates, meters }
    }

    /// Adds what a key and its workspace spent before, as the ledger has it.
    pub fn restore(&self, key_id: &str, workspace: &str, at: Timestamp, now: Timestamp, tokens: u64, cost: Nanos) {
        let mut meters = self.lock();
        for place in [(Holder::Key, key_id.to_owned()), (Holder::Workspace, workspace.to_owned())] {
            let meter = meters.entry(place).or_default();
            meter.turn(now);
            if at.days_since_epoch() == meter.day {
                meter.day_tokens = meter.day_tokens.saturating_add(tokens);
                meter.day_cost = meter.day_cost.saturating_add(cost.0);
            }
            if (at.year(), at.month()) == meter.month {
                meter.month_cost = meter.month_cost.saturating_add(cost.0);
            }
        }
    }

    /// Counts a request of a key; `None` where keys have no rate.
    ///
    /// # Errors
    ///
    /// [`LimitError::Rate`].
    pub fn request(&self, key_id: &str, rpm: Option<u32>) -> Result<Option<RateState>, LimitError> {
        let requests = rpm.unwrap_or(self.settings.rate_limit_requests);
        let window = Duration::from_secs(if rpm.is_some() { 60 } else { self.settings.rate_limit_window });
        let Some(rate) = self.rate(key_id, requests, window) else { return Ok(None) };
        let step = window / requests.max(1);
        match rate.bucket.check() {
            Ok(snapshot) => {
                let remaining = snapshot.remaining_burst_capacity();
                let missing = snapshot.quota().burst_size().get().saturating_sub(remaining);
                Ok(Some(RateState { limit: requests, remaining, reset: step * missing }))
            }
            Err(denied) => {
                let retry_after = denied.wait_time_from(self.clock.now());
                let reset = step * denied.quota().burst_size().get();
                Err(LimitError::Rate { retry_after, state: RateState { limit: requests, remaining: 0, reset } })
            }
        }
    }

    /// The key's bucket; a new one where its rate was changed.
    fn rate(&self, key_id: &str, requests: u32, window: Duration) -> Option<Arc<Rate>> {
        let known = |rates: &HashMap<String, Arc<Rate>>| {
            rates.get(key_id).filter(|rate| (rate.requests, rate.window) == (requests, window)).map(Arc::clone)
        };
        if requests == 0 {
            return None;
        }
        if let Some(rate) = known(&self.rates.read().unwrap_or_else(PoisonError::into_inner)) {
            return Some(rate);
        }
        let at_once = NonZeroU32::new(self.settings.rate_limit_burst.saturating_add(1).min(requests))?;
        let quota = Quota::with_period(window / requests)?.allow_burst(at_once);
        let bucket = RateLimiter::direct(quota).with_middleware::<StateInformationMiddleware>();
        let rate = Arc::new(Rate { requests, window, bucket });
        let mut rates = self.rates.write().unwrap_or_else(PoisonError::into_inner);
        Some(known(&rates).unwrap_or_else(|| {
            rates.insert(key_id.to_owned(), Arc::clone(&rate));
            rate
        }))
    }

    /// Admits a call to an upstream, and reserves what it may take.
    ///
    /// # Errors
    ///
    /// [`LimitError`], all but [`LimitError::Rate`].
    pub fn reserve(self: &Arc<Self>, ask: Ask<'_>, now: Timestamp) -> Result<Reservation, LimitError> {
        let most = ask.limits.max_concurrent.unwrap_or(self.settings.max_concurrent);
        let (key, workspace) =
            ((Holder::Key, ask.key_id.to_owned()), (Holder::Workspace, ask.workspace.as_str().to_owned()));
        let caps = [(&key, self.caps_of_key(ask.limits)), (&workspace, self.caps_of_workspace())];
        let mut meters = self.lock();
        let mut cost = ask.cost.map(|cost| cost.0);
        for (place, caps) in caps {
            let meter = meters.entry(place.clone()).or_default();
            meter.turn(now);
            // Without a price a call may take all that is left: then no other runs beside it.
            let asked = ask.cost.map_or_else(|| caps.cost_left(meter).unwrap_or(0), |cost| cost.0);
            check(place.0, caps, meter, ask.tokens, asked, now)?;
            cost = Some(cost.unwrap_or(0).max(asked));
        }
        let cost = cost.unwrap_or(0);
        if most > 0 && meters.get(&key).is_some_and(|meter| meter.under_way >= most) {
            return Err(LimitError::Concurrent { limit: most });
        }
        for place in [&key, &workspace] {
            if let Some(meter) = meters.get_mut(place) {
                meter.held_tokens = meter.held_tokens.saturating_add(ask.tokens);
                meter.held_cost = meter.held_cost.saturating_add(cost);
                meter.under_way += 1;
            }
        }
        drop(meters);
        Ok(Reservation { limits: Arc::clone(self), places: [key, workspace], tokens: ask.tokens, cost, spent: None })
    }

    /// Books what was learnt of a call after its reservation was settled, in place of what was booked then.
    pub fn correct(&self, key_id: &str, workspace: &str, before: (u64, Nanos), after: (u64, Nanos), now: Timestamp) {
        let mut meters = self.lock();
        for place in [(Holder::Key, key_id.to_owned()), (Holder::Workspace, workspace.to_owned())] {
            let meter = meters.entry(place).or_default();
            meter.turn(now);
            meter.spend(after.0, after.1);
            meter.take_back(before.0, before.1);
        }
    }

    /// How a key stands with its tokens of the day; `None` without a quota.
    pub fn tokens(&self, key_id: &str, limits: &KeyLimits, now: Timestamp) -> Option<TokenState> {
        let limit = self.caps_of_key(limits).day_tokens?;
        let mut meters = self.lock();
        let meter = meters.entry((Holder::Key, key_id.to_owned())).or_default();
        meter.turn(now);
        let remaining = limit.saturating_sub(meter.day_tokens).saturating_sub(meter.held_tokens);
        Some(TokenState { limit, remaining, reset: until(now, end_of(Budget::DayTokens, now)) })
    }

    /// Calls under way and what they have reserved, all keys together: zero when nothing runs.
    pub fn held(&self) -> (u32, u64, Nanos) {
        let meters = self.lock();
        let keys = meters.iter().filter(|((holder, _), _)| *holder == Holder::Key);
        keys.fold((0, 0, Nanos(0)), |(calls, tokens, cost), (_, meter)| {
            (calls + meter.under_way, tokens + meter.held_tokens, Nanos(cost.0 + meter.held_cost))
        })
    }

    fn caps_of_key(&self, limits: &KeyLimits) -> Caps {
        let settings = &self.settings;
        let amount = |own: &Option<String>, all: &Option<String>| dollars(own.as_ref().or(all.as_ref()));
        Caps {
            day_tokens: some(limits.daily_quota_tokens.unwrap_or(settings.daily_quota_tokens)),
            day_cost: amount(&limits.daily_budget_usd, &settings.daily_budget_usd),
            month_cost: amount(&limits.monthly_budget_usd, &settings.monthly_budget_usd),
        }
    }

    fn caps_of_workspace(&self) -> Caps {
        Caps {
            day_tokens: some(self.settings.workspace_daily_quota_tokens),
            day_cost: None,
            month_cost: dollars(self.settings.workspace_monthly_budget_usd.as_ref()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Meters> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Zero means: no limit.
fn some(limit: u64) -> Option<u64> {
    Some(limit).filter(|limit| *limit > 0)
}

fn dollars(amount: Option<&String>) -> Option<u64> {
    Nanos::parse_usd(amount?).ok().map(|nanos| nanos.0)
}

fn check(holder: Holder, caps: Caps, meter: &Meter, tokens: u64, cost: u64, now: Timestamp) -> Result<(), LimitError> {
    for (budget, cap, spent, held) in caps.each(meter) {
        let Some(cap) = cap else { continue };
        let asked = if budget == Budget::DayTokens { tokens } else { cost };
        if spent >= cap {
            let limit = if budget == Budget::DayTokens { format!("{cap} tokens") } else { format!("${}", Nanos(cap)) };
            return Err(LimitError::Spent { budget, holder, limit, resets_at: end_of(budget, now) });
        }
        let fits = spent.saturating_add(held).saturating_add(asked) <= cap;
        if !fits && (held > 0 || meter.under_way > 0) {
            return Err(LimitError::Held { budget, holder });
        }
    }
    Ok(())
}

/// The end of the day or month (UTC) that a budget is of.
fn end_of(budget: Budget, now: Timestamp) -> Timestamp {
    const DAY: i64 = 86_400_000_000;
    let tomorrow = Timestamp((now.days_since_epoch() + 1) * DAY);
    let (year, month) = if now.month() == 12 { (now.year() + 1, 1) } else { (now.year(), now.month() + 1) };
    match budget {
        Budget::DayTokens | Budget::DayCost => tomorrow,
        Budget::MonthCost => Timestamp::from_civil((year, month, 1), (0, 0, 0), 0).unwrap_or(tomorrow),
    }
}

/// From one instant to a later one.
pub(crate) fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(then.0.saturating_sub(now.0)).unwrap_or(0))
}

/// What a call under way holds.
pub struct Reservation {
    limits: Arc<Limits>,
    places: [(Holder, String); 2],
    tokens: u64,
    cost: u64,
    spent: Option<(u64, Nanos, Timestamp)>,
}

impl Reservation {
    /// Gives back what was reserved and books what was spent instead.
    pub fn settle(mut self, tokens: u64, cost: Nanos, now: Timestamp) {
        self.spent = Some((tokens, cost, now));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut meters = self.limits.lock();
        for place in &self.places {
            let Some(meter) = meters.get_mut(place) else { continue };
            meter.held_tokens = meter.held_tokens.saturating_sub(self.tokens);
            meter.held_cost = meter.held_cost.saturating_sub(self.cost);
            meter.under_way = meter.under_way.saturating_sub(1);
            if let Some((tokens, cost, now)) = self.spent {
                meter.turn(now);
                meter.spend(tokens, cost);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

    fn settings() -> Settings {
        cmg_config::Config::default().limits
    }

    fn ask<'a>(workspace: &'a WorkspaceId, limits: &'a KeyLimits, tokens: u64, cost: Option<&str>) -> Ask<'a> {
        Ask { key_id: "k", workspace, limits, tokens, cost: cost.map(|usd| Nanos::parse_usd(usd).unwrap()) }
    }

    fn workspace() -> WorkspaceId {
        WorkspaceId::parse("w").unwrap()
    }

    #[test]
    fn what_is_reserved_and_spent_never_passes_the_budget_but_for_one_call() {
        let limits = Arc::new(Limits::new(settings()));
        let own = KeyLimits { daily_budget_usd: Some("1".into()), ..KeyLimits::default() };
        let workspace = workspace();
        let mut held = Vec::new();
        while let Ok(one) = limits.reserve(ask(&workspace, &own, 10, Some("0.3")), NOW) {
            held.push(one);
        }

        assert_eq!(held.len(), 3, "a fourth would be 1.2");
        let refused = limits.reserve(ask(&workspace, &own, 10, Some("0.3")), NOW).err();
        assert_eq!(refused, Some(LimitError::Held { budget: Budget::DayCost, holder: Holder::Key }));
        held.into_iter().for_each(|one| one.settle(10, Nanos::parse_usd("0.3").unwrap(), NOW));
        let alone = limits.reserve(ask(&workspace, &own, 10, Some("0.3")), NOW).expect("alone it may over-run");
        assert!(limits.reserve(ask(&workspace, &own, 10, Some("0.01")), NOW).is_err(), "but nothing beside it");
        alone.settle(10, Nanos::parse_usd("0.3").unwrap(), NOW);
        let spent = limits.reserve(ask(&workspace, &own, 1, Some("0")), NOW).err().unwrap();
        assert!(matches!(spent, LimitError::Spent { budget: Budget::DayCost, .. }), "{spent:?}");
        assert_eq!(limits.held(), (0, 0, Nanos(0)));
    }

    #[test]
    fn a_call_without_a_price_runs_alone_where_there_is_a_budget() {
        let limits = Arc::new(Limits::new(settings()));
        let own = KeyLimits { monthly_budget_usd: Some("1".into()), ..KeyLimits::default() };
        let workspace = workspace();

        let first = limits.reserve(ask(&workspace, &own, 1, None), NOW).unwrap();

        assert!(limits.reserve(ask(&workspace, &own, 1, None), NOW).is_err());
        drop(first);
        assert!(limits.reserve(ask(&workspace, &own, 1, None), NOW).is_ok(), "a dropped reservation costs nothing");
    }

    #[test]
    fn a_new_day_has_a_new_quota() {
        let limits = Arc::new(Limits::new(settings()));
        let own = KeyLimits { daily_quota_tokens: Some(100), ..KeyLimits::default() };
        let workspace = workspace();
        limits.reserve(ask(&workspace, &own, 50, Some("0")), NOW).unwrap().settle(100, Nanos(0), NOW);

        let today = limits.reserve(ask(&workspace, &own, 1, Some("0")), NOW).err().unwrap();
        let LimitError::Spent { resets_at, .. } = today else { panic!("{today:?}") };

        assert!(limits.reserve(ask(&workspace, &own, 1, Some("0")), resets_at).is_ok());
        assert_eq!(resets_at.0 % 86_400_000_000, 0);
    }

    #[test]
    fn a_rate_counts_down_and_says_when_the_next_request_fits() {
        let limits = Limits::new(settings());

        let first = limits.request("k", Some(2)).unwrap().unwrap();
        let second = limits.request("k", Some(2)).unwrap().unwrap();
        let third = limits.request("k", Some(2)).err().unwrap();

        assert_eq!((first.limit, first.remaining, second.remaining), (2, 1, 0));
        let LimitError::Rate { retry_after, .. } = third else { panic!("{third:?}") };
        assert!(retry_after > Duration::from_secs(20) && retry_after <= Duration::from_secs(30), "{retry_after:?}");
        assert!(limits.request("other", Some(2)).is_ok(), "each key has its own");
        assert_eq!(limits.request("k", Some(0)), Ok(None), "zero is no limit");
    }
}
