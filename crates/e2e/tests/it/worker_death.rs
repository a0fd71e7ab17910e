//! One of two workers dies.

use std::time::Duration;

use fathom_e2e::{Cluster, Wiring, eventually};
use fathom_worker::SimConfig;
use futures::future::join_all;

use crate::requests::chat;

const LIMIT: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(600);

fn engine(ttft: Duration, inter_token: Duration) -> SimConfig {
    SimConfig {
        serves: vec!["deepseek-chat".to_owned()],
        ttft,
        inter_token,
        ..SimConfig::default()
    }
}

/// LIFE-6: before the first token, nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_without_a_token_begin_again_elsewhere() {
    let cluster = Cluster::builder(Wiring::Grpc).start().await.unwrap();
    let client = cluster.client();
    let alone = client.chat(&chat("hi")).await.unwrap();
    let other = cluster.add_worker(engine(LONG, LONG)).await.unwrap();
    let answers = (0..6).map(async |_| client.chat(&chat("hi")).await);
    let watched = other.worker.clone();
    let kill = async {
        eventually("some wait for their first token", LIMIT, || {
            watched.load().running >= 2
        })
        .await;
        other.kill();
    };
    let (answers, ()) = tokio::join!(join_all(answers), kill);
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!(answer.choices[0].message, alone.choices[0].message);
        assert_eq!(answer.usage, alone.usage);
    }
}

/// LIFE-6: after the first token another worker goes on, and no token is lost or comes twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_with_a_token_go_on_elsewhere() {
    let cluster = Cluster::builder(Wiring::Grpc).start().await.unwrap();
    let client = cluster.client();
    let alone = client.chat(&chat("hi")).await.unwrap();
    let other = cluster
        .add_worker(engine(Duration::ZERO, LONG))
        .await
        .unwrap();
    let watched = other.worker.clone();
    // Whole answers of the first worker come and go; the next one waits at the second.
    let mut stream = loop {
        let stream = client.chat_stream(chat("hi")).await.unwrap();
        if watched.load().running > 0 {
            break stream;
        }
    };
    let (mut text, mut usage) = (String::new(), None);
    let mut doomed = Some(other);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.unwrap();
        for choice in chunk.choices {
            text.push_str(choice.delta.content.as_deref().unwrap_or_default());
        }
        usage = chunk.usage.flatten().or(usage);
        if !text.is_empty()
            && let Some(doomed) = doomed.take()
        {
            doomed.kill();
        }
    }
    assert_eq!(
        Some(text.as_str()),
        alone.choices[0].message.content.as_deref()
    );
    assert_eq!(usage, Some(alone.usage));
}
