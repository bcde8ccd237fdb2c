//! Append, replay, order, commits, and what happens when something cannot be written.

use std::{future::Future, sync::atomic::Ordering};

use cmg_snapshots::{AppendError, Damage, OpenError, Secret, Store, StoreOptions, WorkspaceNo, WriteError};

use crate::support::{
    TestDisk, append, as_read, assert_holds, closed_store, frame, open, open_on, secret, try_open, wait, workspace,
};

#[test]
fn what_was_appended_is_replayed_in_order_also_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let no = workspace(&store);
    append(&store, no, 1..=3).unwrap();
    append(&store, no, [4]).unwrap();

    assert_holds(&store, no, 4);
    store.close();
    drop(store);
    let store = open(folder.path());

    assert_holds(&store, no, 4);
    append(&store, no, [5]).unwrap();
    assert_holds(&store, no, 5);
}

#[test]
fn a_store_dropped_without_close_keeps_everything_and_opens_again_at_once() {
    let folder = closed_store(0);
    for seq in 1..=20 {
        let store = open(folder.path());
        append(&store, workspace(&store), [seq]).unwrap();
    }

    let (store, report) = try_open(folder.path()).unwrap();

    assert_holds(&store, workspace(&store), 20);
    assert_eq!(report.notes, [""; 0], "nothing had to be repaired");
    assert_eq!(report.workspaces[0].head, 20);
}

#[test]
fn what_was_queued_before_close_is_durable_after_it() {
    let disk = TestDisk::new();
    let folder = closed_store(0);
    let store = open_on(folder.path(), &disk);
    let no = workspace(&store);
    disk.shut();
    let tickets: Vec<_> = (1..=9).map(|seq| store.append(no, vec![frame(seq)]).unwrap()).collect();
    disk.wait_for_arrival();
    disk.open();

    store.close();

    for ticket in tickets {
        wait(ticket).expect("queued before close");
    }
    assert!(matches!(append(&store, no, [10]), Err(AppendError::Stopped { .. })));
    assert_holds(&store, no, 9);
}

#[test]
fn a_replay_of_one_thread_yields_that_thread_only_and_can_start_anywhere() {
    let folder = closed_store(12);
    let store = open(folder.path());
    let no = workspace(&store);

    let frames: Vec<_> = store.replay(no, 4, Some(2)).unwrap().map(Result::unwrap).collect();

    let expected: Vec<_> = (5..=12).filter(|seq| seq % 3 == 2).map(|seq| as_read(frame(seq))).collect();
    assert_eq!(frames, expected);
    for after in 0..=13 {
        let found = store.replay(no, after, None).unwrap().map(Result::unwrap).count() as u64;
        assert_eq!(found, 12_u64.saturating_sub(after), "frames after {after}");
    }
}

#[test]
fn everybody_who_waits_shares_one_sync() {
    let disk = TestDisk::new();
    let folder = closed_store(0);
    let store = open_on(folder.path(), &disk);
    let no = workspace(&store);
    disk.shut();
    let before = disk.syncs.load(Ordering::SeqCst);
    let mut tickets = vec![store.append(no, vec![frame(1)]).unwrap()];
    disk.wait_for_arrival();
    tickets.extend((2..=64).map(|seq| store.append(no, vec![frame(seq)]).unwrap()));

    disk.open();
    for ticket in tickets {
        wait(ticket).unwrap();
    }

    assert_eq!(disk.syncs.load(Ordering::SeqCst) - before, 2, "one for the first, one for the 63 who came meanwhile");
    assert_holds(&store, no, 64);
}

#[test]
fn nobody_is_answered_and_nothing_replayed_before_the_sync() {
    let disk = TestDisk::new();
    let folder = closed_store(0);
    let store = open_on(folder.path(), &disk);
    let no = workspace(&store);
    disk.shut();
    let mut ticket = store.append(no, vec![frame(1)]).unwrap();
    disk.wait_for_arrival();

    let early = wait(async {
        std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut ticket).poll(context).is_ready()))
            .await
    });

    assert!(!early, "an answer before the sync is a lie");
    assert_holds(&store, no, 0);
    disk.open();
    wait(ticket).unwrap();
    assert_holds(&store, no, 1);
}

