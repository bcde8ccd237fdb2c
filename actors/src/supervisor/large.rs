//! The indexes of workspaces too large to scan: filled beside the requests, a step at a time.
//!
//! A step holds the lock for a moment; a recall that finds it locked scores all threads instead of
//! waiting.

use crate::directory::{Directory, Large, Running};
use crate::workspace::Workspace;
use cmg_memory::index::large::{Choice, LargeScope, STEP};
use cmg_memory::thread::Thread;
use std::sync::{Arc, PoisonError};

/// The first workspace whose indexes lag behind its awake threads.
pub(super) fn due(directory: &Directory) -> Option<(Running, Choice)> {
    let large = directory.shared.settings.large;
    directory.shared.all_running().into_iter().find_map(|running| {
        let choice = wanted(&large, &views(&running.workspace))?;
        lags(&running.workspace).then_some((running, choice))
    })
}

/// The indexes that a workspace of these threads should have.
fn wanted(large: &Large, threads: &[Arc<Thread>]) -> Option<Choice> {
    let passages: usize = threads.iter().map(|thread| thread.passages().len()).sum();
    let choice = large.choice(passages);
    (passages > 0 && (choice.lexical || choice.graph)).then_some(choice)
}

fn views(workspace: &Workspace) -> Vec<Arc<Thread>> {
    workspace.all_live().iter().map(|live| live.peek()).collect()
}

/// True when a thread has passages that are not covered, or when there is no index yet.
fn lags(workspace: &Workspace) -> bool {
    let Ok(scope) = workspace.large.try_read() else { return false };
    scope.as_ref().is_none_or(|scope| {
        views(workspace).iter().any(|thread| (scope.covered(thread.no) as usize) < thread.passages().len())
    })
}

/// Fills a workspace's indexes until they have caught up. Blocks.
pub(super) fn fill(workspace: &Workspace, choice: Choice) {
    loop {
        let threads = views(workspace);
        let mut place = workspace.large.write().unwrap_or_else(PoisonError::into_inner);
        let outcome = match place.as_mut() {
            Some(scope) => scope.update(&threads, STEP),
            None => LargeScope::new(choice).map(|scope| {
                *place = Some(scope);
                false
            }),
        };
        match outcome {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "an index of a large workspace failed; its threads are scanned");
                *place = None;
                return;
            }
        }
    }
}
