//! Actors from the inside: what no request can bring about from outside.

use crate::thread::Fall;
use crate::workspace::PutToRest;
use crate::{Directory, MemoryError, Scope, System, WorkspaceId};
use cmg_config::Config;
use cmg_memory::ids::ItemId;
use cmg_memory::ingest::{ChatMaterial, Materials};
use std::path::Path;
use std::time::{Duration, Instant};

fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    config.journal.database_url.folder = folder.to_owned();
    config
}

async fn start(config: &Config) -> (System, Directory, WorkspaceId) {
    let system = System::start(config).await.expect("it starts");
    let directory = system.directory();
    (system, directory, WorkspaceId::parse("default").expect("a name"))
}

fn said(words: &str) -> Materials {
    Materials { chat: Some(ChatMaterial::Transcript(words.to_owned())), ..Materials::default() }
}

async fn texts(directory: &Directory, workspace: &WorkspaceId) -> Vec<String> {
    let threads = directory.scope(workspace, Scope::Thread("t")).await.expect("the thread is there");
    threads.iter().flat_map(|thread| thread.items().map(|item| item.text.clone())).collect()
}

#[actix::test]
async fn an_owner_that_falls_costs_one_request_and_is_healed() {
    let folder = tempfile::tempdir().unwrap();
    let (_system, directory, workspace) = start(&config(folder.path())).await;
    directory.ingest(&workspace, "t", said("User: The sky was green today.")).await.expect("acknowledged");
    let live = directory.shared.running("default").unwrap().workspace.live("t").unwrap();

    let fallen = live.address.send(Fall).await;

    assert!(fallen.is_err(), "the request that made it fall gets an error");
    let end = Instant::now() + Duration::from_secs(10);
    while live.address.connected() {
        assert!(Instant::now() < end, "its mailbox closes");
        tokio::task::yield_now().await;
    }
    assert_eq!(texts(&directory, &workspace).await, ["The sky was green today."], "what was acknowledged is there");
    directory.ingest(&workspace, "t", said("User: And the grass was red.")).await.expect("the next request is served");
    assert_eq!(texts(&directory, &workspace).await.len(), 2);
}

#[actix::test]
async fn a_thread_at_rest_takes_its_view_along_and_wakes_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (_system, directory, workspace) = start(&config(folder.path())).await;
    directory.ingest(&workspace, "t", said("User: We decided to use Postgres.")).await.expect("acknowledged");
    let before = directory.scope(&workspace, Scope::Thread("t")).await.unwrap();
    let running = directory.shared.running("default").unwrap();
    let live = running.workspace.live("t").unwrap();

    running.address.send(PutToRest(live)).await.unwrap();

    assert!(running.workspace.live("t").is_none(), "its view went with it");
    let after = directory.scope(&workspace, Scope::Thread("t")).await.unwrap();
    assert_eq!(before[0].store().unwrap(), after[0].store().unwrap(), "it wakes to the same bytes");
}

#[actix::test]
async fn a_snapshot_shortens_the_journal_and_a_restart_begins_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.journal.snapshot_after_bytes = 4_096;
    let (system, directory, workspace) = start(&config).await;
    let store = directory.shared.store.clone();
    let no = {
        directory.ingest(&workspace, "t", said("User: It begins.")).await.expect("acknowledged");
        directory.shared.running("default").unwrap().workspace.no
    };
    let end = Instant::now() + Duration::from_secs(30);
    let mut turn = 0;
    while store.snapshots(no).unwrap().len() < 2 {
        assert!(Instant::now() < end, "two snapshots are written in good time");
        turn += 1;
        let words = format!("User: Turn number {turn} is about something else, namely {}.", "rain ".repeat(turn % 40));
        directory.ingest(&workspace, "t", said(&words)).await.expect("acknowledged");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = texts(&directory, &workspace).await;
    system.stop().await;
    // This process goes on holding the folder; what is durable in it is what another one would find.
    let found = tempfile::tempdir().unwrap();
    copy(folder.path(), found.path());
    config.journal.database_url.folder = found.path().to_owned();

    let (_system, directory, workspace) = start(&config).await;

    assert_eq!(texts(&directory, &workspace).await, before);
    let unknown = directory.item(&workspace, ItemId::Episodic(1_000_000)).await;
    assert!(matches!(unknown, Err(MemoryError::NoItem)), "ids that were never given are unknown");
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&place).unwrap();
            copy(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), &place).unwrap();
        }
    }
}
