//! How fast a reader takes what waits for it. While nothing waits it cannot be slow.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// What a reader that keeps others waiting must take on the whole, in bytes a second, once it has
/// had its first time-out. It is less than the smallest event of a token.
const MIN_RATE: u64 = 64;

/// How fast a reader is, once it has kept something waiting.
#[derive(Default)]
pub struct Pace {
    /// How long it has kept things waiting in all, but for what waits now.
    waited: Duration,
    /// What it has taken since it first did.
    bytes: u64,
    /// Since when something waits, and what runs meanwhile.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Pace {
    /// Nothing waits any more: so many bytes were taken.
    pub fn take(&mut self, bytes: u64) {
        if let Some((since, _)) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        if !self.waited.is_zero() {
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }

    /// Something waits: completes when it has done so for `limit`, or the reader takes too little
    /// on the whole.
    pub fn poll_late(&mut self, context: &mut Context<'_>, limit: Duration) -> Poll<()> {
        let (_, late) = self.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            let earned = Duration::from_millis(self.bytes.saturating_mul(1000) / MIN_RATE);
            let left = limit.saturating_add(earned).saturating_sub(self.waited);
            (now, Box::pin(sleep(left.min(limit))))
        });
        late.as_mut().poll(context)
    }
}
