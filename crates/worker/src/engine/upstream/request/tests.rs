use fathom_proto::inference::{
    ChatMessage, ChatRole, Defaults, Function, LogitBias, Sampling, ToolCall,
};
use serde_json::{Value, json};

use super::*;

fn body(request: &GenerateRequest) -> Value {
    serde_json::from_slice(&written(request)).unwrap()
}

fn written(request: &GenerateRequest) -> Vec<u8> {
    generate(request, "theirs", MaxTokensField::MaxTokens).unwrap()
}

fn chat(turns: Vec<ChatMessage>) -> GenerateRequest {
    GenerateRequest::new("ours".into(), Prompt::Chat(turns))
}

fn text(prompt: Prompt) -> GenerateRequest {
    GenerateRequest::new("ours".into(), prompt)
}

#[test]
fn only_what_the_caller_set_is_sent() {
    let turn = ChatMessage::new(ChatRole::User, "hi");
    let request = GenerateRequest {
        defaults: Defaults {
            temperature: 0.3,
            max_tokens: Some(4096),
        },
        context_length: Some(64),
        ..chat(vec![turn])
    };
    let sent = br#"{"model":"theirs","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(written(&request), sent);
    let newer = generate(&request, "theirs", MaxTokensField::MaxCompletionTokens);
    assert_eq!(newer.unwrap(), sent);
}

#[test]
fn what_the_caller_set_to_the_usual_value_is_sent() {
    let request = GenerateRequest {
        sampling: Sampling {
            temperature: Some(1.0),
            top_p: Some(1.0),
            min_p: Some(0.0),
            frequency_penalty: Some(0.0),
            presence_penalty: Some(0.0),
            ..Sampling::default()
        },
        ..text(Prompt::Text("a".to_owned()))
    };
    let sent = body(&request);
    for (field, value) in [
        ("temperature", 1.0),
        ("top_p", 1.0),
        ("min_p", 0.0),
        ("frequency_penalty", 0.0),
        ("presence_penalty", 0.0),
    ] {
        assert_eq!(sent[field], json!(value), "{field}");
    }
}

#[test]
fn the_most_tokens_of_a_chat_go_by_the_name_that_the_server_knows() {
    let turn = ChatMessage::new(ChatRole::User, "hi");
    for (field, prompt, name, other) in [
        (
            MaxTokensField::MaxTokens,
            Prompt::Chat(vec![turn.clone()]),
            "max_tokens",
            "max_completion_tokens",
        ),
        (
            MaxTokensField::MaxCompletionTokens,
            Prompt::Chat(vec![turn]),
            "max_completion_tokens",
            "max_tokens",
        ),
        (
            MaxTokensField::MaxCompletionTokens,
            Prompt::Text("a".to_owned()),
            "max_tokens",
            "max_completion_tokens",
        ),
    ] {
        let request = GenerateRequest {
            max_tokens: Some(100),
            context_length: Some(64),
            ..text(prompt)
        };
        let sent = generate(&request, "theirs", field).unwrap();
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!((&sent[name], sent.get(other)), (&json!(64), None));
    }
}

