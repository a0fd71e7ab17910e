//! Outcomes of the last seconds.

use std::time::Duration;

use tokio::time::Instant;

const BUCKETS: usize = 10;

/// Standard deviations: 99.9 % on one side. It is looked at after every failure, so that less
/// would be met by chance every few minutes.
const CONFIDENCE: f64 = 3.0;

/// Outcomes of the last seconds, in buckets that are forgotten one by one.
pub(super) struct Window {
    bucket: Duration,
    buckets: [Counts; BUCKETS],
    sum: Counts,
    /// When the first bucket of all began, and how many there were before the present one.
    begin: Option<Instant>,
    turns: u128,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    all: u32,
    failed: u32,
}

impl Window {
    pub fn new(length: Duration) -> Self {
        Self {
            bucket: (length / BUCKETS as u32).max(Duration::from_millis(1)),
            buckets: Default::default(),
            sum: Counts::default(),
            begin: None,
            turns: 0,
        }
    }

    /// Counts one outcome.
    pub fn count(&mut self, failed: bool, now: Instant) {
        self.turn(now);
        let bucket = &mut self.buckets[(self.turns % BUCKETS as u128) as usize];
        for counts in [bucket, &mut self.sum] {
            counts.all = counts.all.saturating_add(1);
            counts.failed = counts.failed.saturating_add(u32::from(failed));
        }
    }

    /// Outcomes in it when the last one was counted.
    pub fn volume(&self) -> u32 {
        self.sum.all
    }

    /// Whether more than `share` of all fail, with some confidence: the lower bound of Wilson's
    /// interval is above it.
    pub fn surely_above(&self, share: f64) -> bool {
        let (all, failed) = (f64::from(self.sum.all), f64::from(self.sum.failed));
        if all == 0.0 {
            return false;
        }
        let (seen, square) = (failed / all, CONFIDENCE * CONFIDENCE);
        let middle = seen + square / (2.0 * all);
        let spread = seen * (1.0 - seen) / all + square / (4.0 * all * all);
        (middle - CONFIDENCE * spread.sqrt()) / (1.0 + square / all) > share
    }

    pub fn clear(&mut self) {
        *self = Self::new(self.bucket * BUCKETS as u32);
    }

    fn turn(&mut self, now: Instant) {
        let begin = *self.begin.get_or_insert(now);
        let turns = now.saturating_duration_since(begin).as_nanos() / self.bucket.as_nanos();
        let over = turns.saturating_sub(self.turns).min(BUCKETS as u128);
        for past in 1..=over {
            let bucket = &mut self.buckets[((self.turns + past) % BUCKETS as u128) as usize];
            self.sum.all = self.sum.all.saturating_sub(bucket.all);
            self.sum.failed = self.sum.failed.saturating_sub(bucket.failed);
            *bucket = Counts::default();
        }
        self.turns = self.turns.max(turns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut window = Window::new(Duration::from_secs(10));
        let begin = Instant::now();
        for second in 0..30 {
            window.count(true, begin + Duration::from_secs(second));
            assert_eq!(window.volume(), (second as u32 + 1).min(10));
        }
        window.count(false, begin + Duration::from_secs(1_000_000));
        assert_eq!(window.volume(), 1);
    }

    #[test]
    fn the_bound_nears_the_share_as_the_volume_grows() {
        let begin = Instant::now();
        for (all, share, surely) in [
            (100, 0.2, false),
            (100, 0.3, true),
            (1_000, 0.17, false),
            (1_000, 0.2, true),
            (20_000, 0.15, false),
            (20_000, 0.16, true),
        ] {
            let mut window = Window::new(Duration::from_secs(10));
            for count in 0..all {
                window.count(f64::from(count) < share * f64::from(all), begin);
            }
            assert_eq!(window.surely_above(0.15), surely, "{share} of {all}");
        }
    }
}
