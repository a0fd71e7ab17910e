//! Zones that fail: killed, swallowed by a black hole, slow, deaf.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fathom::drill::{Fleet, Line, Node, Outcome, Plan};
use fathom_e2e::{Chaos, Link};
use futures::future::join_all;
use tokio::time::{Instant, sleep};

use crate::processes::{
    LIMIT, Processes, Questions, at_rate, clients, eventually, plan, sim, stream_all,
};

/// Puts links between a zone of two workers and the router: one in front of each worker, and one
/// for what both tell the router. Where they lead is known once the plan is carried out.
async fn behind_links(plan: &mut Plan, zone: &'static str) -> Arc<[Chaos; 3]> {
    let start = async || Chaos::start().await.unwrap();
    let links = Arc::new([start().await, start().await, start().await]);
    let told = links.clone();
    let prefix = format!("worker-{zone}-");
    plan.adjust = Box::new(move |name, config| {
        config.router.retry.first_delay = Duration::from_millis(50);
        let [even, odd, registry] = &*told;
        if name == "router-0" {
            registry.lead_to(&config.router.listen);
        }
        if let Some(number) = name.strip_prefix(&prefix) {
            let number: usize = number.parse().unwrap();
            let link = if number.is_multiple_of(2) { even } else { odd };
            link.lead_to(&config.worker.listen);
            config.worker.advertise = Some(link.endpoint());
            config.worker.routers = vec![registry.endpoint()];
        }
    });
    links
}

fn complete_after(lines: &[Line], moment: Instant) -> (usize, usize) {
    let after = lines.iter().filter(|line| line.begun >= moment);
    let complete = |line: &&Line| line.outcome == Some(Outcome::Complete);
    (after.clone().filter(complete).count(), after.count())
}

/// ZONE-1, at 60 of its 200 requests a second: a zone is killed, and whole answers come all the
/// same.
#[tokio::test]
async fn zone_1_a_zone_that_is_killed_costs_no_answer() {
    let mut plan = plan("aabbcc", |sim| sim.inter_token = Duration::from_millis(10));
    plan.edges = 2;
    let mut processes = Processes::start(&plan).await;
    let clients = clients(&processes);
    let ledger = std::mem::take(&mut processes.ledger);
    let asked = Questions::seeded(31).take(10 * 60, 5);
    let kill = async {
        sleep(Duration::from_secs(3)).await;
        processes.kill_zone("b").unwrap();
        Instant::now()
    };
    let ask = at_rate(60, asked, async |question| {
        let client = &clients[question.id as usize % clients.len()];
        ledger.whole(client, question).await;
    });
    let (killed, ()) = tokio::join!(kill, ask);
    let lines = ledger.snapshot();
    processes.ledger = ledger;
    let totals = processes.audit().await;
    let lost = totals.asked - totals.complete;
    assert!(
        lost * 200 <= totals.asked,
        "{lost} of {} were lost",
        totals.asked
    );
    let (complete, asked) = complete_after(&lines, killed + Duration::from_secs(5));
    assert_eq!(complete, asked, "5 s later all is well");
}

/// ZONE-1: the zone's router dies with it. Gateways call routers by a name that stands for both.
#[tokio::test]
async fn zone_1_a_router_that_dies_with_its_zone_costs_no_answer_either() {
    let name = Arc::new(Chaos::start().await.unwrap());
    let told = name.clone();
    let mut plan = plan("abc", |sim| sim.inter_token = Duration::from_millis(1));
    plan.edges = 2;
    plan.adjust = Box::new(move |node, config| {
        if node.starts_with("router") {
            told.lead_to(&config.router.listen);
        }
        config.gateway.router = told.endpoint();
    });
    let mut processes = Processes::start(&plan).await;
    let clients = clients(&processes);
    let ledger = std::mem::take(&mut processes.ledger);
    let asked = Questions::seeded(32).take(10 * 60, 2);
    let kill = async {
        sleep(Duration::from_secs(3)).await;
        processes.kill_zone("b").unwrap();
        processes.routers[1].kill().unwrap();
        Instant::now()
    };
    let ask = at_rate(60, asked, async |question| {
        let client = &clients[question.id as usize % clients.len()];
        ledger.whole(client, question).await;
    });
    let (killed, ()) = tokio::join!(kill, ask);
    let lines = ledger.snapshot();
    processes.ledger = ledger;
    let totals = processes.audit().await;
    let lost = totals.asked - totals.complete;
    assert!(
        lost * 200 <= totals.asked,
        "{lost} of {} were lost",
        totals.asked
    );
    let (complete, asked) = complete_after(&lines, killed + Duration::from_secs(5));
    assert_eq!(complete, asked, "5 s later all is well");
}

