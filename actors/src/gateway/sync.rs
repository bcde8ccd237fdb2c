//! What the gateway asks its upstream for itself: the catalogue of models, and what unsettled calls cost.
//!
//! # Invariants
//!
//! - A catalogue that cannot be read takes no other's place: the last good one is served.
//! - A row is settled once; after [`GIVE_UP`] the estimate stands.

use super::{Gateway, OPENROUTER};
use crate::clock;
use crate::ledger::row::{CostKind, Row, Settlement, Spent};
use crate::ledger::state::{Entry, PriceChanged};
use bytes::Bytes;
use cmg_gateway::catalogue::Catalogue;
use cmg_gateway::client::{Call, ChunkKind, Reply};
use cmg_gateway::money::Nanos;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// Models of every kind, not only those that answer with text.
const MODELS: &str = "/models?output_modalities=all";
/// A row that could not be settled for so long keeps its estimate.
const GIVE_UP: Duration = Duration::from_secs(600);
/// Rows that are settled in one go.
const AT_ONCE: usize = 100;

/// What a fetch of the catalogue found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SyncReport {
    /// Models in it.
    pub models: usize,
    /// Rows that could not be understood.
    pub skipped: usize,
    /// Prices that are other ones than before.
    pub price_changes: usize,
}

impl Gateway {
    /// Fetches the catalogue and publishes it; durable when this returns.
    ///
    /// # Errors
    ///
    /// Why not, in words for an operator.
    pub async fn sync_models(&self) -> Result<SyncReport, String> {
        let body = self.ask(MODELS).await?;
        let catalogue = Catalogue::read(&body).map_err(|error| format!("the list of models: {error}"))?;
        let at = clock::now();
        let changes: Vec<PriceChanged> = catalogue
            .diff(&self.inner.catalogue.load())
            .into_iter()
            .map(|change| PriceChanged {
                at,
                model: change.id,
                what: change.field.to_owned(),
                before: change.old.map(|price| price.0),
                after: change.new.map(|price| price.0),
            })
            .collect();
        let report = SyncReport { models: catalogue.len(), skipped: catalogue.skipped(), price_changes: changes.len() };
        let entry = Entry::Catalogue { at, json: body.to_vec(), changes };
        self.inner.ledger.write(entry).await.map_err(|error| error.to_string())?;
        self.inner.catalogue.store(Arc::new(catalogue));
        Ok(report)
    }

    /// Fetches the catalogue where there is none, or the last one is older than the settings say.
    pub(crate) async fn sync_if_due(&self) {
        let every = self.inner.settings.catalogue_seconds;
        if self.inner.openrouter.is_none() || every == 0 {
            return;
        }
        let fetched = self.inner.ledger.read(|state| state.catalogue.as_ref().map(|(at, _)| *at)).await;
        let Ok(fetched) = fetched else { return };
        let age = fetched.map_or(i64::MAX, |at| clock::now().0.saturating_sub(at.0));
        if age < i64::try_from(every.saturating_mul(1_000_000)).unwrap_or(i64::MAX) {
            return;
        }
        match self.sync_models().await {
            Ok(report) => tracing::info!(models = report.models, "the catalogue of models was fetched"),
            Err(error) => tracing::warn!(error, "the catalogue of models was not fetched; the last one is served"),
        }
    }

    /// Asks what the rows cost that were cut or left before their usage came.
    pub(crate) async fn settle(&self) {
        let rows =
            self.inner.ledger.read(|state| state.unsettled.values().take(AT_ONCE).cloned().collect::<Vec<Row>>());
        let Ok(rows) = rows.await else { return };
        for row in rows {
            let Some(id) = row.generation_id.clone() else { continue };
            let spent = self.generation(&id).await;
            let age = Duration::from_micros(u64::try_from(clock::now().0.saturating_sub(row.at.0)).unwrap_or(0));
            if spent.is_none() && age < GIVE_UP {
                continue;
            }
            if let Some(spent) = &spent {
                self.inner.limits.settle_later(&row, spent);
            }
            let settled = Entry::Settled(Settlement { generation_id: id, spent });
            if self.inner.ledger.write(settled).await.is_err() {
                return;
            }
        }
    }

    /// What a generation took; `None` while the upstream does not know.
    async fn generation(&self, id: &str) -> Option<Spent> {
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let body = self.ask(&format!("/generation?id={}", if plain { id } else { return None })).await.ok()?;
        let Found { data } = serde_json::from_slice(&body).ok()?;
        let tokens = |native: Option<u64>, counted: Option<u64>| native.or(counted).unwrap_or(0);
        Some(Spent {
            prompt_tokens: tokens(data.native_tokens_prompt, data.tokens_prompt),
            completion_tokens: tokens(data.native_tokens_completion, data.tokens_completion),
            cached_tokens: data.native_tokens_cached.unwrap_or(0),
            reasoning_tokens: data.native_tokens_reasoning.unwrap_or(0),
            cost: Nanos::parse_usd(data.total_cost.get().trim_matches('"')).ok()?,
            cost_kind: CostKind::Exact,
        })
    }

    /// A GET of our own at OpenRouter.
    async fn ask(&self, path: &str) -> Result<Bytes, String> {
        let upstream = self.inner.openrouter.clone().ok_or("no upstream is configured: set OPENROUTER_API_KEY")?;
        let call = Call {
            upstream,
            method: Method::GET,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            model: format!("{OPENROUTER}:{}", path.split('?').next().unwrap_or_default()),
            streamed: false,
            wants_chunks: ChunkKind::Other,
        };
        match self.inner.pool.ask(call).await {
            Ok(Reply::Whole(whole)) => Ok(whole.body),
            Ok(Reply::Stream(_)) => Err("the upstream answered with a stream".to_owned()),
            Err(failure) => Err(failure),
        }
    }
}

/// As much of `/generation` as we read.
#[derive(Deserialize)]
struct Found {
    data: Generation,
}

#[derive(Deserialize)]
struct Generation {
    total_cost: Box<RawValue>,
    native_tokens_prompt: Option<u64>,
    native_tokens_completion: Option<u64>,
    native_tokens_cached: Option<u64>,
    native_tokens_reasoning: Option<u64>,
    tokens_prompt: Option<u64>,
    tokens_completion: Option<u64>,
}
