//! What holds for any input.

use cmg_snapshots::{Frame, NewFrame, fuzzing};
use proptest::{collection::vec, prelude::*};

use crate::support::{open, wait, workspace};

proptest! {
    #[test]
    fn arbitrary_bytes_are_never_a_frame_and_never_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(!fuzzing::decode_frame(&bytes));
    }

    #[test]
    fn arbitrary_bytes_with_a_right_checksum_never_panic(mut bytes in vec(any::<u8>(), 0..300)) {
        if let Some(version) = bytes.first_mut() {
            *version = 1;
        }
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
        let _ = fuzzing::decode_frame(&bytes);
    }

    #[test]
    fn arbitrary_bytes_are_no_manifest_or_key_file_and_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let mut versioned = vec![1];
        versioned.extend_from_slice(&bytes);
        let _ = fuzzing::decode_manifest(&versioned);
        prop_assert!(!fuzzing::decode_key_file(&bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_payloads_in_any_grouping_come_back(groups in vec(vec((any::<u32>(), vec(any::<u8>(), 0..9000)), 1..5), 1..6)) {
        let folder = tempfile::tempdir().unwrap();
        let mut expected = Vec::new();
        for group in groups {
            let store = open(folder.path());
            let no = workspace(&store);
            let mut frames = Vec::new();
            for (thread_no, payload) in group {
                let seq = expected.len() as u64 + 1;
                frames.push(NewFrame { seq, thread_no, payload: payload.clone() });
                expected.push(Frame { seq, thread_no, payload });
            }
            wait(store.append(no, frames).unwrap()).unwrap();
        }

        let store = open(folder.path());
        let found: Vec<Frame> = store.replay(workspace(&store), 0, None).unwrap().map(Result::unwrap).collect();

        prop_assert!(found == expected);
    }
}
