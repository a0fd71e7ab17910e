//! More requests than there is room for.

use std::time::Duration;

use fathom::drill::Outcome;
use futures::future::join_all;

use crate::processes::{Processes, Questions, plan};

/// OVER-2: what cannot be served in time is refused in time, and nothing is served late. Two
/// workers of 4 slots, half a second an answer, and 120 requests at once.
#[tokio::test]
async fn over_2_nothing_is_served_that_waited_too_long() {
    /// The longest wait at the router and at a worker, and the work itself.
    const WAIT: Duration = Duration::from_secs(2);
    const SLACK: Duration = Duration::from_secs(1);
    let mut plan = plan("ab", |sim| {
        sim.inter_token = Duration::from_millis(50);
        sim.capacity = 4;
        sim.max_queue = 4;
        sim.max_queue_age = Duration::from_secs(1);
    });
    plan.adjust = Box::new(|_, config| {
        config.router.retry.first_delay = Duration::from_millis(50);
    });
    let processes = Processes::start(&plan).await;
    let client = processes.client(0);
    let asked = Questions::seeded(41).take(120, 10);
    join_all(
        asked
            .iter()
            .map(|one| processes.ledger.stream(&client, *one)),
    )
    .await;
    for line in processes.ledger.snapshot() {
        let ended = line.ended.unwrap() - line.begun;
        match line.outcome.as_ref().unwrap() {
            Outcome::Complete => {
                let waited = line.pieces[0] - line.begun;
                assert!(waited < WAIT + SLACK, "served after {waited:?}");
            }
            Outcome::Refused(503, code) => {
                assert_eq!(code, "overloaded");
                assert!(ended < WAIT + SLACK, "refused after {ended:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    let totals = processes.audit().await;
    assert!(totals.complete >= 8, "the slots are used");
    assert!(totals.complete < 120, "there is no room for all");
}
