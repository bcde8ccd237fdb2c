//! Damage is healed and told, or refused by name; it is never served, and never silent.

use std::{fs, path::Path};

use cmg_snapshots::{Damage, Frame, NewFrame, OpenError, Store, StoreOptions, WorkspaceNo};

use crate::{
    snapshots::{snapshot, text},
    support::{
        append, as_read, assert_holds, closed_store, copy_folder, frame, keys, open, secret, tamper, try_open, wait,
        workspace,
    },
};

const MAIN: WorkspaceNo = WorkspaceNo(1);

/// Two generations (frames 1 to 6 and 1 to 9), frames 7 to 11 in the journal, closed.
fn with_two_snapshots() -> tempfile::TempDir {
    let folder = closed_store(6);
    let store = open(folder.path());
    snapshot(&store, MAIN, 6);
    append(&store, MAIN, 7..=9).unwrap();
    snapshot(&store, MAIN, 9);
    append(&store, MAIN, 10..=11).unwrap();
    drop(store);
    folder
}

/// What can happen to a value.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Delete,
    Truncate,
    Garble,
}

const HARMS: [Harm; 3] = [Harm::Delete, Harm::Truncate, Harm::Garble];

fn harm(db: &sled::Db, key: &[u8], how: Harm) {
    let mut value = db.get(key).unwrap().unwrap().to_vec();
    match how {
        Harm::Delete => {
            db.remove(key).unwrap();
            return;
        }
        Harm::Truncate => value.truncate(value.len() / 2),
        Harm::Garble => {
            let middle = value.len() / 2;
            value[middle] ^= 0x10;
        }
    }
    db.insert(key, value).unwrap();
}

/// The keys of generation `generation`, of the manifests or of the parts.
fn of_generation(db: &sled::Db, kind: u8, generation: u8) -> Vec<Vec<u8>> {
    keys(db, kind).into_iter().filter(|key| key[12] == generation).collect()
}

#[test]
fn a_damaged_newest_snapshot_falls_back_to_the_older_one_and_says_so() {
    let whole = with_two_snapshots();
    for kind in [b'm', b's'] {
        for how in HARMS {
            let folder = tempfile::tempdir().unwrap();
            copy_folder(whole.path(), folder.path());
            tamper(folder.path(), |db| {
                let harmed = of_generation(db, kind, 2);
                assert!(!harmed.is_empty());
                harmed.iter().for_each(|key| harm(db, key, how));
            });

            let store = open(folder.path());

            for part in 0..3 {
                let loaded = store.load_part(MAIN, part).unwrap();
                assert_eq!(loaded.bytes.unwrap(), text(part, 6), "{how:?}");
                assert_eq!((loaded.covers, loaded.generation), (6, 1));
                assert_eq!(loaded.notes.len(), 1, "the fallback is told: {how:?}");
                let replayed: Vec<u64> =
                    store.replay(MAIN, 6, Some(part)).unwrap().map(|frame| frame.unwrap().seq).collect();
                let expected: Vec<u64> = (7..=11).filter(|seq| seq % 3 == u64::from(part)).collect();
                assert_eq!(replayed, expected, "the journal reaches back to the older snapshot");
            }
            assert!(!store.verify(MAIN).unwrap().is_whole());
            heal(&store);
        }
    }
}

/// A new snapshot over a damaged one makes two good generations in two rounds.
fn heal(store: &Store) {
    snapshot(store, MAIN, 11);
    assert_eq!(store.load_part(MAIN, 1).unwrap().notes, [""; 0]);
    snapshot(store, MAIN, 11);
    assert!(store.verify(MAIN).unwrap().is_whole(), "healed");
    assert_eq!(store.load_part(MAIN, 1).unwrap().bytes.unwrap(), text(1, 11));
}

