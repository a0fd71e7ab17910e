//! What a caller sees of an engine that fails: a status where nothing was sent yet, an error in
//! the stream where something was, and never an answer that only looks complete.

use std::num::NonZeroU32;
use std::time::Duration;

use fathom_api::chat::ChatRequest;
use fathom_client::{Client, Error};
use fathom_e2e::{Cluster, Wiring, eventually};
use serde_json::{Value, json};

use crate::errors::assert_refused;
use crate::in_both_wirings;
use crate::requests::chat;

/// How long a request may take here; longer than any that does not stall.
const PATIENCE: Duration = Duration::from_secs(2);

async fn cluster(wiring: Wiring) -> Cluster {
    let config = |config: &mut fathom::Config| {
        config.gateway.request_timeout = PATIENCE;
        // What is under test is the one worker's fault, and not what the router makes of it.
        config.router.retry.continuations = 0;
        config.router.breaker.consecutive = NonZeroU32::MAX;
        config.router.queue.max_age = PATIENCE / 10;
    };
    Cluster::builder(wiring)
        .config(config)
        .start()
        .await
        .unwrap()
}

fn asked(fault: &Value) -> ChatRequest {
    let mut request = chat("hi");
    request.extra.insert("sim".to_owned(), fault.clone());
    request
}

/// How many texts came, and how the stream ended.
async fn streamed(client: &Client, fault: &Value) -> (usize, Result<(), Error>) {
    let mut texts = 0;
    let mut stream = match client.chat_stream(asked(fault)).await {
        Ok(stream) => stream,
        Err(error) => return (texts, Err(error)),
    };
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) => {
                let says = |choice: &fathom_api::chat::ChunkChoice<'_>| {
                    choice
                        .delta
                        .content
                        .as_ref()
                        .is_some_and(|text| !text.is_empty())
                };
                texts += chunk.choices.iter().filter(|choice| says(choice)).count();
            }
            Err(error) => return (texts, Err(error)),
        }
    }
    (texts, Ok(()))
}

/// The code of an error, wherever it came.
#[track_caller]
fn code(error: Error) -> String {
    match error {
        Error::Refused { code, .. } | Error::Failed { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

in_both_wirings! {
    /// LIFE-6, LIFE-7
    async fn every_fault_is_an_error_that_says_so(wiring: Wiring) {
        let cluster = cluster(wiring).await;
        let client = cluster.client();
        for (fault, status, name) in [
            (json!({"kind": "fail"}), 502, "worker_failed"),
            (json!({"kind": "fail", "code": "internal_error"}), 500, "internal_error"),
            (json!({"kind": "fail", "code": "overloaded"}), 503, "overloaded"),
            (json!({"kind": "cut"}), 502, "worker_failed"),
            (json!({"kind": "panic"}), 502, "worker_failed"),
            (json!({"kind": "stall"}), 504, "deadline_exceeded"),
        ] {
            for after in [0_usize, 3] {
                let mut fault = fault.clone();
                fault["after"] = after.into();
                let request = asked(&fault);
                let (whole, (texts, ended)) =
                    tokio::join!(client.chat(&request), streamed(&client, &fault));
                assert_refused(whole.unwrap_err(), status, name, None);
                assert_eq!((texts, code(ended.unwrap_err()).as_str()), (after, name), "{fault}");
            }
        }
        eventually("nothing is left behind", PATIENCE, || {
            let load = cluster.load();
            (load.running, load.queued) == (0, 0)
        })
        .await;
        assert!(client.chat(&chat("hi")).await.is_ok());
    }

    async fn a_full_engine_is_503_at_once(wiring: Wiring) {
        let cluster = cluster(wiring).await;
        let fault = json!({"kind": "full"});
        let error = cluster.client().chat(&asked(&fault)).await.unwrap_err();
        assert_refused(error, 503, "overloaded", None);
        let (texts, ended) = streamed(&cluster.client(), &fault).await;
        assert_eq!((texts, code(ended.unwrap_err()).as_str()), (0, "overloaded"));
    }

    async fn a_fault_that_cannot_be_read_is_400_by_its_field(wiring: Wiring) {
        let cluster = cluster(wiring).await;
        let fault = json!({"kind": "fail", "aftre": 1});
        let error = cluster.client().chat(&asked(&fault)).await.unwrap_err();
        let message = assert_refused(error, 400, "invalid_request", Some("sim"));
        assert!(message.contains("aftre"), "{message}");
    }

    /// What an engine gets wrong is passed on as text or is mended, and breaks nothing.
    async fn noise_and_a_second_beginning_are_a_whole_answer_all_the_same(wiring: Wiring) {
        let cluster = cluster(wiring).await;
        let client = cluster.client();
        let noisy = client.chat(&asked(&json!({"kind": "garbage", "after": 2}))).await.unwrap();
        let noise = noisy.choices[0].message.content.clone().unwrap();
        assert_eq!(noise.matches('\u{fffd}').count(), 60);
        let again = client.chat(&asked(&json!({"kind": "restart", "after": 2}))).await.unwrap();
        let plain = client.chat(&chat("hi")).await.unwrap();
        assert_eq!(again.choices[0].message.content, plain.choices[0].message.content);
        assert_eq!(again.usage, plain.usage);
    }
}
