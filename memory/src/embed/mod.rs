//! Text to vectors: the [`Embedder`] contract, and the built-in model behind [`builtin`].
//!
//! The built-in model is static: one vector per word piece, summed. It runs in microseconds on any
//! CPU, needs no file and no network, and gives the same bits for the same text for ever.
//!
//! Not here: searching vectors, caching them, and models that run elsewhere (those implement
//! [`Embedder`] in their own place). Nothing in this module reads a file or a clock.

mod nothing;
mod static_model;
mod unicode;
mod wordpiece;

use std::sync::{Arc, LazyLock};

pub use nothing::Nothing;
pub use static_model::{ModelError, StaticModel};

/// Dimensions of every [`Embedding`].
pub const DIMS: usize = 256;

/// Turns text into a vector whose cosine means likeness.
///
/// Implementations are pure (the same text gives the same vector) and cheap to share.
pub trait Embedder: Send + Sync + std::fmt::Debug {
    /// The model's id, stored with every vector it made; vectors of different ids do not compare.
    fn id(&self) -> &str;

    /// The un-normalised vector of `text`; all zeros when the text has no known word piece.
    /// Always finite.
    fn embed(&self, text: &str) -> Embedding;
}

/// A text's vector, not normalised: the static model's vectors may be added to speak of texts
/// together, and are compared by [`Embedding::cosine`].
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding(pub [f32; DIMS]);

impl Embedding {
    /// The vector of a text that says nothing.
    pub const ZERO: Self = Self([0.0; DIMS]);

    /// The dot product with `other`.
    #[must_use]
    pub fn dot(&self, other: &Self) -> f32 {
        // Eight sums side by side: one sum alone would keep the CPU waiting for every addition.
        // The order is fixed, so the result is the same on every machine.
        let mut sums = [0.0_f32; 8];
        for (ours, theirs) in self.0.chunks_exact(8).zip(other.0.chunks_exact(8)) {
            for ((sum, a), b) in sums.iter_mut().zip(ours).zip(theirs) {
                *sum += a * b;
            }
        }
        sums.iter().sum()
    }

    /// The Euclidean length.
    #[must_use]
    pub fn norm(&self) -> f32 {
        self.dot(self).sqrt()
    }

    /// Likeness from -1 to 1; 0 when either vector is zero.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> f32 {
        let lengths = self.norm() * other.norm();
        if lengths > 0.0 { self.dot(other) / lengths } else { 0.0 }
    }
}

/// The model built into the program; parsed at the first call, then shared.
///
/// # Panics
/// Never in a sound build: the bytes are part of the program, and a test loads them.
#[must_use]
pub fn builtin() -> Arc<dyn Embedder> {
    static MODEL: LazyLock<Arc<StaticModel>> = LazyLock::new(|| {
        let bytes = include_bytes!("../../model/static-minilm-256.bin");
        match StaticModel::from_static(bytes) {
            Ok(model) => Arc::new(model),
            Err(error) => panic!("the model built into this program is broken: {error}"),
        }
    });
    MODEL.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_model_loads_and_knows_its_id() {
        assert_eq!(builtin().id(), "static-minilm-256");
    }

    #[test]
    fn a_changed_model_needs_a_new_id() {
        // Vectors are stored under the model's id: under one id they must never differ by a bit.
        let digest = builtin()
            .embed("Two words, 3 signs!")
            .0
            .iter()
            .fold(0_u32, |all, value| all.rotate_left(5) ^ value.to_bits());
        assert_eq!((builtin().id(), digest), ("static-minilm-256", 1692244229));
    }

    #[test]
    fn builtin_gives_one_shared_model() {
        assert!(Arc::ptr_eq(&builtin(), &builtin()));
    }

    #[test]
    fn likeness_follows_meaning_not_words() {
        let model = builtin();
        let asked = model.embed("What animal does she keep at home?");
        let told = model.embed("Maria: I adopted a puppy last week, he is so cute!");
        let other = model.embed("Maria: the quarterly tax report is due on Monday");
        assert!(asked.cosine(&told) > asked.cosine(&other) + 0.1);
    }

    #[test]
    fn a_text_is_like_itself_however_it_is_written() {
        let model = builtin();
        let (plain, loud) = (model.embed("café au lait"), model.embed("CAFE AU LAIT"));
        assert!((plain.cosine(&loud) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_text_without_known_pieces_gives_zero() {
        let model = builtin();
        for text in ["", " \n\t", "\u{200b}", "\u{fffd}"] {
            assert_eq!(model.embed(text), Embedding::ZERO, "{text:?}");
        }
    }

    #[test]
    fn the_sum_of_two_texts_vectors_is_the_vector_of_both() {
        let model = builtin();
        let (one, two) = (model.embed("a turn"), model.embed("and its answer"));
        let both = model.embed("a turn\nand its answer");
        for ((a, b), sum) in one.0.iter().zip(&two.0).zip(&both.0) {
            assert!((a + b - sum).abs() < 1e-4);
        }
    }

    #[test]
    fn a_huge_text_stays_finite() {
        let vector = builtin().embed(&"dog 狗 собака ".repeat(50_000));
        assert!(vector.0.iter().all(|value| value.is_finite()));
        assert!(vector.norm().is_finite());
    }

    #[test]
    fn likeness_to_nothing_is_zero() {
        assert_eq!(Embedding::ZERO.cosine(&builtin().embed("dog")), 0.0);
    }
}
