//! The static model: reads the model file's bytes, and sums rows of word pieces.
//!
//! The file, little endian: the magic `CMGEMB01`; a u32 length and a JSON header; a u32 length and
//! the vocabulary, one piece per line; one f32 scale per piece; one row of [`DIMS`] i8 per piece. A
//! row's value is i8 × scale; weighting by frequency is already in the rows. `tools/embedder`
//! makes such files.
//!
//! Not here: opening files (the caller passes bytes) and cutting text (`wordpiece`).

use std::borrow::Cow;

use super::wordpiece::WordPieces;
use super::{DIMS, Embedder, Embedding};

const MAGIC: &[u8; 8] = b"CMGEMB01";

/// Scales above this are refused: sums of rows then stay finite however long the text.
const LARGEST_SCALE: f32 = 1e6;

/// Why bytes are not a usable model.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// The first eight bytes are not a model file's.
    #[error("not a model file: it does not begin with CMGEMB01")]
    Magic,
    /// The bytes end inside the named part.
    #[error("the model file ends inside its {0}")]
    Truncated(&'static str),
    /// Bytes are left after the last row.
    #[error("the model file has {0} bytes after its last row")]
    Trailing(usize),
    /// The header is not the JSON object expected.
    #[error("the model file's header cannot be read: {0}")]
    Header(String),
    /// The model's vectors have another number of dimensions.
    #[error("the model has {0} dimensions, only {DIMS} can be used")]
    Dims(usize),
    /// The model tells upper from lower case, which the tokenizer does not.
    #[error("the model is cased, only lower-case models can be used")]
    Cased,
    /// The vocabulary is not UTF-8.
    #[error("the model file's vocabulary is not UTF-8")]
    VocabularyText,
    /// The vocabulary has another number of lines than the header says.
    #[error("the model file's vocabulary has {found} pieces, its header says {said}")]
    VocabularySize {
        /// Pieces the header announces.
        said: usize,
        /// Lines found.
        found: usize,
    },
    /// A row's scale is negative, not finite or absurdly large.
    #[error("the scale of row {0} in the model file is not a number from 0 to 1e6")]
    Scale(usize),
}

/// The parts of the header that matter here; others are for people.
#[derive(serde::Deserialize)]
struct Header {
    id: String,
    dims: usize,
    vocab: usize,
    lowercase: bool,
}

/// One vector per word piece; a text's vector is their sum.
///
/// Holds the model's rows as they are in the file (a byte a value) and about 1 MB of vocabulary.
pub struct StaticModel {
    id: String,
    pieces: WordPieces,
    scales: Box<[f32]>,
    rows: Cow<'static, [u8]>,
}

impl StaticModel {
    /// A model from a model file's bytes, which it copies.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        Self::from_parts(&Parts::read(bytes)?, |rows| Cow::Owned(rows.to_vec()))
    }

    /// The same from bytes that live as long as the program: the rows are used in place.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong with the bytes.
    pub fn from_static(bytes: &'static [u8]) -> Result<Self, ModelError> {
        Self::from_parts(&Parts::read(bytes)?, Cow::Borrowed)
    }

    fn from_parts<'a>(
        parts: &Parts<'a>,
        keep: impl FnOnce(&'a [u8]) -> Cow<'static, [u8]>,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            id: parts.header.id.clone(),
            pieces: WordPieces::from_lines(parts.vocabulary.iter().copied())
                .ok_or_else(|| ModelError::Header("too many word pieces".to_owned()))?,
            scales: scales(parts.scales)?,
            rows: keep(parts.rows),
        })
    }

    fn row(&self, piece: usize) -> Option<(f32, &[u8])> {
        let start = piece.checked_mul(DIMS)?;
        Some((*self.scales.get(piece)?, self.rows.get(start..start.checked_add(DIMS)?)?))
    }
}

impl Embedder for StaticModel {
    fn id(&self) -> &str {
        &self.id
    }

    fn embed(&self, text: &str) -> Embedding {
        let mut sum = Embedding::ZERO;
        self.pieces.visit(text, |piece| {
            if let Some((scale, row)) = piece.and_then(|piece| self.row(piece as usize)) {
                for (value, byte) in sum.0.iter_mut().zip(row) {
                    *value += scale * f32::from(byte.cast_signed());
                }
            }
        });
        sum
    }
}

impl std::fmt::Debug for StaticModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaticModel").field("id", &self.id).field("pieces", &self.scales.len()).finish_non_exhaustive()
    }
}

/// A model file taken apart; lengths agree with each other.
struct Parts<'a> {
    header: Header,
    vocabulary: Vec<&'a str>,
    scales: &'a [u8],
    rows: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ModelError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(ModelError::Magic)?;
        let header = sized(&mut rest, "header")?;
        let header: Header = serde_json::from_slice(header).map_err(|error| ModelError::Header(error.to_string()))?;
        if header.dims != DIMS {
            return Err(ModelError::Dims(header.dims));
        }
        if !header.lowercase {
            return Err(ModelError::Cased);
        }
        let words = sized(&mut rest, "vocabulary")?;
        let words = std::str::from_utf8(words).map_err(|_| ModelError::VocabularyText)?;
        // Not `lines()`: that would also take a carriage return off a piece.
        let vocabulary: Vec<&str> = words.split_terminator('\n').collect();
        if vocabulary.len() != header.vocab {
            return Err(ModelError::VocabularySize { said: header.vocab, found: vocabulary.len() });
        }
        // The header's count is now that of lines in memory, so these products stay far from the limit.
        let scales = take(&mut rest, header.vocab.saturating_mul(size_of::<f32>()), "scales")?;
        let rows = take(&mut rest, header.vocab.saturating_mul(DIMS), "rows")?;
        if !rest.is_empty() {
            return Err(ModelError::Trailing(rest.len()));
        }
        Ok(Self { header, vocabulary, scales, rows })
    }
}

