//! Threads as NDJSON: one header line, then one line an item, nothing left out.
//!
//! # Promise
//!
//! What [`export`] writes, [`import`] takes in whole: into a workspace that never gave these
//! numbers the ids stay as they are, elsewhere new ones are given and every link follows.
//!
//! # Deliberately absent
//!
//! Vectors and postings: they are made anew from the words.

use super::{Numbers, Owned, Plan, Tools, instant, opening, vectors};
use crate::event::Event;
use crate::ids::ItemId;
use crate::ingest::Numbering;
use crate::item::{Cause, Item};
use crate::thread::Thread;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format's name, in every header line.
const FORMAT: &str = "cmg-thread";
/// The only version so far.
const VERSION: u32 = 1;

/// The header line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    version: u32,
    thread_id: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    items: u64,
    numbering: Numbering,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// Items taken in.
    pub imported: u64,
    /// Ids that had to change, old to new.
    pub renamed: BTreeMap<ItemId, ItemId>,
}

/// Why lines cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// A line is not what it should be.
    #[error("line {line}: {what}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The thread holds items already.
    #[error("the thread has {items} items; import into a thread that is empty or does not exist")]
    NotEmpty {
        /// How many.
        items: u64,
    },
}

/// The thread as NDJSON lines, each with its line feed.
pub fn export(thread: &Thread) -> impl Iterator<Item = Result<String, serde_json::Error>> + '_ {
    let header = Header {
        format: FORMAT.into(),
        version: VERSION,
        thread_id: thread.id.to_string(),
        created_at: thread.created_at,
        updated_at: thread.updated_at,
        items: thread.counts.items,
        numbering: (*thread.numbering).clone(),
    };
    let line = |json: String| json + "\n";
    std::iter::once_with(move || serde_json::to_string(&header))
        .chain(thread.items().map(|item| serde_json::to_string(&**item)))
        .map(move |json| json.map(line))
}

/// Plans the import of NDJSON `text` into an empty thread.
///
/// # Errors
///
/// [`ImportError`] naming the line; nothing is taken in then.
pub fn import(owned: &Owned, text: &str, tools: &mut Tools<'_>) -> Result<Plan<Exported>, ImportError> {
    if owned.thread.counts.items > 0 {
        return Err(ImportError::NotEmpty { items: owned.thread.counts.items });
    }
    let wrong = |line: usize, what: String| ImportError::Line { line: line + 1, what };
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (at, first) = lines.next().ok_or_else(|| wrong(0, "there is no header line".into()))?;
    let header: Header = serde_json::from_str(first).map_err(|error| wrong(at, format!("not a header: {error}")))?;
    if header.format != FORMAT || header.version != VERSION {
        return Err(wrong(
            at,
            format!("format {:?} version {} is not {FORMAT:?} version {VERSION}", header.format, header.version),
        ));
    }
    let mut items = Vec::new();
    for (at, line) in lines {
        let item: Item = serde_json::from_str(line).map_err(|error| wrong(at, error.to_string()))?;
        if item.id.is_episodic() != item.kind.is_episodic() {
            return Err(wrong(at, format!("{} cannot be the id of a {}", item.id, item.kind)));
        }
        items.push(item);
    }
    let mut exported = Exported { imported: items.len() as u64, renamed: names(&items, tools.numbers) };
    let mut events = opening(owned, header.created_at);
    events.push(Event::Numbered { numbering: header.numbering });
    let mut earliest = if owned.thread.slots() == 0 { Timestamp(i64::MIN) } else { instant(owned, tools.now) };
    for mut item in items {
        rename(&mut item, &exported.renamed);
        earliest = earliest.max(item.created_at);
        item.created_at = earliest;
        let vectors = vectors(&item, tools.embedder);
        events.push(Event::Added { item: Box::new(item), vectors });
    }
    exported.renamed.retain(|old, new| old != new);
    Ok(Plan::new(owned, tools, events, exported))
}

/// The id that each item gets: its own where the workspace never gave it or a later one.
fn names(items: &[Item], numbers: &mut dyn Numbers) -> BTreeMap<ItemId, ItemId> {
    let mut name = |item: &Item| {
        let kept = numbers.claim(item.id);
        let id = if kept { item.id } else { ItemId::of(item.kind, numbers.next(item.kind.is_episodic())) };
        (item.id, id)
    };
    items.iter().map(&mut name).collect()
}

fn rename(item: &mut Item, names: &BTreeMap<ItemId, ItemId>) {
    let new = |id: &mut ItemId| {
        if let Some(name) = names.get(id) {
            *id = *name;
        }
    };
    new(&mut item.id);
    item.sources.iter_mut().chain(&mut item.derived).for_each(new);
    item.links.iter_mut().for_each(|link| new(&mut link.to));
    item.links.sort();
    let standings = item.changes.iter_mut().map(|change| &mut change.before).chain(std::iter::once(&mut item.standing));
    standings.filter_map(|standing| standing.superseded_by.as_mut()).for_each(new);
    for change in &mut item.changes {
        if let Cause::By(by) = &mut change.cause {
            new(by);
        }
    }
}
