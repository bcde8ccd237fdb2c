//! Snapshots: what a start loads, and how far the journal is kept.

use cmg_snapshots::{Damage, PartInfo, Store, WorkspaceNo, WriteError};

use crate::support::{append, as_read, closed_store, copy_folder, frame, open, tamper, try_open, workspace};

/// The parts of a workspace that holds frames of threads 0, 1 and 2, at `covers`.
pub(crate) fn text(part: u32, covers: u64) -> Vec<u8> {
    let mut noise = blake3::Hasher::new().update(&[part as u8]).update(&covers.to_be_bytes()).finalize_xof();
    let mut bytes = vec![0; 20_000];
    noise.fill(&mut bytes);
    bytes
}

/// Writes a snapshot of all three threads.
pub(crate) fn snapshot(store: &Store, no: WorkspaceNo, covers: u64) {
    let mut writer = store.begin_snapshot(no, covers).unwrap();
    for part in 0..3 {
        writer.put(part, covers, &text(part, covers)).unwrap();
    }
    let info = writer.finish().unwrap();
    assert_eq!((info.covers, info.parts), (covers, 3));
}

#[test]
fn a_part_is_loaded_as_it_was_put_and_the_rest_replayed() {
    let folder = closed_store(7);
    let store = open(folder.path());
    let no = workspace(&store);
    snapshot(&store, no, 5);
    drop(store);

    let store = open(folder.path());

    for part in 0..3 {
        let loaded = store.load_part(no, part).unwrap();
        assert_eq!(loaded.bytes.unwrap(), text(part, 5));
        assert_eq!((loaded.covers, loaded.notes.len()), (5, 0));
    }
    let unknown = store.load_part(no, 9).unwrap();
    assert_eq!((unknown.bytes, unknown.covers, unknown.generation), (None, 5, 1), "it began after frame 5");
    let replayed: Vec<_> = store.replay(no, 5, None).unwrap().map(Result::unwrap).collect();
    assert_eq!(replayed, [6, 7].map(|seq| as_read(frame(seq))));
    let parts = store.parts(no).unwrap();
    assert_eq!(parts, [0, 1, 2].map(|part| PartInfo { part, covers: 5, bytes: 20_000 }));
}

#[test]
fn two_generations_and_the_journal_back_to_the_older_are_kept() {
    let folder = closed_store(3);
    let store = open(folder.path());
    let no = workspace(&store);
    for last in (3..=30).step_by(3) {
        snapshot(&store, no, last);
        append(&store, no, last + 1..=last + 3).unwrap();
    }

    let generations: Vec<_> = store.snapshots(no).unwrap().iter().map(|info| (info.generation, info.covers)).collect();

    assert_eq!(generations, [(10, 30), (9, 27)]);
    let trimmed = store.replay(no, 26, None);
    assert!(matches!(trimmed, Err(Damage::Trimmed { trimmed: 27, .. })), "{trimmed:?}");
    assert_eq!(store.replay(no, 27, None).unwrap().map(Result::unwrap).count(), 6);
    assert!(store.verify(no).unwrap().is_whole());
    drop(store);
    tamper(folder.path(), |db| {
        assert_eq!(db.scan_prefix("j").count(), 6, "trimmed frames are gone");
        assert_eq!(db.scan_prefix("m").count(), 2, "older manifests are gone");
        assert_eq!(db.scan_prefix("s").count(), 2 * 3 * 4, "older parts are gone");
    });
    assert!(open(folder.path()).verify(no).unwrap().is_whole());
}

#[test]
fn bytes_since_the_snapshot_grow_with_appends_and_shrink_with_snapshots() {
    let folder = closed_store(6);
    let store = open(folder.path());
    let no = workspace(&store);
    let all = store.journal_bytes_since_snapshot(no).unwrap();
    assert!(all > 6 * 60, "{all}");

    snapshot(&store, no, 6);

    assert_eq!(store.journal_bytes_since_snapshot(no).unwrap(), 0);
    append(&store, no, 7..=9).unwrap();
    let since = store.journal_bytes_since_snapshot(no).unwrap();
    assert!(since > 0 && since < all, "{since} of {all}");
    let mut writer = store.begin_snapshot(no, 8).unwrap();
    (0..3).for_each(|part| writer.put(part, 8, b"state").unwrap());
    writer.finish().unwrap();
    let after = store.journal_bytes_since_snapshot(no).unwrap();
    assert!(after > 0 && after < since, "frame 9 only: {after} of {since}");
    drop(store);
    assert_eq!(open(folder.path()).journal_bytes_since_snapshot(no).unwrap(), after, "also after a restart");
}

