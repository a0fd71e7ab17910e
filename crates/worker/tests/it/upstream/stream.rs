//! Streams that are unusual and right.

use std::time::Duration;

use fathom_proto::inference::{Event, FinishReason, Inference, Usage};
use futures::StreamExt;
use tokio::time::sleep;

use super::server::{
    DONE, STOP, Server, Step, USAGE, answer, chunk, chunked_head, good, head, send, text,
};
use super::{config, context, hello, outcome, read, start, worker};

/// The text of a stream with these steps after its head, which must end well.
async fn text_of(steps: Vec<Step>) -> String {
    let server = Server::start([vec![head()], steps, vec![Step::Close]].concat()).await;
    let outcome = outcome(&worker(&server.url()).await, hello()).await;
    outcome.end.unwrap();
    outcome.text
}

#[tokio::test]
async fn a_stream_comes_with_its_counts_and_frees_its_place() {
    let server = Server::start(good()).await;
    let worker = worker(&server.url()).await;
    let stream = worker.generate(hello(), context()).await.unwrap();
    assert_eq!(worker.load().running, 1);
    let outcome = read(stream).await;
    let usage = Usage {
        prompt_tokens: 9,
        completion_tokens: 2,
        ..Usage::default()
    };
    assert_eq!(
        (outcome.text.as_str(), outcome.end.unwrap()),
        ("Hello", (FinishReason::Stop, usage))
    );
    assert_eq!(worker.load().running, 0);
}

/// LIFE-8
#[tokio::test]
async fn a_character_may_come_in_pieces() {
    let stream = format!("{}{STOP}{DONE}", text("a é 日 🙂"));
    let bytes = stream.into_bytes();
    let steps = bytes.into_iter().map(|byte| send([byte])).collect();
    assert_eq!(text_of(steps).await, "a é 日 🙂");
}

/// LIFE-8
#[tokio::test]
async fn line_endings_comments_other_fields_and_split_data_are_read() {
    let stream = ": keep-alive\n\nevent: x\r\nid: 7\r\n\
        data: {\"choices\":[{\"delta\":\r\ndata:{\"content\":\"a\"}}]}\r\n\r\n\
        retry: 1\rdata: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\r\r:\r\
        data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    assert_eq!(text_of(vec![send(stream)]).await, "ab");
}

#[tokio::test]
async fn an_answer_with_a_reason_is_complete_without_more() {
    for end in ["", USAGE, "data: {\"garbage", "data: garbage\n\n"] {
        let stream = format!("{}{STOP}{end}", text("Hello"));
        assert_eq!(text_of(vec![send(stream)]).await, "Hello", "{end}");
    }
}

#[tokio::test]
async fn an_answer_with_its_mark_of_the_end_is_complete_without_a_reason() {
    let stream = format!("{}{DONE}", text("Hello"));
    assert_eq!(text_of(vec![send(stream)]).await, "Hello");
}

#[tokio::test]
async fn an_answer_that_is_complete_is_not_held_up_by_a_silent_server() {
    let stream = format!("{}{STOP}", text("Hello"));
    let server = Server::start(vec![head(), send(stream), Step::Hang]).await;
    let config = fathom_worker::UpstreamConfig {
        idle_timeout: Duration::from_millis(50),
        ..config(&server.url())
    };
    let outcome = outcome(&start(config).await, hello()).await;
    assert_eq!(
        (outcome.text.as_str(), outcome.end.is_ok()),
        ("Hello", true)
    );
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_read_all_the_same() {
    let body = r#"

        {"choices":[{"message":{"role":"assistant","reasoning_content":"Hm. ","content":"Hello"},
        "finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let steps = vec![answer("200 OK", "content-type: application/json\r\n", body)];
    let server = Server::start(steps).await;
    let outcome = outcome(&worker(&server.url()).await, hello()).await;
    let (reason, usage) = outcome.end.unwrap();
    assert_eq!(
        (outcome.text.as_str(), reason),
        ("Hm. Hello", FinishReason::Length)
    );
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (1, 2));
}

/// A server may write the end of the body after the end of the stream.
#[tokio::test]
async fn connections_are_used_again() {
    let answer = format!("{}{STOP}{USAGE}{DONE}", text("Hello"));
    let steps = vec![chunked_head(), chunk(&answer), send("0\r\n\r\n")];
    let mut server = Server::start(steps).await;
    let worker = worker(&server.url()).await;
    for _ in 0..10 {
        assert_eq!(outcome(&worker, hello()).await.text, "Hello");
    }
    server.connections.try_recv().unwrap();
    assert!(
        server.connections.try_recv().is_err(),
        "one connection is enough"
    );
}

/// LIFE-5
#[tokio::test]
async fn a_slow_reader_is_not_taken_for_a_silent_server() {
    let server = Server::start(good()).await;
    let idle_timeout = Duration::from_millis(50);
    let config = fathom_worker::UpstreamConfig {
        idle_timeout,
        ..config(&server.url())
    };
    let worker = start(config).await;
    let mut stream = worker.generate(hello(), context()).await.unwrap();
    while !matches!(stream.next().await, Some(Ok(Event::Delta(_)))) {}
    sleep(2 * idle_timeout).await;
    assert_eq!(read(stream).await.text, "lo");
}

/// DeepSeek sends comments for as long as a request waits for its turn.
#[tokio::test]
async fn a_server_that_says_it_lives_may_take_longer_for_the_first_token() {
    let mut steps = vec![head()];
    steps.extend(vec![send(": keep-alive\n\n"); 1]);
    steps.push(Step::Talk(b": keep-alive\n\n".to_vec()));
    let server = Server::start(steps).await;
    let config = fathom_worker::UpstreamConfig {
        first_token_timeout: Duration::from_millis(100),
        total_timeout: Duration::from_millis(400),
        ..config(&server.url())
    };
    let begun = tokio::time::Instant::now();
    let outcome = outcome(&start(config).await, hello()).await;
    let error = outcome.end.unwrap_err();
    assert_eq!(error.code, fathom_proto::ErrorCode::DeadlineExceeded);
    assert!(error.message.ends_with("the whole answer"), "{error}");
    assert!(begun.elapsed() >= Duration::from_millis(400));
}
