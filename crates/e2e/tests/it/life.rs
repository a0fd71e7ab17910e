//! Clients that go away and workers that die, with processes.

use std::time::Duration;

use fathom::drill::{Node, Outcome};
use futures::future::join_all;
use tokio::time::Instant;

use crate::processes::{LIMIT, Processes, Questions, clients, eventually, plan};

/// Files that a process has open.
fn files(node: &Node) -> usize {
    let folder = format!("/proc/{}/fd", node.pid().unwrap());
    std::fs::read_dir(folder).unwrap().count()
}

/// LIFE-4, with 300 of its 1,000 clients: they come and go at any moment, and nothing is left of
/// them.
#[tokio::test]
async fn life_4_clients_that_come_and_go_leave_nothing_behind() {
    let processes = Processes::start(&plan("ab", |sim| {
        sim.inter_token = Duration::from_millis(5);
        sim.ttft = Duration::from_millis(5);
    }))
    .await;
    let mut questions = Questions::seeded(51);
    // The connections between the services are there from now on.
    let warm = questions.take(8, 5);
    let client = processes.client(0);
    join_all(warm.iter().map(|one| processes.ledger.whole(&client, *one))).await;
    drop(client);
    let nodes = || {
        let services = processes.gateways.iter().chain(&processes.routers);
        services.chain(&processes.workers)
    };
    let before: Vec<usize> = nodes().map(files).collect();
    for _ in 0..10 {
        let batch: Vec<_> = (0..30)
            .map(|_| (questions.next(40), questions.below(41), questions.below(60)))
            .collect();
        join_all(batch.iter().map(async |(question, pieces, milliseconds)| {
            // Each has a connection of its own, which ends with it.
            let client = processes.client(0);
            let patience = Duration::from_millis(u64::from(*milliseconds) * 5);
            let stream = processes.ledger.stream_until(&client, *question, *pieces);
            let _ = tokio::time::timeout(patience, stream).await;
        }))
        .await;
    }
    let totals = processes.audit().await;
    assert_eq!(totals.asked, 308);
    assert_eq!(totals.left + totals.complete, totals.asked, "{totals:?}");
    assert!(totals.left > 100);
    eventually("no file is left open", Duration::from_secs(5), async || {
        let now = nodes().map(files);
        // A log rotates nothing, and a database may keep one connection more.
        let grown = now.zip(&before).filter(|(now, before)| *now > **before + 2);
        (grown.count() == 0).then_some(())
    })
    .await;
}

/// LIFE-6: before the first token nobody notices that a worker was killed.
#[tokio::test]
async fn life_6_requests_without_a_token_begin_again_elsewhere() {
    let mut processes = Processes::start(&plan("abc", |sim| {
        sim.ttft = Duration::from_millis(800);
        sim.inter_token = Duration::from_millis(2);
    }))
    .await;
    let ledger = std::mem::take(&mut processes.ledger);
    let client = processes.client(0);
    let asked = Questions::seeded(52).take(18, 10);
    let (streams, wholes) = asked.split_at(9);
    let streams = join_all(streams.iter().map(|one| ledger.stream(&client, *one)));
    let wholes = join_all(wholes.iter().map(|one| ledger.whole(&client, *one)));
    let kill = async {
        eventually("the worker runs something", LIMIT, async || {
            (processes.running_at(processes.zone("b")).await >= 3.0).then_some(())
        })
        .await;
        processes.kill_zone("b").unwrap();
    };
    tokio::join!(streams, wholes, kill);
    processes.ledger = ledger;
    processes.assert_nothing_lost().await;
}

/// LIFE-6: after the first token another worker goes on within a second, with the next token and
/// no other.
#[tokio::test]
async fn life_6_streams_with_a_token_go_on_elsewhere() {
    let mut processes = Processes::start(&plan("abc", |sim| {
        sim.inter_token = Duration::from_millis(30);
    }))
    .await;
    let ledger = std::mem::take(&mut processes.ledger);
    let client = processes.client(0);
    let asked = Questions::seeded(53).take(18, 50);
    let (streams, wholes) = asked.split_at(9);
    let streams = join_all(streams.iter().map(|one| ledger.stream(&client, *one)));
    let wholes = join_all(wholes.iter().map(|one| ledger.whole(&client, *one)));
    let kill = async {
        eventually("all streams run", LIMIT, async || {
            let struck = processes.running_at(processes.zone("b")).await;
            (ledger.running() == 9 && struck >= 3.0).then_some(())
        })
        .await;
        processes.kill_zone("b").unwrap();
        Instant::now()
    };
    let (_, _, killed) = tokio::join!(streams, wholes, kill);
    let pauses = ledger.snapshot().into_iter().filter_map(|line| {
        let next = line.pieces.iter().find(|piece| **piece > killed)?;
        Some(*next - killed)
    });
    let pause = pauses.max().unwrap();
    println!("the longest pause was {pause:?}");
    assert!(pause < Duration::from_secs(1), "{pause:?}");
    processes.ledger = ledger;
    processes.assert_nothing_lost().await;
}

