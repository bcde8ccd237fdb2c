//! The upstream's models and their prices, read from its own list.
//!
//! # Invariants
//!
//! - A row that cannot be read is skipped and counted; it never costs the other rows.
//! - A price that is not known is `None`, never nothing.
//! - Each row keeps the upstream's own JSON.
//!
//! # Deliberately absent
//!
//! Fetching and storing it: the caller's. Prices that depend on the time of day: `usage.cost` knows them.

use crate::lenient::{Count, List, Object, Text, plain};
use crate::money::{Nanos, PerToken, nanos};
use crate::usage::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;
use thiserror::Error;

/// Suffixes that choose a route, and leave the price to the model.
const ROUTES: [&str; 6] = ["nitro", "floor", "exacto", "online", "thinking", "extended"];

/// Why a list of models cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CatalogueError {
    /// It is not JSON. Line and column count from 1.
    #[error("the list of models is not valid JSON (line {line}, column {column})")]
    NotJson {
        /// The line.
        line: usize,
        /// The column, in bytes.
        column: usize,
    },
    /// It has no `data`.
    #[error("the list of models has no `data`")]
    NoData,
}

/// What a model costs; `None` where the upstream does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pricing {
    /// A token of the prompt.
    pub prompt: Option<PerToken>,
    /// A token of the answer.
    pub completion: Option<PerToken>,
    /// A request.
    pub request: Option<PerToken>,
    /// An image of the prompt.
    pub image: Option<PerToken>,
    /// A token of reasoning, where it has a price of its own.
    pub internal_reasoning: Option<PerToken>,
    /// A search in the web.
    pub web_search: Option<PerToken>,
    /// A token of the prompt that comes from a cache.
    pub input_cache_read: Option<PerToken>,
    /// A token of the prompt that goes into a cache.
    pub input_cache_write: Option<PerToken>,
    /// Other prices from so many prompt tokens on, in the list's order; what they do not name stays.
    pub bands: Vec<(u64, Pricing)>,
}

/// A model as the upstream lists it.
#[derive(Debug, Clone)]
pub struct Model {
    /// The name by which it is asked for, such as `author/slug:free`.
    pub id: String,
    /// The permanent name, which answers may give.
    pub canonical_slug: Option<String>,
    /// The model that this name stands for at present.
    pub alias_target: Option<String>,
    /// A name for people.
    pub name: String,
    /// When it was added, in seconds since 1970; 0 when unknown.
    pub created: u64,
    /// Tokens that prompt and answer may have together; 0 when unknown.
    pub context_length: u64,
    /// Tokens that an answer may have at most; `None` when unknown.
    pub max_completion_tokens: Option<u64>,
    /// What it costs.
    pub pricing: Pricing,
    /// The row as it came.
    pub raw: Box<RawValue>,
}

/// A price that is another one than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceChange {
    /// The model.
    pub id: String,
    /// The field of [`Pricing`].
    pub field: &'static str,
    /// The price before; `None` when there was none.
    pub old: Option<PerToken>,
    /// The price now; `None` when there is none.
    pub new: Option<PerToken>,
}

/// All models.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    models: Vec<Model>,
    /// Places by id.
    ids: HashMap<String, usize>,
    /// Places by the other names.
    names: HashMap<String, usize>,
    skipped: usize,
}

