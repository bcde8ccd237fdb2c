//! The gateway: from a caller's request to an upstream's answer, within limits, with an account of every call.
//!
//! ```text
//! begin: alias → lists → upstream → reservation → account      refused here: a row, and nothing was sent
//! call:  pool → worker → upstream → answer or frames           ends in one row, whatever the end
//! ```
//!
//! # Invariants
//!
//! - [`Gateway::begin`] is the only way to an [`Account`], and an account the only way to the pool: no route gets round
//!   a limit.
//! - The catalogue is published immutable; who reads it waits for nobody.
//!
//! # Deliberately absent
//!
//! What an answer of ours looks like: its headers and its body.

pub mod account;
pub mod limits;
pub mod memory;
mod pool;
mod sync;

pub use pool::{Answer, PoolError, Written};
pub use sync::SyncReport;

use crate::clock;
use crate::error::MemoryError;
use crate::keys::{Caller, KeyLimits};
use crate::ledger::Ledger;
use crate::ledger::row::{Ending, Row, Spent};
use crate::ledger::state::State;
use account::{Account, Endings};
use arc_swap::ArcSwap;
use cmg_config::{Config, Gateway as Settings};
use cmg_gateway::breaker::Breakers;
use cmg_gateway::catalogue::Catalogue;
use cmg_gateway::client::{self, Call, Key, Upstream};
use cmg_gateway::money::Nanos;
use cmg_gateway::usage::Usage;
use cmg_memory::time::Timestamp;
use http::{HeaderName, HeaderValue};
use limits::{Ask, LimitError, Limits};
use memory::Writing;
use pool::{Pool, refused};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The name of the upstream that the catalogue is of.
pub const OPENROUTER: &str = "openrouter";
/// Where OpenRouter is, unless the settings say something else.
const OPENROUTER_BASE: &str = "https://openrouter.ai/api/v1";
/// Tokens of an answer, where neither the request nor the catalogue bounds it: for the reservation.
const ANSWER_TOKENS: u64 = 4_096;
/// Failures further apart than this are not in a row.
const BREAKER_WINDOW: Duration = Duration::from_secs(60);
/// Comments of our own keep a silent stream open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Why a call was refused before anything was sent.
#[derive(Debug)]
pub enum GatewayError {
    /// No upstream is configured for this model: the variable to set.
    NotConfigured,
    /// The request names no model, and there is no default.
    NoModel,
    /// The key may not use this model.
    ModelNotAllowed(String),
    /// A limit.
    Limit(LimitError),
}

/// What a call is to be.
#[derive(Debug, Clone)]
pub struct Intent<'a> {
    /// The id of the request.
    pub request_id: &'a str,
    /// Our route.
    pub route: &'a str,
    /// The model that the request names.
    pub model: Option<&'a str>,
    /// Models that the upstream may fall back to.
    pub fallbacks: &'a [String],
    /// Whether the answer shall be a stream.
    pub streamed: bool,
    /// Bytes of the request's body: for the reservation.
    pub body_bytes: usize,
    /// Tokens that memory added to the prompt.
    pub memory_tokens: u32,
    /// The most tokens that the answer may have, where the request says so.
    pub max_tokens: Option<u64>,
}

/// A call that may be made.
pub struct Begun {
    /// Where it goes.
    pub upstream: Arc<Upstream>,
    /// The model by the upstream's name for it.
    pub model: String,
    /// Its account.
    pub account: Account,
}

/// The way to the upstreams. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    pool: Pool,
    breakers: Arc<Breakers>,
    limits: Arc<Limits>,
    ledger: Ledger,
    endings: Arc<Endings>,
    openrouter: Option<Arc<Upstream>>,
    others: HashMap<String, Arc<Upstream>>,
    catalogue: ArcSwap<Catalogue>,
}

impl Inner {
    /// Where accounts are written.
    fn books(&self) -> (Ledger, Arc<Endings>) {
        (self.ledger.clone(), Arc::clone(&self.endings))
    }
}

