//! The supervisor: rest for idle threads, snapshots when they are due, indexes for large scopes, and what the gateway
//! has to ask for itself.
//!
//! One tick a second; each kind of work runs one at a time, beside the requests.

mod large;
mod rest;
mod snapshot;

use crate::directory::Directory;
use actix::prelude::*;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often the supervisor looks around.
const TICK: Duration = Duration::from_secs(1);
/// The pause between two rounds of asking the upstream.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// Looks after workspaces and threads.
pub(crate) struct Supervisor {
    directory: Directory,
    /// When the last snapshot of a workspace was written, by its number.
    snapshots: HashMap<u32, Instant>,
    started: Instant,
    snapshot_running: bool,
    filling: bool,
    asking: bool,
}

impl Supervisor {
    pub(crate) fn new(directory: Directory) -> Self {
        let (snapshots, started) = (HashMap::new(), Instant::now());
        Self { directory, snapshots, started, snapshot_running: false, filling: false, asking: false }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        rest::put_idle_to_rest(&self.directory);
        if !self.snapshot_running {
            self.snapshot_one(ctx);
        }
        if !self.filling {
            self.fill_one(ctx);
        }
        if !self.asking {
            self.ask_upstream(ctx);
        }
    }

    /// Fetches the catalogue of models when it is due, and settles calls that are not.
    fn ask_upstream(&mut self, ctx: &mut Context<Self>) {
        self.asking = true;
        let gateway = self.directory.gateway().clone();
        let work = async move {
            gateway.sync_if_due().await;
            gateway.settle().await;
            tokio::time::sleep(ASK_EVERY).await;
        };
        ctx.spawn(work.into_actor(self).map(|(), this, _| this.asking = false));
    }

    /// Lets the indexes of a large workspace catch up, if one lags.
    fn fill_one(&mut self, ctx: &mut Context<Self>) {
        let Some((running, choice)) = large::due(&self.directory) else { return };
        self.filling = true;
        let work = tokio::task::spawn_blocking(move || large::fill(&running.workspace, choice));
        let done = work.into_actor(self).map(|outcome, this, _| {
            this.filling = false;
            if outcome.is_err() {
                tracing::error!("filling an index fell; threads are scanned");
            }
        });
        ctx.spawn(done);
    }

    /// Writes the snapshot that is due, if one is.
    fn snapshot_one(&mut self, ctx: &mut Context<Self>) {
        let last = |no: u32| self.snapshots.get(&no).copied().unwrap_or(self.started);
        let Some(running) = snapshot::due(&self.directory, last) else { return };
        self.snapshot_running = true;
        let no = running.workspace.no.0;
        let work = tokio::task::spawn_blocking(move || snapshot::write(&running.workspace));
        let done = work.into_actor(self).map(move |outcome, this, _| {
            this.snapshot_running = false;
            this.snapshots.insert(no, Instant::now());
            match outcome {
                Ok(Ok(info)) => {
                    tracing::info!(workspace = no, generation = info.generation, bytes = info.bytes, "snapshot written")
                }
                Ok(Err(error)) => {
                    tracing::warn!(workspace = no, %error, "a snapshot failed; the journal has everything")
                }
                Err(_) => tracing::error!(workspace = no, "a snapshot fell; the journal has everything"),
            }
        });
        ctx.spawn(done);
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(TICK, Self::tick);
    }
}

/// Stop looking after things.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

impl Handler<Stop> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