#[test]
fn a_damaged_manifest_is_no_fallback_and_never_lets_the_journal_go() {
    let folder = with_two_snapshots();
    tamper(folder.path(), |db| of_generation(db, b'm', 2).iter().for_each(|key| harm(db, key, Harm::Garble)));
    let store = open(folder.path());

    snapshot(&store, MAIN, 11);

    let generations: Vec<_> = store.snapshots(MAIN).unwrap().iter().map(|info| info.generation).collect();
    assert_eq!(generations, [3, 1], "the damaged one is gone, the good older one stays");
    assert_eq!(store.replay(MAIN, 6, None).unwrap().map(Result::unwrap).count(), 5, "and the journal with it");
}

#[test]
fn two_damaged_snapshots_are_a_named_error() {
    for kind in [b'm', b's'] {
        for how in HARMS {
            let folder = with_two_snapshots();
            tamper(folder.path(), |db| keys(db, kind).iter().for_each(|key| harm(db, key, how)));
            let store = open(folder.path());

            let refused = store.load_part(MAIN, 1);

            let Err(Damage::Part { part: 1, reasons, .. }) = &refused else { panic!("{how:?}: {refused:?}") };
            assert_eq!(reasons.len(), 2, "{reasons:?}");
            let report = store.verify(MAIN).unwrap();
            assert!(report.generations.iter().all(|generation| !generation.damage.is_empty()));
            assert!(report.journal.damage.is_none());
        }
    }
}

#[test]
fn a_damaged_only_snapshot_falls_back_to_the_whole_journal() {
    let folder = closed_store(6);
    let store = open(folder.path());
    snapshot(&store, MAIN, 6);
    drop(store);
    tamper(folder.path(), |db| keys(db, b's').iter().for_each(|key| harm(db, key, Harm::Garble)));

    let store = open(folder.path());

    let loaded = store.load_part(MAIN, 1).unwrap();
    assert_eq!((loaded.bytes, loaded.covers, loaded.notes.len()), (None, 0, 1));
    assert_holds(&store, MAIN, 6);
}

#[test]
fn missing_last_frames_are_named_with_their_number() {
    let folder = closed_store(17);
    tamper(folder.path(), |db| {
        let frames = keys(db, b'j');
        frames.iter().rev().take(2).for_each(|key| harm(db, key, Harm::Delete));
    });

    let refused = try_open(folder.path());

    let Err(OpenError::Damaged { what, advice, .. }) = &refused else { panic!("{refused:?}") };
    assert!(what.contains("2 frames") && what.contains("from 16 on") && what.contains("17"), "{what}");
    assert!(advice.contains("backup") && advice.contains("accept_loss"), "{advice}");
    let options = StoreOptions { accept_loss: true, ..StoreOptions::default() };
    let (store, report) = Store::open(folder.path(), &secret(), options).unwrap();
    assert_eq!(report.notes.len(), 1, "{report:?}");
    assert_holds(&store, MAIN, 15);
    append(&store, MAIN, [16]).unwrap();
    drop(store);
    assert_holds(&open(folder.path()), MAIN, 16);
}

#[test]
fn a_missing_frame_in_the_middle_is_named_at_its_place() {
    let folder = closed_store(9);
    tamper(folder.path(), |db| harm(db, &keys(db, b'j')[4], Harm::Delete));
    let store = open(folder.path());

    let replayed: Vec<_> = store.replay(MAIN, 0, None).unwrap().collect();

    assert_eq!(replayed.len(), 5);
    let missing = Damage::MissingFrames { workspace: MAIN, first: 5, missing: 1, head: 9 };
    assert_eq!(replayed[4], Err(missing));
    assert!(store.verify(MAIN).unwrap().journal.damage.is_some());
}

#[test]
fn swapped_and_repeated_frames_are_noticed() {
    let folder = closed_store(9);
    tamper(folder.path(), |db| {
        let frames = keys(db, b'j');
        let fourth = db.get(&frames[3]).unwrap().unwrap();
        db.insert(&frames[4], fourth).unwrap();
    });

    let damage = open(folder.path()).replay(MAIN, 0, None).unwrap().find_map(Result::err);

    assert!(matches!(damage, Some(Damage::Frame { seq: 5, .. })), "{damage:?}");
}

