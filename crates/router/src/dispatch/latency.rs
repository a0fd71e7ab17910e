//! How long a model takes to its first token, over the last minute or so.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// After so long a window is the last one, and the last one is forgotten.
const WINDOW: Duration = Duration::from_secs(30);

/// Fewer than these say nothing.
const MIN_VOLUME: u32 = 20;

/// Buckets of a window, four to each doubling from [`SHORTEST`] on: an estimate is at most 19 %
/// too high.
const BUCKETS: usize = 80;

/// Upper bound of the first bucket.
const SHORTEST: Duration = Duration::from_micros(100);

/// A histogram over two windows, of which one is being filled.
pub(super) struct Latency(Mutex<Windows>);

struct Windows {
    began: Instant,
    current: Window,
    last: Window,
}

type Window = [u32; BUCKETS];

impl Latency {
    pub fn new() -> Self {
        Self(Mutex::new(Windows {
            began: Instant::now(),
            current: [0; BUCKETS],
            last: [0; BUCKETS],
        }))
    }

    pub fn record(&self, duration: Duration) {
        let mut windows = self.windows();
        let count = &mut windows.current[bucket(duration)];
        *count = count.saturating_add(1);
    }

    /// Only one of twenty takes longer; `None`: too little is known.
    pub fn p95(&self) -> Option<Duration> {
        self.quantile(|volume| volume - volume / 20)
    }

    /// None was faster; `None`: too little is known.
    pub fn fastest(&self) -> Option<Duration> {
        // A bucket's lower bound is the upper bound of the one before.
        let fastest = self.quantile(|_| 1)?;
        Some(fastest.mul_f64(2_f64.powf(-0.25)))
    }

    /// The upper bound of those that are among the `rank` fastest.
    fn quantile(&self, rank: impl Fn(u32) -> u32) -> Option<Duration> {
        let windows = self.windows();
        let counts = windows.current.iter().zip(&windows.last);
        let counts = counts.map(|(current, last)| current.saturating_add(*last));
        let volume = counts.clone().fold(0, u32::saturating_add);
        if volume < MIN_VOLUME {
            return None;
        }
        let mut left = rank(volume);
        for (bucket, count) in counts.enumerate() {
            left = left.saturating_sub(count);
            if left == 0 {
                return Some(upper_bound(bucket));
            }
        }
        None
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let age = now.duration_since(windows.began);
        if age >= WINDOW {
            windows.last = if age < 2 * WINDOW {
                windows.current
            } else {
                [0; BUCKETS]
            };
            windows.current = [0; BUCKETS];
            windows.began = now;
        }
        windows
    }
}

fn bucket(duration: Duration) -> usize {
    let doublings = (duration.as_secs_f64() / SHORTEST.as_secs_f64()).log2();
    // The cast takes what is negative, and what is not a number, to the first bucket.
    ((doublings * 4.0).ceil() as usize).min(BUCKETS - 1)
}

fn upper_bound(bucket: usize) -> Duration {
    SHORTEST.mul_f64(2_f64.powf(bucket as f64 / 4.0))
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn about(estimate: Option<Duration>, millis: u64) -> bool {
        let exact = Duration::from_millis(millis);
        estimate.is_some_and(|estimate| exact <= estimate && estimate <= exact.mul_f64(1.2))
    }

    #[tokio::test(start_paused = true)]
    async fn estimates_are_near_once_there_are_enough() {
        let latency = Latency::new();
        for millis in 1..=100 {
            assert_eq!(latency.p95().is_some(), millis > MIN_VOLUME.into());
            latency.record(Duration::from_millis(millis));
        }
        assert!(about(latency.p95(), 95), "{:?}", latency.p95());
        let fastest = latency.fastest().unwrap();
        assert!(fastest <= Duration::from_millis(1) && fastest > Duration::from_micros(800));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_is_forgotten() {
        let latency = Latency::new();
        for _ in 0..100 {
            latency.record(Duration::from_secs(5));
        }
        advance(WINDOW).await;
        assert!(about(latency.p95(), 5000));
        for _ in 0..100 {
            latency.record(Duration::from_millis(10));
        }
        advance(WINDOW).await;
        assert!(about(latency.p95(), 10), "{:?}", latency.p95());
        advance(2 * WINDOW).await;
        assert_eq!(latency.p95(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_too_short_or_too_long() {
        let latency = Latency::new();
        for _ in 0..MIN_VOLUME {
            latency.record(Duration::ZERO);
        }
        assert_eq!(latency.p95(), Some(SHORTEST));
        for _ in 0..100 {
            latency.record(Duration::MAX);
        }
        assert!(latency.p95() > Some(Duration::from_secs(60)));
    }
}
