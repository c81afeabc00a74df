//! Where an aggregate's history ends.

use crate::{Revision, Sequence};

/// How many earlier places a [`Head`] remembers, and a stored event names.
pub const MAX_PREVIOUS: usize = 32;

/// Where an aggregate's history ends: its revision and the journal places of its last events.
///
/// It is what an append is guarded by, and what a store needs to chain the next event to its
/// predecessors. A head comes out of a read or an append; only a store makes one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    revision: Revision,
    recent: Vec<Sequence>,
}

impl Head {
    /// The head of an aggregate without events.
    pub const EMPTY: Self = Self { revision: Revision::ZERO, recent: Vec::new() };

    /// A head at `revision` whose last events stand at `recent`, newest first. Only the first
    /// [`MAX_PREVIOUS`] are kept.
    #[must_use]
    pub fn new(revision: Revision, mut recent: Vec<Sequence>) -> Self {
        recent.truncate(MAX_PREVIOUS);
        Self { revision, recent }
    }

    /// How many events the aggregate has.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The journal place of its last event; 0 when it has none.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.recent.first().copied().unwrap_or(Sequence::ZERO)
    }

    /// The journal places of its last events, newest first, at most [`MAX_PREVIOUS`].
    #[must_use]
    pub fn recent(&self) -> &[Sequence] {
        &self.recent
    }

    /// The head after further events at these places, oldest first.
    #[must_use]
    pub fn after(&self, sequences: impl DoubleEndedIterator<Item = Sequence> + ExactSizeIterator) -> Self {
        let revision = self.revision.plus(sequences.len());
        let recent = sequences.rev().chain(self.recent.iter().copied()).take(MAX_PREVIOUS).collect();
        Self { revision, recent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_moves_on_and_remembers_a_bounded_past() {
        let head = Head::EMPTY.after([3, 4].into_iter().map(Sequence::new));
        assert_eq!((head.revision(), head.sequence()), (Revision::new(2), Sequence::new(4)));
        let later = head.after((100..140).map(Sequence::new).collect::<Vec<_>>().into_iter());
        assert_eq!(later.revision(), Revision::new(42));
        assert_eq!(later.recent().len(), MAX_PREVIOUS);
        assert_eq!(later.sequence(), Sequence::new(139));
        assert_eq!(later.recent().last(), Some(&Sequence::new(108)));
    }
}
