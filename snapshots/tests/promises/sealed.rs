//! Nothing readable on disk.

use std::fs;

use cmg_snapshots::NewFrame;

use crate::support::{files_below, open, secret, wait};

const PLANTED: &str = "tarantella-7f3a";

#[test]
fn no_text_name_or_key_is_readable_in_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let no = store.create_workspace(&format!("name {PLANTED}")).unwrap().no;
    let payload = format!("short {PLANTED}").into_bytes();
    let long = PLANTED.repeat(2000).into_bytes();
    let frames =
        vec![NewFrame { seq: 1, thread_no: 1, payload }, NewFrame { seq: 2, thread_no: 1, payload: long.clone() }];
    wait(store.append(no, frames).unwrap()).unwrap();
    let mut writer = store.begin_snapshot(no, 2).unwrap();
    writer.put(0, 2, PLANTED.as_bytes()).unwrap();
    writer.put(1, 2, &long).unwrap();
    writer.finish().unwrap();
    store.put_record(&format!("kind {PLANTED}"), &format!("id {PLANTED}"), PLANTED.as_bytes()).unwrap();
    drop(store);

    let files = files_below(folder.path());

    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        let bytes = fs::read(&path).unwrap();
        for word in [PLANTED.as_bytes(), crate::support::SECRET.as_bytes()] {
            let found = bytes.windows(word.len()).any(|window| window == word);
            assert!(!found, "readable in {}", path.display());
        }
    }
}

#[test]
fn equal_texts_give_unequal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let payload: Vec<u8> = blake3::hash(b"the same").as_bytes().repeat(4);
    for name in ["a", "b"] {
        let no = store.create_workspace(name).unwrap().no;
        let same = |seq| NewFrame { seq, thread_no: 1, payload: payload.clone() };
        wait(store.append(no, vec![same(1), same(2)]).unwrap()).unwrap();
    }
    drop(store);

    let values: Vec<Vec<u8>> = crate::support::tamper(folder.path(), |db| {
        db.scan_prefix("j").values().map(|value| value.unwrap().to_vec()).collect()
    });

    assert_eq!(values.len(), 4);
    for (place, one) in values.iter().enumerate() {
        for other in &values[place + 1..] {
            let equal = one.iter().zip(other).filter(|(a, b)| a == b).count();
            assert!(equal < 60, "{equal} of {} bytes are equal: more than header and chance", one.len());
        }
    }
}

#[test]
fn a_secret_is_not_printed() {
    assert_eq!(format!("{:?}", secret()), "Secret(***)");
}
