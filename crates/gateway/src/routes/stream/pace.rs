//! How often something may happen.

use std::time::Duration;

use tokio::time::Instant;

/// A leaky bucket (GCRA): so many a second for ever, and some more at once now and then.
pub struct Pace {
    interval: Duration,
    burst: Duration,
    due: Instant,
}

impl Pace {
    /// `per_second` in the long run, `burst` at once.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self {
            interval,
            burst: interval * burst,
            due: Instant::now(),
        }
    }

    /// Takes note of one more; `false`: that is one too many.
    pub fn allows(&mut self) -> bool {
        let now = Instant::now();
        let due = self.due.max(now) + self.interval;
        let allowed = due - now <= self.burst;
        if allowed {
            self.due = due;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_what_goes_on_is_slowed() {
        let mut pace = Pace::new(10, 20);
        let allowed = (0..100).filter(|_| pace.allows()).count();
        assert_eq!(allowed, 20);
        advance(Duration::from_secs(1)).await;
        let allowed = (0..100).filter(|_| pace.allows()).count();
        assert_eq!(allowed, 10);
        advance(Duration::from_secs(60)).await;
        let allowed = (0..100).filter(|_| pace.allows()).count();
        assert_eq!(allowed, 20);
    }
}