#[test]
fn a_frame_out_of_order_is_refused_and_changes_nothing() {
    let folder = closed_store(3);
    let store = open(folder.path());
    let no = workspace(&store);

    for wrong in [vec![3], vec![5], vec![4, 6], vec![4, 4], vec![0]] {
        let refused = append(&store, no, wrong.clone());
        assert!(matches!(refused, Err(AppendError::OutOfOrder { expected: 4 | 5, .. })), "{wrong:?}: {refused:?}");
    }

    append(&store, no, [4]).unwrap();
    assert_holds(&store, no, 4);
    assert!(matches!(append(&store, WorkspaceNo(77), [1]), Err(AppendError::UnknownWorkspace { .. })));
}

#[test]
fn a_full_queue_refuses_and_works_again_when_it_has_drained() {
    let disk = TestDisk::new();
    let folder = closed_store(0);
    let options = StoreOptions { queue_limit: 4, disk: disk.clone(), ..StoreOptions::default() };
    let (store, _) = Store::open(folder.path(), &secret(), options).unwrap();
    let no = workspace(&store);
    disk.shut();
    let mut tickets = vec![store.append(no, vec![frame(1)]).unwrap()];
    disk.wait_for_arrival();
    tickets.extend((2..=5).map(|seq| store.append(no, vec![frame(seq)]).unwrap()));

    let refused = store.append(no, vec![frame(6)]);

    assert!(matches!(refused, Err(AppendError::QueueFull { waiting: 4, limit: 4 })), "{refused:?}");
    disk.open();
    for ticket in tickets {
        wait(ticket).unwrap();
    }
    append(&store, no, [6]).unwrap();
    assert_holds(&store, no, 6);
}

#[test]
fn a_failed_sync_is_never_tried_again() {
    let disk = TestDisk::new();
    let folder = closed_store(2);
    let store = open_on(folder.path(), &disk);
    let no = workspace(&store);
    disk.shut();
    let first = store.append(no, vec![frame(3)]).unwrap();
    disk.wait_for_arrival();
    let behind = store.append(no, vec![frame(4)]).unwrap();
    disk.fail_sync.store(true, Ordering::SeqCst);
    disk.open();

    let (first, behind) = (wait(first), wait(behind));
    disk.fail_sync.store(false, Ordering::SeqCst);

    assert!(matches!(first, Err(AppendError::Unknown { .. })), "{first:?}");
    assert!(matches!(behind, Err(AppendError::Stopped { .. })), "{behind:?}");
    let later = append(&store, no, [5]).unwrap_err();
    assert!(matches!(later, AppendError::Stopped { .. }) && later.ends_ownership(), "{later:?}");
    assert!(matches!(store.put_record("key", "a", b"b"), Err(WriteError::Stopped { .. })));
    assert_holds(&store, no, 2);
    drop(store);
    let store = open(folder.path());
    let head = store.workspaces()[0].head;
    assert!((2..=3).contains(&head), "unknown means there or not, but whole: {head}");
    assert_holds(&store, no, head);
    append(&store, no, [head + 1]).expect("the reopened store can write");
}

#[test]
fn a_full_disk_refuses_in_time_and_heals_when_there_is_room() {
    let disk = TestDisk::new();
    let folder = closed_store(2);
    let store = open_on(folder.path(), &disk);
    let no = workspace(&store);
    store.put_record("key", "a", b"b").unwrap();
    disk.shut();
    let under_way = store.append(no, vec![frame(3)]).unwrap();
    disk.wait_for_arrival();
    disk.free_bytes.store(1000, Ordering::SeqCst);
    let refused: Vec<_> = (4..=6).map(|seq| store.append(no, vec![frame(seq)]).unwrap()).collect();
    disk.open();

    wait(under_way).expect("it had room");
    for ticket in refused {
        let full = wait(ticket);
        assert!(matches!(full, Err(AppendError::Full { free_bytes: 1000, .. })), "{full:?}");
    }

    assert!(matches!(store.put_record("key", "c", b"d"), Err(WriteError::Full { .. })));
    assert!(store.delete_record("key", "a").expect("what makes room is carried out"));
    assert_holds(&store, no, 3);
    disk.free_bytes.store(u64::MAX, Ordering::SeqCst);
    append(&store, no, [4]).expect("healed");
    assert_holds(&store, no, 4);
}

#[test]
fn a_wrong_secret_is_named_and_nothing_is_touched() {
    let folder = closed_store(3);
    let before: Vec<_> = crate::support::files_below(folder.path())
        .into_iter()
        .map(|path| (std::fs::read(&path).unwrap(), path))
        .collect();

    let refused = Store::open(folder.path(), &Secret::new("another"), StoreOptions::default());

    assert!(matches!(refused, Err(OpenError::WrongSecret)), "{refused:?}");
    for (bytes, path) in before {
        assert!(std::fs::read(&path).unwrap() == bytes, "{} was touched", path.display());
    }
    assert_holds(&open(folder.path()), WorkspaceNo(1), 3);
}

