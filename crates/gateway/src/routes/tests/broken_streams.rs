//! Generations that fail.

use super::fakes::{delta, started};
use super::*;

/// Part of LIFE-6.
#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_and_without_done() {
    let mut body = chat_body();
    body["stream"] = true.into();
    let silent = vec![started(3), delta("Hel", 1)];
    let failed = vec![started(3), delta("Hel", 1), Err(ErrorCode::Internal)];
    for (events, code) in [(silent, "worker_failed"), (failed, "internal_error")] {
        let answer = send(
            routes(gateway_with(events)),
            post("/v1/chat/completions", body.clone()),
        )
        .await;
        assert_eq!(answer.status, StatusCode::OK);
        let last = answer.body.trim_end().rsplit("\n\n").next().unwrap();
        let error: Value = serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(error["error"]["code"], code);
        assert!(!answer.body.contains("[DONE]"));
    }
}

/// DRAIN-2: an error after which it may help to come again says when, as the standard has it, in
/// every dialect; its data is as ever.
#[tokio::test]
async fn an_error_in_a_stream_says_when_to_come_again() {
    for (path, field, value) in [
        ("/v1/chat/completions", "max_tokens", json!(9)),
        ("/v1/completions", "prompt", json!("hi")),
        ("/v1/responses", "input", json!("hi")),
        ("/v1/messages", "max_tokens", json!(9)),
    ] {
        for (code, hint) in [
            (ErrorCode::ShuttingDown, true),
            (ErrorCode::Overloaded, true),
            (ErrorCode::Internal, false),
        ] {
            let mut body = match path {
                "/v1/completions" | "/v1/responses" => json!({"model": "m"}),
                _ => chat_body(),
            };
            body["stream"] = true.into();
            body[field] = value.clone();
            let events = vec![started(3), delta("Hel", 1), Err(code)];
            let answer = send(routes(gateway_with(events)), post(path, body)).await;
            let last = answer.body.trim_end().rsplit("\n\n").next().unwrap();
            assert_eq!(last.starts_with("retry: 1000\n"), hint, "{path}: {last}");
            let read = fathom_api::sse::Decoder::default().push(answer.body.as_bytes());
            let read = read.unwrap();
            let error: Value = serde_json::from_str(read.last().unwrap()).unwrap();
            assert!(error.to_string().contains("\"error\""), "{error}");
        }
    }
}

/// Part of LIFE-6.
#[tokio::test]
async fn what_breaks_before_the_answer_begins_is_an_http_error() {
    for (events, status) in [
        (vec![], 502),
        (vec![Err(ErrorCode::Overloaded)], 503),
        (vec![started(3), delta("Hel", 1)], 502),
    ] {
        let answer = send(
            routes(gateway_with(events)),
            post("/v1/chat/completions", chat_body()),
        )
        .await;
        assert_eq!(answer.status.as_u16(), status);
        answer.error_code();
    }
}

/// The status has been sent long before, with the first sign of life.
#[tokio::test(start_paused = true)]
async fn a_generation_that_never_ends_is_ended() {
    let answer = send(
        routes(fakes::hanging()),
        post("/v1/chat/completions", chat_body()),
    )
    .await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (200, "deadline_exceeded")
    );
}

/// A bug that shows when the status has been sent breaks the stream off, and the record does not
/// say that the client went away.
#[tokio::test]
async fn a_bug_in_a_stream_is_recorded_as_one() {
    let logged = logs::capture();
    let mut body = chat_body();
    body["stream"] = true.into();
    body["model"] = "goes on".into();
    let answer = routes(fakes::panicking()).oneshot(post("/v1/chat/completions", body));
    let answer = answer.await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    // The server's task panics with it.
    let mut server = tokio::task::JoinSet::new();
    server.spawn(answer.into_body().collect());
    let _ = server.join_next().await;
    let lines = logged.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["request.outcome"], "internal_error");
    assert_eq!(lines[0]["request.status"], 200);
}
