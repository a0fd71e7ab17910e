//! Which of several workers gets the next request: a choice by numbers alone.

mod config;
mod least_load;
mod power_of_two;
mod prefix_affinity;
mod round_robin;
#[cfg(test)]
mod tests;
mod weighted;

use fastrand::Rng;

pub use config::{BalanceConfig, Policy};

/// What a policy knows of a worker that may be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// What it would have to do with this request, in shares of what it can do at a time; above
    /// 1 the request waits. A worker that refuses counts as having more to do.
    pub load: f64,
    /// How much its first tokens take longer than those of a fast worker; at least 1.
    pub slowness: f64,
    /// What it can do at a time, less while it is new or just recovered.
    pub weight: f64,
    /// The share of that which its age allows: 1 unless it is new or just recovered.
    pub warmth: f64,
    /// The share of the prompt that it has seen lately.
    pub seen: f64,
}

impl Candidate {
    /// Whether the request would wait there.
    pub fn is_full(&self) -> bool {
        self.load > 1.0
    }

    /// What it costs to wait for it.
    fn cost(&self) -> f64 {
        self.load * self.slowness
    }
}

impl Policy {
    /// The index of the candidate that is chosen; `None`: there is none.
    pub(crate) fn choose(self, candidates: &[Candidate], rng: &mut Rng) -> Option<usize> {
        match self {
            Self::PowerOfTwo => power_of_two::choose(candidates),
            Self::LeastLoad => least_load::choose(candidates),
            Self::RoundRobin => round_robin::choose(candidates, rng),
            Self::Weighted => weighted::choose(candidates, rng),
            Self::PrefixAffinity => prefix_affinity::choose(candidates),
        }
    }

    /// How many candidates it looks at. A fleet may have thousands of workers, and a choice has
    /// no time to look at all.
    pub(crate) const fn looks_at(self) -> usize {
        match self {
            Self::PowerOfTwo | Self::PrefixAffinity => 2,
            Self::RoundRobin => 4,
            Self::LeastLoad | Self::Weighted => 16,
        }
    }

    /// Whether candidates are looked at in turn, not at random.
    pub(crate) const fn takes_turns(self) -> bool {
        matches!(self, Self::RoundRobin)
    }
}

/// The index of the candidate with the least `measure`; the first of those that are equal.
fn least(candidates: &[Candidate], measure: impl Fn(&Candidate) -> f64) -> Option<usize> {
    let measured = candidates.iter().map(measure).enumerate();
    let least = measured.min_by(|(_, one), (_, other)| one.total_cmp(other));
    least.map(|(index, _)| index)
}
