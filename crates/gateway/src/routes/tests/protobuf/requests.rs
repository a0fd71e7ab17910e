//! Requests: the engine is asked the same in either format.

use super::super::fakes::steered;
use super::*;

/// What the engine is asked when `request` is sent.
async fn asked(request: Request<Body>) -> fathom_proto::inference::GenerateRequest {
    let (gateway, mut calls) = steered();
    let answer = send(routes(gateway), request);
    tokio::select! {
        answer = answer => panic!("{}", answer.body),
        call = calls.recv() => call.unwrap().request,
    }
}

#[tokio::test]
async fn a_request_is_the_same_to_the_engine_in_either_format() {
    let mut body = chat_body();
    for (name, value) in [
        ("max_tokens", json!(7)),
        ("temperature", json!(0.5)),
        ("top_p", json!(0.9)),
        ("top_k", json!(40)),
        ("min_p", json!(0.1)),
        ("seed", json!(-1)),
        ("frequency_penalty", json!(1.0)),
        ("presence_penalty", json!(-1.0)),
        ("logit_bias", json!({"5": -100.0})),
        ("stop", json!(["a", "b"])),
        ("logprobs", json!(true)),
        ("top_logprobs", json!(2)),
        ("response_format", json!({"type": "json_object"})),
        (
            "tools",
            json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]),
        ),
        ("tool_choice", json!("required")),
        ("parallel_tool_calls", json!(false)),
        ("reasoning_effort", json!("high")),
        ("user", json!("anna")),
    ] {
        body[name] = value;
    }
    let message = pb::CreateCompletionRequest {
        max_tokens: Some(7),
        temperature: Some(0.5),
        top_p: Some(0.9),
        top_k: Some(40),
        min_p: Some(0.1),
        seed: Some(-1),
        frequency_penalty: Some(1.0),
        presence_penalty: Some(-1.0),
        logit_bias: vec![pb::LogitBias {
            token: 5,
            bias: -100.0,
        }],
        stop: vec!["a".to_owned(), "b".to_owned()],
        logprobs: Some(2),
        response_format: Some(pb::OutputFormat {
            format: Some(pb::output_format::Format::JsonObject(pb::JsonObject {})),
        }),
        tools: vec![pb::Function {
            name: "f".to_owned(),
            parameters_json: Some(r#"{"type":"object"}"#.to_owned()),
            ..pb::Function::default()
        }],
        tool_choice: pb::ToolChoice::Required.into(),
        parallel_tool_calls: Some(false),
        user: "anna".to_owned(),
        extra_json: r#"{"reasoning_effort":"high"}"#.to_owned(),
        ..chat_message()
    };
    let path = "/v1/chat/completions";
    let from_json = asked(post(path, body)).await;
    let from_message = asked(ask(path, message.encode_to_vec(), None)).await;
    assert!(from_json == from_message);

    let body = json!({"model": "m", "prompt": ["a"], "echo": true, "max_tokens": 0, "logprobs": 1});
    let message = pb::CreateCompletionRequest {
        model: "m".to_owned(),
        prompt: vec![pb::Prompt {
            prompt: Some(pb::prompt::Prompt::Text("a".to_owned())),
        }],
        echo: true,
        max_tokens: Some(0),
        logprobs: Some(1),
        ..pb::CreateCompletionRequest::default()
    };
    let from_json = asked(post("/v1/completions", body)).await;
    let from_message = asked(ask("/v1/completions", message.encode_to_vec(), None)).await;
    assert!(from_json == from_message);
}

