//! Int8 vectors, and the exact scan that compares a query with all of them.
//!
//! A vector is kept un-normalised (a bag of word pieces is a sum, so the vector of two passages
//! together is the sum of theirs), as one scale and 256 signed bytes.
//!
//! # Deliberately absent
//!
//! Which model made a vector, and what a likeness is worth: those are the thread's and the ranker's.

use crate::embed::{DIMS, Embedding};
use serde::{Deserialize, Serialize};

/// The bytes of a quantised vector.
pub type Row = [i8; DIMS];

/// A vector as it is stored: `value[i] = scale × row[i]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantised {
    /// The size of one step; 0 for the vector of a text without known words.
    pub scale: f32,
    /// [`DIMS`] bytes, or none at all for a zero vector.
    pub values: Vec<i8>,
}

impl Quantised {
    /// The nearest storable vector.
    #[must_use]
    pub fn of(embedding: &Embedding) -> Self {
        let largest = embedding.0.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        if largest <= 0.0 || !largest.is_finite() {
            return Self { scale: 0.0, values: Vec::new() };
        }
        let scale = largest / 127.0;
        #[expect(clippy::cast_possible_truncation, reason = "within ±127 by the choice of the scale")]
        let values = embedding.0.iter().map(|value| (value / scale).round() as i8).collect();
        Self { scale, values }
    }

    /// The bytes as a row; all zero where there is no vector.
    #[must_use]
    pub fn row(&self) -> Row {
        self.values.as_slice().try_into().unwrap_or([0; DIMS])
    }
}

/// The Euclidean length of a stored vector.
#[must_use]
pub fn norm(scale: f32, row: &Row) -> f32 {
    let squares: i32 = row.iter().map(|&value| i32::from(value) * i32::from(value)).sum();
    scale * to_f32(squares).sqrt()
}

/// The Euclidean length of the sum of two stored vectors.
#[must_use]
pub fn pair_norm(a: (f32, &Row), b: (f32, &Row)) -> f32 {
    let dot: i32 = a.1.iter().zip(b.1).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
    let (norm_a, norm_b) = (norm(a.0, a.1), norm(b.0, b.1));
    (norm_a * norm_a + norm_b * norm_b + 2.0 * a.0 * b.0 * to_f32(dot)).max(0.0).sqrt()
}

#[expect(clippy::cast_precision_loss, reason = "a rounding in the eighth digit of a likeness is noise")]
const fn to_f32(value: i32) -> f32 {
    value as f32
}

/// A query's direction, of length 1, ready to be compared.
#[derive(Debug, Clone)]
pub struct Direction {
    values: [i16; DIMS],
    scale: f32,
}

/// Steps of a query's values: 256 products of ±4,095 and ±127 stay below 2³¹.
const STEPS: f32 = 4095.0;

impl Direction {
    /// The direction of `embedding`; `None` when it points nowhere.
    #[must_use]
    pub fn of(embedding: &Embedding) -> Option<Self> {
        let length = embedding.0.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length <= 0.0 || !length.is_finite() {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "within ±STEPS, the vector has length 1")]
        let values = embedding.0.map(|value| (value / length * STEPS).round() as i16);
        Some(Self { values, scale: 1.0 / STEPS })
    }

    /// The direction of a stored vector; `None` when it points nowhere.
    #[must_use]
    pub fn of_row(row: &Row) -> Option<Self> {
        Self::of(&Embedding(row.map(f32::from)))
    }

    /// Its [`DIMS`] values, each within ±[`Direction::LENGTH`].
    #[must_use]
    pub fn values(&self) -> &[i16; DIMS] {
        &self.values
    }

    /// The Euclidean length of [`Direction::values`], but for their rounding.
    pub const LENGTH: f32 = STEPS;

    /// Appends to `out`, for every row, the dot product of its bytes with this direction; times the
    /// row's own scale that is `|v| · cos`.
    pub fn scan(&self, rows: &[Row], out: &mut Vec<f32>) {
        out.reserve(rows.len());
        dots(&self.values, rows, self.scale, out);
    }
}

/// The exact scan, with AVX2 where the processor has it: the same sums in the same order, so the
/// result does not depend on the machine. 4.4 ns a row against 36 without (256 bytes a row).
#[cfg(target_arch = "x86_64")]
fn dots(query: &[i16; DIMS], rows: &[Row], scale: f32, out: &mut Vec<f32>) {
    #[target_feature(enable = "avx2")]
    fn wide(query: &[i16; DIMS], rows: &[Row], scale: f32, out: &mut Vec<f32>) {
        out.extend(rows.iter().map(|row| scale * to_f32(dot(query, row))));
    }
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "the processor was asked the line before whether it has AVX2")]
        // SAFETY: `wide` needs AVX2 and nothing else, and the processor has it.
        unsafe {
            wide(query, rows, scale, out);
        }
    } else {
        out.extend(rows.iter().map(|row| scale * to_f32(dot(query, row))));
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn dots(query: &[i16; DIMS], rows: &[Row], scale: f32, out: &mut Vec<f32>) {
    out.extend(rows.iter().map(|row| scale * to_f32(dot(query, row))));
}

/// Sixteen sums side by side, so that the compiler uses whole vector registers.
#[inline(always)]
fn dot(query: &[i16; DIMS], row: &Row) -> i32 {
    let mut sums = [0_i32; 16];
    let (queries, _) = query.as_chunks::<16>();
    let (rows, _) = row.as_chunks::<16>();
    for (query, row) in queries.iter().zip(rows) {
        for ((sum, &query), &value) in sums.iter_mut().zip(query).zip(row) {
            *sum = sum.wrapping_add(i32::from(query) * i32::from(value));
        }
    }
    sums.iter().fold(0, |all, sum| all.wrapping_add(*sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedding(seed: u32) -> Embedding {
        let mut state = seed;
        Embedding(std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        }))
    }

    #[test]
    fn the_scan_agrees_with_the_cosine_of_the_originals() {
        let query = embedding(1);
        let direction = Direction::of(&query).unwrap();
        let length = |v: &Embedding| v.0.iter().map(|x| x * x).sum::<f32>().sqrt();
        for seed in 2..50 {
            let item = embedding(seed);
            let stored = Quantised::of(&item);
            let mut out = Vec::new();
            direction.scan(&[stored.row()], &mut out);
            let found = out[0] * stored.scale / norm(stored.scale, &stored.row());
            let exact = query.0.iter().zip(&item.0).map(|(a, b)| a * b).sum::<f32>() / length(&query) / length(&item);
            assert!((found - exact).abs() < 0.01, "{found} for {exact}");
        }
    }

    #[test]
    fn a_vector_that_points_nowhere_is_like_nothing() {
        let zero = Embedding([0.0; DIMS]);
        assert!(Direction::of(&zero).is_none());
        assert_eq!(norm(Quantised::of(&zero).scale, &Quantised::of(&zero).row()), 0.0);
    }

    #[test]
    fn a_pair_is_as_long_as_the_sum() {
        let (a, b) = (embedding(3), embedding(4));
        let sum = a.0.iter().zip(&b.0).map(|(a, b)| (a + b) * (a + b)).sum::<f32>().sqrt();
        let (a, b) = (Quantised::of(&a), Quantised::of(&b));
        let found = pair_norm((a.scale, &a.row()), (b.scale, &b.row()));
        assert!((found - sum).abs() / sum < 0.02, "{found} for {sum}");
    }
}