/// LIFE-6: where nobody is left to go on, every stream says so, and what came is right.
#[tokio::test]
async fn life_6_with_no_worker_left_every_stream_ends_with_an_error() {
    let mut plan = plan("ab", |sim| sim.inter_token = Duration::from_millis(30));
    plan.adjust = Box::new(|_, config| {
        config.router.wait_for_worker = Duration::from_millis(200);
        config.router.retry.first_delay = Duration::from_millis(20);
    });
    let mut processes = Processes::start(&plan).await;
    let ledger = std::mem::take(&mut processes.ledger);
    let client = processes.client(0);
    let asked = Questions::seeded(54).take(8, 400);
    let streams = join_all(asked.iter().map(|one| ledger.stream(&client, *one)));
    let kill = async {
        eventually("all streams run", LIMIT, async || {
            (ledger.running() == 8).then_some(())
        })
        .await;
        processes.kill_zone("a").unwrap();
        processes.kill_zone("b").unwrap();
    };
    let (outcomes, ()) = tokio::join!(streams, kill);
    for outcome in outcomes {
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    }
    processes.ledger = ledger;
    processes.audit().await;
}

/// DRAIN-4: a gateway that is killed takes its own requests with it and no other, and its workers
/// are free soon.
#[tokio::test]
async fn drain_4_a_gateway_that_is_killed_takes_its_own_requests_alone() {
    let mut plan = plan("ab", |sim| sim.inter_token = Duration::from_millis(30));
    plan.edges = 2;
    let mut processes = Processes::start(&plan).await;
    let ledger = std::mem::take(&mut processes.ledger);
    let clients = clients(&processes);
    let asked = Questions::seeded(55).take(16, 60);
    let streams = asked.iter().zip(clients.iter().cycle());
    let streams = join_all(streams.map(|(one, client)| ledger.stream(client, *one)));
    let kill = async {
        eventually("all streams run", LIMIT, async || {
            (ledger.running() == 16).then_some(())
        })
        .await;
        processes.gateways[1].kill().unwrap();
    };
    let (outcomes, ()) = tokio::join!(streams, kill);
    for (number, outcome) in outcomes.iter().enumerate() {
        match number % 2 {
            0 => assert_eq!(*outcome, Outcome::Complete),
            _ => assert!(matches!(outcome, Outcome::Broken(_)), "{outcome:?}"),
        }
    }
    processes.ledger = ledger;
    processes.audit().await;
}

/// DRAIN-4: a router that is killed takes its own requests with it and no other, and each of them
/// says so.
#[tokio::test]
async fn drain_4_a_router_that_is_killed_takes_its_own_requests_alone() {
    let mut plan = plan("ab", |sim| sim.inter_token = Duration::from_millis(30));
    plan.edges = 2;
    let mut processes = Processes::start(&plan).await;
    let ledger = std::mem::take(&mut processes.ledger);
    let clients = clients(&processes);
    let asked = Questions::seeded(56).take(16, 60);
    let streams = asked.iter().zip(clients.iter().cycle());
    let streams = join_all(streams.map(|(one, client)| ledger.stream(client, *one)));
    let kill = async {
        eventually("all streams run", LIMIT, async || {
            (ledger.running() == 16).then_some(())
        })
        .await;
        processes.routers[1].kill().unwrap();
    };
    let (outcomes, ()) = tokio::join!(streams, kill);
    for (number, outcome) in outcomes.iter().enumerate() {
        match number % 2 {
            0 => assert_eq!(*outcome, Outcome::Complete),
            _ => assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}"),
        }
    }
    // It heals: the workers find it again, and its gateway too.
    processes.routers[1].start().unwrap();
    processes.registered(2).await.unwrap();
    let healed = fathom::drill::Question {
        id: 100,
        seed: 56,
        tokens: 5,
    };
    assert_eq!(ledger.whole(&clients[1], healed).await, Outcome::Complete);
    processes.ledger = ledger;
    processes.audit().await;
}