impl Catalogue {
    /// Reads the body of `GET /models`.
    ///
    /// # Errors
    ///
    /// See [`CatalogueError`].
    pub fn read(json: &[u8]) -> Result<Self, CatalogueError> {
        let list: Object<Page<'_>> = serde_json::from_slice(json).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => CatalogueError::NoData,
            _ => CatalogueError::NotJson { line: error.line(), column: error.column() },
        })?;
        let mut catalogue = Self::default();
        for row in list.0.ok_or(CatalogueError::NoData)?.data {
            match Model::read(row).filter(|model| !catalogue.ids.contains_key(&model.id)) {
                Some(model) => catalogue.add(model),
                None => catalogue.skipped += 1,
            }
        }
        catalogue.name();
        Ok(catalogue)
    }

    /// How many models there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// How many rows could not be read, or came twice.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// A model by its id, its permanent name, the name it stands for, or any of these with a suffix that
    /// only chooses a route.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Model> {
        self.exact(id).or_else(|| {
            let (name, suffix) = id.rsplit_once(':')?;
            self.get(name).filter(|_| ROUTES.contains(&suffix))
        })
    }

    /// The models from `offset` on, at most `limit` of them, in the upstream's order.
    #[must_use]
    pub fn list(&self, offset: usize, limit: usize) -> &[Model] {
        let end = offset.saturating_add(limit).min(self.models.len());
        self.models.get(offset..end).unwrap_or_default()
    }

    /// What an answer of a model costs; `None` when the model or a price that it needs is not known.
    #[must_use]
    pub fn price(&self, model: &str, usage: &Usage) -> Option<Nanos> {
        let found = self.get(model)?;
        let target = || self.exact(found.alias_target.as_deref()?);
        found.pricing.price(usage).or_else(|| target()?.pricing.price(usage))
    }

    /// What changed since an older list: a model that is new or gone is a change of all its prices.
    #[must_use]
    pub fn diff(&self, old: &Self) -> Vec<PriceChange> {
        let none = Pricing::default();
        let before = |model: &Model| old.ids.get(&model.id).and_then(|&place| old.models.get(place));
        let now = self.models.iter().map(|new| (&new.id, before(new).map_or(&none, |old| &old.pricing), &new.pricing));
        let gone = old.models.iter().filter(|old| !self.ids.contains_key(&old.id));
        let gone = gone.map(|old| (&old.id, &old.pricing, &none));
        now.chain(gone).flat_map(|(id, old, new)| changes(id, old, new)).collect()
    }

    fn exact(&self, id: &str) -> Option<&Model> {
        let place = self.ids.get(id).or_else(|| self.names.get(id))?;
        self.models.get(*place)
    }

    fn add(&mut self, model: Model) {
        self.ids.insert(model.id.clone(), self.models.len());
        self.models.push(model);
    }

    /// Files the other names: permanent ones first, and those of paid models before those of variants,
    /// which share them but not their price.
    fn name(&mut self) {
        for variants in [false, true] {
            let models = self.models.iter().enumerate();
            for (place, model) in models.filter(|(_, model)| model.id.contains(':') == variants) {
                let slug = model.canonical_slug.iter().filter(|slug| !variants || slug.contains(':'));
                for name in slug {
                    self.names.entry(name.clone()).or_insert(place);
                }
            }
        }
        for (place, model) in self.models.iter().enumerate() {
            if let Some(target) = &model.alias_target {
                self.names.entry(target.clone()).or_insert(place);
            }
        }
    }
}

fn changes(id: &str, old: &Pricing, new: &Pricing) -> Vec<PriceChange> {
    let pairs = old.fields().into_iter().zip(new.fields());
    let changed = pairs.filter(|((_, old), (_, new))| old != new);
    changed.map(|((field, old), (_, new))| PriceChange { id: id.to_owned(), field, old, new }).collect()
}

impl Pricing {
    /// What an answer costs: tokens from and into a cache at their own price where they have one.
    /// `None` when a price that is needed is not known.
    #[must_use]
    pub fn price(&self, usage: &Usage) -> Option<Nanos> {
        let band = self.bands.iter().filter(|(from, _)| usage.prompt_tokens >= *from).max_by_key(|(from, _)| *from);
        let pick =
            |field: fn(&Self) -> Option<PerToken>| band.and_then(|(_, band)| field(band)).or_else(|| field(self));
        let (prompt, completion) = (pick(|p| p.prompt), pick(|p| p.completion));
        let cached = usage.cached_tokens.min(usage.prompt_tokens);
        let written = usage.cache_write_tokens.min(usage.prompt_tokens - cached);
        let reasoning = pick(|p| p.internal_reasoning).filter(|price| price.0 > 0);
        let thought = reasoning.map_or(0, |_| usage.reasoning_tokens.min(usage.completion_tokens));
        let lines = [
            (usage.prompt_tokens - cached - written, prompt),
            (cached, pick(|p| p.input_cache_read).or(prompt)),
            (written, pick(|p| p.input_cache_write).or(prompt)),
            (usage.completion_tokens - thought, completion),
            (thought, reasoning),
            (1, Some(pick(|p| p.request).unwrap_or_default())),
        ];
        let mut femtos = 0_u128;
        for (tokens, price) in lines.into_iter().filter(|(tokens, _)| *tokens > 0) {
            femtos = femtos.saturating_add(price?.femtos(tokens));
        }
        Some(nanos(femtos))
    }

