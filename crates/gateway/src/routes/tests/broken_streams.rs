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