#[test]
fn everything_that_the_caller_set_is_sent() {
    let request = GenerateRequest {
        sampling: Sampling {
            temperature: Some(0.0),
            top_p: Some(0.9),
            top_k: Some(40),
            min_p: Some(0.05),
            seed: Some(u64::MAX),
            frequency_penalty: Some(0.5),
            presence_penalty: Some(-0.5),
            logit_bias: vec![LogitBias {
                token: 7,
                bias: -100.0,
            }],
        },
        max_tokens: Some(100),
        context_length: Some(64),
        stop: vec!["\n".to_owned()],
        logprobs: Some(5),
        format: Format::JsonSchema {
            name: "shape".to_owned(),
            schema: Json(r#"{"b":1.0,"a":2}"#.to_owned()),
            strict: Some(true),
        },
        tools: Some(Tools {
            functions: vec![Function {
                name: "f".to_owned(),
                description: Some("does it".to_owned()),
                parameters: Some(Json(r#"{"type":"object"}"#.to_owned())),
                strict: None,
            }],
            choice: ToolChoice::Named("f".to_owned()),
            parallel: false,
        }),
        ..chat(vec![ChatMessage::new(ChatRole::User, "hi")])
    };
    assert_eq!(
        body(&request),
        json!({
            "model": "theirs",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": true,
            "stream_options": {"include_usage": true},
            "max_tokens": 64,
            "temperature": 0.0,
            "top_p": 0.9,
            "top_k": 40,
            "min_p": 0.05,
            "seed": -1,
            "frequency_penalty": 0.5,
            "presence_penalty": -0.5,
            "logit_bias": {"7": -100.0},
            "stop": ["\n"],
            "logprobs": true,
            "top_logprobs": 5,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "shape", "schema": {"b": 1.0, "a": 2}, "strict": true},
            },
            "tools": [{
                "type": "function",
                "function": {
                    "name": "f",
                    "description": "does it",
                    "parameters": {"type": "object"},
                },
            }],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "parallel_tool_calls": false,
        })
    );
}

#[test]
fn a_turn_keeps_its_parts_calls_and_unknown_fields() {
    let answered = ChatMessage {
        reasoning: Some("hm".to_owned()),
        tool_calls: vec![ToolCall {
            id: "c1".to_owned(),
            name: "f".to_owned(),
            arguments: "{".to_owned(),
        }],
        prefix: true,
        extra: Some(Json(r#"{"z":1,"role":"system"}"#.to_owned())),
        ..ChatMessage::new(ChatRole::Assistant, "")
    };
    let result = ChatMessage {
        tool_call_id: Some("c1".to_owned()),
        name: Some("f".to_owned()),
        parts: Some(Json(r#"[{"type":"text","text":"x"}]"#.to_owned())),
        ..ChatMessage::new(ChatRole::Tool, "")
    };
    assert_eq!(
        body(&chat(vec![answered, result]))["messages"],
        json!([
            {
                "role": "assistant",
                "content": null,
                "reasoning_content": "hm",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{"}},
                ],
                "prefix": true,
                "z": 1,
            },
            {
                "role": "tool",
                "content": [{"type": "text", "text": "x"}],
                "name": "f",
                "tool_call_id": "c1",
            },
        ])
    );
}

#[test]
fn completions_have_a_prompt_of_text_tokens_or_both_sides_of_a_gap() {
    let infill = Prompt::Infill {
        before: "a".to_owned(),
        after: "c".to_owned(),
    };
    let infill = body(&text(infill));
    assert_eq!(
        (&infill["prompt"], &infill["suffix"]),
        (&json!("a"), &json!("c"))
    );
    assert_eq!(
        body(&text(Prompt::Tokens(vec![1, 2])))["prompt"],
        json!([1, 2])
    );
    let echo = GenerateRequest {
        echo: true,
        logprobs: Some(0),
        max_tokens: Some(0),
        ..text(Prompt::Text("a".to_owned()))
    };
    let echo = body(&echo);
    assert_eq!(
        (
            &echo["prompt"],
            &echo["echo"],
            &echo["logprobs"],
            &echo["max_tokens"]
        ),
        (&json!("a"), &json!(true), &json!(0), &json!(0))
    );
    assert_eq!(echo.get("messages"), None);
}

#[test]
fn unknown_fields_go_along_and_cannot_change_ours() {
    let json = r#"{"thinking":{"type":"disabled"},"big":12345678901234567890.5,"stream":false,
        "model":"other","stream_options":null,"messages":[],"temperature":2}"#;
    let request = GenerateRequest {
        extra: Some(Json(json.to_owned())),
        ..chat(Vec::new())
    };
    let written = written(&request);
    let written = String::from_utf8(written).unwrap();
    assert!(
        written.ends_with(
            r#"{"include_usage":true},"big":12345678901234567890.5,"thinking":{"type":"disabled"}}"#
        ),
        "{written}"
    );
    assert!(
        written.starts_with(r#"{"model":"theirs","messages":[],"stream":true"#),
        "{written}"
    );
}

#[test]
fn json_that_would_end_its_field_is_refused() {
    for json in ["1}, {", "", "[1"] {
        let request = GenerateRequest {
            extra: Some(Json(json.to_owned())),
            ..chat(Vec::new())
        };
        assert!(
            matches!(
                generate(&request, "x", MaxTokensField::MaxTokens),
                Err(Error::Unsupported { .. })
            ),
            "{json}"
        );
    }
}

#[test]
fn the_simulators_field_is_refused() {
    let request = GenerateRequest {
        extra: Some(Json(r#"{"sim":{}}"#.to_owned())),
        ..chat(Vec::new())
    };
    let error = generate(&request, "x", MaxTokensField::MaxTokens).unwrap_err();
    assert!(
        matches!(&error, Error::Unsupported { param, .. } if param == "sim"),
        "{error}"
    );
}

#[test]
fn texts_and_tokens_are_embedded_as_floats() {
    let request = EmbedRequest {
        model: "ours".into(),
        inputs: vec![
            EmbedInput::Text("a".to_owned()),
            EmbedInput::Text("b".to_owned()),
        ],
        dimensions: Some(8),
        extra: Some(Json(
            r#"{"input_type":"query","encoding_format":"base64"}"#.to_owned(),
        )),
    };
    assert_eq!(
        embed(&request, "theirs").unwrap(),
        br#"{"model":"theirs","input":["a","b"],"encoding_format":"float","dimensions":8,"input_type":"query"}"#
    );
}