    fn fields(&self) -> [(&'static str, Option<PerToken>); 8] {
        [
            ("prompt", self.prompt),
            ("completion", self.completion),
            ("request", self.request),
            ("image", self.image),
            ("internal_reasoning", self.internal_reasoning),
            ("web_search", self.web_search),
            ("input_cache_read", self.input_cache_read),
            ("input_cache_write", self.input_cache_write),
        ]
    }
}

/// The list as it comes.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(default, borrow)]
    id: Text<'a>,
    #[serde(default, borrow)]
    canonical_slug: Text<'a>,
    #[serde(default, borrow)]
    alias_target: Text<'a>,
    #[serde(default, borrow)]
    name: Text<'a>,
    #[serde(default)]
    created: Count,
    #[serde(default)]
    context_length: Count,
    #[serde(default)]
    top_provider: Object<TopProvider>,
    #[serde(default, borrow)]
    pricing: Object<Prices<'a>>,
}

#[derive(Default, Deserialize)]
struct TopProvider {
    #[serde(default)]
    max_completion_tokens: Count,
}

impl Model {
    fn read(row: &RawValue) -> Option<Self> {
        let read = serde_json::from_str::<Object<Row<'_>>>(row.get()).ok()?.0?;
        let id = read.id.owned()?;
        Some(Self {
            canonical_slug: read.canonical_slug.owned(),
            alias_target: read.alias_target.owned(),
            name: read.name.get().unwrap_or(&id).to_owned(),
            created: read.created.0.unwrap_or_default(),
            context_length: read.context_length.0.unwrap_or_default(),
            max_completion_tokens: read.top_provider.0.and_then(|provider| provider.max_completion_tokens.0),
            pricing: read.pricing.0.map(|prices| prices.read()).unwrap_or_default(),
            raw: row.to_owned(),
            id,
        })
    }
}

type Price<'a> = Option<&'a RawValue>;

#[derive(Deserialize)]
struct Prices<'a> {
    #[serde(default, borrow)]
    prompt: Price<'a>,
    #[serde(default, borrow)]
    completion: Price<'a>,
    #[serde(default, borrow)]
    request: Price<'a>,
    #[serde(default, borrow)]
    image: Price<'a>,
    #[serde(default, borrow)]
    internal_reasoning: Price<'a>,
    #[serde(default, borrow)]
    web_search: Price<'a>,
    #[serde(default, borrow)]
    input_cache_read: Price<'a>,
    #[serde(default, borrow)]
    input_cache_write: Price<'a>,
    /// Set in an override that begins at so many prompt tokens; one that depends on something else has none.
    #[serde(default)]
    min_prompt_tokens: Count,
    #[serde(default, borrow)]
    overrides: List<Box<Prices<'a>>>,
}

