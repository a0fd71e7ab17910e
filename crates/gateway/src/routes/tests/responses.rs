//! OpenAI's Responses, byte for byte.

use fathom_proto::inference::{
    Delta, Event, FinishReason, Piece, TokenIds, TokenLogprob, ToolCallPiece, Usage,
};

use super::answers::{hello, probable, redacted};
use super::fakes::{delta, gateway_with, piece, started, steered};
use super::*;

fn with(fields: Value) -> Value {
    let mut body = json!({"model": "m", "input": "hi"});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn ask(events: Vec<Result<Event, ErrorCode>>, body: Value) -> Answer {
    send(routes(gateway_with(events)), post("/v1/responses", body)).await
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
        started(40),
        piece(Piece::Reasoning("Which ".to_owned()), 1),
        piece(Piece::Reasoning("city?".to_owned()), 2),
        delta("Let me see.", 3),
        call(0, Some(("call_a", "weather")), ""),
        call(0, None, "{\"city\":"),
        call(0, None, "\"Ulm\"}"),
        call(1, Some(("call_b", "time")), "{}"),
        ended(FinishReason::ToolCalls),
    ]
}

/// The names of the events of a stream, each of which is the `type` of its data.
fn names(stream: &str) -> Vec<String> {
    let events = stream.trim_end().split("\n\n").enumerate();
    let events = events.map(|(number, event)| {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        let name = name.strip_prefix("event: ").unwrap();
        assert_eq!(data["type"], name);
        assert_eq!(data["sequence_number"], number);
        name.to_owned()
    });
    events.collect()
}

#[tokio::test]
async fn whole_answers_and_streams_are_as_the_sdk_reads_them() {
    let settings = json!({
        "instructions": "Be brief.", "max_output_tokens": 10, "temperature": 0.5,
        "metadata": {"a": "b"}, "user": "u", "store": false, "background": false,
        "text": {"verbosity": "low"}, "reasoning": {"effort": "low"}, "truncation": "disabled",
    });
    insta::assert_snapshot!(redacted(&ask(hello(), with(settings)).await));
    let streamed = ask(hello(), with(json!({"stream": true}))).await;
    assert_eq!(
        streamed.headers["content-type"],
        "text/event-stream; charset=utf-8"
    );
    assert!(!streamed.body.contains("[DONE]"));
    names(&streamed.body);
    insta::assert_snapshot!(redacted(&streamed));
}

#[tokio::test]
async fn thoughts_and_calls_are_items() {
    insta::assert_snapshot!(redacted(&ask(all_there_is(), with(json!({}))).await));
    let streamed = ask(all_there_is(), with(json!({"stream": true}))).await;
    names(&streamed.body);
    insta::assert_snapshot!(redacted(&streamed));
}

#[tokio::test]
async fn thoughts_are_a_summary_where_one_is_asked_for() {
    let summary = json!({"reasoning": {"summary": "auto"}});
    let whole = ask(all_there_is(), with(summary)).await.json();
    let summary = json!([{"type": "summary_text", "text": "Which city?"}]);
    assert_eq!(whole["output"][0]["summary"], summary);
    let asked = with(json!({"stream": true, "reasoning": {"summary": "auto"}}));
    let streamed = ask(all_there_is(), asked).await.body;
    let told = names(&streamed);
    assert_eq!(
        told[2..9],
        [
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.output_item.done",
        ]
    );
}

#[tokio::test]
async fn logprobs_are_told_to_those_who_include_them() {
    let include = json!({"include": ["message.output_text.logprobs"], "top_logprobs": 2});
    let whole = ask(probable(), with(include.clone())).await.json();
    let text = &whole["output"][1]["content"][0];
    assert_eq!(text["logprobs"].as_array().unwrap().len(), 3);
    assert_eq!(text["logprobs"][0]["top_logprobs"][0]["token"], "5");
    let mut asked = with(include);
    asked["stream"] = true.into();
    let streamed = ask(probable(), asked).await.body;
    assert!(streamed.contains("\"logprob\":-0.5"));
}

