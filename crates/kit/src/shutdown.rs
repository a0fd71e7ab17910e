//! How a service goes down: it drains, and what outlives the deadline is told so and ended.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How long streams get to write their last event once the deadline has passed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The shutdown of one service; clones share it.
#[derive(Clone, Debug)]
pub struct Shutdown {
    draining: CancellationToken,
    expired: CancellationToken,
    tasks: TaskTracker,
    grace: Duration,
}

impl Shutdown {
    /// A running service that will get `grace` to finish what it has begun.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self {
            draining: CancellationToken::new(),
            expired: CancellationToken::new(),
            tasks: TaskTracker::new(),
            grace,
        }
    }

    /// Drains: no new work from here on. Returns when all tasks have ended, at the latest a
    /// second after the grace period.
    pub async fn drain(&self) {
        self.draining.cancel();
        self.tasks.close();
        if timeout(self.grace, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "the deadline for draining passed");
            self.expire().await;
        }
    }

    /// Ends the grace period now. Returns when all tasks have ended, at the latest a second later.
    pub async fn expire(&self) {
        self.draining.cancel();
        self.tasks.close();
        self.expired.cancel();
        // Whoever does not react to the deadline is dropped with the runtime.
        let _ = timeout(LAST_WORDS, self.tasks.wait()).await;
    }

    /// Completes when draining begins.
    pub fn draining(&self) -> WaitForCancellationFuture<'_> {
        self.draining.cancelled()
    }

    /// A token that completes with [`Self::draining`], for streams that must own what they wait on.
    #[must_use]
    pub fn draining_token(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// Completes when the grace period is over: say so to the client and end.
    pub fn expired(&self) -> WaitForCancellationFuture<'_> {
        self.expired.cancelled()
    }

    /// A token that completes with [`Self::expired`], for streams that must own what they wait on.
    #[must_use]
    pub fn expired_token(&self) -> CancellationToken {
        self.expired.clone()
    }

    /// Whether draining has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Runs a task that [`Self::drain`] waits for.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task);
    }

    /// Makes [`Self::drain`] wait until the token is dropped, for tasks that others spawn.
    pub fn hold(&self) -> TaskTrackerToken {
        self.tasks.token()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn draining_waits_for_tasks_and_no_longer() {
        let shutdown = Shutdown::new(Duration::from_secs(30));
        shutdown.spawn(sleep(Duration::from_secs(5)));
        let begun = Instant::now();
        shutdown.drain().await;
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_outlives_the_deadline_is_told_and_may_say_a_last_word() {
        let shutdown = Shutdown::new(Duration::from_secs(30));
        let told = shutdown.clone();
        shutdown.spawn(async move {
            told.expired().await;
            sleep(Duration::from_millis(10)).await;
        });
        let begun = Instant::now();
        shutdown.drain().await;
        assert_eq!(begun.elapsed(), Duration::from_millis(30_010));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_listen_cannot_hold_the_process() {
        let shutdown = Shutdown::new(Duration::from_secs(30));
        shutdown.spawn(std::future::pending());
        let begun = Instant::now();
        shutdown.drain().await;
        assert_eq!(begun.elapsed(), Duration::from_secs(31));
    }
}
