//! DRAIN-5: processes that start while what they need is not there.

use std::fs::remove_file;
use std::os::unix::fs::symlink;

use fathom::drill::{Node, Outcome};
use fathom_test_database::TestDatabase;

use crate::processes::{LIMIT, Processes, Questions, eventually, plan, signal};

/// DRAIN-5: whichever process starts first waits for the others, says that it is not ready and
/// what for, and does not end.
#[tokio::test]
async fn drain_5_processes_start_in_any_order() {
    let mut processes = Processes::start(&plan("a", |_| {})).await;
    let fleet = &mut *processes;
    let all = [
        &mut fleet.workers[0],
        &mut fleet.gateways[0],
        &mut fleet.routers[0],
    ];
    for node in all.into_iter().chain([&mut fleet.auth]) {
        signal(node, "TERM");
        assert!(node.wait(LIMIT).await.unwrap().success());
    }
    let (worker, gateway) = (&mut fleet.workers[0], &mut fleet.gateways[0]);
    worker.start().unwrap();
    gateway.start().unwrap();
    waits_for(worker, "not ready: registered\n").await;
    waits_for(gateway, "not ready: auth, router\n").await;

    fleet.auth.start().unwrap();
    fleet.auth.ready(LIMIT).await.unwrap();
    waits_for(&mut fleet.gateways[0], "not ready: router\n").await;
    fleet.routers[0].start().unwrap();
    for node in [
        &mut fleet.routers[0],
        &mut fleet.workers[0],
        &mut fleet.gateways[0],
    ] {
        node.ready(LIMIT).await.unwrap();
    }
    let question = Questions::seeded(72).next(5);
    let outcome = processes.ledger.whole(&processes.client(0), question).await;
    assert_eq!(outcome, Outcome::Complete);
    processes.assert_nothing_lost().await;
}

/// DRAIN-5: a database that is not there when auth and router start is waited for.
#[tokio::test]
async fn drain_5_a_database_that_is_late_is_waited_for() {
    let database = TestDatabase::postgres().await;
    // The server's socket is in a folder, which is there under another name, or not.
    let (before, after) = database.url.split_once('@').unwrap();
    let (server, name) = after.split_once('/').unwrap();
    let server = server.replace("%2F", "/");
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("server");
    let there = link.to_str().unwrap().replace('/', "%2F");
    let url = format!("{before}@{there}/{name}");
    symlink(&server, &link).unwrap();
    let mut plan = plan("a", |_| {});
    plan.adjust = Box::new(move |_, config| {
        config.auth.database.clone_from(&url);
        config.router.database = Some(url.clone());
    });
    let mut processes = Processes::start(&plan).await;
    let fleet = &mut *processes;
    for node in [&mut fleet.auth, &mut fleet.routers[0]] {
        signal(node, "TERM");
        assert!(node.wait(LIMIT).await.unwrap().success());
    }
    remove_file(&link).unwrap();
    for node in [&mut fleet.auth, &mut fleet.routers[0]] {
        node.start().unwrap();
        eventually("it says what it waits for", LIMIT, async || {
            let log = node.log();
            log.contains("waiting for the database").then_some(())
        })
        .await;
        waits(node).await;
    }
    // One that is told to stop meanwhile stops well.
    signal(&fleet.routers[0], "TERM");
    assert!(fleet.routers[0].wait(LIMIT).await.unwrap().success());
    fleet.routers[0].start().unwrap();
    symlink(&server, &link).unwrap();
    let all = [&mut fleet.auth, &mut fleet.routers[0]];
    for node in all.into_iter().chain(&mut fleet.gateways) {
        node.ready(LIMIT).await.unwrap();
    }
    processes.registered(1).await.unwrap();
    let question = Questions::seeded(73).next(5);
    let outcome = processes.ledger.whole(&processes.client(0), question).await;
    assert_eq!(outcome, Outcome::Complete);
    processes.assert_nothing_lost().await;
}

/// The process comes to say what it waits for, and goes on.
async fn waits_for(node: &mut Node, missing: &str) {
    eventually(missing, LIMIT, async || {
        (node.missing().await? == missing).then_some(())
    })
    .await;
    waits(node).await;
}

/// The process runs, and wants no traffic.
async fn waits(node: &mut Node) {
    assert!(
        node.ended().is_none(),
        "{} has ended: {}",
        node.name,
        node.log()
    );
    assert!(!node.is_ready().await, "{} is ready", node.name);
}
