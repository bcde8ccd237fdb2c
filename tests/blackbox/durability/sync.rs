//! An acknowledgement follows the sync: what `kill -9` cannot show, because the page cache survives it.

use crate::support::{Server, wait_for};
use serde_json::json;
use std::io::Write;
use std::process::Command;

/// Requests that are sent one after the other.
const REQUESTS: usize = 60;

#[test]
fn an_acknowledgement_follows_a_sync_to_disk() {
    if Command::new("strace").arg("-V").output().is_err() {
        let _ = writeln!(std::io::stderr(), "NOT CHECKED: strace is missing, so nobody saw whether writes are synced");
        return;
    }
    let mut server = Server::at_rest(&[]);
    server.watch_syncs();
    server.launch();
    let client = server.client();
    client.chat("synced", &[json!({"role": "user", "content": "The first one opens files."})]);

    // One after the other, so that no two can share a sync. Syncs that come on their own (each half second or so) cannot
    // make up for so many.
    let before = server.syncs();
    for turn in 0..REQUESTS {
        client.chat("synced", &[json!({"role": "user", "content": format!("Turn {turn} is on the disk.")})]);
    }
    // strace writes its line a moment after the call that it saw.
    wait_for("a sync for each acknowledged request", 2, || (server.syncs() >= before + REQUESTS).then_some(()));
    server.stop();
}