/// ZONE-1: streams of the zone go on elsewhere, and nobody sees where.
#[tokio::test]
async fn zone_1_streams_of_a_zone_that_is_killed_go_on() {
    let mut plan = plan("aabbcc", |sim| sim.inter_token = Duration::from_millis(40));
    plan.edges = 2;
    let mut processes = Processes::start(&plan).await;
    let ledger = std::mem::take(&mut processes.ledger);
    let clients = clients(&processes);
    let asked = Questions::seeded(33).take(36, 75);
    let streams = asked.iter().zip(clients.iter().cycle());
    let streams = join_all(streams.map(|(one, client)| ledger.stream(client, *one)));
    let kill = async {
        eventually("all streams run", LIMIT, async || {
            (ledger.running() == 36).then_some(())
        })
        .await;
        let struck = processes.running_at(processes.zone("b")).await;
        assert!(struck > 0.0, "nothing runs there");
        println!("{struck} streams run in the zone");
        processes.kill_zone("b").unwrap();
    };
    tokio::join!(streams, kill);
    processes.ledger = ledger;
    processes.assert_nothing_lost().await;
}

/// ZONE-2: no reset and no end tells that a zone is gone.
#[tokio::test]
async fn zone_2_a_zone_in_a_black_hole_is_found_out() {
    const DETECTED: Duration = Duration::from_secs(11);
    let mut plan = plan("aabbcc", |sim| sim.inter_token = Duration::from_millis(40));
    let links = behind_links(&mut plan, "b").await;
    let processes = Processes::start(&plan).await;
    let asked = Questions::seeded(34).take(24, 60);
    let lost = async {
        eventually("all streams run", LIMIT, async || {
            (processes.ledger.running() == 24).then_some(())
        })
        .await;
        let struck = processes.running_at(processes.zone("b")).await;
        assert!(struck > 0.0, "nothing runs there");
        for link in links.iter() {
            link.set(Link::Stall);
        }
        Instant::now()
    };
    let (stalled, ()) = tokio::join!(lost, stream_all(&processes, &processes.ledger, &asked));
    for line in processes.ledger.snapshot() {
        let pieces = line.pieces.iter().filter(|piece| **piece > stalled);
        let mut times: Vec<Instant> = [stalled].into_iter().chain(pieces.copied()).collect();
        times.extend(line.ended);
        let pause = times
            .windows(2)
            .map(|pair| pair[1].saturating_duration_since(pair[0]));
        let pause = pause.max().unwrap_or_default();
        assert!(
            pause < DETECTED,
            "request {} waited {pause:?}",
            line.question.id
        );
    }
    for link in links.iter() {
        link.set(Link::Reset);
    }
    processes.assert_nothing_lost().await;
}

/// ZONE-3: what two zones did, one cannot. It does what it can, and the rest is refused; zones
/// that come back are not buried. Zones of 8 slots; 3 zones carry the load, 1 does not.
#[tokio::test]
async fn zone_3_one_zone_of_three_serves_what_it_can_and_those_that_return_are_not_buried() {
    const SLOTS: usize = 8;
    /// Of an answer of 10 tokens.
    const SERVICE: Duration = Duration::from_millis(200);
    let mut plan = plan("abc", |sim| {
        sim.inter_token = SERVICE / 10;
        sim.capacity = SLOTS;
        sim.max_queue = SLOTS / 8;
        sim.max_queue_age = Duration::from_secs(1);
    });
    plan.adjust = Box::new(|_, config| {
        config.router.retry.first_delay = Duration::from_millis(50);
    });
    let mut processes = Processes::start(&plan).await;
    let client = processes.client(0);
    let ledger = std::mem::take(&mut processes.ledger);
    let over = AtomicBool::new(false);
    let lanes = (0..16_u32).map(async |lane| {
        for turn in 0.. {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let question = fathom::drill::Question {
                id: lane * 10_000 + turn,
                seed: 35,
                tokens: 10,
            };
            if ledger.whole(&client, question).await != Outcome::Complete {
                // A caller that is refused does not come again at once.
                sleep(Duration::from_millis(100)).await;
            }
        }
    });
    let served = || {
        let lines = ledger.snapshot();
        let complete = lines
            .iter()
            .filter(|line| line.outcome == Some(Outcome::Complete));
        complete.count()
    };
    let script = async {
        println!("seed 35");
        sleep(Duration::from_secs(2)).await;
        processes.kill_zone("b").unwrap();
        processes.kill_zone("c").unwrap();
        sleep(Duration::from_secs(1)).await;
        let (before, begun) = (served(), Instant::now());
        let mut most = 0.0_f64;
        while begun.elapsed() < Duration::from_secs(3) {
            let gauges = ["fathom_worker_running", "fathom_worker_queued"];
            let gauges = gauges.map(|gauge| Fleet::sum(processes.zone("a"), gauge, &[]));
            most = most.max(join_all(gauges).await.iter().sum());
            sleep(Duration::from_millis(20)).await;
        }
        let rate = (served() - before) as f64 / begun.elapsed().as_secs_f64();
        let capacity = SLOTS as f64 / SERVICE.as_secs_f64();
        println!("{rate:.1} of {capacity} answers a second, {most} requests at the zone");
        assert!(
            rate >= capacity * 0.8,
            "{rate:.1} of {capacity} answers a second"
        );
        assert!(
            most <= SLOTS as f64 * 1.2,
            "{most} requests at a zone of {SLOTS} slots"
        );
        for zone in ["b", "c"] {
            processes.start_zone(zone).unwrap();
            eventually("the zone is asked again", LIMIT, async || {
                let found: Vec<&Node> = processes.zone(zone).collect();
                (processes.attempts_at(found).await > 0.0).then_some(())
            })
            .await;
        }
        processes.registered(3).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        let whole = Instant::now();
        sleep(Duration::from_secs(2)).await;
        over.store(true, Ordering::Relaxed);
        whole
    };
    let (whole, _) = tokio::join!(script, join_all(lanes));
    let lines = ledger.snapshot();
    processes.ledger = ledger;
    processes.audit().await;
    let (complete, asked) = complete_after(&lines, whole);
    assert!(asked > 0);
    assert_eq!(complete, asked, "all zones are back");
}