#[tokio::test]
async fn an_answer_that_ends_early_is_incomplete_and_says_why() {
    for (reason, word) in [
        (FinishReason::Length, "max_output_tokens"),
        (FinishReason::ContentFilter, "content_filter"),
        (FinishReason::Other("abort".to_owned()), "abort"),
    ] {
        let events = || vec![started(3), delta("Hel", 1), ended(reason.clone())];
        let whole = ask(events(), with(json!({}))).await.json();
        assert_eq!(whole["status"], "incomplete");
        assert_eq!(whole["incomplete_details"], json!({ "reason": word }));
        assert_eq!(whole["output"][0]["status"], "incomplete");
        let streamed = ask(events(), with(json!({"stream": true}))).await.body;
        assert_eq!(names(&streamed).last().unwrap(), "response.incomplete");
    }
}

/// What is incomplete is the thought, and no message that has not begun.
#[tokio::test]
async fn an_answer_that_is_cut_off_while_it_thinks_is_a_thought() {
    let thought = || piece(Piece::Reasoning("Hm".to_owned()), 1);
    let events = || vec![started(3), thought(), ended(FinishReason::Length)];
    let whole = ask(events(), with(json!({}))).await.json();
    let streamed = ask(events(), with(json!({"stream": true}))).await.body;
    let last = streamed.trim_end().rsplit("data: ").next().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    for response in [&whole, &last["response"]] {
        let items = response["output"].as_array().unwrap();
        assert_eq!(items.len(), 1, "{response}");
        assert_eq!(items[0]["type"], "reasoning");
        assert_eq!(items[0]["status"], "incomplete");
    }
}

/// The marks of a call have probabilities, and are no text.
#[tokio::test]
async fn a_call_is_not_followed_by_a_message_that_says_nothing() {
    let mark = Delta {
        piece: Piece::Text(String::new()),
        tokens: 1,
        logprobs: vec![TokenLogprob {
            token: b"<end>".to_vec(),
            logprob: Some(-0.5),
            top: Vec::new(),
        }],
        ids: TokenIds::new(),
    };
    let events = vec![
        started(3),
        call(0, Some(("call_a", "time")), "{}"),
        Ok(Event::Delta(mark)),
        ended(FinishReason::ToolCalls),
    ];
    let asked = with(json!({"stream": true, "include": ["message.output_text.logprobs"]}));
    let streamed = ask(events, asked).await.body;
    let added = names(&streamed)
        .iter()
        .filter(|name| *name == "response.output_item.added")
        .count();
    assert_eq!(added, 1, "{streamed}");
}

/// Part of LIFE-6.
#[tokio::test]
async fn a_stream_that_breaks_ends_with_a_failed_answer() {
    let broken = vec![started(3), delta("Hel", 1), Err(ErrorCode::WorkerFailed)];
    let streamed = ask(broken, with(json!({"stream": true}))).await;
    names(&streamed.body);
    insta::assert_snapshot!(redacted(&streamed));
}

#[tokio::test]
async fn an_empty_answer_is_an_empty_message() {
    let events = || vec![started(3), ended(FinishReason::Stop)];
    let whole = ask(events(), with(json!({}))).await.json();
    assert_eq!(whole["output"][0]["content"][0]["text"], "");
    let streamed = ask(events(), with(json!({"stream": true}))).await.body;
    assert!(names(&streamed).contains(&"response.output_text.done".to_owned()));
}

#[tokio::test]
async fn errors_before_the_answer_have_the_form_of_other_routes() {
    for (code, status, name) in [
        (ErrorCode::Overloaded, 503, "overloaded"),
        (ErrorCode::ModelNotFound, 404, "model_not_found"),
    ] {
        let answer = ask(vec![Err(code)], with(json!({"stream": true}))).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (status, name)
        );
    }
}

/// Part of LIFE-1.
#[tokio::test]
async fn a_client_that_goes_away_stops_its_generation() {
    let (gateway, mut asked) = steered();
    let ask = post("/responses", with(json!({"stream": true})));
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
