//! Makes `memory/model/o200k.bin` (the ranks of o200k_base's tokens by the hash of their bytes) and
//! `memory/tests/fixtures/o200k-counts.ndjson` (texts and their counts by the reference implementation).
//!
//! ```sh
//! cargo run --release --manifest-path tools/tokenizer/Cargo.toml -- memory <file with texts, one a line …>
//! ```

use std::collections::BTreeSet;
use std::io::Write;

/// Slots of the table: a power of two, some three quarters of them full.
const SLOTS: usize = 1 << 18;

/// FNV-1a, 64 bits; 0 stands for an empty slot.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let memory = std::path::PathBuf::from(arguments.next().expect("the folder of the crate cmg-memory"));
    let tokenizer = bpe_openai::o200k_base();
    let count = u32::try_from(tokenizer.bpe.num_tokens()).unwrap();
    let mut table = vec![(0_u64, 0_u32); SLOTS];
    let mut seen = BTreeSet::new();
    let mut longest = 0;
    for rank in 0..count {
        let bytes = tokenizer.bpe.token_bytes(rank);
        let key = hash(bytes);
        assert!(key != 0 && seen.insert(key), "two tokens have one hash: take another one");
        longest = longest.max(bytes.len());
        let mut at = key as usize % SLOTS;
        while table[at].0 != 0 {
            at = (at + 1) % SLOTS;
        }
        table[at] = (key, rank);
    }
    let mut bytes = Vec::with_capacity(SLOTS * 12);
    for (key, rank) in table {
        bytes.extend_from_slice(&key.to_le_bytes());
        bytes.extend_from_slice(&rank.to_le_bytes());
    }
    std::fs::write(memory.join("model/o200k.bin"), &bytes).unwrap();
    println!("{count} tokens, the longest has {longest} bytes; {} bytes written", bytes.len());

    std::fs::create_dir_all(memory.join("tests/fixtures")).unwrap();
    let mut fixture = std::fs::File::create(memory.join("tests/fixtures/o200k-counts.ndjson")).unwrap();
    let mut texts = made_up();
    for file in arguments {
        let lines = std::fs::read_to_string(file).unwrap();
        texts.extend(lines.lines().map(|line| line.replace("\\n", "\n")));
    }
    for text in &texts {
        writeln!(fixture, "{}", serde_json::json!([text, tokenizer.count(text.as_str())])).unwrap();
    }
    println!("{} texts counted", texts.len());
}

/// Texts that try the rules: words in many scripts, numbers, spaces, line ends, contractions, long runs.
fn made_up() -> Vec<String> {
    let words = [
        "hello", "World", "HELLO", "don't", "WE'LL", "I'm", "naïve", "Straße", "ΑΒΓαβγ", "Привет", "مرحبا", "שלום", "こんにちは",
        "汉字", "한국어", "नमस्ते", "ไทย", "🦀🚀", "e\u{301}te", "Ǆ", "ʰa", "123", "1234567", "３４", "½", "x_y", "foo.bar()", "a/b/c\n",
        "--flag=1", "https://example.org/a?b=c#d", "{\"k\": [1, 2.5e-3]}", "#!/bin/sh", "'s", "''''", "...", "\u{0}", "\u{200b}",
        "\u{fffd}", "camelCaseWord", "SCREAMING_SNAKE", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "======", "\t\t", "\r\n", "\u{3000}", "\u{a0}",
    ];
    let gaps = ["", " ", "  ", "\n", "\n\n", " \n ", "\t", "\r\n", "   ", ", ", ". "];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut texts: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    for _ in 0..1500 {
        let mut text = String::new();
        for _ in 0..1 + next(14) {
            text.push_str(gaps[next(gaps.len())]);
            text.push_str(words[next(words.len())]);
        }
        if next(3) == 0 {
            text.push_str(gaps[next(gaps.len())]);
        }
        texts.push(text);
    }
    for run in ["a", "ab", " ", "\n", "é", "0", "=", "xyz ", "汉"] {
        texts.push(run.repeat(3000));
    }
    texts
}
