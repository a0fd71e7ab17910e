use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::ask::{begin, chat, long_chat, whole};
use crate::harness::{Server, home, real, shared};
use crate::process::eventually;

const RUNNING: &str = "fathom_worker_running";
const QUEUED: &str = "fathom_worker_queued";

/// In the one line that a request leaves.
const CANCELLED: &str = r#""request.status":499,"request.outcome":"cancelled""#;

/// An engine whose second request waits.
const ONE_SLOT: &str =
    r#"worker.engines=[{kind="local", serves=["deepseek-chat"], threads=1, slots=1}]"#;

/// The promise is 100 ms and one step; the rest is for a machine that compiles at the same time.
const FREED: Duration = Duration::from_secs(1);

async fn until(server: &Server, gauge: &str, value: f64, limit: Duration) {
    let what = format!("{gauge} is {value}");
    eventually(&what, limit, async || {
        (server.engine_gauge(gauge).await? == value).then_some(())
    })
    .await;
}

/// Waits until the engine is free: nothing is counted as running, and the next request is
/// answered, which it would not be while the engine still computes for the former.
async fn assert_freed(server: &Server, what: &str) {
    let left = Instant::now();
    until(server, RUNNING, 0.0, FREED).await;
    let counted = left.elapsed();
    whole(&server.client(), &chat("Hello", 1)).await;
    let answered = left.elapsed();
    let free = Instant::now();
    whole(&server.client(), &chat("Hello", 1)).await;
    let usual = free.elapsed();
    println!(
        "{what}: counted as free after {counted:?}, next answer after {answered:?}, which takes \
         a free engine {usual:?}"
    );
    // A busy machine is slow with an engine that is free, too; what was left would take minutes.
    assert!(
        answered < 2 * FREED + 4 * usual,
        "{what}: next answer after {answered:?}, of a free engine after {usual:?}"
    );
}

/// LIFE-1.
#[tokio::test]
async fn a_client_that_leaves_a_stream_frees_the_engine() {
    let server = shared().await;
    let stream = begin(&server.client(), long_chat()).await;
    until(&server, RUNNING, 1.0, FREED).await;
    let logged = || server.log().matches(CANCELLED).count();
    let before = logged();
    drop(stream);
    assert_freed(&server, "stream").await;
    assert_eq!(logged(), before + 1);
}

/// LIFE-2.
#[tokio::test]
async fn a_client_that_does_not_wait_for_a_whole_answer_frees_the_engine() {
    let server = shared().await;
    let client = server.client();
    let mut asking = JoinSet::new();
    asking.spawn(async move { client.chat(&long_chat()).await });
    until(&server, RUNNING, 1.0, 5 * FREED).await;
    asking.shutdown().await;
    assert_freed(&server, "whole answer").await;
}

/// LIFE-2: before there is a byte of the answer.
#[tokio::test]
async fn a_client_that_leaves_while_its_prompt_is_read_frees_the_engine() {
    let server = shared().await;
    let client = server.client();
    let mut asking = JoinSet::new();
    asking.spawn(async move { client.chat(&chat("river ".repeat(6000), 16)).await });
    until(&server, RUNNING, 1.0, 5 * FREED).await;
    asking.shutdown().await;
    assert_freed(&server, "long prompt").await;
}

/// LIFE-2: one that waits gives up its place and disturbs nobody.
#[tokio::test]
async fn a_client_that_leaves_the_queue_is_never_run() {
    let server = real(&home(), &["--set", ONE_SLOT]).await;
    let mut first = begin(&server.client(), long_chat()).await;
    let client = server.client();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { client.chat(&chat("Hello", 1)).await });
    until(&server, QUEUED, 1.0, 5 * FREED).await;
    let left = Instant::now();
    waiting.shutdown().await;
    until(&server, QUEUED, 0.0, FREED).await;
    println!("queue: free after {:?}", left.elapsed());
    assert!(first.next().await.unwrap().is_ok());
    drop(first);
    assert_freed(&server, "stream before a queue").await;
}
