//! The next in turn; one that is new is passed over now and then.

use fastrand::Rng;

use super::Candidate;

pub(super) fn choose(candidates: &[Candidate], rng: &mut Rng) -> Option<usize> {
    let warm = candidates
        .iter()
        .position(|candidate| rng.f64() < candidate.warmth);
    warm.or((!candidates.is_empty()).then_some(0))
}
