//! What the server and the test that started it share.
//!
//! # Invariants
//!
//! - An answer is under way from the last byte of its request to its own last byte, or to whatever ends it
//!   before. A client that closes before that is counted once.
//! - Kept answers are bounded in number and size.

use crate::answers::{Answer, PLACEHOLDER, Template, generation_id};
use crate::script::Script;
use crate::seen::{Kept, Log};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Answers that are kept; when there are more, all are forgotten.
const MOST_TEMPLATES: usize = 128;

/// Tells kept answers apart: the path, whether it is a stream, whether it is the refusal, the model.
pub(crate) type TemplateKey = (String, bool, bool, String);

/// The state of one stand-in.
pub(crate) struct Shared {
    pub(crate) received: AtomicU64,
    pub(crate) closed_early: AtomicU64,
    pub(crate) under_way: AtomicUsize,
    pub(crate) connections: AtomicUsize,
    generations: AtomicU64,
    desk: Mutex<Desk>,
}

/// What is looked up.
pub(crate) struct Desk {
    pub(crate) log: Log,
    /// What `GET /generation` answers, by id.
    pub(crate) settled: HashMap<String, Value>,
    /// Models whose behaviour was set by hand.
    scripts: HashMap<String, Script>,
    /// Requests of each model whose refusal is over some time.
    refused: HashMap<String, u64>,
    templates: HashMap<TemplateKey, Arc<Template>>,
}

impl Shared {
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            received: AtomicU64::new(0),
            closed_early: AtomicU64::new(0),
            under_way: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            generations: AtomicU64::new(0),
            desk: Mutex::new(Desk {
                log: Log::new(keep),
                settled: HashMap::new(),
                scripts: HashMap::new(),
                refused: HashMap::new(),
                templates: HashMap::new(),
            }),
        }
    }

    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn saw(&self, request: Kept) {
        self.desk().log.keep(request);
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    /// From now on `model` answers by `script`, and its refusals begin anew.
    pub(crate) fn set(&self, model: &str, script: Script) {
        let mut desk = self.desk();
        desk.scripts.insert(model.to_owned(), script);
        desk.refused.remove(model);
        desk.templates.clear();
    }

    /// What a model does with its next request; `None` for an unknown model. Counts the request if the model
    /// refuses only the first ones.
    pub(crate) fn next_script(&self, model: &str) -> Option<Script> {
        let mut desk = self.desk();
        let mut script = desk.scripts.get(model).cloned().or_else(|| Script::of_model(model))?;
        if let Some(refused) = script.refused {
            let count = desk.refused.entry(model.to_owned()).or_default();
            if *count >= refused {
                script.refusal = None;
            }
            *count = count.saturating_add(1);
        }
        Some(script)
    }

    /// The id of the next answer.
    pub(crate) fn next_id(&self) -> String {
        generation_id(self.generations.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The answer that is kept under `key`, or that `build` makes for an id, under a new id.
    pub(crate) fn kept(&self, key: TemplateKey, build: impl FnOnce(&str) -> Answer) -> Answer {
        let id = self.next_id();
        let known = self.desk().templates.get(&key).cloned();
        let template = known.unwrap_or_else(|| {
            let template = Arc::new(Template::of(build(PLACEHOLDER)));
            let mut desk = self.desk();
            if desk.templates.len() >= MOST_TEMPLATES {
                desk.templates.clear();
            }
            desk.templates.insert(key, Arc::clone(&template));
            template
        });
        template.with(&id)
    }
}

/// Counts one more for as long as it lives.
pub(crate) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    pub(crate) fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
