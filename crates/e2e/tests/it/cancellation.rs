//! A caller that leaves stops the work it asked for, wherever that is: streaming or not, queued
//! or running.

use std::time::Duration;

use fathom_e2e::{Cluster, Wiring, eventually};
use futures::FutureExt;
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::in_both_wirings;
use crate::requests::{chat, chat_json};

/// The promise of this project; the catalogue allows 250 ms.
const PROMISE: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(60);

/// A cluster with one slot and an engine that never ends by itself.
async fn endless(wiring: Wiring, ttft: Duration) -> Cluster {
    Cluster::builder(wiring)
        .sim(|sim| {
            sim.capacity = 1;
            sim.ttft = ttft;
            sim.inter_token = LONG;
        })
        .start()
        .await
        .unwrap()
}

/// Waits until nothing runs and nothing waits.
async fn idle(cluster: &Cluster) -> Duration {
    eventually("the engine is idle", LONG, || {
        let load = cluster.load();
        (load.running, load.queued) == (0, 0)
    })
    .await
}

/// A stream of which the first bytes have come, over a connection of its own.
async fn stream_over_tcp(cluster: &Cluster) -> TcpStream {
    let address = cluster.base_url.trim_start_matches("http://");
    let mut body = chat_json("hi");
    body["stream"] = true.into();
    let body = body.to_string();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        cluster.demo.api_key.expose_secret(),
        body.len(),
    );
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !answer.contains("data:") {
        let mut bytes = [0; 1024];
        let count = socket.read(&mut bytes).await.unwrap();
        assert!(count > 0, "no stream: {answer}");
        answer.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    socket
}

/// Asserts the promise for the middle one of several tries: another program on the machine may
/// hold up one of them.
#[track_caller]
fn assert_kept(mut times: [Duration; 3]) {
    times.sort();
    assert!(times[1] <= PROMISE, "{times:?}");
}

in_both_wirings! {
    /// LIFE-1
    async fn leaving_a_stream_frees_the_slot(wiring: Wiring) {
        let cluster = endless(wiring, Duration::ZERO).await;
        let mut times = [Duration::ZERO; 3];
        for time in &mut times {
            let mut stream = cluster.client().chat_stream(chat("hi")).await.unwrap();
            stream.next().await.unwrap().unwrap();
            assert_eq!(cluster.load().running, 1);
            drop(stream);
            *time = idle(&cluster).await;
        }
        assert_kept(times);
    }

    /// LIFE-1: by the end of the connection, by its reset, and, over HTTP/2, by the stream's reset
    /// on a connection that stays.
    async fn every_way_to_leave_a_stream_frees_the_slot(wiring: Wiring) {
        let cluster = endless(wiring, Duration::ZERO).await;
        for reset in [false, true] {
            let mut times = [Duration::ZERO; 3];
            for time in &mut times {
                let socket = stream_over_tcp(&cluster).await;
                assert_eq!(cluster.load().running, 1);
                if reset {
                    socket.set_zero_linger().unwrap();
                }
                drop(socket);
                *time = idle(&cluster).await;
            }
            assert_kept(times);
        }
        let http = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
        let mut times = [Duration::ZERO; 3];
        for time in &mut times {
            let mut body = chat_json("hi");
            body["stream"] = true.into();
            let request = http
                .post(format!("{}/v1/chat/completions", cluster.base_url))
                .bearer_auth(cluster.demo.api_key.expose_secret())
                .json(&body);
            let mut answer = request.send().await.unwrap();
            assert_eq!(answer.version(), reqwest::Version::HTTP_2);
            answer.chunk().await.unwrap().unwrap();
            assert_eq!(cluster.load().running, 1);
            drop(answer);
            *time = idle(&cluster).await;
        }
        assert_kept(times);
    }

    /// LIFE-2: an answer that is wanted as a whole, in the middle of it.
    async fn leaving_a_whole_answer_frees_the_slot(wiring: Wiring) {
        let cluster = endless(wiring, Duration::ZERO).await;
        let mut times = [Duration::ZERO; 3];
        for time in &mut times {
            let client = cluster.client();
            let request = chat("hi");
            let mut whole = Box::pin(client.chat(&request));
            eventually("the request runs", LONG, || {
                assert!(whole.as_mut().now_or_never().is_none());
                cluster.load().running == 1
            })
            .await;
            drop(whole);
            *time = idle(&cluster).await;
        }
        assert_kept(times);
    }

    /// LIFE-2
    async fn leaving_before_the_first_token_frees_the_slot(wiring: Wiring) {
        let cluster = endless(wiring, LONG).await;
        let mut times = [Duration::ZERO; 3];
        for time in &mut times {
            let client = cluster.client();
            let request = chat("hi");
            let mut whole = Box::pin(client.chat(&request));
            eventually("the request runs", LONG, || {
                assert!(whole.as_mut().now_or_never().is_none());
                cluster.load().running == 1
            })
            .await;
            drop(whole);
            *time = idle(&cluster).await;
        }
        assert_kept(times);
    }

    /// LIFE-2: what is queued and left never runs, and does not keep its place.
    async fn leaving_the_queue_frees_the_place(wiring: Wiring) {
        let cluster = endless(wiring, Duration::ZERO).await;
        let client = cluster.client();
        let _running = client.chat_stream(chat("first")).await.unwrap();
        let mut times = [Duration::ZERO; 3];
        for time in &mut times {
            let request = chat("left while queued");
            let mut queued = Box::pin(client.chat(&request));
            eventually("the request is queued", LONG, || {
                assert!(queued.as_mut().now_or_never().is_none());
                let load = cluster.load();
                (load.running, load.queued) == (1, 1)
            })
            .await;
            drop(queued);
            *time = eventually("the place is free", LONG, || cluster.load().queued == 0).await;
        }
        assert_kept(times);
    }
}