/// Two stores share frames 1 to 5 and differ in 6 and 7; yields the first one with `seqs` of the
/// second, which are frames in good order under the same key.
fn with_frames_of_another_history(seqs: &[u8]) -> tempfile::TempDir {
    let folder = closed_store(5);
    let other = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), other.path());
    for (folder, text) in [(folder.path(), "ours"), (other.path(), "theirs")] {
        let store = open(folder);
        for seq in 6..=7 {
            let payload = text.as_bytes().to_vec();
            wait(store.append(MAIN, vec![NewFrame { seq, thread_no: 0, payload }]).unwrap()).unwrap();
        }
    }
    let theirs: Vec<_> = tamper(other.path(), |db| db.scan_prefix("j").map(Result::unwrap).collect());
    tamper(folder.path(), |db| {
        for (key, value) in theirs.iter().filter(|(key, _)| seqs.contains(&key[12])) {
            db.insert(key, value).unwrap();
        }
    });
    folder
}

#[test]
fn a_frame_of_another_history_is_noticed_by_the_chain() {
    let folder = with_frames_of_another_history(&[6]);

    let damage = open(folder.path()).replay(MAIN, 0, None).unwrap().find_map(Result::err);

    assert!(matches!(damage, Some(Damage::Frame { seq: 7, .. })), "{damage:?}");
}

#[test]
fn the_end_of_another_history_is_noticed_by_the_head() {
    for seqs in [[7, 7], [6, 7]] {
        let folder = with_frames_of_another_history(&seqs);

        let refused = try_open(folder.path());

        let Err(OpenError::Damaged { what, .. }) = &refused else { panic!("{refused:?}") };
        assert!(what.contains("frame 7"), "{what}");
    }
}

#[test]
fn a_lost_workspace_is_refused_and_not_merely_absent() {
    for kind in [b'w', b'h'] {
        let folder = closed_store(3);
        tamper(folder.path(), |db| harm(db, &keys(db, kind)[0], Harm::Delete));

        let refused = try_open(folder.path());

        assert!(matches!(refused, Err(OpenError::Damaged { .. })), "{refused:?}");
    }
}

#[test]
fn a_database_that_went_back_in_time_is_refused() {
    let folder = closed_store(5);
    let earlier = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), earlier.path());
    let store = open(folder.path());
    append(&store, MAIN, 6..=8).unwrap();
    append(&store, MAIN, [9]).unwrap();
    drop(store);
    // This is what sled does by itself when its log is damaged five frames from the end.
    fs::remove_dir_all(folder.path().join("db")).unwrap();
    copy_folder(&earlier.path().join("db"), &folder.path().join("db"));

    let refused = try_open(folder.path());

    let Err(OpenError::Damaged { what, .. }) = &refused else { panic!("{refused:?}") };
    assert!(what.contains("last 2 commits"), "{what}");
    let options = StoreOptions { accept_loss: true, ..StoreOptions::default() };
    let (store, report) = Store::open(folder.path(), &secret(), options).unwrap();
    assert!(report.notes[0].contains("Loss accepted"), "{report:?}");
    assert_holds(&store, MAIN, 5);
    drop(store);
    assert_eq!(try_open(folder.path()).unwrap().1.notes, [""; 0], "accepted once, not for ever");
}

#[test]
fn a_deleted_database_is_refused() {
    let folder = closed_store(5);
    fs::remove_dir_all(folder.path().join("db")).unwrap();

    let refused = try_open(folder.path());

    assert!(matches!(refused, Err(OpenError::Damaged { .. })), "{refused:?}");
}

