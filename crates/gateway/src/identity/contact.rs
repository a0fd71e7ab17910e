//! When auth was last heard, and what follows from that.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Auth speaks each second; after this long it is not heard any more.
pub const SILENCE: Duration = Duration::from_secs(3);

/// The last sign of auth, by a clock that nobody sets.
pub struct Contact {
    begun: Instant,
    /// Milliseconds from `begun`, and one more: 0 is never.
    heard: AtomicU64,
    grace: Duration,
}

impl Contact {
    /// Answers are trusted for `grace` after auth falls silent.
    pub fn new(grace: Duration) -> Self {
        Self {
            begun: Instant::now(),
            heard: AtomicU64::new(0),
            grace,
        }
    }

    /// Auth was heard.
    pub fn heard(&self) {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.heard.store(millis + 1, Ordering::Release);
    }

    /// How long ago auth was heard; `None`: never.
    pub fn age(&self) -> Option<Duration> {
        let heard = self.heard.load(Ordering::Acquire).checked_sub(1)?;
        Some(
            self.begun
                .elapsed()
                .saturating_sub(Duration::from_millis(heard)),
        )
    }

    /// Whether auth is heard.
    pub fn is_live(&self) -> bool {
        self.age().is_some_and(|age| age < SILENCE)
    }

    /// Whether what auth has said may be used without asking.
    pub fn is_trusted(&self) -> bool {
        self.age().is_some_and(|age| age < SILENCE + self.grace)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_ends_the_contact_and_the_grace_ends_the_trust() {
        let contact = Contact::new(Duration::from_secs(60));
        let state = || (contact.is_live(), contact.is_trusted());
        assert_eq!(state(), (false, false));
        contact.heard();
        assert_eq!(state(), (true, true));
        advance(SILENCE).await;
        assert_eq!(state(), (false, true));
        advance(Duration::from_secs(60)).await;
        assert_eq!(state(), (false, false));
        contact.heard();
        assert_eq!(state(), (true, true));
    }
}
