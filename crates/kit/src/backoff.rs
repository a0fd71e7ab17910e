//! How long to wait after a failure.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Delays that double, each with jitter so that those who failed together do not come back
/// together.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    delay: Duration,
    longest: Duration,
}

impl Backoff {
    /// Delays from `first` up to `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            delay: first,
            longest,
        }
    }

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        let delay = jittered(self.delay, RandomState::new().hash_one(()));
        self.delay = (self.delay * 2).min(self.longest);
        delay
    }
}

/// Between half of `delay` and all of it.
fn jittered(delay: Duration, random: u64) -> Duration {
    let share = 0.5 + (random >> 32) as f64 / f64::from(u32::MAX) / 2.0;
    delay.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(5);

    #[test]
    fn delays_double_up_to_the_longest() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        let mut bound = FIRST;
        for _ in 0..8 {
            let delay = backoff.next_delay();
            assert!(bound / 2 <= delay && delay <= bound, "{delay:?}");
            bound = (bound * 2).min(LONGEST);
        }
        assert_eq!(backoff.delay, LONGEST);
    }

    #[test]
    fn jitter_takes_away_half_at_most() {
        assert_eq!(jittered(FIRST, 0), FIRST / 2);
        assert_eq!(jittered(FIRST, u64::MAX), FIRST);
    }
}
