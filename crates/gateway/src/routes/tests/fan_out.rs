//! Requests that want several answers.

use std::num::NonZeroUsize;
use std::sync::Arc;

use fathom_proto::inference::Prompt;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};

use super::fakes::{Call, delta, finished, started, steered};
use super::*;
use crate::Config;

/// Asks for two continuations of each of two prompts, and waits for the calls, in their order.
async fn ask(stream: bool) -> (JoinSet<Answer>, [Call; 4], Receiver<Call>) {
    let (gateway, mut asked) = steered();
    let mut body = json!({
        "model": "m", "prompt": ["a", "b"], "n": 2, "seed": 7, "stream": stream,
    });
    if stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    let mut answer = JoinSet::new();
    answer.spawn(send(routes(gateway), post("/v1/completions", body)));
    let mut calls = Vec::new();
    for _ in 0..4 {
        calls.push(asked.recv().await.unwrap());
    }
    let key = |call: &Call| match &call.request.prompt {
        Prompt::Text(text) => (text.clone(), call.request.sampling.seed),
        _ => panic!("a text"),
    };
    calls.sort_by_key(key);
    let keys: Vec<_> = calls.iter().map(key).collect();
    let key = |text: &str, seed| (text.to_owned(), Some(seed));
    assert_eq!(keys, [key("a", 7), key("a", 8), key("b", 7), key("b", 8)]);
    let calls = calls.try_into().ok().expect("four");
    (answer, calls, asked)
}

async fn whole(answer: &mut JoinSet<Answer>) -> Answer {
    answer.join_next().await.unwrap().unwrap()
}

fn events(answer: &Answer) -> Vec<Value> {
    let events = answer.body.split("\n\n").filter_map(|event| {
        let data = event.strip_prefix("data: ")?;
        (data != "[DONE]").then(|| serde_json::from_str(data).unwrap())
    });
    events.collect()
}

#[tokio::test]
async fn choices_come_in_their_order_and_a_prompt_counts_once() {
    let (mut answer, calls, _asked) = ask(false).await;
    // The last one is the first to be done.
    for (i, call) in calls.iter().enumerate().rev() {
        call.tell(started(10)).await;
        call.tell(delta(&format!("text {i}"), 1)).await;
        let prompt_tokens = [3, 3, 5, 5][i];
        call.tell(finished(prompt_tokens, 2)).await;
    }
    let answer = whole(&mut answer).await.json();
    let choices = answer["choices"].as_array().unwrap().iter();
    let texts: Vec<_> = choices
        .map(|it| (it["index"].clone(), it["text"].clone()))
        .collect();
    let expected = (0..4).map(|i| (i.into(), format!("text {i}").into()));
    assert_eq!(texts, expected.collect::<Vec<(Value, Value)>>());
    assert_eq!(answer["usage"]["prompt_tokens"], 8);
    assert_eq!(answer["usage"]["completion_tokens"], 8);
}

/// With more at a time than an engine has slots, they would wait in its queue for one another.
#[tokio::test]
async fn a_choice_is_asked_for_when_another_one_ends() {
    for stream in [false, true] {
        let (mut gateway, mut asked) = steered();
        gateway.config = Arc::new(Config {
            concurrent_choices: NonZeroUsize::new(3).unwrap(),
            ..Config::default()
        });
        let body = json!({
            "model": "m", "prompt": ["a", "b", "c", "d"], "n": 2, "stream": stream,
            "stream_options": stream.then(|| json!({"include_usage": true})),
        });
        let mut answer = JoinSet::new();
        answer.spawn(send(routes(gateway), post("/v1/completions", body)));
        let mut running = Vec::new();
        for i in 0..8 {
            let call = asked.recv().await.unwrap();
            let prompt = ["a", "b", "c", "d"][i / 2];
            assert!(matches!(&call.request.prompt, Prompt::Text(text) if text == prompt));
            let prompt_tokens = [3, 5, 7, 11][i / 2];
            call.tell(started(prompt_tokens)).await;
            call.tell(delta(&format!("text {i}"), 1)).await;
            call.read().await;
            running.push((call, prompt_tokens));
            if running.len() == 3 {
                assert!(asked.try_recv().is_err(), "more than three run");
                let (call, prompt_tokens) = running.pop().unwrap();
                call.tell(finished(prompt_tokens, 2)).await;
            }
        }
        for (call, prompt_tokens) in running {
            call.tell(finished(prompt_tokens, 2)).await;
        }
        let answer = whole(&mut answer).await;
        let usage = if stream {
            assert!(answer.body.ends_with("data: [DONE]\n\n"));
            events(&answer).last().unwrap()["usage"].clone()
        } else {
            let answer = answer.json();
            let choices = answer["choices"].as_array().unwrap().iter();
            let texts: Vec<_> = choices.map(|it| it["text"].clone()).collect();
            assert_eq!(texts, [0, 1, 2, 3, 4, 5, 6, 7].map(|i| format!("text {i}")));
            answer["usage"].clone()
        };
        assert_eq!(usage["prompt_tokens"], 3 + 5 + 7 + 11);
        assert_eq!(usage["completion_tokens"], 16);
    }
}