impl Gateway {
    /// Starts the pool, with what the ledger knows of the past.
    pub(crate) fn start(config: &Config, ledger: Ledger, past: &Past) -> Result<Self, String> {
        let settings = &config.gateway;
        let limits = Arc::new(Limits::new(config.limits.clone()));
        past.restore(&limits);
        let rest = Duration::from_millis(settings.breaker_rest_ms);
        let breakers = Arc::new(Breakers::new(settings.breaker_failures, BREAKER_WINDOW, rest));
        let pool = Pool::new(settings.max_calls, client_settings(settings), Arc::clone(&breakers));
        let catalogue = past.catalogue.as_deref().and_then(|json| Catalogue::read(json).ok()).unwrap_or_default();
        let others = settings.upstreams().map(|(name, base)| {
            let key = settings.upstream_key(name);
            Ok((name.to_owned(), upstream(name, base, key.as_ref(), Vec::new())?))
        });
        let inner = Inner {
            openrouter: openrouter(settings)?,
            others: others.collect::<Result<_, String>>()?,
            settings: settings.clone(),
            catalogue: ArcSwap::from_pointee(catalogue),
            pool,
            breakers,
            limits,
            ledger,
            endings: Arc::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Counts a request of a key against its rate.
    ///
    /// # Errors
    ///
    /// [`LimitError::Rate`].
    pub fn request(&self, key_id: &str, limits: &KeyLimits) -> Result<Option<limits::RateState>, LimitError> {
        self.inner.limits.request(key_id, limits.rpm_limit)
    }

    /// The model behind a name that a caller used.
    #[must_use]
    pub fn resolve<'a>(&'a self, name: &'a str) -> &'a str {
        self.inner.settings.resolve(name)
    }

    /// True when a key may use a model.
    #[must_use]
    pub fn allows(&self, limits: &KeyLimits, model: &str) -> bool {
        allowed(limits, model)
    }

    /// How a key stands with its tokens of the day; `None` without a quota.
    #[must_use]
    pub fn tokens(&self, key_id: &str, limits: &KeyLimits) -> Option<limits::TokenState> {
        self.inner.limits.tokens(key_id, limits, clock::now())
    }

    /// Admits a call: finds its model and upstream, checks the key's lists, reserves what it may take.
    ///
    /// # Errors
    ///
    /// [`GatewayError`]; there is a row in the ledger for it then.
    pub fn begin(&self, caller: &Caller, intent: &Intent<'_>) -> Result<Begun, GatewayError> {
        let mut row = row(caller, intent);
        let (status, error) = match self.admit(caller, intent, &mut row) {
            Ok(begun) => return Ok(begun),
            Err(error) => (error.status(), error),
        };
        let catalogue = self.inner.catalogue.load_full();
        let account = Account::open(row, None, catalogue, self.inner.books(), (0, false));
        account.close(refused(status, error.code()), None);
        Err(error)
    }

    fn admit(&self, caller: &Caller, intent: &Intent<'_>, row: &mut Row) -> Result<Begun, GatewayError> {
        let inner = &self.inner;
        let limits = &caller.key.limits;
        let named = intent.model.or(limits.default_model.as_deref()).or(inner.settings.default_model.as_deref());
        let model = inner.settings.resolve(named.ok_or(GatewayError::NoModel)?);
        model.clone_into(&mut row.model);
        let all = std::iter::once(model).chain(intent.fallbacks.iter().map(String::as_str));
        if let Some(refused) = all.into_iter().find(|model| !allowed(limits, model)) {
            return Err(GatewayError::ModelNotAllowed(refused.to_owned()));
        }
        let (upstream, upstream_model) = self.upstream_of(model).ok_or(GatewayError::NotConfigured)?;
        row.upstream.clone_from(&upstream.name);
        let catalogue = inner.catalogue.load_full();
        let (tokens, cost) = worst_case(&catalogue, model, intent);
        let ask = Ask { key_id: &caller.key.id, workspace: &caller.workspace, limits, tokens, cost };
        let reservation = inner.limits.reserve(ask, clock::now()).map_err(GatewayError::Limit)?;
        let can_settle = upstream.name == OPENROUTER;
        let estimate = (account::estimate(intent.body_bytes) + u64::from(intent.memory_tokens), can_settle);
        let account = Account::open(row.clone(), Some(reservation), catalogue, inner.books(), estimate);
        Ok(Begun { upstream, model: upstream_model.to_owned(), account })
    }

    /// Makes a call.
    ///
    /// # Errors
    ///
    /// [`PoolError`]; the account is closed then.
    pub async fn call(&self, call: Call, account: Account, writing: Option<Writing>) -> Result<Answer, PoolError> {
        self.inner.pool.call(call, account, writing).await
    }

    /// The upstream of a model and its name there: `name/rest` for another one, else OpenRouter.
    fn upstream_of<'a>(&self, model: &'a str) -> Option<(Arc<Upstream>, &'a str)> {
        let other = model.split_once('/').and_then(|(name, rest)| Some((self.inner.others.get(name)?, rest)));
        match other {
            Some((upstream, rest)) => Some((Arc::clone(upstream), rest)),
            None => self.inner.openrouter.clone().map(|upstream| (upstream, model)),
        }
    }

    /// True when there is an upstream for models without a prefix.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.inner.openrouter.is_some()
    }

