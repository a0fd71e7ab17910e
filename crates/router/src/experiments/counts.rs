//! What requests come to, until it is written.

use std::collections::BTreeMap;

use fathom_proto::id::{RequestId, TenantId};
use fathom_proto::inference::Assignment;

use crate::choice::Observed;
use crate::outcome::Outcome;

/// Most requests that wait to be written: what a busy router assigns in some seconds. Those beyond
/// cannot be scored.
const MAX_REQUESTS: usize = 20_000;

/// Sums over the requests of an arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Generations; a request for several answers has several.
    pub requests: i64,
    /// Those that failed, and not by the caller's fault.
    pub errors: i64,
    /// Tokens that were generated.
    pub tokens: i64,
    /// Those that had a first token.
    pub first_tokens: i64,
    /// Times to it, in milliseconds.
    pub first_token_ms: i64,
    /// Their squares.
    pub first_token_ms_squared: i64,
    /// Times to the end, in milliseconds.
    pub duration_ms: i64,
    /// Requests that were scored.
    pub scores: i64,
    /// Their scores, in millionths.
    pub score_sum: i64,
    /// The squares of their scores, in millionths.
    pub score_squares: i64,
}

impl Sums {
    /// Those of one generation.
    pub(super) fn of(observed: Observed) -> Self {
        let milliseconds =
            |time: std::time::Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let first_token = observed.first_token.map(milliseconds);
        let failed = match observed.outcome {
            Outcome::Failed(code) => code.row().http >= 500,
            Outcome::Finished | Outcome::Dropped => false,
        };
        Self {
            requests: 1,
            errors: failed.into(),
            tokens: observed.tokens.into(),
            first_tokens: first_token.is_some().into(),
            first_token_ms: first_token.unwrap_or(0),
            first_token_ms_squared: first_token.map_or(0, |time| time.saturating_mul(time)),
            duration_ms: milliseconds(observed.duration),
            ..Self::default()
        }
    }

    /// Adds what routers count; scores are not among it.
    fn add(&mut self, more: &Self) {
        let add = |sum: &mut i64, more: i64| *sum = sum.saturating_add(more);
        add(&mut self.requests, more.requests);
        add(&mut self.errors, more.errors);
        add(&mut self.tokens, more.tokens);
        add(&mut self.first_tokens, more.first_tokens);
        add(&mut self.first_token_ms, more.first_token_ms);
        add(
            &mut self.first_token_ms_squared,
            more.first_token_ms_squared,
        );
        add(&mut self.duration_ms, more.duration_ms);
    }
}

/// A request that can be scored.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    pub tenant: TenantId,
    pub assignment: Assignment,
    /// Seconds since the epoch.
    pub at: i64,
}

/// What is not written yet. Routers write arms and requests in their order, so that no two wait
/// for one another.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    /// By experiment and arm; there are few of both.
    pub sums: BTreeMap<String, BTreeMap<String, Sums>>,
    pub requests: BTreeMap<RequestId, Remembered>,
}

impl Unwritten {
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty() && self.requests.is_empty()
    }

    pub fn count(&mut self, assignment: &Assignment, sums: &Sums) {
        // Most of the time both are there, and nothing is copied.
        if let Some(arms) = self.sums.get_mut(&assignment.experiment)
            && let Some(sum) = arms.get_mut(&assignment.arm)
        {
            return sum.add(sums);
        }
        let arms = self.sums.entry(assignment.experiment.clone()).or_default();
        arms.entry(assignment.arm.clone()).or_default().add(sums);
    }

    /// Whether there was room for it.
    pub fn remember(&mut self, request: RequestId, remembered: Remembered) -> bool {
        let room = self.requests.len() < MAX_REQUESTS;
        if room {
            self.requests.insert(request, remembered);
        }
        room
    }

    /// Takes back what could not be written; says how many requests there was no room for.
    pub fn put_back(&mut self, other: Self) -> usize {
        for (experiment, arms) in other.sums {
            let known = self.sums.entry(experiment).or_default();
            for (arm, sums) in arms {
                known.entry(arm).or_default().add(&sums);
            }
        }
        let mut lost = 0;
        for (request, remembered) in other.requests {
            lost += usize::from(!self.remember(request, remembered));
        }
        lost
    }
}
