//! Answers that succeed, byte for byte.

use fathom_proto::inference::{
    Alternative, Delta, Event, FinishReason, Piece, TokenIds, TokenLogprob, ToolCallPiece, Usage,
};

use super::fakes::{delta, finished, piece, started};
use super::*;

pub fn hello() -> Vec<Result<Event, ErrorCode>> {
    vec![
        started(3),
        delta("Hel", 1),
        delta("", 0),
        delta("lo", 1),
        finished(3, 2),
    ]
}

/// Ids and times differ from run to run.
pub fn redacted(answer: &Answer) -> String {
    let id = answer.headers["x-request-id"].to_str().unwrap();
    let mut text = answer.body.replace(id, "ID");
    for name in ["\"created\":", "\"created_at\":"] {
        while let Some(at) = text.find(&format!("{name}1")) {
            let from = at + name.len();
            let to = from + text[from..].find(|c: char| !c.is_ascii_digit()).unwrap();
            text.replace_range(from..to, "0");
        }
    }
    text
}

#[tokio::test]
async fn whole_answers_are_as_the_sdks_read_them() {
    let chat = send(
        routes(gateway_with(hello())),
        post("/v1/chat/completions", chat_body()),
    )
    .await;
    insta::assert_snapshot!(redacted(&chat));
    let body = json!({"model": "m", "prompt": "hi"});
    let completion = send(routes(gateway_with(hello())), post("/completions", body)).await;
    insta::assert_snapshot!(redacted(&completion));
}

#[tokio::test]
async fn event_streams_are_as_the_sdks_read_them() {
    let mut body = chat_body();
    body["stream"] = true.into();
    let chat = send(
        routes(gateway_with(hello())),
        post("/chat/completions", body.clone()),
    )
    .await;
    assert_eq!(
        chat.headers["content-type"],
        "text/event-stream; charset=utf-8"
    );
    insta::assert_snapshot!(redacted(&chat));
    body["stream_options"] = json!({"include_usage": true});
    let counted = send(
        routes(gateway_with(hello())),
        post("/v1/chat/completions", body),
    )
    .await;
    insta::assert_snapshot!(redacted(&counted));
    let body = json!({"model": "m", "prompt": "hi", "stream": true});
    let completion = send(routes(gateway_with(hello())), post("/v1/completions", body)).await;
    insta::assert_snapshot!(redacted(&completion));
}

/// Two calls after a thought, from an upstream that counts at the end.
fn calls() -> Vec<Result<Event, ErrorCode>> {
    let call = |index: u32, first: Option<(&str, &str)>, arguments: &str| {
        let call = ToolCallPiece {
            index,
            id: first.map(|(id, _)| id.to_owned()),
            name: first.map(|(_, name)| name.to_owned()),
            arguments: arguments.to_owned(),
        };
        piece(Piece::ToolCall(call), 4)
    };
    vec![
        Ok(Event::Started {
            prompt_tokens: 0,
            cached_tokens: 0,
            fingerprint: Some("fp_1".to_owned()),
            route: None,
        }),
        piece(Piece::Reasoning("Which ".to_owned()), 1),
        piece(Piece::Reasoning("city?".to_owned()), 2),
        call(0, Some(("call_a", "weather")), ""),
        call(0, None, "{\"city\":"),
        call(1, Some(("call_b", "time")), "{}"),
        call(0, None, "\"Ulm\"}"),
        Ok(Event::Finished {
            reason: FinishReason::ToolCalls,
            usage: Usage {
                prompt_tokens: 40,
                completion_tokens: 19,
                cached_tokens: 32,
                reasoning_tokens: 3,
            },
        }),
    ]
}

#[tokio::test]
async fn calls_of_functions_are_as_the_sdks_read_them() {
    let mut body = chat_body();
    let ask = async |body: &Value| {
        let asked = post("/v1/chat/completions", body.clone());
        redacted(&send(routes(gateway_with(calls())), asked).await)
    };
    insta::assert_snapshot!(ask(&body).await);
    body["stream"] = true.into();
    body["stream_options"] = json!({"include_usage": true});
    insta::assert_snapshot!(ask(&body).await);
}

/// A thought, and a text whose euro sign is two tokens; one that cannot come stands beside it.
pub fn probable() -> Vec<Result<Event, ErrorCode>> {
    let other = |token: &[u8], logprob| Alternative {
        token: token.to_vec(),
        logprob,
    };
    let token = |token: &[u8], logprob: Option<f32>| TokenLogprob {
        token: token.to_vec(),
        logprob,
        top: vec![other(token, -0.25), other(b"\xff", f32::NEG_INFINITY)],
    };
    let delta = |piece, logprobs: Vec<TokenLogprob>| {
        Ok(Event::Delta(Delta {
            piece,
            tokens: u32::try_from(logprobs.len()).unwrap(),
            logprobs,
            ids: TokenIds::new(),
        }))
    };
    vec![
        started(3),
        delta(
            Piece::Reasoning("Hm".to_owned()),
            vec![token(b"Hm", Some(-1.5))],
        ),
        delta(Piece::Text("5".to_owned()), vec![token(b"5", None)]),
        delta(
            Piece::Text("\u{20ac}!".to_owned()),
            vec![token(b"\xe2\x82", Some(-0.25)), token(b"\xac!", Some(-0.5))],
        ),
        finished(3, 4),
    ]
}

#[tokio::test]
async fn logprobs_are_as_the_sdks_read_them() {
    let ask = async |path: &str, body: &Value| {
        let asked = post(path, body.clone());
        redacted(&send(routes(gateway_with(probable())), asked).await)
    };
    let mut body = chat_body();
    body["logprobs"] = true.into();
    body["top_logprobs"] = 2.into();
    insta::assert_snapshot!(ask("/v1/chat/completions", &body).await);
    body["stream"] = true.into();
    insta::assert_snapshot!(ask("/v1/chat/completions", &body).await);
    let mut body = json!({"model": "m", "prompt": "5", "logprobs": 2});
    insta::assert_snapshot!(ask("/v1/completions", &body).await);
    body["stream"] = true.into();
    insta::assert_snapshot!(ask("/v1/completions", &body).await);
}

#[tokio::test]
async fn a_reason_that_only_an_upstream_has_comes_back_in_its_word() {
    for (reason, word) in [
        (
            FinishReason::InsufficientSystemResource,
            "insufficient_system_resource",
        ),
        (FinishReason::ContentFilter, "content_filter"),
        (FinishReason::Other("abort".to_owned()), "abort"),
    ] {
        let usage = Usage::default();
        let events = vec![started(3), Ok(Event::Finished { reason, usage })];
        let asked = post("/v1/chat/completions", chat_body());
        let answer = send(routes(gateway_with(events)), asked).await.json();
        assert_eq!(answer["choices"][0]["finish_reason"], word);
        assert_eq!(answer["choices"][0]["message"]["content"], "");
    }
}
