//! Diffs of our own in the forms that git and diff write.

use super::*;

fn ids(draft: &Draft) -> Vec<String> {
    draft.artifacts.iter().map(ArtifactRef::id).collect()
}

const TWO_FILES: &str = "diff --git a/app/main.py b/app/main.py\nindex 1111111..2222222 100644\n--- a/app/main.py\n+++ b/app/main.py\n\
    @@ -1,3 +1,4 @@ class App:\n import os\n+import sys\n \n x = 1\n@@ -10,2 +11,1 @@ def run(self):\n-    old()\n     new()\n\
    diff --git a/b.txt b/b.txt\n--- a/b.txt\n+++ b/b.txt\n@@ -5 +5 @@\n-a\n+b\n\\ No newline at end of file\n";

#[test]
fn every_hunk_is_a_draft() {
    let drafts = parse_diff(TWO_FILES, None);

    assert_eq!(drafts.len(), 3);
    assert_eq!(drafts[0].text, "@@ -1,3 +1,4 @@ class App:\n import os\n+import sys\n \n x = 1");
    assert_eq!(drafts[0].title.as_deref(), Some("app/main.py @@ class App:"));
    assert_eq!(drafts[0].path.as_deref(), Some("app/main.py"));
    assert_eq!(ids(&drafts[0]), ["CODE:app/main.py#L1-L4"]);
    assert_eq!(ids(&drafts[1]), ["CODE:app/main.py#L11-L11"]);
    assert_eq!(drafts[2].text, "@@ -5 +5 @@\n-a\n+b\n\\ No newline at end of file");
    assert_eq!(ids(&drafts[2]), ["CODE:b.txt#L5-L5"]);
    assert_eq!(changed_lines(&drafts[1].text), (vec![], vec!["    old()"]));
    assert_eq!(changed_lines(&drafts[2].text), (vec!["b"], vec!["a"]));
}

#[test]
fn a_hunk_without_file_is_kept_without_path() {
    let drafts = parse_diff("@@ -1,5 +1,7 @@\n+from fastapi import Depends", None);
    let named = parse_diff("@@ -1,5 +1,7 @@\n+from fastapi import Depends", Some("app/main.py"));

    assert_eq!(drafts.len(), 1);
    assert_eq!((drafts[0].path.as_deref(), drafts[0].artifacts.len()), (None, 0));
    assert_eq!(drafts[0].text, "@@ -1,5 +1,7 @@\n+from fastapi import Depends");
    assert_eq!(ids(&named[0]), ["CODE:app/main.py#L1-L7"]);
}

#[test]
fn new_deleted_renamed_and_binary_files_are_known() {
    let text = "diff --git a/n.txt b/n.txt\nnew file mode 100644\nindex 0000000..1111111\n--- /dev/null\n+++ b/n.txt\n@@ -0,0 +1,2 @@\n+a\n+b\n\
        diff --git a/d.txt b/d.txt\ndeleted file mode 100644\n--- a/d.txt\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n\
        diff --git a/old name.txt b/new name.txt\nsimilarity index 100%\nrename from old name.txt\nrename to new name.txt\n\
        diff --git a/x.png b/x.png\nindex 1..2 100644\nBinary files a/x.png and b/x.png differ\n\
        diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n\
        diff --git \"a/\\303\\274.txt\" \"b/\\303\\274.txt\"\n--- \"a/\\303\\274.txt\"\n+++ \"b/\\303\\274.txt\"\n@@ -1 +1 @@\n-a\n+b\n";

    let drafts = parse_diff(text, None);

    let seen: Vec<_> = drafts
        .iter()
        .map(|draft| (draft.path.as_deref().unwrap(), draft.metadata.get("change").and_then(Value::as_str)))
        .collect();
    assert_eq!(
        seen,
        [
            ("n.txt", Some("added")),
            ("d.txt", Some("deleted")),
            ("new name.txt", Some("renamed")),
            ("x.png", Some("binary")),
            ("run.sh", Some("mode")),
            ("ü.txt", None),
        ]
    );
    assert_eq!(ids(&drafts[1]), ["CODE:d.txt#L1-L2"], "a deleted file is named by its old lines");
    assert_eq!(drafts[2].title.as_deref(), Some("old name.txt → new name.txt"));
    assert_eq!(drafts[2].metadata["old_path"], "old name.txt");
    assert!(drafts[3].text.ends_with("differ"));
}