#[test]
fn a_snapshot_that_would_forget_something_is_refused() {
    let folder = closed_store(5);
    let store = open(folder.path());
    let no = workspace(&store);
    snapshot(&store, no, 5);
    append(&store, no, [6, 7]).unwrap(); // threads 0 and 1

    let mut writer = store.begin_snapshot(no, 7).unwrap();
    assert!(matches!(store.begin_snapshot(no, 7), Err(WriteError::Refused { .. })), "one at a time");
    assert!(matches!(writer.carry(1), Err(WriteError::Refused { .. })), "frame 7 is of thread 1");
    assert!(matches!(writer.carry(8), Err(WriteError::Refused { .. })), "no such part");
    assert!(matches!(writer.put(1, 6, b"old"), Err(WriteError::Refused { .. })), "frame 7 is of thread 1");
    assert!(matches!(writer.put(1, 8, b"early"), Err(WriteError::Refused { .. })), "frame 8 is not there");
    writer.put(0, 6, b"nothing came after 6").unwrap();
    assert!(matches!(writer.put(0, 7, b"twice"), Err(WriteError::Refused { .. })));
    let refused = writer.finish().unwrap_err().to_string();

    assert!(refused.contains("{1, 2}"), "{refused}");
    assert_eq!(store.snapshots(no).unwrap().len(), 1);
    let mut writer = store.begin_snapshot(no, 7).unwrap();
    writer.put(0, 6, b"nothing came after 6").unwrap();
    writer.forget(1);
    writer.carry(2).unwrap();
    writer.finish().unwrap();
    let carried = store.load_part(no, 2).unwrap();
    assert_eq!((carried.bytes.unwrap(), carried.covers, carried.generation), (text(2, 5), 7, 2));
    assert_eq!(store.load_part(no, 0).unwrap().covers, 7);
    assert_eq!(store.load_part(no, 1).unwrap().bytes, None, "forgotten");
    assert!(matches!(store.begin_snapshot(no, 4), Err(WriteError::Refused { .. })), "it would go back");
}

#[test]
fn an_unfinished_snapshot_counts_for_nothing_and_is_swept() {
    let folder = closed_store(4);
    let store = open(folder.path());
    let no = workspace(&store);
    snapshot(&store, no, 4);
    let mut writer = store.begin_snapshot(no, 4).unwrap();
    writer.put(0, 4, b"half of it").unwrap();
    let crashed = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), crashed.path());

    let (store, report) = try_open(crashed.path()).unwrap();

    assert_eq!(report.notes.len(), 1, "{report:?}");
    assert!(report.notes[0].contains("unfinished snapshot"), "{report:?}");
    assert_eq!(store.load_part(no, 0).unwrap().bytes.unwrap(), text(0, 4));
    drop(store);
    assert_eq!(try_open(crashed.path()).unwrap().1.notes, [""; 0]);
    tamper(crashed.path(), |db| assert_eq!(db.scan_prefix("s").count(), 3 * 4));
}

#[test]
fn a_large_part_comes_back_whole_without_blob_files() {
    let folder = closed_store(1);
    let store = open(folder.path());
    let no = workspace(&store);
    let mut noise = blake3::Hasher::new().finalize_xof();
    let mut large = vec![0; 5_000_000];
    noise.fill(&mut large);
    let mut writer = store.begin_snapshot(no, 1).unwrap();
    writer.put(1, 1, &large).unwrap();
    writer.put(2, 1, b"").unwrap();
    writer.finish().unwrap();
    drop(store);

    let store = open(folder.path());

    assert!(store.load_part(no, 1).unwrap().bytes.unwrap() == large);
    assert_eq!(store.load_part(no, 2).unwrap().bytes.unwrap(), b"");
    assert_eq!(
        std::fs::read_dir(folder.path().join("db/blobs")).unwrap().count(),
        0,
        "sled never syncs its blob files"
    );
}
