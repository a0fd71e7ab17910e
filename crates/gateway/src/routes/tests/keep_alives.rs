//! LIFE-9: answers that are long in coming.

use std::sync::Arc;

use async_compression::tokio::bufread::GzipDecoder;
use axum::body::BodyDataStream;
use futures::StreamExt;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};

use super::fakes::{Call, delta, finished, hanging, started, steered};
use super::*;
use crate::Config;

const INTERVAL: Duration = Duration::from_secs(10);
const COMMENT: &str = ": keep-alive\n\n";

fn body_of(stream: bool) -> Value {
    let mut body = chat_body();
    body["stream"] = stream.into();
    body
}

/// An answer that has begun with nothing behind it, and the call that it waits for.
async fn slow(path: &str, stream: bool) -> (Response, Call, Receiver<Call>) {
    slow_answer_to(post(path, body_of(stream))).await
}

async fn slow_answer_to(request: Request<Body>) -> (Response, Call, Receiver<Call>) {
    let (gateway, mut asked) = steered();
    let begun = Instant::now();
    let response = routes(gateway).oneshot(request).await;
    let response = response.unwrap();
    assert_eq!(begun.elapsed(), INTERVAL);
    assert_eq!(response.status(), 200);
    let call = asked.recv().await.unwrap();
    (response, call, asked)
}

async fn next(body: &mut BodyDataStream) -> String {
    let frame = body.next().await.expect("it goes on").unwrap();
    String::from_utf8(frame.to_vec()).unwrap()
}

async fn rest(mut body: BodyDataStream) -> String {
    let mut text = String::new();
    while let Some(frame) = body.next().await {
        text.push_str(std::str::from_utf8(&frame.unwrap()).unwrap());
    }
    text
}

