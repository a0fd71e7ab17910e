//! What is tried again: once more, not for ever, and never twice for the caller.

use std::sync::Arc;
use std::time::Duration;

use fathom::drill::Outcome;
use fathom_e2e::{Chaos, Link};
use fathom_worker::{SimFault, SimFaultKind};

use crate::processes::{LIMIT, Processes, Questions, at_rate, eventually, plan, sim};

/// RT-1: a worker finished, and its answer never arrived. The caller gets one answer, and is
/// charged for one, though two workers have generated it.
#[tokio::test]
async fn rt_1_an_answer_that_is_lost_on_its_way_comes_once_and_counts_once() {
    let link = Arc::new(Chaos::start().await.unwrap());
    let mut plan = plan("ab", |sim| sim.inter_token = Duration::ZERO);
    let told = link.clone();
    plan.adjust = Box::new(move |name, config| {
        config.router.retry.first_delay = Duration::from_millis(50);
        if name == "worker-b-1" {
            told.lead_to(&config.worker.listen);
            config.worker.advertise = Some(told.endpoint());
        }
    });
    let processes = Processes::start(&plan).await;
    let client = processes.client(0);
    let mut questions = Questions::seeded(21);
    // The connection is there before its answers are held up.
    let behind = async || processes.attempts_at([&processes.workers[1]]).await;
    eventually("the worker behind the link is asked", LIMIT, async || {
        processes.ledger.whole(&client, questions.next(5)).await;
        (behind().await > 0.0).then_some(())
    })
    .await;
    link.set(Link::StallAnswers);
    let before = behind().await;
    let asked = questions.take(4, 5);
    let answers = asked
        .iter()
        .map(|one| processes.ledger.whole(&client, *one));
    let lose = async {
        eventually(
            "the worker behind the link has finished",
            LIMIT,
            async || {
                let finished = behind().await > before;
                let running = processes.running_at([&processes.workers[1]]).await;
                (finished && running == 0.0).then_some(())
            },
        )
        .await;
        link.set(Link::Reset);
    };
    let (answers, ()) = tokio::join!(futures::future::join_all(answers), lose);
    assert!(
        answers.iter().all(|how| *how == Outcome::Complete),
        "{answers:?}"
    );
    let generated = processes.attempts_at(&processes.workers).await;
    processes.assert_nothing_lost().await;
    let totals = processes.audit().await;
    assert!(generated > totals.asked as f64, "no answer was lost");
    assert_eq!(processes.delivered_tokens().await, totals.counted_tokens);
}

/// OVER-5, for 5 of its 30 seconds at 60 of its 200 requests a second: when nothing works, trying
/// again makes it no worse.
#[tokio::test]
async fn over_5_retries_are_a_fifth_of_the_requests_at_most() {
    const SECONDS: u32 = 5;
    const RATE: u32 = 60;
    let mut plan = plan("abc", |sim| {
        sim.inter_token = Duration::ZERO;
        let mut fault = SimFault::new(SimFaultKind::Fail);
        fault.code = fathom_proto::ErrorCode::Unavailable;
        sim.faults = vec![fault];
    });
    plan.adjust = Box::new(|name, config| {
        config.router.retry.first_delay = Duration::from_millis(20);
        config.router.wait_for_worker = Duration::ZERO;
        if name.starts_with("worker") {
            // Told as well, so that nothing but the routers' own sense stops them.
            sim(config, |sim| {
                sim.faults[0].retry_after = Some(Duration::from_millis(10));
            });
        }
    });
    let processes = Processes::start(&plan).await;
    let client = processes.client(0);
    let asked = Questions::seeded(22).take(SECONDS * RATE, 5);
    at_rate(RATE, asked, async |question| {
        processes.ledger.whole(&client, question).await;
    })
    .await;
    let totals = processes.audit().await;
    assert_eq!(totals.complete, 0);
    let (asked, attempts) = (totals.asked as f64, processes.attempts().await);
    println!("{attempts} attempts for {asked} requests");
    let allowed = asked * 1.2 + f64::from(SECONDS + 1) * 10.0;
    assert!(
        attempts <= allowed,
        "{attempts} attempts for {asked} requests"
    );
}