#[test]
fn a_folder_in_use_is_named_as_such() {
    let folder = closed_store(1);
    let _store = open(folder.path());

    let refused = try_open(folder.path());

    assert!(matches!(refused, Err(OpenError::Locked { .. })), "{refused:?}");
}

#[test]
fn a_store_of_a_newer_format_is_refused_politely() {
    let folder = closed_store(1);
    let path = folder.path().join("keys");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4] = 9;
    let end = bytes.len() - 4;
    let crc = crc32c::crc32c(&bytes[..end]).to_be_bytes();
    bytes[end..].copy_from_slice(&crc);
    std::fs::write(&path, bytes).unwrap();

    let refused = try_open(folder.path());

    assert!(matches!(refused, Err(OpenError::TooNew { found: 9, supported: 1 })), "{refused:?}");
}

#[test]
fn workspaces_have_their_own_frames_and_numbers_that_never_return() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let [a, b] = ["a", "b"].map(|name| store.create_workspace(name).unwrap().no);
    append(&store, a, 1..=3).unwrap();
    append(&store, b, 1..=2).unwrap();
    assert!(matches!(store.create_workspace("a"), Err(WriteError::NameTaken { workspace }) if workspace == a));

    store.delete_workspace(b).unwrap();

    assert_holds(&store, a, 3);
    assert!(matches!(store.replay(b, 0, None), Err(Damage::UnknownWorkspace { .. })));
    assert!(matches!(append(&store, b, [3]), Err(AppendError::UnknownWorkspace { .. })));
    let again = store.create_workspace("b").unwrap().no;
    assert!(again > b, "a number is never used again");
    store.delete_workspace(again).unwrap();
    drop(store);
    let store = open(folder.path());
    let c = store.create_workspace("c").unwrap().no;
    assert!(c > again, "not after a restart either");
    assert_holds(&store, a, 3);
    assert_holds(&store, c, 0);
}

#[test]
fn records_are_kept_replaced_and_deleted_by_kind_and_id() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.put_record("key", "b", b"two").unwrap();
    store.put_record("key", "a", b"old").unwrap();
    store.put_record("key", "a", b"one").unwrap();
    store.put_record("quota", "a", b"9").unwrap();
    store.put_record("key", "c", b"gone").unwrap();
    assert!(store.delete_record("key", "c").unwrap());
    assert!(!store.delete_record("key", "c").unwrap());
    assert!(matches!(store.put_record("key", "d", &[0; 5000]), Err(WriteError::Refused { .. })));
    drop(store);

    let store = open(folder.path());

    assert_eq!(store.records("key").unwrap(), [("a".into(), b"one".to_vec()), ("b".into(), b"two".to_vec())]);
    assert_eq!(store.records("quota").unwrap(), [("a".into(), b"9".to_vec())]);
    assert_eq!(store.records("none").unwrap(), []);
}

#[test]
fn frames_of_every_size_come_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let no = workspace(&store);
    let sizes = [0, 1, 63, 6000, 6100, 6144, 6145, 13_000, 200_000, 3_000_000];
    let frames: Vec<_> = (1..)
        .zip(sizes)
        .map(|(seq, size)| {
            let mut noise = blake3::Hasher::new().update(&[seq as u8]).finalize_xof();
            let mut payload = vec![0; size];
            noise.fill(&mut payload);
            cmg_snapshots::NewFrame { seq, thread_no: 1, payload }
        })
        .collect();
    for frame in &frames {
        wait(store.append(no, vec![frame.clone()]).unwrap()).unwrap();
    }
    let too_long = cmg_snapshots::NewFrame { seq: 11, thread_no: 1, payload: vec![0; (16 << 20) + 1] };
    assert!(matches!(store.append(no, vec![too_long]), Err(AppendError::TooLarge { seq: 11, .. })));
    drop(store);

    let store = open(folder.path());

    let read: Vec<_> = store.replay(no, 0, None).unwrap().map(Result::unwrap).collect();
    assert!(read == frames.into_iter().map(as_read).collect::<Vec<_>>(), "frames of all sizes");
    assert_eq!(
        std::fs::read_dir(folder.path().join("db/blobs")).unwrap().count(),
        0,
        "sled never syncs its blob files"
    );
}