    /// The models that were fetched last.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.inner.catalogue.load_full()
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// The breakers that are not closed, and how they stand.
    #[must_use]
    pub fn breakers(&self) -> Vec<(String, cmg_gateway::breaker::State)> {
        self.inner.breakers.states()
    }

    /// How many calls ended how since the start: by ending, and by the error's code.
    #[must_use]
    pub fn endings(&self) -> Vec<((&'static str, String), u64)> {
        self.inner.endings.all()
    }

    /// Calls under way, and what they have reserved.
    #[must_use]
    pub fn under_way(&self) -> (usize, (u32, u64, Nanos)) {
        (self.inner.pool.under_way(self.inner.settings.max_calls), self.inner.limits.held())
    }
}

/// What the gateway has to know of the past, taken from the ledger before it starts.
pub(crate) struct Past {
    spent: Vec<(Timestamp, String, String, u64, Nanos)>,
    catalogue: Option<Vec<u8>>,
}

impl Past {
    /// The past as of the ledger's state: the spending of this month.
    pub(crate) fn of(state: &State, now: Timestamp) -> Self {
        let month = Timestamp::from_civil((now.year(), now.month(), 1), (0, 0, 0), 0).unwrap_or(now);
        let sums = state.totals.within(month, Timestamp(i64::MAX)).map(|(place, sum)| {
            let tokens = sum.prompt_tokens + sum.completion_tokens;
            (place.at, place.key_id.clone(), place.workspace.clone(), tokens, Nanos(sum.cost_nanos))
        });
        Self { spent: sums.collect(), catalogue: state.catalogue.as_ref().map(|(_, json)| json.clone()) }
    }

    fn restore(&self, limits: &Limits) {
        for (at, key, workspace, tokens, cost) in &self.spent {
            limits.restore(key, workspace, *at, clock::now(), *tokens, *cost);
        }
    }
}

impl GatewayError {
    /// The status under which the row of the refusal stands.
    const fn status(&self) -> u16 {
        match self {
            Self::NotConfigured => 503,
            Self::NoModel => 400,
            Self::ModelNotAllowed(_) => 403,
            Self::Limit(LimitError::Spent { .. }) => 402,
            Self::Limit(LimitError::Rate { .. } | LimitError::Concurrent { .. } | LimitError::Held { .. }) => 429,
        }
    }

    /// The code under which the row of the refusal stands.
    const fn code(&self) -> &'static str {
        match self {
            Self::NotConfigured => "upstream_not_configured",
            Self::NoModel => "missing_field",
            Self::ModelNotAllowed(_) => "model_not_allowed",
            Self::Limit(LimitError::Spent { .. }) => "quota_exceeded",
            Self::Limit(LimitError::Rate { .. }) => "rate_limited",
            Self::Limit(LimitError::Concurrent { .. }) => "too_many_concurrent",
            Self::Limit(LimitError::Held { .. }) => "budget_reserved",
        }
    }
}

impl From<MemoryError> for PoolError {
    fn from(_: MemoryError) -> Self {
        Self::Gone
    }
}

