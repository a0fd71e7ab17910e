use fathom_proto::ErrorCode;
use fathom_proto::inference::{Alternative, TokenIds, TokenLogprob};

use super::*;

/// Events of a stream with this data.
fn events(data: &[&str]) -> Vec<Event> {
    let mut transcript = Transcript::default();
    for data in data {
        transcript.event(data.as_bytes()).unwrap();
    }
    std::iter::from_fn(|| transcript.next()).collect()
}

fn started(fingerprint: Option<&str>) -> Event {
    Event::Started {
        prompt_tokens: 0,
        cached_tokens: 0,
        fingerprint: fingerprint.map(str::to_owned),
        route: None,
    }
}

fn delta(piece: Piece) -> Event {
    Event::Delta(Delta {
        piece,
        tokens: 1,
        logprobs: Vec::new(),
        ids: TokenIds::new(),
    })
}

#[test]
fn what_a_model_thinks_comes_before_what_it_says() {
    let read = events(&[
        r#"{"system_fingerprint":"fp","choices":[{"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"reasoning_content":"h\u006d","content":null}}]}"#,
        r#"{"choices":[{"delta":{"reasoning":"so"}}]}"#,
        r#"{"choices":[{"delta":{"content":"yes"},"finish_reason":""}],"usage":null,"x":[1]}"#,
        r#"{"choices":[]}"#,
        r#"{"choices":null}"#,
    ]);
    assert_eq!(
        read,
        [
            started(Some("fp")),
            delta(Piece::Reasoning("hm".to_owned())),
            delta(Piece::Reasoning("so".to_owned())),
            delta(Piece::Text("yes".to_owned())),
        ]
    );
}

#[test]
fn function_calls_come_in_parts() {
    let read = events(&[
        r#"{"choices":[{"delta":{"tool_calls":[
            {"index":1,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[
            {"index":1,"id":"","function":{"name":null,"arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"id":"d"},{"id":"e"}]}}]}"#,
    ]);
    let call = |index, id: Option<&str>, name: Option<&str>, arguments: &str| {
        delta(Piece::ToolCall(ToolCallPiece {
            index,
            id: id.map(str::to_owned),
            name: name.map(str::to_owned),
            arguments: arguments.to_owned(),
        }))
    };
    assert_eq!(
        read[1..],
        [
            call(1, Some("c"), Some("f"), ""),
            call(1, None, None, "{}"),
            call(0, Some("d"), None, ""),
            call(1, Some("e"), None, ""),
        ]
    );
}

fn logprob(token: &str, logprob: f32, top: &[(&str, f32)]) -> TokenLogprob {
    let top = top.iter().map(|(token, logprob)| Alternative {
        token: token.as_bytes().to_vec(),
        logprob: *logprob,
    });
    TokenLogprob {
        token: token.as_bytes().to_vec(),
        logprob: Some(logprob),
        top: top.collect(),
    }
}

#[test]
fn probabilities_are_read_in_the_form_of_chats_and_of_completions() {
    let chat = r#"{"choices":[{"delta":{"content":"ab"},"logprobs":{"content":[
        {"token":"a","logprob":-0.5,"bytes":[97],
         "top_logprobs":[{"token":"a","logprob":-0.5,"bytes":null},{"token":"x","logprob":-1}]},
        {"token":"?","logprob":-0.25,"bytes":[98]}],"refusal":null}}]}"#;
    let completion = r#"{"choices":[{"text":"ab","logprobs":{
        "tokens":["a","b"],"token_logprobs":[-0.5,-0.25],"text_offset":[0,1],
        "top_logprobs":[{"x":-1,"a":-0.5},null]}}]}"#;
    let logprobs = vec![
        logprob("a", -0.5, &[("a", -0.5), ("x", -1.0)]),
        logprob("b", -0.25, &[]),
    ];
    let delta = Event::Delta(Delta {
        piece: Piece::Text("ab".to_owned()),
        tokens: 2,
        logprobs,
        ids: TokenIds::new(),
    });
    for form in [chat, completion] {
        assert_eq!(events(&[form])[1], delta);
    }
}

#[test]
fn every_reason_is_kept() {
    let exhausted = FinishReason::InsufficientSystemResource;
    for (word, reason) in [
        ("stop", FinishReason::Stop),
        ("length", FinishReason::Length),
        ("tool_calls", FinishReason::ToolCalls),
        ("content_filter", FinishReason::ContentFilter),
        ("insufficient_system_resource", exhausted),
        ("eos", FinishReason::Other("eos".to_owned())),
    ] {
        let mut transcript = Transcript::default();
        let data = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"{word}"}}]}}"#);
        transcript.event(data.as_bytes()).unwrap();
        assert_eq!(transcript.reason, Some(reason));
    }
}

#[test]
fn cached_and_thought_tokens_are_read_in_the_words_of_both_vendors() {
    for usage in [
        r#""prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":4"#,
        r#""prompt_tokens_details":{"cached_tokens":6}"#,
    ] {
        let mut transcript = Transcript::default();
        let data = format!(
            r#"{{"choices":[],"usage":{{"prompt_tokens":10,"completion_tokens":5,
                "completion_tokens_details":{{"reasoning_tokens":2}},{usage}}}}}"#
        );
        transcript.event(data.as_bytes()).unwrap();
        let counted = Usage {
            prompt_tokens: 10,
            completion_tokens: 5,
            cached_tokens: 6,
            reasoning_tokens: 2,
        };
        assert_eq!(transcript.usage, Some(counted));
    }
}

#[test]
fn an_error_within_a_stream_has_the_code_of_what_it_is() {
    let too_long = ErrorCode::ContextLengthExceeded;
    for (error, code) in [
        (r#"{"message":"m","code":400}"#, ErrorCode::InvalidRequest),
        (
            r#"{"message":"m","code":"context_length_exceeded"}"#,
            too_long,
        ),
        (
            r#"{"message":"m","type":"authentication_error"}"#,
            ErrorCode::Unavailable,
        ),
        (
            r#"{"message":"m","code":"rate_limit_exceeded"}"#,
            ErrorCode::Overloaded,
        ),
        (
            r#"{"message":"m","code":null,"type":"server_error"}"#,
            ErrorCode::WorkerFailed,
        ),
        (r#""m""#, ErrorCode::WorkerFailed),
    ] {
        let data = format!(r#"{{"error":{error}}}"#);
        let error = Transcript::default().event(data.as_bytes()).unwrap_err();
        assert_eq!(error.code(), code, "{data}");
    }
}
