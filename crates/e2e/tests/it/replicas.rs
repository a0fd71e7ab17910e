//! Two gateways and two routers that know nothing of one another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fathom::drill::{Fleet, Outcome, Question};
use fathom_e2e::Chaos;
use futures::future::join_all;
use tokio::time::{Instant, sleep};

use crate::processes::{LIMIT, Processes, clients, eventually, plan};

/// How long things go on between two blows.
const CALM: Duration = Duration::from_millis(1_500);

/// ZONE-1, DRAIN-4: 2 gateways × 2 routers, with streams and whole answers over both; a worker is
/// killed, then a router, and both come back. The worker costs nothing, the router no more than
/// ran at it, and every token counts once.
#[tokio::test]
async fn two_gateways_and_two_routers_lose_no_more_than_a_killed_router_had() {
    let name = Arc::new(Chaos::start().await.unwrap());
    let told = name.clone();
    let mut plan = plan("aabc", |sim| sim.inter_token = Duration::from_millis(15));
    plan.edges = 2;
    plan.adjust = Box::new(move |node, config| {
        config.router.retry.first_delay = Duration::from_millis(50);
        config.gateway.router = told.endpoint();
        if node.starts_with("router") {
            told.lead_to(&config.router.listen);
        }
    });
    let mut processes = Processes::start(&plan).await;
    let ledger = std::mem::take(&mut processes.ledger);
    let clients = clients(&processes);
    println!("seed 63");
    let over = AtomicBool::new(false);
    let lanes = (0..24_u32).map(async |lane| {
        let client = &clients[lane as usize % clients.len()];
        for turn in 0.. {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let question = Question {
                id: lane * 10_000 + turn,
                seed: 63,
                tokens: 10 + lane,
            };
            if lane % 4 < 2 {
                ledger.stream(client, question).await;
            } else {
                ledger.whole(client, question).await;
            }
        }
    });
    let workers = processes.workers.len();
    let script = async {
        eventually("both routers have work", LIMIT, async || {
            let mut least = f64::INFINITY;
            for router in &processes.routers {
                least = least.min(Fleet::sum([router], "fathom_router_in_flight", &[]).await);
            }
            (least >= 4.0).then_some(())
        })
        .await;
        sleep(CALM).await;
        processes.kill_zone("b").unwrap();
        sleep(CALM).await;
        let killed = Instant::now();
        processes.routers[1].kill().unwrap();
        sleep(CALM).await;
        processes.start_zone("b").unwrap();
        processes.routers[1].start().unwrap();
        processes.registered(workers).await.unwrap();
        sleep(CALM).await;
        over.store(true, Ordering::Relaxed);
        killed
    };
    let (killed, _) = tokio::join!(script, join_all(lanes));
    let lines = ledger.snapshot();
    processes.ledger = ledger;
    let totals = processes.audit().await;
    let mut lost_tokens = 0;
    for line in &lines {
        match line.outcome.as_ref().unwrap() {
            Outcome::Complete => continue,
            Outcome::Failed(code) | Outcome::Refused(502, code) => {
                assert_eq!(code, "worker_failed", "{line:?}");
            }
            other => panic!("{other:?}"),
        }
        assert!(
            line.begun < killed && line.ended.unwrap() > killed,
            "only what ran at the router is lost: {line:?}"
        );
        lost_tokens += u64::from(line.question.tokens);
    }
    let lost = totals.asked - totals.complete;
    println!(
        "{lost} of {} ran at the router that was killed",
        totals.asked
    );
    assert!(lost <= 12, "half of the lanes");
    // Answers that were lost had some tokens before, which were delivered.
    let delivered = processes.delivered_tokens().await;
    let counted = totals.counted_tokens;
    assert!(
        (counted..=counted + lost_tokens).contains(&delivered),
        "{delivered} tokens, of which {counted} in whole answers"
    );
}
