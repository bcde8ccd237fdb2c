//! Kill, power cut, and the order of sync and acknowledgement as the kernel sees it.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use crate::support::{
    TestDisk, append, assert_holds, closed_store, copy_folder, frame, open, open_on, secret, try_open, wait, workspace,
};
use cmg_snapshots::{NewFrame, OpenError, Store, StoreOptions};

const FOLDER: &str = "CMG_TEST_CHILD_FOLDER";
const UNTIL: &str = "CMG_TEST_CHILD_UNTIL";

/// This test program again, as a child that only runs [`child_appends`].
fn child(before: &[&str], folder: &Path, until: u64) -> Command {
    let program = env::current_exe().unwrap();
    let mut words = before.iter().map(Into::into).chain([program.into_os_string()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["--exact", "crash::child_appends", "--ignored", "--nocapture"]);
    command.env(FOLDER, folder).env(UNTIL, until.to_string());
    command
}

/// Says on standard output what it does, one line per write call.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

#[test]
#[ignore = "runs in a child process of the other tests"]
fn child_appends() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let until: u64 = env::var(UNTIL).unwrap().parse().unwrap();
    let store = open(Path::new(&folder));
    let no = workspace(&store);
    let mut seq = store.workspaces()[0].head + 1;
    while seq <= until {
        let alone = seq.is_multiple_of(2);
        let count = if alone { 1 } else { 3 };
        say(&format!("APPEND {seq}"));
        let tickets: Vec<_> =
            (seq..seq + count).map(|seq| (seq, store.append(no, vec![frame(seq)]).unwrap())).collect();
        for (seq, ticket) in tickets {
            wait(ticket).unwrap();
            say(&format!("ACK {seq}"));
        }
        seq += count;
    }
}

#[test]
fn kill_9_loses_nothing_acknowledged_and_doubles_nothing() {
    let folder = closed_store(0);
    let mut before = 0;
    for cycle in 0..25_u64 {
        let mut process = child(&[], folder.path(), u64::MAX).stdout(Stdio::piped()).spawn().unwrap();
        let acks_wanted = 1 + (cycle * 7) % 23;
        let mut acknowledged = before;
        let mut acks = 0;
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        for line in lines.by_ref() {
            if let Some((_, seq)) = line.split_once("ACK ") {
                acknowledged = seq.parse().unwrap();
                acks += 1;
                if acks == acks_wanted {
                    break;
                }
            }
        }
        process.kill().unwrap();
        process.wait().unwrap();
        for line in lines {
            if let Some(seq) = line.split_once("ACK ").and_then(|(_, seq)| seq.parse().ok()) {
                acknowledged = seq;
            }
        }

        let store = open(folder.path());

        let head = store.workspaces()[0].head;
        assert!(head >= acknowledged, "cycle {cycle}: {acknowledged} acknowledged, {head} found");
        assert_holds(&store, workspace(&store), head);
        assert!(head > before, "cycle {cycle} has done something");
        before = head;
    }
}

#[test]
fn the_database_file_is_synced_between_append_and_acknowledgement() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("SKIPPED: strace is not installed, so nobody has watched the syncs");
        return;
    }
    let folder = closed_store(0);
    let log = folder.path().join("strace.log");
    let trace = ["strace", "-f", "-y", "-s", "64", "-e", "trace=fdatasync,fsync,write", "-o", log.to_str().unwrap()];

    let status = child(&trace, folder.path(), 20).stdout(Stdio::null()).status().unwrap();

    assert!(status.success(), "the traced child ran");
    let mut synced = false;
    let mut pending: Vec<String> = Vec::new();
    let mut checked = 0;
    for line in fs::read_to_string(&log).unwrap().lines() {
        let process = line.split_whitespace().next().unwrap().to_owned();
        let of_database = line.contains("sync(") && line.contains("/db/db>");
        if line.contains("\"APPEND ") {
            synced = false;
        } else if of_database && line.contains("<unfinished") {
            pending.push(process);
        } else if of_database {
            synced |= line.ends_with("= 0");
        } else if line.contains("sync resumed") && pending.contains(&process) {
            pending.retain(|other| *other != process);
            synced |= line.ends_with("= 0");
        } else if line.contains("\"ACK ") {
            assert!(synced, "acknowledged before the sync: {line}");
            checked += 1;
        }
    }
    assert!(checked >= 20, "{checked} acknowledgements were watched");
}

/// Appends `last` frames one by one, and copies the folder at each sync: copy `n - 1` is what a
/// power cut right after the sync of frame `n` leaves at least.
fn copies_at_each_sync(last: u64, copies: &Path) -> (tempfile::TempDir, Vec<u64>) {
    let disk = TestDisk::new();
    let folder = closed_store(0);
    let store = open_on(folder.path(), &disk);
    let no = workspace(&store);
    let synced = Arc::new(Mutex::new(Vec::new()));
    let (from, to, list) = (folder.path().to_path_buf(), copies.to_path_buf(), Arc::clone(&synced));
    *disk.after_sync.lock().unwrap() = Some(Box::new(move |count| {
        copy_folder(&from, &to.join(count.to_string()));
        list.lock().unwrap().push(count);
    }));
    for seq in 1..=last {
        append(&store, no, [seq]).unwrap();
    }
    *disk.after_sync.lock().unwrap() = None;
    drop(store);
    let synced = synced.lock().unwrap().clone();
    assert_eq!(synced.len() as u64, last, "one sync each");
    (folder, synced)
}

