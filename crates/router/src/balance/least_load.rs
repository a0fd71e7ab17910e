//! The one with least to do.

use super::{Candidate, least};

pub(super) fn choose(candidates: &[Candidate]) -> Option<usize> {
    least(candidates, |candidate| candidate.load)
}
