//! Answers that succeed, byte for byte.

use fathom_proto::inference::{Event, FinishReason, Usage};

use super::fakes::{delta, started};
use super::*;

fn hello() -> Vec<Result<Event, ErrorCode>> {
    let usage = Usage {
        prompt_tokens: 3,
        completion_tokens: 2,
    };
    vec![
        started(3),
        delta("Hel", 1),
        delta("", 0),
        delta("lo", 1),
        Ok(Event::Finished {
            reason: FinishReason::Stop,
            usage,
        }),
    ]
}

/// Ids and times differ from run to run.
fn redacted(answer: &Answer) -> String {
    let id = answer.headers["x-request-id"].to_str().unwrap();
    let mut text = answer.body.replace(id, "ID");
    while let Some(at) = text.find("\"created\":1") {
        let from = at + "\"created\":".len();
        let to = from + text[from..].find(|c: char| !c.is_ascii_digit()).unwrap();
        text.replace_range(from..to, "0");
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
