//! At random, in proportion to weights.

use fastrand::Rng;

use super::Candidate;

pub(super) fn choose(candidates: &[Candidate], rng: &mut Rng) -> Option<usize> {
    let sum: f64 = candidates.iter().map(|candidate| candidate.weight).sum();
    let mut left = rng.f64() * sum;
    let chosen = candidates.iter().position(|candidate| {
        left -= candidate.weight;
        left < 0.0
    });
    chosen.or(candidates.len().checked_sub(1))
}
