//! Cuts text into BERT's uncased word pieces, as the Hugging Face `tokenizers` library does.
//!
//! Cleaning (control characters dropped, Chinese characters set apart, accents stripped, lower
//! case), then words and punctuation, then the longest known piece first. A fixture of strings
//! holds it to that library piece by piece. One difference is meant: the names of BERT's special
//! tokens (`[SEP]`) inside a text are text.
//!
//! Not here: what a piece means (`static_model`), and any other tokenizer.

use std::hash::Hasher as _;

use rustc_hash::FxHasher;
use unicode_normalization::UnicodeNormalization as _;

use super::unicode::{ACCENTS, DROPPED, IDEOGRAPHS, PUNCTUATION};

/// Words of more characters than this are unknown as a whole.
const LONGEST_WORD: usize = 100;

/// What a piece inside a word is written with in the vocabulary.
const INSIDE: &str = "##";

/// The word pieces of a vocabulary, found by their bytes.
///
/// A small open-addressing table over one string: a map of owned strings would cost several times
/// the memory and a jump to the heap per look-up.
#[derive(Debug)]
pub(super) struct WordPieces {
    /// All pieces, one after another, without `##`.
    text: Box<str>,
    /// By piece id: where its text ends (it starts where the one before ends), and where it stands.
    pieces: Box<[Piece]>,
    /// Piece ids by hash, `EMPTY` where there is none. The length is a power of two.
    table: Box<[u32]>,
    /// The longest piece in bytes: longer candidates need no look-up.
    longest: usize,
}

#[derive(Debug)]
struct Piece {
    start: u32,
    end: u32,
    place: Place,
}

/// Where in a word a piece may stand.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Start,
    Inside,
}

const EMPTY: u32 = u32::MAX;

