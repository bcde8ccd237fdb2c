//! Edits by the caller: feedback, changed fields, deletion.

use super::{Owned, Plan, Tools, likeness, vectors};
use crate::event::Event;
use crate::ids::ItemId;
use crate::index::passage::Stream;
use crate::item::{Cause, Feedback, Metadata, Standing};
use crate::kind::Status;
use crate::tokens;

/// Fields of an item that a caller changes; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch {
    /// Another header.
    pub title: Option<String>,
    /// Other words.
    pub text: Option<String>,
    /// Other tags.
    pub tags: Option<Vec<String>>,
    /// Other metadata.
    pub metadata: Option<Metadata>,
    /// Another status; semantic items only.
    pub status: Option<Status>,
    /// Another priority.
    pub priority: Option<String>,
}

/// Plans feedback of strength `value` (0 to 1); the receipt is the salience after it. `None` when
/// there is no such item.
#[must_use]
pub fn feedback(
    owned: &Owned,
    id: ItemId,
    (feedback, value, comment): (Feedback, f32, Option<String>),
    tools: &Tools<'_>,
) -> Option<Plan<f32>> {
    let item = owned.thread.item(id)?;
    let mut standing = item.standing;
    standing.salience = feedback.move_salience(standing.salience, value);
    if feedback == Feedback::Outdated && standing.valid_to.is_none() && !item.kind.is_episodic() {
        standing.valid_to = Some(tools.now);
    }
    let events = vec![Event::Said { id, comment }, Event::Stood { id, standing, cause: Cause::Feedback(feedback) }];
    Some(Plan::new(owned, tools, events, standing.salience))
}

/// Plans a change of fields. `None` when there is no such item.
#[must_use]
pub fn patch(owned: &Owned, id: ItemId, patch: Patch, tools: &Tools<'_>) -> Option<Plan<()>> {
    let item = owned.thread.item(id)?;
    let mut events = Vec::new();
    if patch.title.is_some() || patch.text.is_some() {
        let mut reworded = (**item).clone();
        reworded.title = patch.title.or_else(|| item.title.clone());
        reworded.text = patch.text.unwrap_or_else(|| item.text.clone());
        reworded.direct |= !item.kind.is_episodic();
        if reworded.text != item.text || reworded.title != item.title {
            events.push(Event::Reworded {
                id,
                title: reworded.title.clone(),
                text: reworded.text.clone(),
                tokens: tokens::count(&reworded.text),
                tokens_before: item.tokens,
                likeness: likeness(&reworded.text, Stream::of(item.kind) == Stream::Log),
                vectors: vectors(&reworded, tools.embedder),
            });
        }
    }
    if let Some(status) = patch.status.filter(|status| Some(*status) != item.standing.status) {
        let standing = Standing { status: Some(status), ..item.standing };
        events.push(Event::Stood { id, standing, cause: Cause::Edit });
    }
    if patch.tags.is_some() || patch.metadata.is_some() || patch.priority.is_some() {
        events.push(Event::Edited { id, tags: patch.tags, metadata: patch.metadata, priority: patch.priority });
    }
    Some(Plan::new(owned, tools, events, ()))
}

/// Plans the deletion of an item, and of the semantic items that have no other source. The receipt
/// names all that go. `None` when there is no such item.
#[must_use]
pub fn erase(owned: &Owned, id: ItemId, tools: &Tools<'_>) -> Option<Plan<Vec<ItemId>>> {
    let item = owned.thread.item(id)?;
    let shadow = |derived: &&ItemId| owned.thread.item(**derived).is_some_and(|item| item.is_shadow());
    let mut gone: Vec<ItemId> = item.derived.iter().filter(shadow).copied().collect();
    gone.push(id);
    let tokens = |id| owned.thread.item(id).map_or(0, |item| item.tokens);
    let events = gone.iter().map(|&id| Event::Erased { id, tokens: tokens(id) }).collect();
    Some(Plan::new(owned, tools, events, gone))
}

/// Plans the deletion of a whole thread; the receipt is how many items go.
#[must_use]
pub fn close(owned: &Owned, tools: &Tools<'_>) -> Plan<u64> {
    Plan::new(owned, tools, vec![Event::Closed], owned.thread.counts.items)
}