/// Everything that a conversation and its form can hold, below `/beta`, which knows all of it.
#[tokio::test]
async fn a_conversation_is_the_same_to_the_engine_in_either_format() {
    let schema = json!({"type": "object", "additionalProperties": false, "required": []});
    let body = json!({
        "model": "m",
        "n": 2,
        "stream": true,
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "form", "strict": true, "schema": schema,
        }},
        "tools": [{"type": "function", "function": {
            "name": "f", "description": "d", "strict": true, "parameters": schema,
        }}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "name": "anna", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            ]},
            {"role": "assistant", "content": "", "reasoning_content": "Hm.", "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "1", "content": "A cat.", "custom": [1]},
            {"role": "assistant", "content": "It is", "prefix": true},
        ],
    });
    let parts = body["messages"][1]["content"].to_string();
    let turn = |role: pb::ChatRole, content: &str| pb::ChatMessage {
        role: role.into(),
        content: content.to_owned(),
        ..pb::ChatMessage::default()
    };
    let message = pb::CreateCompletionRequest {
        model: "m".to_owned(),
        n: Some(2),
        stream: true,
        response_format: Some(pb::OutputFormat {
            format: Some(pb::output_format::Format::JsonSchema(pb::JsonSchema {
                name: "form".to_owned(),
                schema_json: schema.to_string(),
                strict: Some(true),
            })),
        }),
        tools: vec![pb::Function {
            name: "f".to_owned(),
            description: Some("d".to_owned()),
            parameters_json: Some(schema.to_string()),
            strict: Some(true),
        }],
        tool_choice: pb::ToolChoice::Named.into(),
        tool_choice_name: "f".to_owned(),
        messages: vec![
            turn(pb::ChatRole::System, "Be brief."),
            pb::ChatMessage {
                name: Some("anna".to_owned()),
                parts_json: parts,
                ..turn(pb::ChatRole::User, "")
            },
            pb::ChatMessage {
                reasoning: Some("Hm.".to_owned()),
                tool_calls: vec![pb::ToolCall {
                    id: "1".to_owned(),
                    name: "f".to_owned(),
                    arguments: "{}".to_owned(),
                }],
                ..turn(pb::ChatRole::Assistant, "")
            },
            pb::ChatMessage {
                tool_call_id: Some("1".to_owned()),
                extra_json: r#"{"custom": [1]}"#.to_owned(),
                ..turn(pb::ChatRole::Tool, "A cat.")
            },
            pb::ChatMessage {
                prefix: true,
                ..turn(pb::ChatRole::Assistant, "It is")
            },
        ],
        ..pb::CreateCompletionRequest::default()
    };
    let path = "/beta/chat/completions";
    let from_json = asked(post(path, body)).await;
    let from_message = asked(ask(path, message.encode_to_vec(), None)).await;
    assert!(from_json == from_message);
    // Elsewhere a prefix is refused, as that of JSON is.
    let elsewhere = ask("/v1/chat/completions", message.encode_to_vec(), None);
    let (status, _, _) = exchange(routes(gateway()), elsewhere).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn texts_and_tokens_are_the_same_to_the_engine_in_either_format() {
    let tokens = |ids: &[u32]| pb::Prompt {
        prompt: Some(pb::prompt::Prompt::Tokens(pb::TokenPrompt {
            ids: ids.to_vec(),
        })),
    };
    let text = pb::Prompt {
        prompt: Some(pb::prompt::Prompt::Text("a".to_owned())),
    };
    let message = |prompt, suffix: &str| pb::CreateCompletionRequest {
        model: "m".to_owned(),
        prompt,
        suffix: suffix.to_owned(),
        ..pb::CreateCompletionRequest::default()
    };
    for (body, message) in [
        (
            json!({"model": "m", "prompt": [[1, 2]]}),
            message(vec![tokens(&[1, 2])], ""),
        ),
        (
            json!({"model": "m", "prompt": "a", "suffix": "b"}),
            message(vec![text], "b"),
        ),
    ] {
        let path = "/beta/completions";
        let from_json = asked(post(path, body)).await;
        let from_message = asked(ask(path, message.encode_to_vec(), None)).await;
        assert!(from_json == from_message);
    }
}

/// SEC-53 and GRPC-3: what is two bytes on the wire is not made into a turn two million times.
#[tokio::test]
async fn a_message_of_too_many_parts_is_refused_before_they_are_made() {
    let flood = |turns| {
        let mut message = pb::CreateCompletionRequest {
            model: "m".to_owned(),
            ..pb::CreateCompletionRequest::default()
        }
        .encode_to_vec();
        message.extend([0x12, 0].repeat(turns));
        message
    };
    for (turns, told) in [
        (2_000_000, "more than 32768"),
        (5_000, "`messages` holds 5000"),
    ] {
        let request = ask(
            "/v1/chat/completions",
            flood(turns),
            Some("application/json"),
        );
        let answer = send(routes(gateway()), request).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body.contains(told), "{}", answer.body);
    }
}

/// What no message can say is refused, not dropped.
#[tokio::test]
async fn options_of_event_streams_are_refused_where_there_are_none() {
    for (stream, options, param) in [
        (
            false,
            r#"{"stream_options": {"include_usage": true}}"#,
            "stream_options",
        ),
        (
            true,
            r#"{"stream_options": {"include_obfuscation": true}}"#,
            "stream_options.include_obfuscation",
        ),
    ] {
        let message = pb::CreateCompletionRequest {
            stream,
            extra_json: options.to_owned(),
            ..chat_message()
        };
        let accept = Some("application/json");
        let request = ask("/v1/chat/completions", message.encode_to_vec(), accept);
        let answer = send(routes(gateway()), request).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["error"]["param"], param);
    }
}

/// SEC-52: what the services tell one another is no field of a caller's message, nor of the JSON in
/// it.
#[tokio::test]
async fn a_caller_cannot_say_what_the_services_tell_one_another() {
    let extra = json!({
        "context_length": 5, "generated": [1], "context": {"tenant_id": "other"},
        "defaults": {"temperature": 2},
    });
    let message = pb::CreateCompletionRequest {
        extra_json: extra.to_string(),
        ..chat_message()
    };
    let request = asked(ask("/v1/chat/completions", message.encode_to_vec(), None)).await;
    assert_eq!(request.context_length, None);
    assert!(request.generated.is_empty());
    assert!((request.defaults.temperature - 0.7).abs() < 1e-6);
}