impl Prices<'_> {
    fn read(&self) -> Pricing {
        let price = |price: Price<'_>| price.and_then(plain).and_then(|text| PerToken::parse(&text).ok());
        let bands = self.overrides.0.iter().filter_map(|band| Some((band.min_prompt_tokens.0?, band.read())));
        Pricing {
            prompt: price(self.prompt),
            completion: price(self.completion),
            request: price(self.request),
            image: price(self.image),
            internal_reasoning: price(self.internal_reasoning),
            web_search: price(self.web_search),
            input_cache_read: price(self.input_cache_read),
            input_cache_write: price(self.input_cache_write),
            bands: bands.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"data":[
        {"id":"a/paid","canonical_slug":"a/paid-2026-01-01","name":"Paid","created":1700000000,"context_length":128000,
         "pricing":{"prompt":"0.000001","completion":"0.000002","request":"0","image":"0.01","input_cache_read":"0.0000001",
         "input_cache_write":"0.00000125","overrides":[{"min_prompt_tokens":200000,"prompt":"0.000004"},{"from":"18:00","prompt":"9"}]}},
        {"id":"a/paid:free","canonical_slug":"a/paid-2026-01-01","pricing":{"prompt":"0","completion":"0"}},
        {"id":"~a/latest","alias_target":"a/paid"},
        {"id":"openrouter/auto","pricing":{"prompt":"-1","completion":"-1"}},
        {"id":"b/embed","name":7,"created":"x","pricing":{"prompt":0.00000002,"completion":"0"}},
        {"name":"no id"}, null, 7, {"id":"a/paid"}
    ],"total_count":9}"#;

    fn catalogue() -> Catalogue {
        Catalogue::read(LIST.as_bytes()).unwrap()
    }

    fn usage(prompt: u64, completion: u64) -> Usage {
        Usage { prompt_tokens: prompt, completion_tokens: completion, ..Usage::default() }
    }

    #[test]
    fn odd_rows_are_skipped_and_counted() {
        let catalogue = catalogue();

        assert_eq!((catalogue.len(), catalogue.skipped()), (5, 4));
        let paid = catalogue.get("a/paid").unwrap();
        assert_eq!((paid.name.as_str(), paid.created, paid.context_length), ("Paid", 1_700_000_000, 128_000));
        assert!(paid.raw.get().contains("\"image\":\"0.01\""));
        assert_eq!(catalogue.get("b/embed").unwrap().name, "b/embed");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        assert_eq!(Catalogue::read(b"{}").unwrap_err(), CatalogueError::NoData);
        assert_eq!(Catalogue::read(b"[1]").unwrap_err(), CatalogueError::NoData);
        assert!(matches!(Catalogue::read(b"<html>"), Err(CatalogueError::NotJson { .. })));
        assert!(Catalogue::read(br#"{"data":[]}"#).unwrap().is_empty());
    }

    #[test]
    fn a_model_is_found_by_each_of_its_names_and_a_free_one_only_by_its_own() {
        let catalogue = catalogue();
        let id = |name: &str| catalogue.get(name).map(|model| model.id.as_str());

        assert_eq!(id("a/paid:free"), Some("a/paid:free"));
        assert_eq!(id("a/paid:nitro"), Some("a/paid"));
        assert_eq!(id("a/paid:online:floor"), Some("a/paid"));
        assert_eq!(id("a/paid-2026-01-01"), Some("a/paid"));
        assert_eq!(id("~a/latest"), Some("~a/latest"));
        assert_eq!(id("b/embed:free"), None, "the paid price would be wrong");
        assert_eq!(id("b/embed:other"), None);
        assert_eq!(id("c/unknown"), None);
    }

    #[test]
    fn a_price_counts_cached_tokens_at_the_caches_price() {
        let catalogue = catalogue();
        let cached = Usage { cached_tokens: 900, cache_write_tokens: 50, ..usage(1000, 10) };

        assert_eq!(catalogue.price("a/paid", &usage(1000, 10)), Some(Nanos(1_020_000)));
        assert_eq!(catalogue.price("a/paid", &cached), Some(Nanos(50_000 + 90_000 + 62_500 + 20_000)));
        assert_eq!(catalogue.price("~a/latest", &usage(1, 0)), Some(Nanos(1000)));
        assert_eq!(catalogue.price("a/paid:free", &usage(1000, 10)), Some(Nanos(0)));
        assert_eq!(catalogue.price("b/embed", &usage(3, 0)), Some(Nanos(60)));
    }

    #[test]
    fn a_long_prompt_costs_what_its_band_says_and_the_rest_stays() {
        let price = catalogue().price("a/paid", &usage(200_000, 1)).unwrap();

        assert_eq!(price, Nanos(200_000 * 4000 + 2000));
    }

    #[test]
    fn a_price_that_is_not_known_is_none() {
        let catalogue = catalogue();

        assert_eq!(catalogue.price("openrouter/auto", &usage(1, 1)), None);
        assert_eq!(catalogue.price("c/unknown", &usage(1, 1)), None);
    }

    #[test]
    fn figures_that_contradict_each_other_do_no_harm() {
        let odd = Usage { cached_tokens: u64::MAX, cache_write_tokens: 9, reasoning_tokens: 99, ..usage(1, 1) };

        assert_eq!(catalogue().price("a/paid", &odd), Some(Nanos(100 + 2000)));
    }

    #[test]
    fn a_difference_names_every_price_that_moved() {
        let old = catalogue();
        let new = LIST.replace("\"0.000002\"", "\"0.000003\"").replace("b/embed", "b/new");
        let new = Catalogue::read(new.as_bytes()).unwrap();

        let changes = new.diff(&old);

        let seen: Vec<_> = changes.iter().map(|change| (change.id.as_str(), change.field)).collect();
        let new_rows = [("b/new", "prompt"), ("b/new", "completion"), ("b/embed", "prompt"), ("b/embed", "completion")];
        assert_eq!(seen, [&[("a/paid", "completion")][..], &new_rows].concat());
        assert_eq!(changes[0].new, Some(PerToken(3_000_000_000)));
        assert_eq!((changes[1].old, changes[3].new), (None, None));
        assert!(old.diff(&old).is_empty());
    }

    #[test]
    fn a_page_is_a_part_of_the_list() {
        let catalogue = catalogue();

        assert_eq!(
            catalogue.list(1, 2).iter().map(|model| model.id.as_str()).collect::<Vec<_>>(),
            ["a/paid:free", "~a/latest"]
        );
        assert!(catalogue.list(99, 5).is_empty());
        assert_eq!(catalogue.list(4, usize::MAX).len(), 1);
    }
}
