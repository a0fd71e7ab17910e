//! The cheaper of two at random: nearly as even as the least of all, and no herd runs to it.

use super::{Candidate, least};

pub(super) fn choose(candidates: &[Candidate]) -> Option<usize> {
    least(candidates, Candidate::cost)
}