impl WordPieces {
    /// A vocabulary of one piece per line; a piece's id is its line, from 0. Of pieces that occur
    /// twice, the first counts. `None` when there are too many lines or bytes for 32 bits.
    pub(super) fn from_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut text = String::new();
        let mut pieces = Vec::new();
        let mut longest = 0;
        for line in lines {
            let (place, piece) = match line.strip_prefix(INSIDE) {
                // "##" alone would be an empty piece that matches for ever.
                Some(piece) if !piece.is_empty() => (Place::Inside, piece),
                _ => (Place::Start, line),
            };
            longest = longest.max(piece.len());
            let start = u32::try_from(text.len()).ok()?;
            text.push_str(piece);
            let end = u32::try_from(text.len()).ok()?;
            pieces.push(Piece { start, end, place });
        }
        let count = u32::try_from(pieces.len()).ok().filter(|count| *count < EMPTY)?;
        let slots = pieces.len().checked_mul(2)?.checked_next_power_of_two()?;
        let mut made = Self { text: text.into(), pieces: pieces.into(), table: vec![EMPTY; slots].into(), longest };
        for id in 0..count {
            made.insert(id);
        }
        Some(made)
    }

    fn insert(&mut self, id: u32) {
        let Some((piece, place)) = self.piece(id) else { return };
        if piece.is_empty() || self.find(piece, place).is_some() {
            return;
        }
        let mask = self.table.len() - 1;
        let mut slot = hash(piece, place) & mask;
        while let Some(taken) = self.table.get_mut(slot) {
            if *taken == EMPTY {
                *taken = id;
                return;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn piece(&self, id: u32) -> Option<(&[u8], Place)> {
        let piece = self.pieces.get(id as usize)?;
        let bytes = self.text.as_bytes().get(piece.start as usize..piece.end as usize)?;
        Some((bytes, piece.place))
    }

    /// The id of the piece with exactly these bytes. Ends at an empty slot: half of them are.
    fn find(&self, bytes: &[u8], place: Place) -> Option<u32> {
        let mask = self.table.len() - 1;
        let mut slot = hash(bytes, place) & mask;
        loop {
            let id = *self.table.get(slot)?;
            if self.piece(id)? == (bytes, place) {
                return Some(id);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Calls `visit` with the id of every piece of `text` in order, `None` for an unknown word.
    pub(super) fn visit(&self, text: &str, mut visit: impl FnMut(Option<u32>)) {
        let mut cutter = Cutter { pieces: self, word: String::new(), ids: Vec::new(), visit: &mut visit };
        // These four end a word in any case, so what lies between may be cleaned on its own:
        // nearly always plain ASCII, which needs no tables.
        for part in text.split([' ', '\n', '\t', '\r']) {
            if part.is_ascii() {
                part.bytes().for_each(|byte| cutter.ascii(byte));
            } else {
                cutter.unicode(part);
            }
            cutter.end_word();
        }
    }
}

fn hash(bytes: &[u8], place: Place) -> usize {
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.write_u8(place as u8);
    hasher.finish() as usize
}

/// Gathers cleaned characters into words, and cuts each word into pieces. Its buffers are reused.
struct Cutter<'a, V> {
    pieces: &'a WordPieces,
    word: String,
    ids: Vec<u32>,
    visit: &'a mut V,
}

impl<V: FnMut(Option<u32>)> Cutter<'_, V> {
    fn ascii(&mut self, byte: u8) {
        let character = char::from(byte);
        if character.is_ascii_punctuation() {
            self.alone(character);
        } else if !character.is_ascii_control() {
            self.word.push(character.to_ascii_lowercase());
        }
    }

    fn unicode(&mut self, part: &str) {
        let spaced = part.chars().filter(|c| !within(DROPPED, *c)).flat_map(set_apart);
        for character in spaced.nfd().filter(|c| !within(ACCENTS, *c)) {
            for lower in character.to_lowercase() {
                if lower.is_whitespace() {
                    self.end_word();
                } else if within(PUNCTUATION, lower) {
                    self.alone(lower);
                } else {
                    self.word.push(lower);
                }
            }
        }
    }

    /// Punctuation: a word of its own.
    fn alone(&mut self, character: char) {
        self.end_word();
        self.word.push(character);
        self.end_word();
    }

    /// Cuts the word gathered so far; an unknown remainder makes the whole word unknown.
    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        self.ids.clear();
        if self.cut() {
            self.ids.iter().for_each(|id| (self.visit)(Some(*id)));
        } else {
            (self.visit)(None);
        }
        self.word.clear();
    }

    /// Fills `ids` with the word's pieces, longest first; false when some of it is unknown.
    fn cut(&mut self) -> bool {
        if self.word.len() > LONGEST_WORD && self.word.chars().count() > LONGEST_WORD {
            return false;
        }
        let mut rest = self.word.as_str();
        let mut place = Place::Start;
        while !rest.is_empty() {
            let Some((id, length)) = self.longest_piece(rest, place) else { return false };
            self.ids.push(id);
            rest = rest.get(length..).unwrap_or("");
            place = Place::Inside;
        }
        true
    }

    /// The longest piece that `rest` begins with, and its length in bytes.
    fn longest_piece(&self, rest: &str, place: Place) -> Option<(u32, usize)> {
        let mut length = rest.len().min(self.pieces.longest);
        while length > 0 {
            if let Some(candidate) = rest.get(..length)
                && let Some(id) = self.pieces.find(candidate.as_bytes(), place)
            {
                return Some((id, length));
            }
            length -= 1;
        }
        None
    }
}

/// The character, with a space on either side when it is a Chinese one.
fn set_apart(character: char) -> impl Iterator<Item = char> {
    let space = within(IDEOGRAPHS, character).then_some(' ');
    space.into_iter().chain([character]).chain(space)
}

/// Whether sorted, disjoint ranges hold the character.
fn within(ranges: &[(u32, u32)], character: char) -> bool {
    let code = u32::from(character);
    ranges
        .binary_search_by(|(first, last)| {
            if *last < code {
                std::cmp::Ordering::Less
            } else if *first > code {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        })
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces_of(vocabulary: &[&str], text: &str) -> Vec<Option<u32>> {
        let pieces = WordPieces::from_lines(vocabulary.iter().copied()).unwrap();
        let mut out = Vec::new();
        pieces.visit(text, |id| out.push(id));
        out
    }

    #[derive(serde::Deserialize)]
    struct Case {
        text: String,
        pieces: Vec<String>,
    }

    #[test]
    fn cuts_every_fixture_string_as_the_reference_tokenizer_does() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("fixtures/wordpiece.json")).unwrap();
        assert!(cases.len() > 300);
        let bytes = include_bytes!("../../model/static-minilm-256.bin");
        let vocabulary = super::super::static_model::vocabulary_of(bytes).unwrap();
        let pieces = WordPieces::from_lines(vocabulary.iter().copied()).unwrap();
        for case in cases {
            let mut ours = Vec::new();
            pieces.visit(&case.text, |id| ours.push(id.map_or("[UNK]", |id| vocabulary[id as usize])));
            assert_eq!(ours, case.pieces, "{:?}", case.text);
        }
    }

    #[test]
    fn the_longest_known_piece_comes_first() {
        assert_eq!(pieces_of(&["un", "unaff", "##able", "##ff", "##a"], "unaffable"), [Some(1), Some(2)]);
    }

    #[test]
    fn a_word_with_an_unknown_remainder_is_unknown_as_a_whole() {
        assert_eq!(pieces_of(&["dog", "##s"], "dogs dogx dog"), [Some(0), Some(1), None, Some(0)]);
    }

    #[test]
    fn a_piece_inside_a_word_does_not_start_one() {
        assert_eq!(pieces_of(&["##s", "s"], "s"), [Some(1)]);
        assert_eq!(pieces_of(&["##s"], "s"), [None]);
    }

    #[test]
    fn the_first_of_two_equal_lines_counts() {
        assert_eq!(pieces_of(&["a", "a"], "a"), [Some(0)]);
    }

    #[test]
    fn a_vocabulary_without_pieces_knows_nothing_and_ends() {
        assert_eq!(pieces_of(&[], "a word"), [None, None]);
        assert_eq!(pieces_of(&["", "##"], "a ##"), [None, None, None]);
    }

    #[test]
    fn special_names_inside_a_text_are_text() {
        assert_eq!(pieces_of(&["[SEP]", "[", "]", "sep"], "[SEP]"), [Some(1), Some(3), Some(2)]);
    }

    #[test]
    fn the_tables_are_sorted_so_that_they_can_be_searched() {
        for table in [DROPPED, ACCENTS, PUNCTUATION, IDEOGRAPHS] {
            assert!(table.iter().all(|(first, last)| first <= last));
            assert!(table.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
