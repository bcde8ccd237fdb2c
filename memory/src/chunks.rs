//! A vector in shared chunks: cheap to clone, cheap to append to, never changed under a reader.
//!
//! The writer keeps one copy and publishes clones. Appending to, or changing, a chunk that a
//! reader still holds copies that chunk alone, so a publication costs a pointer for every
//! [`CHUNK`] elements and one chunk, whatever the length.

use std::sync::Arc;

/// Elements in a full chunk.
pub const CHUNK: usize = 256;

/// A grow-only vector whose clones share their chunks.
#[derive(Debug)]
pub struct ChunkVec<T> {
    chunks: Vec<Arc<Vec<T>>>,
    len: usize,
}

impl<T> Clone for ChunkVec<T> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone(), len: self.len }
    }
}

impl<T> Default for ChunkVec<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Clone> ChunkVec<T> {
    /// Appends one element.
    pub fn push(&mut self, value: T) {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::new(Vec::new()));
        }
        if let Some(last) = self.chunks.last_mut() {
            Arc::make_mut(last).push(value);
            self.len += 1;
        }
    }

    /// The element at `index`, to be changed in place for this copy alone.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        Arc::make_mut(self.chunks.get_mut(index / CHUNK)?).get_mut(index % CHUNK)
    }
}

impl<T> ChunkVec<T> {
    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    /// The last element.
    #[must_use]
    pub fn last(&self) -> Option<&T> {
        self.get(self.len.checked_sub(1)?)
    }

    /// All elements in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The chunks in order, as slices; all but the last have [`CHUNK`] elements.
    pub fn slices(&self) -> impl Iterator<Item = &[T]> + Clone {
        self.chunks.iter().map(|chunk| chunk.as_slice())
    }

    /// The number of leading elements for which `before` holds; the elements must be ordered so.
    pub fn partition_point(&self, mut before: impl FnMut(&T) -> bool) -> usize {
        let full = self.chunks.partition_point(|chunk| chunk.last().is_some_and(&mut before));
        let rest = self.chunks.get(full).map_or(0, |chunk| chunk.partition_point(before));
        full * CHUNK + rest
    }
}

impl<T: Clone> FromIterator<T> for ChunkVec<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut all = Self::default();
        values.into_iter().for_each(|value| all.push(value));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_does_not_see_what_comes_later() {
        let mut mine: ChunkVec<usize> = (0..300).collect();
        let theirs = mine.clone();

        mine.push(300);
        *mine.get_mut(299).unwrap() = 7;

        assert_eq!(theirs.len(), 300);
        assert_eq!(theirs.get(299), Some(&299));
        assert_eq!((mine.len(), mine.get(299), mine.get(300)), (301, Some(&7), Some(&300)));
        assert_eq!(mine.partition_point(|&value| value < 260), 260);
        assert_eq!(mine.slices().map(<[usize]>::len).collect::<Vec<_>>(), [256, 45]);
    }
}
