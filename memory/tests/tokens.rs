//! Our counts against those of the reference implementation, over texts of many kinds.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[test]
fn every_count_is_the_references() {
    let lines = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/o200k-counts.ndjson"));
    let mut wrong = Vec::new();
    for line in lines.unwrap().lines() {
        let (text, expected): (String, u32) = serde_json::from_str(line).unwrap();
        let found = cmg_memory::tokens::count(&text);
        if found != expected {
            wrong.push(format!("{found} for {expected}: {:?}", text.chars().take(80).collect::<String>()));
        }
    }
    assert!(wrong.is_empty(), "{} counts differ, such as\n{}", wrong.len(), wrong[..wrong.len().min(10)].join("\n"));
}
