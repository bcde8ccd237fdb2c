//! What callers ask of a thread's owner. Each handler is the straight line: plan, commit.

use super::{Refusal, ThreadActor, done};
use crate::directory::IngestReceipt;
use crate::error::MemoryError;
use actix::prelude::*;
use cmg_memory::event::{Event, Record};
use cmg_memory::ids::ItemId;
use cmg_memory::ingest::{self, IngestError, Materials};
use cmg_memory::item::{Feedback, Metadata};
use cmg_memory::plan::{self, Exported, Patch, Plan};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The answer of an owner: none of its other messages runs before it is there.
type Answer<T> = AtomicResponse<ThreadActor, Result<T, Refusal>>;

/// Take materials in.
#[derive(Message)]
#[rtype(result = "Result<IngestReceipt, Refusal>")]
pub(crate) struct Ingest(pub(crate) Box<Materials>);

impl Handler<Ingest> for ThreadActor {
    type Result = Answer<IngestReceipt>;

    fn handle(&mut self, Ingest(materials): Ingest, _: &mut Self::Context) -> Self::Result {
        if self.resting {
            return done(Err(Refusal::Resting));
        }
        let mut numbering = (*self.owned.thread.numbering).clone();
        let parsed = match ingest::parse(*materials, &self.workspace.redactor, &mut numbering) {
            Ok(parsed) => parsed,
            Err(error) => return done(Err(refused(error).into())),
        };
        let redactions = parsed.redactions;
        let plan = self.with_tools(|owned, tools| plan::ingest(owned, parsed.drafts, numbering, tools));
        let summary = summary(plan.record.as_ref(), &redactions);
        let receipt = IngestReceipt {
            added: plan.receipt.added,
            updated: plan.receipt.updated,
            tokens: plan.receipt.tokens,
            summary,
            redactions,
        };
        self.commit(Plan { record: plan.record, receipt })
    }
}

fn refused(error: IngestError) -> MemoryError {
    match error {
        IngestError::Sensitive { redactions } => MemoryError::Sensitive(redactions),
        IngestError::Empty => MemoryError::Materials(error.to_string()),
    }
}

/// One sentence on what is new.
fn summary(record: Option<&Record>, redactions: &BTreeMap<String, u32>) -> String {
    let mut counts = ingest::Counts::default();
    for event in record.iter().flat_map(|record| &record.events) {
        if let Event::Added { item, .. } = event {
            let by_kind = if item.kind.is_episodic() { &mut counts.drafts } else { &mut counts.found };
            *by_kind.entry(item.kind).or_insert(0) += 1;
            counts.redactions.clone_from(redactions);
        }
    }
    ingest::summary(&counts)
}

/// Take feedback on an item; answers its salience.
#[derive(Message)]
#[rtype(result = "Result<f32, Refusal>")]
pub(crate) struct FeedBack {
    pub(crate) id: ItemId,
    pub(crate) feedback: Feedback,
    pub(crate) value: f32,
    pub(crate) comment: Option<String>,
}

impl Handler<FeedBack> for ThreadActor {
    type Result = Answer<f32>;

    fn handle(&mut self, message: FeedBack, _: &mut Self::Context) -> Self::Result {
        if self.resting {
            return done(Err(Refusal::Resting));
        }
        let FeedBack { id, feedback, value, comment } = message;
        let comment = comment.map(|comment| self.redacted(comment));
        match self.with_tools(|owned, tools| plan::feedback(owned, id, (feedback, value, comment), tools)) {
            Some(plan) => self.commit(plan),
            None => done(Err(MemoryError::NoItem.into())),
        }
    }
}

impl ThreadActor {
    /// The text without secrets, by the placeholders that the thread has given out.
    fn redacted(&self, text: String) -> String {
        let mut numbering = (*self.owned.thread.numbering).clone();
        self.workspace.redactor.redact(&text, &mut numbering).text.into_owned()
    }
}

/// Change fields of an item.
#[derive(Message)]
#[rtype(result = "Result<(), Refusal>")]
pub(crate) struct PatchItem(pub(crate) ItemId, pub(crate) Box<Patch>);

impl Handler<PatchItem> for ThreadActor {
    type Result = Answer<()>;

    fn handle(&mut self, PatchItem(id, mut patch): PatchItem, _: &mut Self::Context) -> Self::Result {
        if self.resting {
            return done(Err(Refusal::Resting));
        }
        patch.title = patch.title.map(|title| self.redacted(title));
        patch.text = patch.text.map(|text| self.redacted(text));
        patch.tags = patch.tags.map(|tags| tags.into_iter().map(|tag| self.redacted(tag)).collect());
        patch.metadata = patch.metadata.map(|metadata| self.redacted_metadata(metadata));
        match self.with_tools(|owned, tools| plan::patch(owned, id, *patch, tools)) {
            Some(plan) => self.commit(plan),
            None => done(Err(MemoryError::NoItem.into())),
        }
    }
}

impl ThreadActor {
    fn redacted_metadata(&self, mut metadata: Metadata) -> Metadata {
        let mut numbering = (*self.owned.thread.numbering).clone();
        self.workspace.redactor.redact_metadata(&mut metadata.0, &mut numbering, &mut BTreeMap::new());
        metadata
    }
}

/// Delete an item and what was found in it alone; answers all that went.
#[derive(Message)]
#[rtype(result = "Result<Vec<ItemId>, Refusal>")]
pub(crate) struct Erase(pub(crate) ItemId);

impl Handler<Erase> for ThreadActor {
    type Result = Answer<Vec<ItemId>>;

    fn handle(&mut self, Erase(id): Erase, _: &mut Self::Context) -> Self::Result {
        if self.resting {
            return done(Err(Refusal::Resting));
        }
        match self.with_tools(|owned, tools| plan::erase(owned, id, tools)) {
            Some(plan) => self.commit(plan),
            None => done(Err(MemoryError::NoItem.into())),
        }
    }
}

/// Delete the thread; answers how many items went. Its owner rests from then on.
#[derive(Message)]
#[rtype(result = "Result<u64, Refusal>")]
pub(crate) struct EraseThread;

impl Handler<EraseThread> for ThreadActor {
    type Result = Answer<u64>;

    fn handle(&mut self, _: EraseThread, _: &mut Self::Context) -> Self::Result {
        if self.resting {
            return done(Err(Refusal::Resting));
        }
        let plan = self.with_tools(|owned, tools| plan::close(owned, tools));
        self.commit(plan)
    }
}

/// Import NDJSON.
#[derive(Message)]
#[rtype(result = "Result<Exported, Refusal>")]
pub(crate) struct Import(pub(crate) Arc<str>);

impl Handler<Import> for ThreadActor {
    type Result = Answer<Exported>;

    fn handle(&mut self, Import(text): Import, _: &mut Self::Context) -> Self::Result {
        if self.resting {
            return done(Err(Refusal::Resting));
        }
        match self.with_tools(|owned, tools| plan::import(owned, &text, tools)) {
            Ok(plan) => self.commit(plan),
            Err(error) => done(Err(MemoryError::Import(error).into())),
        }
    }
}