fn row(caller: &Caller, intent: &Intent<'_>) -> Row {
    Row {
        at: clock::now(),
        request_id: intent.request_id.to_owned(),
        key_id: caller.key.id.clone(),
        workspace: caller.workspace.as_str().to_owned(),
        route: intent.route.to_owned(),
        model: intent.model.unwrap_or_default().to_owned(),
        answered_by: None,
        provider: None,
        upstream: String::new(),
        streamed: intent.streamed,
        ending: Ending::Refused,
        status: 0,
        code: None,
        spent: Spent::NOTHING,
        generation_id: None,
        attempts: 0,
        memory_tokens: intent.memory_tokens,
        first_byte_us: None,
        took_us: 0,
        unsettled: false,
    }
}

/// Whether a key's lists let a model pass; the block list wins.
fn allowed(limits: &KeyLimits, model: &str) -> bool {
    let names =
        |pattern: &String| pattern == model || pattern.strip_suffix('*').is_some_and(|start| model.starts_with(start));
    !limits.model_blocklist.iter().any(names)
        && (limits.model_allowlist.is_empty() || limits.model_allowlist.iter().any(names))
}

/// The most tokens that a call can take, and what they cost; `None` where the price is not known.
fn worst_case(catalogue: &Catalogue, model: &str, intent: &Intent<'_>) -> (u64, Option<Nanos>) {
    // A token has a byte at least, but hardly ever less than two.
    let prompt_tokens = (intent.body_bytes as u64).div_ceil(2) + u64::from(intent.memory_tokens);
    let most = intent.max_tokens.or_else(|| catalogue.get(model)?.max_completion_tokens);
    let completion_tokens = most.unwrap_or(ANSWER_TOKENS);
    let usage = Usage { prompt_tokens, completion_tokens, ..Usage::default() };
    (prompt_tokens.saturating_add(completion_tokens), catalogue.price(model, &usage))
}

fn client_settings(settings: &Settings) -> client::Settings {
    client::Settings {
        connect: Duration::from_millis(settings.connect_ms),
        first_byte: Duration::from_millis(settings.first_byte_ms),
        idle: Duration::from_millis(settings.idle_ms),
        total: Duration::from_millis(settings.total_ms),
        max_answer: settings.max_answer_bytes,
        attempts: settings.attempts,
        keep_alive: KEEP_ALIVE,
    }
}

/// OpenRouter, or what stands in for it; `None` when there is neither a key nor another address.
fn openrouter(settings: &Settings) -> Result<Option<Arc<Upstream>>, String> {
    let base = settings.openrouter_api_base.as_str();
    let key = settings.openrouter_api_key.as_ref();
    if key.is_none() && base.trim_end_matches('/') == OPENROUTER_BASE {
        return Ok(None);
    }
    let header = |name: &'static str, value: &Option<String>| {
        let value = HeaderValue::from_str(value.as_deref()?).ok()?;
        Some((HeaderName::from_static(name), value))
    };
    let referer = header("http-referer", &settings.app_url);
    let title = header("x-openrouter-title", &settings.app_title);
    upstream(OPENROUTER, base, key, referer.into_iter().chain(title).collect()).map(Some)
}

fn upstream(
    name: &str,
    base: &str,
    key: Option<&cmg_config::Secret>,
    extra: Vec<(HeaderName, HeaderValue)>,
) -> Result<Arc<Upstream>, String> {
    let key = key
        .map(|key| Key::new(key.expose().to_owned()))
        .transpose()
        .map_err(|error| format!("the key of {name}: {error}"))?;
    let base = base.trim_end_matches('/').to_owned();
    Ok(Arc::new(Upstream { name: name.to_owned(), base, key, extra }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_list_wins_and_a_star_stands_for_the_rest() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let limits = KeyLimits {
            model_allowlist: list(&["openai/*", "meta/llama"]),
            model_blocklist: list(&["openai/o*"]),
            ..KeyLimits::default()
        };

        let let_through =
            ["openai/gpt-5", "openai/o3", "meta/llama", "meta/llama-2"].map(|model| allowed(&limits, model));

        assert_eq!(let_through, [true, false, true, false]);
        assert!(allowed(&KeyLimits::default(), "any/thing"));
    }
}
