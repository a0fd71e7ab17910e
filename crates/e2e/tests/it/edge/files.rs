//! EDGE-7: a gateway without a file descriptor left.

use std::process::Command;
use std::time::Duration;

use fathom::drill::Outcome;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::processes::{Processes, Questions, plan};

/// EDGE-7: connections that it cannot accept cost a gateway nothing, and once there is room it
/// serves again.
#[tokio::test]
async fn edge_7_a_gateway_without_files_waits_and_serves_again() {
    let processes = Processes::start(&plan("a", |_| {})).await;
    let gateway = &processes.gateways[0];
    let pid = gateway.pid().unwrap();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count();
    let limited = Command::new("prlimit")
        .args([
            "--pid",
            &pid.to_string(),
            &format!("--nofile={}", open + 20),
        ])
        .status();
    assert!(limited.unwrap().success());
    let address = gateway.url.trim_start_matches("http://");
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    let (before, measured) = (processor_time(pid), Duration::from_secs(2));
    sleep(measured).await;
    let spent = processor_time(pid) - before;
    // 20 % of one processor.
    assert!(spent < measured.as_millis() as u64 / 5, "{spent} ms");
    assert!(
        gateway.log().contains("cannot accept a connection"),
        "{}",
        gateway.log()
    );
    drop(idle);
    let question = Questions::seeded(71).next(5);
    let outcome = processes.ledger.whole(&processes.client(0), question).await;
    assert_eq!(outcome, Outcome::Complete);
    processes.assert_nothing_lost().await;
}

/// What a process has computed so far, in milliseconds.
fn processor_time(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name before it may hold anything, spaces and brackets too.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks = |field: usize| fields[field].parse::<u64>().unwrap();
    // In hundredths of a second, user and system.
    (ticks(11) + ticks(12)) * 10
}
