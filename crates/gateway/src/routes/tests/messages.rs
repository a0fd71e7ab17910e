//! Anthropic's dialect, byte for byte.

use std::sync::Arc;

use fathom_proto::inference::{Event, FinishReason, Piece, ToolCallPiece, Usage};

use super::answers::{hello, redacted};
use super::fakes::{delta, finished, gateway_with, piece, started, steered};
use super::*;
use crate::Config;
use crate::config::ModelAlias;

fn body() -> Value {
    json!({"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]})
}

fn with(name: &str, value: Value) -> Value {
    let mut body = body();
    body[name] = value;
    body
}

async fn ask(events: Vec<Result<Event, ErrorCode>>, body: Value) -> Answer {
    send(routes(gateway_with(events)), post("/v1/messages", body)).await
}

fn call(index: u32, first: Option<(&str, &str)>, arguments: &str) -> Result<Event, ErrorCode> {
    let call = ToolCallPiece {
        index,
        id: first.map(|(id, _)| id.to_owned()),
        name: first.map(|(_, name)| name.to_owned()),
        arguments: arguments.to_owned(),
    };
    piece(Piece::ToolCall(call), 4)
}

fn ended(reason: FinishReason) -> Result<Event, ErrorCode> {
    let usage = Usage {
        prompt_tokens: 40,
        completion_tokens: 19,
        cached_tokens: 32,
        reasoning_tokens: 3,
    };
    Ok(Event::Finished { reason, usage })
}

/// A thought, a text and two calls.
fn all_there_is() -> Vec<Result<Event, ErrorCode>> {
    vec![
        Ok(Event::Started {
            prompt_tokens: 40,
            cached_tokens: 32,
            fingerprint: None,
            route: None,
        }),
        piece(Piece::Reasoning("Which ".to_owned()), 1),
        piece(Piece::Reasoning("city?".to_owned()), 2),
        delta("Let me see.", 3),
        call(0, Some(("call_a", "weather")), ""),
        call(0, None, "{\"city\":"),
        call(0, None, "\"Ulm\"}"),
        call(1, Some(("call_b", "time")), ""),
        ended(FinishReason::ToolCalls),
    ]
}

#[tokio::test]
async fn whole_answers_and_streams_are_as_anthropics_sdk_reads_them() {
    insta::assert_snapshot!(redacted(&ask(hello(), body()).await));
    let streamed = ask(hello(), with("stream", true.into())).await;
    assert_eq!(
        streamed.headers["content-type"],
        "text/event-stream; charset=utf-8"
    );
    assert_eq!(
        streamed.headers["request-id"],
        streamed.headers["x-request-id"]
    );
    insta::assert_snapshot!(redacted(&streamed));
}

#[tokio::test]
async fn thoughts_and_calls_are_blocks() {
    insta::assert_snapshot!(redacted(&ask(all_there_is(), body()).await));
    let streamed = ask(all_there_is(), with("stream", true.into())).await;
    insta::assert_snapshot!(redacted(&streamed));
}

#[tokio::test]
async fn thoughts_that_the_caller_does_not_want_are_empty() {
    let mut body = with(
        "thinking",
        json!({"type": "adaptive", "display": "omitted"}),
    );
    let whole = ask(all_there_is(), body.clone()).await.json();
    assert_eq!(whole["content"][0]["thinking"], "");
    body["stream"] = true.into();
    let streamed = ask(all_there_is(), body).await.body;
    assert!(streamed.contains("signature_delta") && !streamed.contains("thinking_delta"));
}

#[tokio::test]
async fn each_end_has_its_word() {
    for (reason, word) in [
        (FinishReason::Stop, "end_turn"),
        (FinishReason::Length, "max_tokens"),
        (FinishReason::ToolCalls, "tool_use"),
        (FinishReason::ContentFilter, "refusal"),
        (FinishReason::Other("pause_turn".to_owned()), "pause_turn"),
    ] {
        let events = || vec![started(3), ended(reason.clone())];
        assert_eq!(ask(events(), body()).await.json()["stop_reason"], word);
        let streamed = ask(events(), with("stream", true.into())).await.body;
        assert!(streamed.contains(&format!("\"stop_reason\":\"{word}\"")));
    }
    let events = || vec![started(3), ended(FinishReason::InsufficientSystemResource)];
    assert_eq!(ask(events(), body()).await.status.as_u16(), 529);
    let streamed = ask(events(), with("stream", true.into())).await.body;
    assert!(streamed.contains("overloaded_error") && !streamed.contains("message_stop"));
}

#[tokio::test]
async fn the_text_that_ends_an_answer_is_told() {
    let events = || vec![started(3), delta("x", 1), ended(FinishReason::StopText(1))];
    let mut body = with("stop_sequences", json!(["a", "b"]));
    let answer = ask(events(), body.clone()).await.json();
    assert_eq!(
        (&answer["stop_reason"], &answer["stop_sequence"]),
        (&json!("stop_sequence"), &json!("b"))
    );
    body["stream"] = true.into();
    let streamed = ask(events(), body).await.body;
    assert!(streamed.contains(r#""stop_reason":"stop_sequence","stop_sequence":"b""#));
}

/// What the end of an answer cuts is no JSON, and a call that is none is not passed off as one.
#[tokio::test]
async fn arguments_that_are_no_object_are_nothing_or_an_error() {
    let cut = |reason| {
        vec![
            started(3),
            call(0, Some(("a", "f")), "{\"x\":"),
            ended(reason),
        ]
    };
    let answer = ask(cut(FinishReason::Length), body()).await.json();
    assert_eq!(answer["content"][0]["input"], json!({}));
    let answer = ask(cut(FinishReason::ToolCalls), body()).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["error"]["type"]),
        (502, &json!("api_error"))
    );
}

#[tokio::test]
async fn a_call_that_goes_on_after_the_next_one_ends_the_stream_with_an_error() {
    let mixed = || {
        vec![
            started(3),
            call(0, Some(("a", "f")), "{"),
            call(1, Some(("b", "g")), "{}"),
            call(0, None, "}"),
            ended(FinishReason::ToolCalls),
        ]
    };
    let streamed = ask(mixed(), with("stream", true.into())).await.body;
    assert!(streamed.contains("event: error\n") && !streamed.contains("message_stop"));
    let whole = ask(mixed(), body()).await.json();
    assert_eq!(whole["content"][1]["name"], "g");
}

/// Part of LIFE-6.
#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_event() {
    let broken = vec![started(3), delta("Hel", 1), Err(ErrorCode::WorkerFailed)];
    let streamed = ask(broken, with("stream", true.into())).await;
    assert_eq!(streamed.status, StatusCode::OK);
    insta::assert_snapshot!(redacted(&streamed));
}

#[tokio::test]
async fn errors_have_anthropics_form_wherever_they_come_from() {
    let check = |answer: &Answer, status: u16, kind: &str| {
        let body = answer.json();
        assert_eq!(
            (answer.status.as_u16(), body["error"]["type"].as_str()),
            (status, Some(kind)),
            "{body}"
        );
        assert_eq!(body["type"], "error");
        let id = answer.headers["request-id"].to_str().unwrap();
        assert_eq!(body["request_id"], id);
        assert_eq!(answer.headers["x-request-id"], id);
    };
    for (code, status, kind) in [
        (ErrorCode::InvalidRequest, 400, "invalid_request_error"),
        (
            ErrorCode::ContextLengthExceeded,
            400,
            "invalid_request_error",
        ),
        (ErrorCode::ModelNotFound, 404, "not_found_error"),
        (ErrorCode::RateLimited, 429, "rate_limit_error"),
        (ErrorCode::Internal, 500, "api_error"),
        (ErrorCode::WorkerFailed, 502, "api_error"),
        (ErrorCode::Overloaded, 529, "overloaded_error"),
        (ErrorCode::Unavailable, 503, "api_error"),
        (ErrorCode::DeadlineExceeded, 504, "timeout_error"),
    ] {
        check(&ask(vec![Err(code)], body()).await, status, kind);
    }
    let to = |path: &str, method: Method, bearer: Option<&str>, text: &str| {
        send(
            routes(gateway()),
            request(method, path, bearer, text.to_owned()),
        )
    };
    let path = "/anthropic/v1/messages";
    let large = " ".repeat(gateway().config.max_body_bytes + 1);
    let known = Some(ALL_SCOPES);
    for (answer, status, kind) in [
        (
            to(path, Method::POST, None, "{}").await,
            401,
            "authentication_error",
        ),
        (
            to(
                path,
                Method::POST,
                Some(crate::identity::fake::NO_SCOPES),
                "{}",
            )
            .await,
            403,
            "permission_error",
        ),
        (
            to(path, Method::POST, known, "{").await,
            400,
            "invalid_request_error",
        ),
        (
            to(path, Method::POST, known, &large).await,
            413,
            "request_too_large",
        ),
        (
            to(path, Method::GET, known, "").await,
            405,
            "invalid_request_error",
        ),
        (
            to("/anthropic/v1/files", Method::GET, known, "").await,
            404,
            "not_found_error",
        ),
    ] {
        check(&answer, status, kind);
    }
}

/// There is no other place for it.
#[tokio::test]
async fn the_message_of_an_error_names_the_field_at_fault() {
    let body = with("messages", json!([{"role": "robot", "content": "x"}]));
    let answer = ask(hello(), body).await.json();
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("messages[0].role"), "{message}");
}