/// Takes `length` bytes off the front.
fn take<'a>(rest: &mut &'a [u8], length: usize, part: &'static str) -> Result<&'a [u8], ModelError> {
    let (taken, left) = rest.split_at_checked(length).ok_or(ModelError::Truncated(part))?;
    *rest = left;
    Ok(taken)
}

/// Takes a part that its u32 length precedes.
fn sized<'a>(rest: &mut &'a [u8], part: &'static str) -> Result<&'a [u8], ModelError> {
    let (length, left) = rest.split_first_chunk::<4>().ok_or(ModelError::Truncated(part))?;
    *rest = left;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| ModelError::Truncated(part))?;
    take(rest, length, part)
}

fn scales(bytes: &[u8]) -> Result<Box<[f32]>, ModelError> {
    let (chunks, _) = bytes.as_chunks::<4>();
    let read = |(row, chunk): (usize, &[u8; 4])| {
        let scale = f32::from_le_bytes(*chunk);
        (0.0..=LARGEST_SCALE).contains(&scale).then_some(scale).ok_or(ModelError::Scale(row))
    };
    chunks.iter().enumerate().map(read).collect()
}

/// The vocabulary of a model file, for the tokenizer's tests.
#[cfg(test)]
pub(super) fn vocabulary_of(bytes: &[u8]) -> Result<Vec<&str>, ModelError> {
    Ok(Parts::read(bytes)?.vocabulary)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of the pieces given, with row `i` all `rows[i].1` and scale `rows[i].0`.
    fn file(header: &str, pieces: &str, rows: &[(f32, i8)]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for part in [header, pieces] {
            out.extend(u32::try_from(part.len()).unwrap().to_le_bytes());
            out.extend(part.as_bytes());
        }
        rows.iter().for_each(|(scale, _)| out.extend(scale.to_le_bytes()));
        rows.iter().for_each(|(_, value)| out.extend([value.cast_unsigned(); DIMS]));
        out
    }

    fn header(dims: usize, vocab: usize) -> String {
        format!(r#"{{"id": "tiny", "dims": {dims}, "vocab": {vocab}, "lowercase": true, "note": "ignored"}}"#)
    }

    fn tiny() -> Vec<u8> {
        file(&header(DIMS, 2), "dog\n##s\n", &[(0.5, 4), (0.25, -8)])
    }

    fn error_of(bytes: &[u8]) -> ModelError {
        StaticModel::from_bytes(bytes).unwrap_err()
    }

    #[test]
    fn a_text_is_the_sum_of_its_pieces_rows() {
        let model = StaticModel::from_bytes(&tiny()).unwrap();
        assert_eq!(model.id(), "tiny");
        assert_eq!(model.embed("Dog"), Embedding([2.0; DIMS]));
        assert_eq!(model.embed("dogs dog"), Embedding([2.0; DIMS]));
        assert_eq!(model.embed("cat"), Embedding::ZERO);
    }

    #[test]
    fn other_dimensions_are_refused_by_their_number() {
        let bytes = file(&header(128, 1), "a\n", &[(1.0, 1)]);
        assert_eq!(error_of(&bytes), ModelError::Dims(128));
        assert!(error_of(&bytes).to_string().contains("128"));
    }

    #[test]
    fn cased_models_are_refused() {
        let bytes = file(&header(DIMS, 1).replace("true", "false"), "a\n", &[(1.0, 1)]);
        assert_eq!(error_of(&bytes), ModelError::Cased);
    }

    #[test]
    fn every_truncation_is_an_error_and_no_panic() {
        let bytes = tiny();
        for end in 0..bytes.len() {
            assert!(StaticModel::from_bytes(&bytes[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn no_single_changed_byte_makes_it_panic() {
        let bytes = tiny();
        for at in 0..bytes.len() {
            for value in [0, 1, 0x0a, 0x7f, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = value;
                if let Ok(model) = StaticModel::from_bytes(&changed) {
                    assert!(model.embed("dogs and ## more").0.iter().all(|value| value.is_finite()));
                }
            }
        }
    }

    #[test]
    fn lengths_beyond_the_file_are_errors() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(u32::MAX.to_le_bytes());
        assert_eq!(error_of(&bytes), ModelError::Truncated("header"));
    }

    #[test]
    fn bytes_after_the_last_row_are_refused() {
        let mut bytes = tiny();
        bytes.push(0);
        assert_eq!(error_of(&bytes), ModelError::Trailing(1));
    }

    #[test]
    fn a_vocabulary_of_another_size_is_refused() {
        let bytes = file(&header(DIMS, 3), "a\nb\n", &[(1.0, 1); 3]);
        assert_eq!(error_of(&bytes), ModelError::VocabularySize { said: 3, found: 2 });
        let bytes = file(&header(DIMS, usize::MAX), "a\n", &[]);
        assert_eq!(error_of(&bytes), ModelError::VocabularySize { said: usize::MAX, found: 1 });
    }

    #[test]
    fn scales_that_are_not_sane_numbers_are_refused() {
        for scale in [f32::NAN, f32::INFINITY, -1.0, 1e30] {
            let bytes = file(&header(DIMS, 2), "a\nb\n", &[(1.0, 1), (scale, 1)]);
            assert_eq!(error_of(&bytes), ModelError::Scale(1));
        }
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(error_of(b""), ModelError::Magic);
        assert_eq!(error_of(b"CMGEMB02 and more"), ModelError::Magic);
        assert!(matches!(error_of(&file("{}", "", &[])), ModelError::Header(_)));
    }
}
