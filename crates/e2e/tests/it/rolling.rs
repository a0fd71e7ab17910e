//! Processes that are told to stop, and started again, while clients are served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fathom::drill::{Fleet, Node, Outcome, Question};
use fathom_client::Client;
use fathom_e2e::Chaos;
use fathom_test_database::TestDatabase;
use futures::SinkExt;
use futures::future::join_all;
use secrecy::SecretString;
use serde_json::json;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use crate::processes::{LIMIT, Processes, Questions, eventually, plan, signal};
use crate::requests::chat_json;
use crate::websocket_lanes::{connect_to, listen};

/// How long a process serves on after it has said that it wants no traffic.
const DELAY: Duration = Duration::from_millis(500);

/// DRAIN-1: a gateway that is told to stop says that it wants no traffic, takes what comes all the
/// same for a while, finishes what it has, 100 streams, 50 whole answers, 50 lanes of WebSockets and
/// 20 that wait, and ends well.
#[tokio::test]
async fn drain_1_a_gateway_finishes_what_it_has() {
    drains(|fleet| &mut fleet.gateways[0]).await;
}

/// DRAIN-1: so does a router.
#[tokio::test]
async fn drain_1_a_router_finishes_what_it_has() {
    drains(|fleet| &mut fleet.routers[0]).await;
}

/// DRAIN-1: so does a worker.
#[tokio::test]
async fn drain_1_a_worker_finishes_what_it_has() {
    drains(|fleet| &mut fleet.workers[0]).await;
}

async fn drains(pick: fn(&mut Fleet) -> &mut Node) {
    let mut plan = plan("a", |sim| {
        sim.inter_token = Duration::from_millis(80);
        sim.capacity = 200;
    });
    plan.adjust = Box::new(|_, config| config.shutdown_delay = DELAY);
    let mut processes = Processes::start(&plan).await;
    let ledger = std::mem::take(&mut processes.ledger);
    let client = processes.client(0);
    let mut questions = Questions::seeded(61);
    let asked = questions.take(170, 40);
    let late = questions.next(10);
    let (streams, wholes) = asked.split_at(110);
    let streams = join_all(streams.iter().map(|one| ledger.stream(&client, *one)));
    let wholes = join_all(wholes.iter().map(|one| ledger.whole(&client, *one)));
    let (url, key) = (processes.gateways[0].url.clone(), processes.key().clone());
    let lanes = join_all((0..50).map(async |_| lane(&url, &key).await));
    let drain = async {
        eventually("some run and some wait", LIMIT, async || {
            let running = processes.running_at(&processes.workers).await;
            let gateways = &processes.gateways;
            let open = Fleet::sum(gateways, "fathom_gateway_requests_in_flight", &[]).await;
            (running == 200.0 && open >= 220.0 && ledger.running() > 0).then_some(())
        })
        .await;
        let node = pick(&mut processes);
        signal(node, "TERM");
        eventually("it wants no traffic", LIMIT, async || {
            (!node.is_ready().await).then_some(())
        })
        .await;
        assert!(
            node.ended().is_none(),
            "it has ended with requests under way"
        );
        // Over a connection of its own, as of a balancer that has not noticed.
        let newcomer = processes.client(0);
        assert_eq!(ledger.whole(&newcomer, late).await, Outcome::Complete);
        let node = pick(&mut processes);
        let status = node.wait(LIMIT).await.unwrap();
        assert!(status.success(), "{status}");
    };
    let (_, _, lanes, ()) = tokio::join!(streams, wholes, lanes, drain);
    assert_eq!(lanes, ["done"; 50]);
    processes.ledger = ledger;
    processes.assert_nothing_lost().await;
}

/// How the one request of a WebSocket ends.
async fn lane(url: &str, key: &SecretString) -> String {
    let mut socket = connect_to(url, key).await;
    let mut request = chat_json("hi");
    request["max_tokens"] = 40.into();
    let create = json!({"type": "response.create", "stream_id": "a", "request": request});
    let create = Message::text(create.to_string());
    socket.send(create).await.unwrap();
    let (heard, _) = listen(&mut socket, 1).await;
    let last = heard["a"].last().unwrap();
    last["type"].as_str().unwrap().to_owned()
}

