//! Drafts to items and events: ids, links, what supersedes, finishes and answers what.
//!
//! # Invariants
//!
//! - Every semantic item that rules found cites the turn it was found in.
//! - Nothing is closed without a link to what closed it, in both directions.

use super::known::{Owned, Verdict};
use super::{Receipt, Tools, instant, likeness, vectors};
use crate::event::Event;
use crate::ids::ItemId;
use crate::index::passage::Stream;
use crate::ingest::{Closes, Draft, Found};
use crate::item::{Cause, Item, LinkKind, Metadata, Standing};
use crate::kind::{Kind, Status};
use crate::time::Timestamp;
use crate::tokens;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// The events that take these drafts in.
pub(super) fn items(owned: &Owned, drafts: Vec<Draft>, tools: &mut Tools<'_>) -> (Vec<Event>, Receipt) {
    let verdicts = owned.judge(&drafts);
    let mut builder = Builder::new(owned, tools);
    for (draft, (verdict, part)) in drafts.into_iter().zip(verdicts) {
        match verdict {
            Verdict::Same(slot) => builder.touch(slot),
            Verdict::Changed(slot) => builder.reword(slot, draft),
            Verdict::New => builder.add(draft, part),
        }
    }
    (builder.events, builder.receipt)
}

struct Builder<'a, 't> {
    owned: &'a Owned,
    tools: &'a mut Tools<'t>,
    at: Timestamp,
    events: Vec<Event>,
    receipt: Receipt,
    /// Semantic items of this plan, not applied yet.
    made: BTreeMap<ItemId, Item>,
    /// Standings that this plan changes.
    restated: BTreeMap<ItemId, Standing>,
    subjects: FxHashMap<(Kind, String), ItemId>,
    likenesses: FxHashMap<u64, ItemId>,
    /// The turn before, and what it asked.
    asked: Asked,
}

#[derive(Default)]
struct Asked {
    speaker: Option<String>,
    questions: Vec<ItemId>,
}

impl<'a, 't> Builder<'a, 't> {
    fn new(owned: &'a Owned, tools: &'a mut Tools<'t>) -> Self {
        let at = instant(owned, tools.now);
        Self {
            owned,
            tools,
            at,
            events: Vec::new(),
            receipt: Receipt::default(),
            made: BTreeMap::new(),
            restated: BTreeMap::new(),
            subjects: FxHashMap::default(),
            likenesses: FxHashMap::default(),
            asked: asked(owned),
        }
    }

    fn touch(&mut self, slot: u32) {
        if let Some(item) = self.owned.thread.slot(slot) {
            self.updated(item.id);
        }
    }

    fn updated(&mut self, id: ItemId) {
        if !self.receipt.updated.contains(&id) && !self.receipt.added.contains(&id) {
            self.receipt.updated.push(id);
        }
    }

    fn reword(&mut self, slot: u32, draft: Draft) {
        let Some(old) = self.owned.thread.slot(slot) else { return };
        let mut item = (**old).clone();
        (item.title, item.text) = (draft.title.clone(), draft.text.clone());
        self.events.push(Event::Reworded {
            id: item.id,
            title: draft.title.clone(),
            text: draft.text.clone(),
            tokens: tokens::count(&item.text),
            tokens_before: old.tokens,
            likeness: likeness(&item.text, Stream::of(item.kind) == Stream::Log),
            vectors: vectors(&item, self.tools.embedder),
        });
        self.updated(item.id);
        let derived = self.find(&draft, item.id, item.observed_at);
        for to in derived {
            self.events.push(Event::Linked { from: item.id, kind: LinkKind::Derived, to });
        }
    }

    fn add(&mut self, draft: Draft, part: u32) {
        let observed_at = draft.observed_at.unwrap_or(self.at);
        let id = ItemId::of(draft.kind, self.tools.numbers.next(draft.kind.is_episodic()));
        let place = self.events.len();
        self.receipt.added.push(id);
        let derived = self.find(&draft, id, observed_at);
        let mut item = self.item(id, &draft, part, observed_at);
        item.derived.clone_from(&derived);
        derived.iter().for_each(|to| item.link(LinkKind::Derived, *to));
        item.sources.clone().iter().for_each(|to| item.link(LinkKind::Source, *to));
        self.link(&mut item, &draft);
        self.receipt.tokens += u64::from(item.tokens);
        let vectors = vectors(&item, self.tools.embedder);
        // Before what was found in it: the order of the ids is the order of the slots.
        self.events.insert(place, Event::Added { item: Box::new(item.clone()), vectors });
        if !item.kind.is_episodic() {
            self.settle(&item, draft.subject.as_deref(), None);
            self.made.insert(item.id, item);
        }
    }