/// LIFE-9
#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_for_its_turn_has_a_comment_at_least_each_interval() {
    let (response, call, _asked) = slow("/v1/chat/completions", true).await;
    let head = response.headers();
    assert_eq!(head["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(head["x-accel-buffering"], "no");
    let mut body = response.into_body().into_data_stream();
    let begun = Instant::now();
    for times in 0..3 {
        assert_eq!(next(&mut body).await, COMMENT);
        assert_eq!(begun.elapsed(), INTERVAL * times);
    }
    call.tell(started(1)).await;
    call.tell(delta("Hi", 1)).await;
    call.tell(finished(1, 1)).await;
    let rest = rest(body).await;
    assert!(rest.starts_with("data: {\"id\":\"chatcmpl-"), "{rest}");
    assert!(rest.contains("\"content\":\"Hi\"") && rest.ends_with("data: [DONE]\n\n"));
}

/// LIFE-9: a sign of life is one only if it arrives, compressed or not.
#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_is_compressed_has_its_signs_of_life_too() {
    let (gateway, mut asked) = steered();
    let begun = Instant::now();
    let mut request = post("/v1/chat/completions", body_of(false));
    let gzip = "gzip".parse().unwrap();
    request.headers_mut().insert("accept-encoding", gzip);
    let response = routes(gateway).oneshot(request).await.unwrap();
    assert_eq!(begun.elapsed(), INTERVAL);
    let is_compressed = response.headers().contains_key("content-encoding");
    let call = asked.recv().await.unwrap();
    let mut body = response.into_body().into_data_stream();
    let mut bytes = Vec::new();
    for times in 0..3 {
        bytes.extend(body.next().await.expect("it goes on").unwrap());
        assert!(
            begun.elapsed() <= INTERVAL * (times + 1),
            "{:?}",
            begun.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    call.tell(started(1)).await;
    call.tell(delta("Hi", 1)).await;
    call.tell(finished(1, 1)).await;
    while let Some(frame) = body.next().await {
        bytes.extend(frame.unwrap());
    }
    let mut text = String::new();
    if is_compressed {
        let mut decoder = GzipDecoder::new(&bytes[..]);
        decoder.read_to_string(&mut text).await.unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    assert!(text.starts_with("\n\n"), "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hi");
}

/// LIFE-9: the interval counts from the last event, however often one comes.
#[tokio::test(start_paused = true)]
async fn a_model_that_falls_silent_is_covered_by_comments_and_one_that_talks_is_not() {
    let (gateway, mut asked) = steered();
    let mut answer = JoinSet::new();
    let asks = routes(gateway).oneshot(post("/v1/chat/completions", body_of(true)));
    answer.spawn(async { asks.await.unwrap() });
    let call = asked.recv().await.unwrap();
    call.tell(started(1)).await;
    let response = answer.join_next().await.unwrap().unwrap();
    let mut body = response.into_body().into_data_stream();
    assert!(next(&mut body).await.contains("\"role\":\"assistant\""));
    for word in ["a", "b", "c"] {
        tokio::time::advance(INTERVAL * 3 / 4).await;
        call.tell(delta(word, 1)).await;
        assert!(
            next(&mut body)
                .await
                .contains(&format!("\"content\":\"{word}\""))
        );
    }
    let silent_since = Instant::now();
    for times in 1..4 {
        assert_eq!(next(&mut body).await, COMMENT);
        assert_eq!(silent_since.elapsed(), INTERVAL * times);
    }
    call.tell(finished(1, 3)).await;
    assert!(rest(body).await.ends_with("data: [DONE]\n\n"));
}

/// LIFE-9, as DeepSeek has it.
#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_waits_begins_with_blank_lines() {
    let (response, call, _asked) = slow("/chat/completions", false).await;
    assert_eq!(response.headers()["content-type"], "application/json");
    let mut body = response.into_body().into_data_stream();
    for _ in 0..3 {
        assert_eq!(next(&mut body).await, "\n");
    }
    call.tell(started(1)).await;
    call.tell(delta("Hi", 1)).await;
    call.tell(finished(1, 1)).await;
    let rest = rest(body).await;
    let answer: Value = serde_json::from_str(&format!("\n\n\n{rest}")).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hi");
}

#[tokio::test(start_paused = true)]
async fn what_fails_after_a_sign_of_life_is_told_in_the_body() {
    for (path, code) in [
        ("/v1/chat/completions", "overloaded"),
        ("/chat/completions", "overloaded"),
    ] {
        for stream in [true, false] {
            let (response, call, _asked) = slow(path, stream).await;
            call.tell(Err(ErrorCode::Overloaded)).await;
            let text = rest(response.into_body().into_data_stream()).await;
            let error = match stream {
                true => text.trim().rsplit("\n\n").next().unwrap(),
                false => text.trim(),
            };
            let error = match stream {
                true => error.strip_prefix("retry: 1000\ndata: ").unwrap(),
                false => error,
            };
            let error: Value = serde_json::from_str(error).unwrap();
            assert_eq!(error["error"]["code"], code, "{path} {stream}");
            assert!(!text.contains("[DONE]"));
        }
    }
}

/// LIFE-9 at the other endpoints, each in its own form.
#[tokio::test(start_paused = true)]
async fn every_endpoint_has_signs_of_life_and_tells_what_fails_after_one() {
    let texts = json!({"model": "m", "prompt": "hi"});
    let turns = json!([{"role": "user", "content": "hi"}]);
    let messages = json!({"model": "m", "max_tokens": 9, "messages": turns});
    let input = json!({"model": "m", "input": "hi"});
    let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    for (path, body, sign, names, code) in [
        ("/v1/completions", texts, COMMENT, &[][..], "/error/code"),
        ("/v1/messages", messages, ping, &["error"], "/error/type"),
        (
            "/v1/responses",
            input,
            COMMENT,
            &["response.created", "response.failed"],
            "/error/code",
        ),
    ] {
        let ask = |stream: bool| {
            let mut body = body.clone();
            body["stream"] = stream.into();
            post(path, body)
        };
        let (response, call, _asked) = slow_answer_to(ask(true)).await;
        let mut events = response.into_body().into_data_stream();
        for _ in 0..3 {
            assert_eq!(next(&mut events).await, sign, "{path}");
        }
        call.tell(Err(ErrorCode::Overloaded)).await;
        let text = rest(events).await;
        let lines = text.lines();
        let told: Vec<_> = lines
            .filter_map(|line| line.strip_prefix("event: "))
            .collect();
        assert_eq!(told, names, "{path}: {text}");
        assert!(text.contains("overloaded"), "{path}: {text}");

        let (response, call, _asked) = slow_answer_to(ask(false)).await;
        let mut blanks = response.into_body().into_data_stream();
        for _ in 0..3 {
            assert_eq!(next(&mut blanks).await, "\n", "{path}");
        }
        call.tell(Err(ErrorCode::Overloaded)).await;
        let error: Value = serde_json::from_str(&rest(blanks).await).unwrap();
        let word = error.pointer(code).unwrap().as_str().unwrap();
        assert!(word.starts_with("overloaded"), "{path}: {error}");
    }
}

/// LIFE-2, after a sign of life.
#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_while_it_is_kept_waiting_stops_the_work() {
    for stream in [true, false] {
        let (response, call, _asked) = slow("/v1/chat/completions", stream).await;
        assert!(!call.is_dropped());
        drop(response);
        let begun = Instant::now();
        call.dropped().await;
        assert!(begun.elapsed() < Duration::from_millis(10));
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_reads_meets_its_deadline_before_it_has_begun() {
    let (response, call, _asked) = slow("/v1/chat/completions", false).await;
    call.dropped_within(Duration::from_secs(601)).await;
    let text = rest(response.into_body().into_data_stream()).await;
    let error: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(error["error"]["code"], "deadline_exceeded");
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_every_failure_keeps_its_status() {
    let mut gateway = hanging();
    gateway.config = Arc::new(Config {
        keep_alive: Duration::ZERO,
        ..Config::default()
    });
    let answer = send(routes(gateway), post("/v1/chat/completions", chat_body())).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (504, "deadline_exceeded")
    );
}