/// What the others wait for is not kept for later: who does not read holds it up.
#[tokio::test]
async fn an_answer_begins_with_its_first_choice() {
    let (gateway, mut asked) = steered();
    let mut body = chat_body();
    body["stream"] = true.into();
    body["n"] = 2.into();
    let mut answer = JoinSet::new();
    answer.spawn(routes(gateway).oneshot(post("/v1/chat/completions", body)));
    let calls = [asked.recv().await.unwrap(), asked.recv().await.unwrap()];
    calls[1].tell(started(1)).await;
    calls[1].tell(delta("early", 1)).await;
    let begun = timeout(Duration::from_secs(5), answer.join_next()).await;
    let response = begun.expect("the answer begins").unwrap().unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(calls[1].is_waiting());
    let mut body = response.into_body();
    let mut event = async || {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        String::from_utf8(frame.to_vec()).unwrap()
    };
    assert!(event().await.contains("assistant"));
    assert!(event().await.contains("early"));
    // What fails later fails in the stream.
    calls[0].tell(Err(ErrorCode::Overloaded)).await;
    assert!(event().await.contains("overloaded"));
    calls[1].dropped().await;
}

/// A place for the last choice may come only when the first one is done.
#[tokio::test]
async fn a_choice_is_read_while_another_one_waits_to_begin() {
    let (mut answer, calls, _asked) = ask(true).await;
    let (last, first) = calls.split_last().unwrap();
    for call in first {
        call.tell(started(1)).await;
        // More than the channel holds: it is full unless it is read.
        for _ in 0..100 {
            call.tell(delta("x", 1)).await;
        }
        call.tell(finished(1, 100)).await;
        call.dropped().await;
    }
    last.tell(started(1)).await;
    last.tell(finished(1, 0)).await;
    let answer = whole(&mut answer).await;
    assert_eq!(answer.status, StatusCode::OK);
    let events = events(&answer);
    for choice in 0..3 {
        let of_choice = events
            .iter()
            .filter(|it| it["choices"][0]["index"] == choice);
        assert_eq!(of_choice.count(), 101, "choice {choice}");
    }
    assert_eq!(events.last().unwrap()["usage"]["completion_tokens"], 300);
    assert!(answer.body.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn whichever_choice_has_something_is_next() {
    let (mut answer, calls, _asked) = ask(true).await;
    for call in &calls {
        call.tell(started(1)).await;
    }
    for call in [2, 0, 2, 3, 1].map(|i: usize| &calls[i]) {
        call.tell(delta("x", 1)).await;
        // Until it is read, so that the order is this one.
        call.read().await;
    }
    for call in &calls {
        call.tell(finished(1, 1)).await;
    }
    let events = events(&whole(&mut answer).await);
    let order: Vec<_> = events[..5]
        .iter()
        .map(|it| it["choices"][0]["index"].as_u64().unwrap())
        .collect();
    assert_eq!(order, [2, 0, 2, 3, 1]);
}

/// Part of LIFE-6.
#[tokio::test]
async fn one_choice_that_fails_ends_all_of_them() {
    // Before the answer begins it is an HTTP error.
    let (mut answer, calls, _asked) = ask(true).await;
    calls[2].tell(Err(ErrorCode::Overloaded)).await;
    let answer = whole(&mut answer).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (503, "overloaded")
    );
    for call in &calls {
        call.dropped().await;
    }
    // Later it is the last event, without `[DONE]`.
    let (mut answer, calls, _asked) = ask(true).await;
    for call in &calls {
        call.tell(started(1)).await;
    }
    calls[0].tell(delta("x", 1)).await;
    calls[0].read().await;
    calls[3].tell(Err(ErrorCode::WorkerFailed)).await;
    let answer = whole(&mut answer).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        events(&answer).last().unwrap()["error"]["code"],
        "worker_failed"
    );
    assert!(!answer.body.contains("[DONE]"));
    for call in &calls {
        call.dropped().await;
    }
    // Of a whole answer nothing is sent, whatever others have said.
    let (mut answer, calls, _asked) = ask(false).await;
    for call in &calls[..1] {
        call.tell(started(1)).await;
    }
    calls[0].tell(finished(1, 0)).await;
    calls[1].tell(Err(ErrorCode::WorkerFailed)).await;
    assert_eq!(whole(&mut answer).await.status, StatusCode::BAD_GATEWAY);
    for call in &calls {
        call.dropped().await;
    }
}

/// The others do not run on while a slow client reads what was sent.
#[tokio::test]
async fn the_other_choices_end_before_the_answer_is_read_to_its_end() {
    let (gateway, mut asked) = steered();
    let mut body = chat_body();
    body["stream"] = true.into();
    body["n"] = 2.into();
    let mut answer = JoinSet::new();
    answer.spawn(routes(gateway).oneshot(post("/v1/chat/completions", body)));
    let calls = [asked.recv().await.unwrap(), asked.recv().await.unwrap()];
    for call in &calls {
        call.tell(started(1)).await;
    }
    calls[0].tell(Err(ErrorCode::WorkerFailed)).await;
    let mut body = answer
        .join_next()
        .await
        .unwrap()
        .unwrap()
        .unwrap()
        .into_body();
    loop {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        if frame.starts_with(b"data: {\"error\"") {
            break;
        }
    }
    calls[1].dropped().await;
    drop(body);
}

/// Part of LIFE-1.
#[tokio::test]
async fn a_client_that_goes_away_ends_every_choice() {
    for begun in [0, 2, 4] {
        let (answer, calls, _asked) = ask(true).await;
        for call in &calls[..begun] {
            call.tell(started(1)).await;
            call.tell(delta("x", 1)).await;
        }
        for call in &calls[..begun] {
            call.read().await;
        }
        drop(answer);
        for call in &calls {
            call.dropped().await;
        }
    }
}