#[test]
fn frames_beyond_the_head_are_cut_and_told() {
    let folder = closed_store(5);
    tamper(folder.path(), |db| {
        let frames = keys(db, b'j');
        let mut beyond = frames[4].clone();
        beyond[12] = 6;
        db.insert(beyond, db.get(&frames[4]).unwrap().unwrap()).unwrap();
    });

    let (store, report) = try_open(folder.path()).unwrap();

    assert!(report.notes[0].contains("cut off"), "{report:?}");
    assert_holds(&store, MAIN, 5);
    append(&store, MAIN, [6]).unwrap();
    assert_holds(&store, MAIN, 6);
}

#[test]
fn a_lost_or_garbled_key_file_is_put_back_and_told() {
    for lost in [true, false] {
        let folder = closed_store(3);
        let path = folder.path().join("keys");
        if lost {
            fs::remove_file(&path).unwrap();
        } else {
            let mut bytes = fs::read(&path).unwrap();
            bytes[20] ^= 1;
            fs::write(&path, bytes).unwrap();
        }

        let (store, report) = try_open(folder.path()).unwrap();

        assert!(report.notes[0].contains("key file"), "{report:?}");
        assert_holds(&store, MAIN, 3);
        drop(store);
        assert_eq!(try_open(folder.path()).unwrap().1.notes, [""; 0]);
    }
}

#[test]
fn a_lost_tip_is_made_anew_and_told() {
    let folder = closed_store(3);
    fs::remove_file(folder.path().join("tip")).unwrap();

    let (store, report) = try_open(folder.path()).unwrap();

    assert!(report.notes[0].contains("tip file"), "{report:?}");
    assert_holds(&store, MAIN, 3);
}

/// Everything a store says about itself.
#[derive(Debug, PartialEq, Eq)]
struct Contents {
    frames: Vec<Frame>,
    parts: Vec<Option<Vec<u8>>>,
    records: Vec<(String, Vec<u8>)>,
    workspaces: usize,
}

/// Reads everything; an error is a named refusal. A part that fell back is brought up to date by
/// the test's own rule: it must say so, and the journal must reach back to it.
fn read_all(folder: &Path) -> Result<Contents, String> {
    let (store, _) = try_open(folder).map_err(|error| error.to_string())?;
    let mut parts = Vec::new();
    for part in 0..3 {
        let loaded = store.load_part(MAIN, part).map_err(|damage| damage.to_string())?;
        if loaded.covers == 9 {
            parts.push(loaded.bytes);
        } else {
            assert!(!loaded.notes.is_empty(), "a fallback without a word");
            assert_eq!(loaded.bytes, Some(text(part, 6)));
            store.replay(MAIN, 6, Some(part)).map_err(|damage| damage.to_string())?;
            parts.push(Some(text(part, 9)));
        }
    }
    let replay = store.replay(MAIN, 6, None).map_err(|damage| damage.to_string())?;
    let frames = replay.collect::<Result<_, _>>().map_err(|damage| damage.to_string())?;
    let records = store.records("key").map_err(|damage| damage.to_string())?;
    Ok(Contents { frames, parts, records, workspaces: store.workspaces().len() })
}

fn full_store() -> (tempfile::TempDir, Contents) {
    let folder = with_two_snapshots();
    let store = open(folder.path());
    store.put_record("key", "a", b"one").unwrap();
    store.put_record("key", "b", b"two").unwrap();
    drop(store);
    let contents = Contents {
        frames: (7..=11).map(|seq| as_read(frame(seq))).collect(),
        parts: (0..3).map(|part| Some(text(part, 9))).collect(),
        records: vec![("a".into(), b"one".to_vec()), ("b".into(), b"two".to_vec())],
        workspaces: 1,
    };
    assert_eq!(read_all(folder.path()).unwrap(), contents);
    (folder, contents)
}

