//! A worker that has seen the beginning of the prompt need not read it again; but a beginning
//! that everybody sends must not send everybody to one worker.

use super::{Candidate, power_of_two};

/// How much more a worker may have to do than the best of the others, in shares of its slots, if
/// it has seen the whole prompt.
const BOUND: f64 = 0.5;

/// The one that has seen most, of those without much more to do than the best of the others.
pub(super) fn choose(candidates: &[Candidate]) -> Option<usize> {
    let best = power_of_two::choose(candidates)?;
    let least = candidates.iter().map(|candidate| candidate.load);
    let least = least.fold(f64::INFINITY, f64::min);
    let near = |candidate: &Candidate| {
        candidate.seen > 0.0
            && !candidate.is_full()
            && candidate.load <= least + BOUND * candidate.seen
    };
    let seen = candidates.iter().enumerate();
    let seen = seen
        .filter(|(_, candidate)| near(candidate))
        .max_by(|(_, one), (_, other)| {
            let one_is_better = one.seen.total_cmp(&other.seen);
            one_is_better.then(other.cost().total_cmp(&one.cost()))
        });
    Some(seen.map_or(best, |(index, _)| index))
}
