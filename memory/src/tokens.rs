//! Token counts by OpenAI's `o200k_base`, the measure of every budget.
//!
//! Counted once when text comes in; recall only adds numbers up. The table of ranks is compiled in and read where it
//! lies: 3 MB of the program's file, none of the heap. (A library's ready-made automata take 120 MB of memory for it:
//! `docs/decisions/0008-tokens-counted-by-a-table.md`.)
//!
//! # Promise
//!
//! The counts are the reference's (`tests/tokens.rs` compares), but for one word of more than 64 KiB
//! without a space, which is counted in parts.

use regex::Regex;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::LazyLock;

/// Hashes of tokens and their ranks, 12 bytes a slot, by open addressing; `tools/tokenizer` makes it.
static TABLE: &[u8] = include_bytes!("../model/o200k.bin");
const SLOT: usize = 12;
/// Bytes of the longest token.
const LONGEST_TOKEN: usize = 128;
/// Bytes of a piece that is merged as one: far more than any word, and few enough that merging stays quick.
const LONGEST_PIECE: usize = 1 << 16;

/// Where a text is cut before bytes are merged: `o200k_base`'s own pattern (from tiktoken), but for its look-ahead, which
/// [`pieces`] does.
static PIECE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = [
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+",
    ];
    Regex::new(&pattern.join("|")).ok()
});

/// The number of `o200k_base` tokens of `text`.
#[must_use]
pub fn count(text: &str) -> u32 {
    let all: usize = pieces(text).map(|piece| piece.chunks(LONGEST_PIECE).map(count_piece).sum::<usize>()).sum();
    u32::try_from(all).unwrap_or(u32::MAX)
}

/// The pieces of a text that tokens do not cross.
fn pieces(text: &str) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let found = PIECE.as_ref()?.find_at(text, at)?;
        let mut piece = found.as_str();
        // `\s+(?!\S)`: spaces before a word leave the last one to the word.
        let spaces = piece.chars().all(char::is_whitespace) && !piece.ends_with(['\r', '\n']);
        if spaces && found.end() < text.len() {
            let last = piece.char_indices().next_back().map_or(0, |(at, _)| at);
            piece = piece.get(..last).filter(|rest| !rest.is_empty()).unwrap_or(piece);
        }
        at = found.start() + piece.len();
        Some(piece.as_bytes())
    })
}

/// The rank of a token; `None` for bytes that are none.
fn rank(bytes: &[u8]) -> Option<u32> {
    if bytes.len() > LONGEST_TOKEN {
        return None;
    }
    let wanted = hash(bytes);
    let slots = TABLE.len() / SLOT;
    let mut at = usize::try_from(wanted % slots as u64).ok()?;
    loop {
        let slot = TABLE.get(at * SLOT..(at + 1) * SLOT)?;
        let (key, rank) = slot.split_at_checked(8)?;
        match u64::from_le_bytes(key.try_into().ok()?) {
            0 => return None,
            key if key == wanted => return Some(u32::from_le_bytes(rank.try_into().ok()?)),
            _ => at = (at + 1) % slots,
        }
    }
}

/// FNV-1a, 64 bits: no two of the tokens share one, and other bytes hit one once in 10¹³ times.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A part of a piece: the bytes from its place to the next part's.
#[derive(Clone, Copy)]
struct Part {
    before: usize,
    next: usize,
    gone: bool,
}

/// Tokens of a piece: the two neighbours whose union has the lowest rank are merged, the first ones first, until none is
/// left. A heap over pairs makes it n·log n, whatever the piece.
fn count_piece(piece: &[u8]) -> usize {
    if piece.len() < 2 || rank(piece).is_some() {
        return usize::from(!piece.is_empty());
    }
    let end = piece.len();
    let mut parts: Vec<Part> =
        (0..end).map(|at| Part { before: at.wrapping_sub(1), next: at + 1, gone: false }).collect();
    let pair = |parts: &[Part], at: usize| -> Option<(u32, usize, usize)> {
        let middle = parts.get(at)?.next;
        let until = parts.get(middle)?.next;
        Some((rank(piece.get(at..until)?)?, at, until))
    };
    let mut heap: BinaryHeap<Reverse<(u32, usize, usize)>> =
        (0..end).filter_map(|at| pair(&parts, at)).map(Reverse).collect();
    let mut count = end;
    while let Some(Reverse((_, at, until))) = heap.pop() {
        let Some(&Part { before, next: middle, gone: false }) = parts.get(at) else { continue };
        // A pair of earlier times: one of its parts was merged with another since.
        if parts.get(middle).is_none_or(|part| part.next != until) {
            continue;
        }
        if let Some(part) = parts.get_mut(middle) {
            part.gone = true;
        }
        if let Some(part) = parts.get_mut(at) {
            part.next = until;
        }
        if let Some(part) = parts.get_mut(until) {
            part.before = at;
        }
        count -= 1;
        heap.extend(pair(&parts, at).map(Reverse));
        heap.extend(pair(&parts, before).map(Reverse));
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_agree_with_known_encodings() {
        // Known values of o200k_base as OpenAI's tokenizer page shows them.
        assert_eq!(count(""), 0);
        assert_eq!(count("hello world"), 2);
        assert_eq!(count("tiktoken is great!"), 6);
    }

    #[test]
    fn pieces_are_the_whole_text() {
        for text in ["a  b", "  \n x", " ", "x \u{a0} y", "a\r\n  b   "] {
            let joined: Vec<u8> = pieces(text).flatten().copied().collect();
            assert_eq!(joined, text.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn a_word_of_a_megabyte_is_counted_at_once() {
        let tokens = count(&"a".repeat(1 << 20));

        assert!((100_000..300_000).contains(&tokens), "{tokens}");
    }
}