#[test]
fn commits_lend_their_id_date_and_message() {
    let log = format!(
        "commit 1190afd14f3f9a1c\nAuthor: Ann Lee <ann@example.org>\nDate:   Mon Jan 20 10:30:00 2025 +0100\n\n    Use JWT\n\n    Because sessions\n    do not scale.\n\n{TWO_FILES}\ncommit 2290afd14f3f9a1c\nDate:   2025-01-21T10:00:00Z\n\n    Empty\n"
    );
    let patch = format!(
        "From 1190afd14f3f9a1c Mon Sep 17 00:00:00 2001\nFrom: Ann Lee <ann@example.org>\nDate: Mon, 20 Jan 2025 10:30:00 +0100\nSubject: [PATCH 1/2] Use JWT\n\nBecause.\n---\n b.txt | 2 +-\n\n{TWO_FILES}-- \n2.40.0\n"
    );

    for (text, count) in [(log, 4), (patch, 3)] {
        let drafts = parse_diff(&text, None);

        assert_eq!(drafts.len(), count, "{drafts:#?}");
        for draft in &drafts[..3] {
            assert_eq!(draft.session.as_deref(), Some("1190afd14f3f9a1c"));
            assert_eq!(draft.observed_at.unwrap().to_rfc3339(), "2025-01-20T09:30:00Z");
        }
        assert_eq!(drafts[0].title.as_deref(), Some("app/main.py @@ class App:\nUse JWT"));
        assert!(drafts[0].metadata["commit_message"].as_str().unwrap().contains("Because"));
        assert!(!drafts[1].metadata.contains_key("commit_message"), "once is enough");
        assert!(drafts[2].text.ends_with("\\ No newline at end of file"), "{}", drafts[2].text);
    }
}

#[test]
fn removed_and_added_lines_that_look_like_headers_stay_inside() {
    let text = "--- a/q.sql\n+++ b/q.sql\n@@ -1,2 +1,2 @@\n--- old comment\n+++ new\n x\n--- a/z\n+++ b/z\n@@ -1 +1 @@\n-1\n+2\n";

    let drafts = parse_diff(text, None);

    assert_eq!(drafts.len(), 2, "{drafts:#?}");
    assert_eq!(drafts[0].text, "@@ -1,2 +1,2 @@\n--- old comment\n+++ new\n x");
    assert_eq!(drafts[1].path.as_deref(), Some("z"));
}

#[test]
fn combined_diffs_and_carriage_returns_are_read() {
    let combined =
        "diff --cc a.rs\nindex 1,2..3\n--- a/a.rs\n+++ b/a.rs\n@@@ -1,2 -1,2 +1,3 @@@ fn main\n  x\n +y\n++z\n";
    let windows = "--- a/a.rs\r\n+++ b/a.rs\r\n@@ -1 +1 @@\r\n-a\r\n+b\r\n";

    let drafts = parse_diff(combined, None);
    let crlf = parse_diff(windows, None);

    assert_eq!(ids(&drafts[0]), ["CODE:a.rs#L1-L3"]);
    assert_eq!(changed_lines(&drafts[0].text), (vec!["y", "z"], vec![]));
    assert_eq!(crlf.len(), 1);
    assert_eq!(crlf[0].path.as_deref(), Some("a.rs"));
    assert_eq!(crlf[0].text, "@@ -1 +1 @@\r\n-a\r\n+b");
}

#[test]
fn text_that_is_no_diff_is_kept_verbatim() {
    for text in ["just words", "@@ nonsense @@\n+x", "a\nb\n\nc", "+ lonely"] {
        let drafts = parse_diff(text, None);

        assert_eq!(drafts.len(), 1, "{text}");
        assert_eq!(drafts[0].text, text);
        assert_eq!(drafts[0].kind, Kind::Diff);
    }
    assert!(parse_diff(" \n", None).is_empty());
}

#[test]
fn the_same_lines_have_the_same_hash_wherever_they_stand() {
    let first = parse_diff("--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n a\n+b\n", None);
    let later = parse_diff("--- a/x\n+++ b/x\n@@ -7,3 +7,2 @@ f\n a\n-c\n b\n", None);

    assert_eq!(first[0].artifacts[0].content_hash, later[0].artifacts[0].content_hash);
}

proptest::proptest! {
    #[test]
    fn no_changed_line_is_lost(
        text in "(@@ -1,2 \\+1,3 @@ f\n|@@@ -1 -1 \\+1 @@@\n|diff --git a/x b/x\n|--- a/x\n|\\+\\+\\+ b/x\n|\\+[a-z]{1,5}\n|-[a-z]{1,5}\n| [a-z]{1,5}\n|\n|[a-z]{1,5}\n|rename to q\n|commit 1234567\n|---\n|-- \n){0,30}"
    ) {
        let drafts = parse_diff(&text, None);
        let kept: Vec<&str> = drafts.iter().flat_map(|draft| draft.text.lines().chain(
            draft.metadata.get("commit_message").and_then(Value::as_str).unwrap_or_default().lines())).collect();
        for line in text.lines().filter(|line| line.len() > 1 && (line.starts_with('+') || line.starts_with('-')) && !line.starts_with("--") && !line.starts_with("++")) {
            proptest::prop_assert!(kept.contains(&line), "{:?} in {:?}", line, drafts);
        }
    }
}
