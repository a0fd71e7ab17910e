//! DRAIN-5: processes that start while what they need is not there.

use std::time::Duration;

use fathom::drill::{Node, Outcome};
use tokio::time::sleep;

use crate::processes::{LIMIT, Processes, Questions, plan, signal};

/// DRAIN-5: whichever process starts first waits for the others, says that it is not ready and
/// what for, and does not end.
#[tokio::test]
async fn drain_5_processes_start_in_any_order() {
    let mut processes = Processes::start(&plan("a", |_| {})).await;
    let fleet = &mut *processes;
    let all = [&mut fleet.workers[0], &mut fleet.gateways[0], &mut fleet.routers[0]];
    for node in all.into_iter().chain([&mut fleet.auth]) {
        signal(node, "TERM");
        assert!(node.wait(LIMIT).await.unwrap().success());
    }
    let (worker, gateway) = (&mut fleet.workers[0], &mut fleet.gateways[0]);
    worker.start().unwrap();
    gateway.start().unwrap();
    sleep(Duration::from_secs(2)).await;
    waits(worker).await;
    waits(gateway).await;

    fleet.auth.start().unwrap();
    fleet.auth.ready(LIMIT).await.unwrap();
    waits(&mut fleet.gateways[0]).await;
    fleet.routers[0].start().unwrap();
    for node in [&mut fleet.routers[0], &mut fleet.workers[0], &mut fleet.gateways[0]] {
        node.ready(LIMIT).await.unwrap();
    }
    let question = Questions::seeded(72).next(5);
    let outcome = processes.ledger.whole(&processes.client(0), question).await;
    assert_eq!(outcome, Outcome::Complete);
    processes.assert_nothing_lost().await;
}

/// The process runs, and wants no traffic.
async fn waits(node: &mut Node) {
    assert!(node.ended().is_none(), "{} has ended: {}", node.name, node.log());
    assert!(!node.is_ready().await, "{} is ready", node.name);
}