    fn item(&self, id: ItemId, draft: &Draft, part: u32, observed_at: Timestamp) -> Item {
        let mut item = Item::empty(id, draft.kind, self.at);
        item.title.clone_from(&draft.title);
        item.text.clone_from(&draft.text);
        item.tokens = tokens::count(&draft.text);
        item.speaker.clone_from(&draft.speaker);
        item.role = draft.role;
        item.path.clone_from(&draft.path);
        item.external_id.clone_from(&draft.external_id);
        item.part = part;
        item.session.clone_from(&draft.session);
        item.tags.clone_from(&draft.tags);
        item.metadata = Metadata(draft.metadata.clone());
        item.observed_at = observed_at;
        item.artifacts.clone_from(&draft.artifacts);
        item.subject.clone_from(&draft.subject);
        item.likeness = likeness(&draft.text, Stream::of(draft.kind) == Stream::Log);
        item.direct = !draft.kind.is_episodic();
        let cited = draft.sources.iter().filter_map(|source| ItemId::parse(source));
        item.sources = cited.filter(|source| self.owned.thread.item(*source).is_some()).collect();
        let status = if item.direct { draft.status.or(Some(Status::Accepted)) } else { None };
        item.standing = Standing::new(status);
        item
    }

    /// Links to what it nearly repeats, names, answers and finishes.
    fn link(&mut self, item: &mut Item, draft: &Draft) {
        if item.kind == Kind::Chat {
            let first = self.owned.known.likenesses.get(&item.likeness).or_else(|| self.likenesses.get(&item.likeness));
            if let Some(&first) = first.filter(|_| item.likeness != 0) {
                item.link(LinkKind::Similar, first);
                self.events.push(Event::Linked { from: first, kind: LinkKind::Similar, to: item.id });
            } else {
                self.likenesses.insert(item.likeness, item.id);
            }
            self.answer(item);
        }
        for word in crate::words::words(&item.text.clone()) {
            if let Some(to) = ItemId::parse(word).filter(|to| self.owned.thread.item(*to).is_some()) {
                item.link(LinkKind::Mentions, to);
            }
        }
        for closes in &draft.closes {
            if let Some(task) = self.task_closed_by(closes) {
                self.close(task, Status::Done, item.id, item.observed_at);
                item.link(LinkKind::Answers, task);
            }
        }
    }

    /// A turn by another speaker that asks nothing answers what the turn before asked.
    fn answer(&mut self, item: &mut Item) {
        let asks = item.text.trim_end().ends_with('?');
        let asked = std::mem::take(&mut self.asked);
        if asked.speaker != item.speaker && !asks {
            for question in asked.questions {
                self.close(question, Status::Done, item.id, item.observed_at);
                item.link(LinkKind::Answers, question);
            }
        }
        let is_question = |id: &&ItemId| self.made.get(id).is_some_and(|item| item.kind == Kind::Question);
        self.asked = Asked {
            speaker: item.speaker.clone(),
            questions: item.derived.iter().filter(is_question).copied().collect(),
        };
    }

    /// Makes items of what rules found in a draft; returns the ids that the source derives.
    fn find(&mut self, draft: &Draft, source: ItemId, observed_at: Timestamp) -> Vec<ItemId> {
        draft.found.iter().map(|found| self.found(found, source, observed_at)).collect()
    }

    fn found(&mut self, found: &Found, source: ItemId, observed_at: Timestamp) -> ItemId {
        if let Some(again) = self.said_before(found) {
            self.source_again(again, source);
            return again;
        }
        let id = ItemId::Semantic(self.tools.numbers.next(false));
        let mut item = Item::empty(id, found.kind, self.at);
        item.title = Some(found.title.clone());
        item.text.clone_from(&found.text);
        item.tokens = tokens::count(&found.text);
        item.observed_at = observed_at;
        item.sources = vec![source];
        item.link(LinkKind::Source, source);
        item.subject.clone_from(&found.subject);
        item.value.clone_from(&found.value);
        item.priority.clone_from(&found.priority);
        item.rationale.clone_from(&found.rationale);
        item.likeness = likeness(&found.text, false);
        item.standing = Standing::new(Some(found.status));
        self.receipt.added.push(id);
        self.receipt.tokens += u64::from(item.tokens);
        self.events.push(Event::Added { item: Box::new(item.clone()), vectors: Vec::new() });
        self.settle(&item, found.subject.as_deref(), found.replaces.as_deref());
        self.made.insert(id, item);
        id
    }

    /// The item that says the same about the same, if it still holds.
    fn said_before(&self, found: &Found) -> Option<ItemId> {
        let subject = found.subject.clone()?;
        let id = self.holder(found.kind, &subject)?;
        let item = self.look(id)?;
        let same = likeness(&item.text, false) == likeness(&found.text, false)
            || (item.value.is_some() && item.value == found.value);
        same.then_some(id)
    }

    fn source_again(&mut self, id: ItemId, source: ItemId) {
        let Some(item) = self.look(id) else { return };
        if item.sources.contains(&source) {
            return;
        }
        let shadow = item.is_shadow();
        let mut item = item.clone();
        item.sources.push(source);
        let vectors = if shadow { vectors(&item, self.tools.embedder) } else { Vec::new() };
        self.events.push(Event::Sourced { id, source, vectors });
        if let Some(made) = self.made.get_mut(&id) {
            made.sources.push(source);
        }
        self.updated(id);
    }