#[test]
fn a_power_cut_right_after_the_sync_keeps_what_is_acknowledged() {
    let copies = tempfile::tempdir().unwrap();
    let (_folder, synced) = copies_at_each_sync(20, copies.path());

    for (seq, count) in (1..).zip(synced) {
        let store = open(&copies.path().join(count.to_string()));
        assert_holds(&store, workspace(&store), seq);
    }
}

#[test]
fn a_power_cut_in_the_next_write_keeps_what_was_acknowledged_before() {
    let copies = tempfile::tempdir().unwrap();
    let (_folder, synced) = copies_at_each_sync(20, copies.path());
    let database = |count: u64| copies.path().join(count.to_string()).join("db/db");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;

    for (seq, pair) in (1..).zip(synced.windows(2)) {
        let (now, next) = (pair[0], pair[1]);
        let mut bytes = fs::read(database(now)).unwrap();
        let later = fs::read(database(next)).unwrap();
        bytes.resize(later.len(), 0);
        // Some sectors of the write that was not synced have reached the disk, some have not.
        for (ours, theirs) in bytes.chunks_mut(512).zip(later.chunks(512)) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if random.is_multiple_of(2) {
                ours.copy_from_slice(theirs);
            }
        }
        let cut = copies.path().join("cut");
        copy_folder(&copies.path().join(now.to_string()), &cut);
        fs::write(cut.join("db/db"), &bytes).unwrap();

        let (store, _) = Store::open(&cut, &secret(), StoreOptions::default()).expect("opens after a power cut");

        let head = store.workspaces()[0].head;
        assert!((seq..=seq + 1).contains(&head), "{seq} acknowledged, {head} found");
        assert_holds(&store, workspace(&store), head);
        drop(store);
        fs::remove_dir_all(&cut).unwrap();
    }
}

/// The copies are taken while sled's own threads may be writing, so a few of them are torn in ways that no
/// power cut makes: those may be refused by name. What opens has everything.
#[test]
fn a_power_cut_while_sled_moves_old_data_loses_nothing_silently() {
    let disk = TestDisk::new();
    let folder = closed_store(0);
    let copies = tempfile::tempdir().unwrap();
    let store = open_on(folder.path(), &disk);
    let no = workspace(&store);
    let noise = |seq: u64, bytes: usize| {
        let mut noise = vec![0; bytes];
        blake3::Hasher::new().update(&seq.to_be_bytes()).finalize_xof().fill(&mut noise);
        noise
    };
    let synced = Arc::new(Mutex::new(Vec::new()));
    let mut last = 0;
    for cycle in 0..8 {
        if cycle == 6 {
            // By now sled writes into room that older snapshots and frames have left.
            let (from, to, list) = (folder.path().to_path_buf(), copies.path().to_path_buf(), Arc::clone(&synced));
            *disk.after_sync.lock().unwrap() = Some(Box::new(move |count| {
                copy_folder(&from, &to.join(count.to_string()));
                list.lock().unwrap().push(count);
            }));
        }
        for _ in 0..8 {
            let next = |seq| NewFrame { seq, thread_no: 1, payload: noise(seq, 3000) };
            wait(store.append(no, (last + 1..=last + 8).map(next).collect()).unwrap()).unwrap();
            last += 8;
        }
        let mut writer = store.begin_snapshot(no, last).unwrap();
        writer.put(1, last, &noise(last, 600_000)).unwrap();
        writer.finish().unwrap();
    }
    *disk.after_sync.lock().unwrap() = None;
    drop(store);
    let synced = synced.lock().unwrap().clone();
    assert!(synced.len() > 16, "{} syncs", synced.len());
    let database = |count: u64| copies.path().join(count.to_string()).join("db/db");
    let mut random = 0x1234_5678_9abc_def1_u64;
    let (mut before, mut refused) = (0, 0);

    for pair in synced.windows(2) {
        let mut bytes = fs::read(database(pair[0])).unwrap();
        let later = fs::read(database(pair[1])).unwrap();
        bytes.resize(bytes.len().max(later.len()), 0);
        for (ours, theirs) in bytes.chunks_mut(512).zip(later.chunks(512)) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if random.is_multiple_of(2) {
                ours.copy_from_slice(theirs);
            }
        }
        let cut = copies.path().join("cut");
        copy_folder(&copies.path().join(pair[0].to_string()), &cut);
        fs::write(cut.join("db/db"), &bytes).unwrap();

        match try_open(&cut) {
            Ok((store, _)) => {
                let head = store.workspaces()[0].head;
                assert!(head >= before, "frames went missing: {head} after {before}");
                before = head;
                let report = store.verify(no).unwrap();
                assert!(report.is_whole(), "cut after sync {}: {report:?}", pair[0]);
            }
            Err(OpenError::Damaged { .. }) => refused += 1,
            Err(error) => panic!("cut after sync {}: {error}", pair[0]),
        }
        fs::remove_dir_all(&cut).unwrap();
    }
    assert!(refused * 5 <= synced.len(), "{refused} of {} cuts were refused", synced.len());
}

#[test]
fn a_crash_while_the_store_is_created_leaves_a_folder_that_opens() {
    let disk = TestDisk::new();
    let folder = tempfile::tempdir().unwrap();
    let whole = tempfile::tempdir().unwrap();
    drop(open_on(whole.path(), &disk));
    // The key file is written first; everything else may be missing.
    fs::copy(whole.path().join("keys"), folder.path().join("keys")).unwrap();

    let (store, report) = try_open(folder.path()).unwrap();

    assert_eq!(report.notes, [""; 0]);
    append(&store, workspace(&store), [1]).unwrap();
}