/// How often every process is restarted.
const ROUNDS: usize = 3;

/// DRAIN-3, without another version: every process is restarted, one after the other, three times,
/// and no request fails. On PostgreSQL; clients and gateways reach what they call by names that
/// stand for all of a kind.
#[tokio::test]
async fn drain_3_a_rolling_restart_costs_no_request() {
    let database = TestDatabase::postgres().await;
    let (url, edge, router) = (
        database.url.clone(),
        Arc::new(Chaos::start().await.unwrap()),
        Arc::new(Chaos::start().await.unwrap()),
    );
    let mut plan = plan("abc", |sim| sim.inter_token = Duration::from_millis(15));
    plan.edges = 2;
    let told = (edge.clone(), router.clone());
    plan.adjust = Box::new(move |name, config| {
        if name.starts_with("gateway") {
            config.shutdown_delay = DELAY;
        }
        config.auth.database.clone_from(&url);
        config.router.database = Some(url.clone());
        config.gateway.router = told.1.endpoint();
        if name.starts_with("router") {
            told.1.lead_to(&config.router.listen);
        }
        if name.starts_with("gateway") {
            told.0.lead_to(&config.gateway.listen);
        }
    });
    let mut processes = Processes::start(&plan).await;
    let ledger = std::mem::take(&mut processes.ledger);
    println!("seed 62");
    let (name, key) = (edge.endpoint().to_string(), processes.key().clone());
    let over = AtomicBool::new(false);
    let lanes = (0..12_u32).map(async |lane| {
        for turn in 0.. {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let question = Question {
                id: lane * 10_000 + turn,
                seed: 62,
                tokens: 10 + lane,
            };
            // A new connection each time, which goes to whoever is there.
            let client = Client::new(name.clone(), key.clone());
            if lane % 2 == 0 {
                ledger.stream(&client, question).await;
            } else {
                ledger.whole(&client, question).await;
            }
        }
    });
    let roll = async {
        eventually("streams run", LIMIT, async || {
            (ledger.running() > 0).then_some(())
        })
        .await;
        let workers = processes.workers.len();
        for round in 0..ROUNDS {
            let begun = Instant::now();
            restart(&mut processes.auth).await;
            for number in 0..workers {
                restart(&mut processes.workers[number]).await;
                processes.registered(workers).await.unwrap();
            }
            for number in 0..processes.routers.len() {
                restart(&mut processes.routers[number]).await;
                processes.registered(workers).await.unwrap();
            }
            for number in 0..processes.gateways.len() {
                let gateway = &mut processes.gateways[number];
                signal(gateway, "TERM");
                eventually("it wants no traffic", LIMIT, async || {
                    (!gateway.is_ready().await).then_some(())
                })
                .await;
                // What a balancer does that asks whether it is ready.
                edge.lead_away_from(&gateway.url);
                start_again(gateway).await;
                edge.lead_to(&gateway.url.trim_start_matches("http://").parse().unwrap());
                // It knows its callers before the only auth service is restarted again.
                let first = Question {
                    id: u32::try_from(1_000_000 + round * 10 + number).unwrap(),
                    seed: 62,
                    tokens: 10,
                };
                ledger.whole(&processes.client(number), first).await;
            }
            println!("round {round} took {:?}", begun.elapsed());
        }
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(join_all(lanes), roll);
    processes.ledger = ledger;
    processes.assert_nothing_lost().await;
}

async fn restart(node: &mut Node) {
    signal(node, "TERM");
    start_again(node).await;
}

/// Waits until a node that was told to stop has ended, and starts it.
async fn start_again(node: &mut Node) {
    let status = node.wait(LIMIT).await.unwrap();
    assert!(status.success(), "{}: {status}", node.name);
    node.start().unwrap();
    node.ready(LIMIT).await.unwrap();
}
