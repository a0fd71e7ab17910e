//! Waiting for what must come true, without guessing how long it takes.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Waits until `condition` holds and gives the time it took.
///
/// # Panics
/// When it does not hold within `limit`.
#[expect(clippy::panic, reason = "the failure of a test")]
pub async fn eventually(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> bool,
) -> Duration {
    let begun = Instant::now();
    while !condition() {
        if begun.elapsed() > limit {
            panic!("not within {limit:?}: {what}");
        }
        sleep(Duration::from_millis(1)).await;
    }
    begun.elapsed()
}
