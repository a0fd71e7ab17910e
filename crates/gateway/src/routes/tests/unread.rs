//! Streams that their clients do not read.

use std::sync::Arc;

use fathom_proto::identity::{Change, Scope};
use tokio::sync::mpsc::Receiver;
use tokio::time::Duration;

use super::fakes::{Call, delta, started, steered, steered_watching};
use super::*;
use crate::Config;
use crate::identity::fake::FakeAuth;

const KEY: &str = "sk-key";

/// An answer with `n` choices that have all begun; nobody reads it.
async fn begin(
    gateway: &Gateway,
    asked: &mut Receiver<Call>,
    bearer: &str,
    n: usize,
) -> (Response, Vec<Call>) {
    let mut body = chat_body();
    body["stream"] = true.into();
    body["n"] = n.into();
    let path = "/v1/chat/completions";
    let request = request(Method::POST, path, Some(bearer), body.to_string());
    let tell = async {
        let mut calls = Vec::new();
        for _ in 0..n {
            let call = asked.recv().await.unwrap();
            call.tell(started(1)).await;
            call.tell(delta("x", 1)).await;
            calls.push(call);
        }
        calls
    };
    let (response, calls) = tokio::join!(routes(gateway.clone()).oneshot(request), tell);
    (response.unwrap(), calls)
}

/// The code of the error with which an answer ends.
async fn ending(response: Response) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(!body.contains("[DONE]"));
    let last = body.trim_end().rsplit("\n\n").next().unwrap();
    let (_, data) = last.split_once("data: ").unwrap();
    let error: Value = serde_json::from_str(data).unwrap();
    error["error"]["code"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn what_nobody_reads_ends_at_its_deadline() {
    for n in [1, 2] {
        let (mut gateway, mut asked) = steered();
        gateway.config = Arc::new(Config {
            request_timeout: Duration::from_secs(1),
            ..Config::default()
        });
        let (response, calls) = begin(&gateway, &mut asked, ALL_SCOPES, n).await;
        for call in &calls {
            call.dropped().await;
        }
        assert_eq!(ending(response).await, "deadline_exceeded", "{n}");
    }
}

/// Part of SEC-12.
#[tokio::test(start_paused = true)]
async fn what_nobody_reads_ends_with_its_callers_rights() {
    for n in [1, 2] {
        let auth = FakeAuth::new();
        auth.key(KEY, "key", &[Scope::Inference]);
        let (gateway, mut asked) = steered_watching(&auth).await;
        let (response, calls) = begin(&gateway, &mut asked, KEY, n).await;
        auth.state().credentials.remove(KEY);
        auth.tell(Change::Subject("key".into()));
        for call in &calls {
            call.dropped().await;
        }
        assert_eq!(ending(response).await, "invalid_api_key", "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_reads_ends_with_the_server() {
    let (gateway, mut asked) = steered();
    let (response, calls) = begin(&gateway, &mut asked, ALL_SCOPES, 1).await;
    let _connection = gateway.shutdown.hold();
    gateway.shutdown.drain().await;
    calls[0].dropped().await;
    assert_eq!(ending(response).await, "server_shutdown");
}

/// Part of LIFE-1: nothing has to run first.
#[tokio::test]
async fn what_is_let_go_ends_at_once() {
    for n in [1, 2] {
        let (gateway, mut asked) = steered();
        let (response, calls) = begin(&gateway, &mut asked, ALL_SCOPES, n).await;
        assert!(!calls.iter().any(Call::is_dropped));
        drop(response);
        assert!(calls.iter().all(Call::is_dropped), "{n}");
    }
}