#[test]
fn a_flipped_bit_in_any_value_is_recovered_or_refused_by_name() {
    let (folder, contents) = full_store();
    let all: Vec<Vec<u8>> = tamper(folder.path(), |db| db.iter().keys().map(|key| key.unwrap().to_vec()).collect());
    let mut flips = 0;
    let mut refused = 0;
    for key in all {
        // Pieces of parts are alike; a few of their bits stand for all.
        let step = if key[0] == b's' { 40_000 } else { 131 };
        let bits = tamper(folder.path(), |db| db.get(&key).unwrap().unwrap().len() * 8);
        for bit in (flips % 7..bits).step_by(step) {
            let flip = |db: &sled::Db| {
                let mut value = db.get(&key).unwrap().unwrap().to_vec();
                value[bit / 8] ^= 1 << (bit % 8);
                db.insert(key.clone(), value).unwrap();
            };
            let harmed = tempfile::tempdir().unwrap();
            copy_folder(folder.path(), harmed.path());
            tamper(harmed.path(), flip);

            match read_all(harmed.path()) {
                Ok(found) => assert_eq!(found, contents, "bit {bit} of {key:?}"),
                Err(_) => refused += 1,
            }
            flips += 1;
        }
    }
    println!("{flips} flips, {refused} refused by name");
    assert!(flips > 100, "{flips}");
}

#[test]
fn a_lost_value_of_any_kind_is_recovered_or_refused_by_name() {
    let (folder, contents) = full_store();
    let all: Vec<Vec<u8>> = tamper(folder.path(), |db| db.iter().keys().map(|key| key.unwrap().to_vec()).collect());
    for key in all {
        let harmed = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), harmed.path());
        tamper(harmed.path(), |db| harm(db, &key, Harm::Delete));

        if let Ok(found) = read_all(harmed.path()) {
            assert_eq!(found, contents, "without {key:?}");
        }
    }
}

#[test]
fn a_flipped_bit_in_any_file_is_recovered_or_refused_by_name() {
    let (folder, contents) = full_store();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut refused = 0;
    for path in crate::support::files_below(folder.path()) {
        let bytes = fs::read(&path).unwrap();
        // The end of sled's file is padding.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let flips = if path.ends_with("db/db") { 60 } else { 8 };
        for _ in 0..flips.min(used) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let bit = (random % (used as u64 * 8)) as usize;
            let harmed = tempfile::tempdir().unwrap();
            copy_folder(folder.path(), harmed.path());
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(harmed.path().join(path.strip_prefix(folder.path()).unwrap()), flipped).unwrap();

            match read_all(harmed.path()) {
                Ok(found) => assert_eq!(found, contents, "bit {bit} of {}", path.display()),
                Err(_) => refused += 1,
            }
        }
    }
    println!("{refused} refused by name");
}

#[test]
fn an_interrupted_deletion_is_completed_and_told() {
    let folder = closed_store(4);
    let store = open(folder.path());
    let gone = store.create_workspace("gone").unwrap().no;
    append(&store, gone, 1..=4).unwrap();
    drop(store);
    let half_way = tempfile::tempdir().unwrap();
    let frames: Vec<_> = tamper(folder.path(), |db| db.scan_prefix("j").map(Result::unwrap).collect());
    let store = open(folder.path());
    store.delete_workspace(gone).unwrap();
    drop(store);
    copy_folder(folder.path(), half_way.path());
    tamper(half_way.path(), |db| {
        for (key, value) in frames.iter().filter(|(key, _)| key[4] == 2) {
            db.insert(key, value).unwrap();
        }
        db.insert([b'd', 0, 0, 0, 2], vec![]).unwrap();
    });

    let (store, report) = try_open(half_way.path()).unwrap();

    assert!(report.notes[0].contains("deletion of workspace 2"), "{report:?}");
    assert_holds(&store, workspace(&store), 4);
    drop(store);
    tamper(half_way.path(), |db| assert_eq!(db.scan_prefix("j").count(), 4));
}