/// ZONE-4: a zone that is 200 ms away is asked less, and the others are as fast as ever.
#[tokio::test]
async fn zone_4_a_slow_zone_is_asked_less() {
    let mut plan = plan("aabbcc", |sim| sim.inter_token = Duration::from_millis(5));
    let links = behind_links(&mut plan, "b").await;
    let processes = Processes::start(&plan).await;
    let client = processes.client(0);
    for link in links.iter() {
        link.set(Link::Delay(Duration::from_millis(200)));
    }
    let mut questions = Questions::seeded(36);
    let batches: Vec<_> = (0..12).map(|_| questions.take(25, 4)).collect();
    join_all(batches.iter().map(async |batch| {
        for question in batch {
            processes.ledger.whole(&client, *question).await;
        }
    }))
    .await;
    let slow = processes.attempts_at(processes.zone("b")).await;
    let all = processes.attempts_at(&processes.workers).await;
    println!("{slow} of {all} attempts in the slow zone");
    assert!(
        slow < all / 5.0,
        "{slow} of {all} attempts in the slow zone"
    );
    let mut times: Vec<Duration> = processes
        .ledger
        .snapshot()
        .iter()
        .filter_map(|line| Some(line.ended? - line.begun))
        .collect();
    times.sort_unstable();
    // The requests of the slow zone apart, of which there are so many.
    let others = &times[..times.len() - slow as usize];
    let p99 = others[others.len() * 99 / 100];
    println!("p99 of the others {p99:?}");
    // There and back, which is what an answer of the slow zone takes at the least.
    assert!(p99 < Duration::from_millis(400), "{p99:?}");
    processes.assert_nothing_lost().await;
}

/// ZONE-4: a zone that hears and is not heard. What it was asked is asked elsewhere.
#[tokio::test]
async fn zone_4_a_zone_that_is_not_heard_is_found_out() {
    let mut plan = plan("aabbcc", |_| {});
    plan.sim.ttft = Duration::from_millis(100);
    let links = behind_links(&mut plan, "b").await;
    let processes = Processes::start(&plan).await;
    let asked = Questions::seeded(37).take(18, 10);
    let deafen = async {
        eventually("all workers run something", LIMIT, async || {
            (processes.running_at(processes.zone("b")).await > 0.0).then_some(())
        })
        .await;
        // What a zone says is an answer on the links in front of it, and a call on the other.
        let [even, odd, registry] = &*links;
        even.set(Link::StallAnswers);
        odd.set(Link::StallAnswers);
        registry.set(Link::Stall);
    };
    tokio::join!(deafen, stream_all(&processes, &processes.ledger, &asked));
    for link in links.iter() {
        link.set(Link::Reset);
    }
    processes.assert_nothing_lost().await;
}

/// OVER-6: a zone that refuses is quick about it, and must not be liked for that.
#[tokio::test]
async fn over_6_a_zone_that_refuses_quickly_gets_no_more_than_its_share() {
    let mut plan = plan("abc", |sim| sim.inter_token = Duration::from_millis(10));
    plan.adjust = Box::new(|name, config| {
        config.router.retry.first_delay = Duration::from_millis(50);
        if name == "worker-c-2" {
            sim(config, |sim| {
                let mut fault = fathom_worker::SimFault::new(fathom_worker::SimFaultKind::Fail);
                fault.code = fathom_proto::ErrorCode::RateLimited;
                sim.faults = vec![fault];
            });
        }
    });
    let processes = Processes::start(&plan).await;
    let client = processes.client(0);
    let asked = Questions::seeded(38).take(40 * 5, 5);
    at_rate(40, asked, async |question| {
        processes.ledger.whole(&client, question).await;
    })
    .await;
    let totals = processes.audit().await;
    let refusing = processes.attempts_at([&processes.workers[2]]).await;
    let all = processes.attempts_at(&processes.workers).await;
    println!("{refusing} of {all} attempts at the worker that refuses");
    // A third, and what chance adds to it in so few.
    assert!(refusing <= all * 0.4, "{refusing} of {all}");
    assert!(totals.complete > 0);
}