#[tokio::test]
async fn a_name_that_a_model_stands_for_reaches_that_model_and_comes_back() {
    let (mut gateway, mut asked) = steered();
    let alias = |pattern: &str, model: &str| ModelAlias {
        pattern: pattern.to_owned(),
        model: model.to_owned(),
    };
    gateway.config = Arc::new(Config {
        anthropic_models: vec![alias("claude-opus*", "large"), alias("claude*", "m")],
        ..Config::default()
    });
    for (name, model) in [
        ("claude-opus-4-6", "large"),
        ("claude-haiku", "m"),
        ("other", "other"),
    ] {
        let ask = post("/v1/messages", with("model", name.into()));
        let tell = async {
            let call = asked.recv().await.unwrap();
            assert_eq!(call.request.model.as_str(), model);
            call.tell(started(1)).await;
            call.tell(finished(1, 0)).await;
        };
        let (answer, ()) = tokio::join!(send(routes(gateway.clone()), ask), tell);
        assert_eq!(answer.json()["model"], name);
    }
}

#[tokio::test]
async fn tokens_are_counted_without_a_generation() {
    let count = async |body: Value| {
        let ask = post("/v1/messages/count_tokens", body);
        send(routes(gateway_with(vec![])), ask).await
    };
    let hi = json!([{"role": "user", "content": "hi"}]);
    let counted = count(json!({"model": "m", "messages": hi})).await;
    assert_eq!(counted.json(), json!({"input_tokens": 7}));
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    let counted = count(json!({"model": "m", "messages": hi, "tools": tools})).await;
    assert_eq!(counted.json(), json!({"input_tokens": 70}));
    let unknown = count(json!({"model": "unknown", "messages": hi})).await;
    assert_eq!(unknown.json()["error"]["type"], "not_found_error");
}

/// Part of LIFE-1.
#[tokio::test]
async fn a_client_that_goes_away_stops_its_generation() {
    let (gateway, mut asked) = steered();
    let ask = post("/v1/messages", with("stream", true.into()));
    let tell = async {
        let call = asked.recv().await.unwrap();
        call.tell(started(1)).await;
        call.tell(delta("x", 1)).await;
        call
    };
    let (response, call) = tokio::join!(routes(gateway).oneshot(ask), tell);
    assert!(!call.is_dropped());
    drop(response);
    assert!(call.is_dropped());
}