    /// Lets a new semantic item take the place of what it supersedes.
    fn settle(&mut self, item: &Item, subject: Option<&str>, replaces: Option<&str>) {
        let mut closed = BTreeSet::new();
        closed.extend(subject.and_then(|subject| self.holder(item.kind, subject)));
        closed.extend(replaces.and_then(|replaced| self.holder_of_value(item, replaced)));
        closed.remove(&item.id);
        for old in closed {
            self.close(old, Status::Superseded, item.id, item.observed_at);
        }
        if let Some(subject) = subject {
            self.subjects.insert((item.kind, subject.to_owned()), item.id);
        }
    }

    /// The item that holds for a subject, in this plan or before it.
    fn holder(&self, kind: Kind, subject: &str) -> Option<ItemId> {
        let key = (kind, subject.to_owned());
        let id = *self.subjects.get(&key).or_else(|| self.owned.known.subjects.get(&key))?;
        self.holds(id).then_some(id)
    }

    /// The latest item of a like kind that speaks of what is replaced.
    fn holder_of_value(&self, by: &Item, replaced: &str) -> Option<ItemId> {
        let wanted = crate::words::terms(replaced);
        let speaks = |item: &Item| {
            let own = crate::words::terms(&item.text);
            !wanted.is_empty() && wanted.iter().all(|term| own.contains(term))
        };
        let like = |item: &&Item| {
            item.id != by.id
                && matches!(item.kind, Kind::Decision | Kind::Fact | Kind::Preference | Kind::Constraint)
                && self.holds(item.id)
                && speaks(item)
        };
        let earlier = self.owned.thread.semantic_items().rev().map(|item| &**item);
        self.made.values().rev().chain(earlier).find(like).map(|item| item.id)
    }

    fn look(&self, id: ItemId) -> Option<&Item> {
        self.made.get(&id).or_else(|| self.owned.thread.item(id).map(|item| &**item))
    }

    fn standing(&self, id: ItemId) -> Option<Standing> {
        self.restated.get(&id).copied().or_else(|| self.look(id).map(|item| item.standing))
    }

    fn holds(&self, id: ItemId) -> bool {
        matches!(self.standing(id).and_then(|now| now.status), Some(Status::Accepted | Status::Provisional))
    }

    fn close(&mut self, id: ItemId, status: Status, by: ItemId, at: Timestamp) {
        let Some(mut standing) = self.standing(id) else { return };
        standing.status = Some(status);
        let (forth, back) = if status == Status::Superseded {
            standing.valid_to = Some(at);
            standing.superseded_by = Some(by);
            (LinkKind::Supersedes, LinkKind::SupersededBy)
        } else {
            (LinkKind::Answers, LinkKind::AnsweredBy)
        };
        self.events.push(Event::Stood { id, standing, cause: Cause::By(by) });
        self.events.push(Event::Linked { from: id, kind: back, to: by });
        self.events.push(Event::Linked { from: by, kind: forth, to: id });
        self.restated.insert(id, standing);
        self.updated(id);
    }

    /// The open task that a report of completion fits, the latest first.
    fn task_closed_by(&self, closes: &Closes) -> Option<ItemId> {
        let open = |id: &ItemId| self.holds(*id);
        let made = self.made.values().rev().filter(|item| item.kind == Kind::Task).map(|item| item.id);
        let mut tasks = made.chain(self.owned.known.open_tasks.iter().rev().copied()).filter(open);
        if closes.words.is_empty() && closes.issue.is_none() {
            return tasks.next();
        }
        tasks.find(|id| self.look(*id).is_some_and(|task| fits(closes, &task.text)))
    }
}

/// True when the report names the task: its issue number, all its words, or most of the task's.
fn fits(closes: &Closes, task: &str) -> bool {
    let by_issue = closes.issue.as_ref().is_some_and(|issue| task.contains(&format!("#{issue}")));
    let reported: BTreeSet<u64> = closes.words.iter().flat_map(|word| crate::words::terms(word)).collect();
    let own: BTreeSet<u64> = crate::words::terms(task).into_iter().collect();
    let common = own.intersection(&reported).count();
    let all_reported = !reported.is_empty() && common == reported.len();
    by_issue || all_reported || (!own.is_empty() && common * 5 >= own.len() * 3)
}

/// What the thread's last turn asked.
fn asked(owned: &Owned) -> Asked {
    let Some(turn) = owned.thread.items().rev().find(|item| item.kind == Kind::Chat) else { return Asked::default() };
    let is_open = |id: &&ItemId| {
        owned
            .thread
            .item(**id)
            .is_some_and(|item| item.kind == Kind::Question && item.standing.status != Some(Status::Done))
    };
    Asked { speaker: turn.speaker.clone(), questions: turn.derived.iter().filter(is_open).copied().collect() }
}
