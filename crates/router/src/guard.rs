//! Whether a version that is tried out does worse than the one it is to replace, as this router
//! sees it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fathom_proto::models::Guard;

use histogram::Histogram;

mod histogram;

/// After so many requests of the version that is tried out, older ones begin to be forgotten: one
/// that goes bad after a good day is found as fast as one that is bad from its first request.
const HALF: u32 = 1_000;

/// Standard deviations between what is seen and what is believed. It is looked at again and again,
/// so it is far out: bad luck ends a trial once in 30,000 looks.
const CONFIDENCE: f64 = 4.0;

/// What is seen of a trial.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    over: AtomicBool,
    seen: Mutex<Seen>,
}

/// Which of the two versions of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Stable,
    Canary,
}

/// Requests of late, in two parts, of which the older one is forgotten as a whole.
#[derive(Debug, Default)]
struct Seen {
    now: Both,
    before: Both,
}

#[derive(Debug, Default)]
struct Both {
    stable: Requests,
    canary: Requests,
}

#[derive(Debug, Default)]
struct Requests {
    all: u32,
    failed: u32,
    first_tokens: Histogram,
}

impl Watch {
    /// Whether the trial goes badly, and nobody is sent to the version any more.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Counts a request. `failed` is `None` where its end says nothing of the version.
    pub fn count(
        &self,
        side: Side,
        guard: &Guard,
        failed: Option<bool>,
        first_token: Option<Duration>,
    ) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = match side {
            Side::Stable => &mut seen.now.stable,
            Side::Canary => &mut seen.now.canary,
        };
        if let Some(failed) = failed {
            requests.all += 1;
            requests.failed += u32::from(failed);
        }
        if let Some(first_token) = first_token {
            requests.first_tokens.count(first_token);
        }
        if seen.now.canary.all >= HALF.max(guard.min_requests) {
            seen.before = std::mem::take(&mut seen.now);
        }
    }

    /// Why the trial is to be ended, in figures; from then on it is over at this router.
    pub fn judge(&self, guard: &Guard) -> Option<String> {
        let why = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.worse(guard)
        };
        self.over.fetch_or(why.is_some(), Ordering::Relaxed);
        why
    }
}

impl Seen {
    fn worse(&self, guard: &Guard) -> Option<String> {
        let stable = Requests::sum(&self.before.stable, &self.now.stable);
        let canary = Requests::sum(&self.before.canary, &self.now.canary);
        more_errors(&stable, &canary, guard).or_else(|| slower(&stable, &canary, guard))
    }
}

impl Requests {
    fn sum(one: &Self, other: &Self) -> Self {
        Self {
            all: one.all + other.all,
            failed: one.failed + other.failed,
            first_tokens: Histogram::sum(&one.first_tokens, &other.first_tokens),
        }
    }
}

fn more_errors(stable: &Requests, canary: &Requests, guard: &Guard) -> Option<String> {
    if stable.all.min(canary.all) < guard.min_requests {
        return None;
    }
    let (usual, seen) = (
        Share::new(stable.failed, stable.all),
        Share::new(canary.failed, canary.all),
    );
    (seen.surely_exceeds(usual) > guard.max_error_increase).then(|| {
        format!(
            "errors: {seen} against {usual} of the stable version; at most {:.1} percentage points \
             more are allowed",
            guard.max_error_increase * 100.0
        )
    })
}

/// The 99th percentile is too long if surely more than one in a hundred takes longer than that of
/// the stable version, times the ratio.
fn slower(stable: &Requests, canary: &Requests, guard: &Guard) -> Option<String> {
    let (usual, seen) = (&stable.first_tokens, &canary.first_tokens);
    if usual.total().min(seen.total()) < guard.min_requests {
        return None;
    }
    let percentile = usual.percentile_99();
    let allowed = percentile.mul_f64(guard.max_first_token_ratio);
    let slow = Share::new(seen.longer_than(allowed), seen.total());
    let usually_slow = Share::new(usual.longer_than(percentile), usual.total());
    (slow.surely_exceeds(usually_slow) > 0.0).then(|| {
        format!(
            "first token, 99th percentile: {} ms against {} ms of the stable version; at most {} \
             times as long is allowed",
            seen.percentile_99().as_millis(),
            percentile.as_millis(),
            guard.max_first_token_ratio
        )
    })
}

/// Some of a number of requests.
#[derive(Clone, Copy)]
struct Share {
    some: u32,
    all: u32,
}

impl Share {
    const fn new(some: u32, all: u32) -> Self {
        Self { some, all }
    }

    fn seen(self) -> f64 {
        f64::from(self.some) / f64::from(self.all)
    }

    /// By how much this one is larger at least (Newcombe's interval of the difference of two
    /// shares, by Wilson's of each).
    fn surely_exceeds(self, other: Self) -> f64 {
        let below = self.seen() - self.interval().0;
        let above = other.interval().1 - other.seen();
        self.seen() - other.seen() - below.hypot(above)
    }

    /// Wilson's interval.
    fn interval(self) -> (f64, f64) {
        let (seen, all) = (self.seen(), f64::from(self.all));
        let square = CONFIDENCE * CONFIDENCE;
        let middle = seen + square / (2.0 * all);
        let spread = seen * (1.0 - seen) / all + square / (4.0 * all * all);
        let spread = CONFIDENCE * spread.sqrt();
        let scale = 1.0 + square / all;
        ((middle - spread) / scale, (middle + spread) / scale)
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = self.seen() * 100.0;
        write!(f, "{percent:.1} % of {}", self.all)
    }
}

#[cfg(test)]
mod tests;
