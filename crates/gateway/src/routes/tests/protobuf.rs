//! Protocol Buffers as bodies: the same requests, answers and errors as JSON has.

use bytes::Bytes;
use fathom_proto::inference::Piece;
use fathom_proto::pb::inference as pb;
use prost::Message;

use super::fakes::{delta, embedding, finished, piece, started, steered};
use super::*;
use crate::identity::fake::NO_SCOPES;

const PROTOBUF: &str = "application/x-protobuf";

fn chat_message() -> pb::CreateCompletionRequest {
    pb::CreateCompletionRequest {
        model: "m".to_owned(),
        messages: vec![pb::ChatMessage {
            role: pb::ChatRole::User.into(),
            content: "hi".to_owned(),
            ..pb::ChatMessage::default()
        }],
        ..pb::CreateCompletionRequest::default()
    }
}

fn ask(path: &str, body: Vec<u8>, accept: Option<&str>) -> Request<Body> {
    let mut request = request(Method::POST, path, Some(ALL_SCOPES), body);
    let headers = request.headers_mut();
    headers.insert("content-type", PROTOBUF.parse().unwrap());
    if let Some(accept) = accept {
        headers.insert("accept", accept.parse().unwrap());
    }
    request
}

async fn exchange(router: Router, request: Request<Body>) -> (StatusCode, String, Bytes) {
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let content_type = parts.headers.get("content-type");
    let content_type = content_type.map_or("", |value| value.to_str().unwrap());
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, content_type.to_owned(), body)
}

fn hello() -> crate::Gateway {
    let thought = piece(Piece::Reasoning("Hm. ".to_owned()), 1);
    gateway_with(vec![
        started(3),
        thought,
        delta("Hel", 1),
        delta("lo", 1),
        finished(3, 3),
    ])
}

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

#[tokio::test]
async fn a_whole_answer_is_one_message() {
    let request = ask("/v1/chat/completions", chat_message().encode_to_vec(), None);
    let (status, content_type, body) = exchange(routes(hello()), request).await;
    assert_eq!((status.as_u16(), content_type.as_str()), (200, PROTOBUF));
    let answer = pb::CreateCompletionResponse::decode(body).unwrap();
    assert!(answer.id.starts_with("chatcmpl-") && answer.model == "m" && answer.created > 0);
    let [choice] = &answer.choices[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (choice.text.as_str(), choice.reasoning.as_str()),
        ("Hello", "Hm. ")
    );
    assert_eq!(choice.finish_reason(), pb::FinishReason::Stop);
    assert_eq!(answer.usage.unwrap().completion_tokens, 3);
}

#[tokio::test]
async fn a_stream_is_messages_behind_their_length_and_the_last_one_has_the_counts() {
    let message = pb::CreateCompletionRequest {
        stream: true,
        ..chat_message()
    };
    let request = ask("/v1/chat/completions", message.encode_to_vec(), None);
    let (status, content_type, mut body) = exchange(routes(hello()), request).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(content_type, "application/x-protobuf; encoding=delimited");
    let mut text = String::new();
    let mut last = None;
    while !body.is_empty() {
        assert!(last.is_none_or(|it: pb::CreateCompletionResponse| it.usage.is_none()));
        let message = pb::CreateCompletionResponse::decode_length_delimited(&mut body).unwrap();
        text.push_str(&message.choices[0].text);
        last = Some(message);
    }
    let last = last.unwrap();
    assert_eq!(text, "Hello");
    assert_eq!(last.choices[0].finish_reason(), pb::FinishReason::Stop);
    assert_eq!(last.usage.unwrap().prompt_tokens, 3);
}

#[tokio::test]
async fn a_stream_that_breaks_says_so_in_its_last_message() {
    let gateway = gateway_with(vec![
        started(3),
        delta("Hel", 1),
        Err(ErrorCode::WorkerFailed),
    ]);
    let message = pb::CreateCompletionRequest {
        stream: true,
        ..chat_message()
    };
    let request = ask("/v1/chat/completions", message.encode_to_vec(), None);
    let (_, _, mut body) = exchange(routes(gateway), request).await;
    let piece = pb::CreateCompletionResponse::decode_length_delimited(&mut body).unwrap();
    assert_eq!(piece.choices[0].text, "Hel");
    let last = pb::CreateCompletionResponse::decode_length_delimited(&mut body).unwrap();
    assert!(body.is_empty() && last.usage.is_none() && last.choices.is_empty());
    assert_eq!(last.error.unwrap().code, "worker_failed");
}

#[tokio::test]
async fn the_answer_is_in_the_format_that_accept_names() {
    let path = "/v1/chat/completions";
    let request = ask(
        path,
        chat_message().encode_to_vec(),
        Some("application/json"),
    );
    let answer = send(routes(hello()), request).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "Hello");
    let mut request = post(path, chat_body());
    let accept = PROTOBUF.parse().unwrap();
    request.headers_mut().insert("accept", accept);
    let (_, content_type, body) = exchange(routes(hello()), request).await;
    assert_eq!(content_type, PROTOBUF);
    let answer = pb::CreateCompletionResponse::decode(body).unwrap();
    assert_eq!(answer.choices[0].text, "Hello");
}

#[tokio::test]
async fn embeddings_are_messages_too() {
    let message = pb::CreateEmbeddingRequest {
        model: "m".to_owned(),
        input: vec![pb::EmbedInput {
            input: Some(pb::embed_input::Input::Text("hi".to_owned())),
        }],
        ..pb::CreateEmbeddingRequest::default()
    };
    let gateway = embedding(vec![vec![0.25, -1.0]]);
    let request = ask("/v1/embeddings", message.encode_to_vec(), None);
    let (status, _, body) = exchange(routes(gateway), request).await;
    assert_eq!(status, StatusCode::OK);
    let answer = pb::CreateEmbeddingResponse::decode(body).unwrap();
    assert_eq!(answer.data[0].values, [0.25, -1.0]);
    assert_eq!((answer.model.as_str(), answer.prompt_tokens), ("m", 5));
}

/// What is wrong is told with the same code and the same name of the field as in JSON.
#[tokio::test]
async fn the_checks_are_those_of_json() {
    let wrong = [
        (
            "temperature",
            pb::CreateCompletionRequest {
                temperature: Some(3.0),
                ..chat_message()
            },
        ),
        (
            "temperature",
            pb::CreateCompletionRequest {
                temperature: Some(f32::NAN),
                ..chat_message()
            },
        ),
        (
            "stop",
            pb::CreateCompletionRequest {
                stop: vec!["x".to_owned(); 17],
                ..chat_message()
            },
        ),
        (
            "n",
            pb::CreateCompletionRequest {
                n: Some(17),
                ..chat_message()
            },
        ),
        (
            "messages",
            pb::CreateCompletionRequest {
                messages: Vec::new(),
                ..chat_message()
            },
        ),
        (
            "messages[0].role",
            pb::CreateCompletionRequest {
                messages: vec![pb::ChatMessage::default()],
                ..chat_message()
            },
        ),
        (
            "tools[0].function.name",
            pb::CreateCompletionRequest {
                tools: vec![pb::Function::default()],
                ..chat_message()
            },
        ),
        (
            "tools[0].parameters_json",
            pb::CreateCompletionRequest {
                tools: vec![pb::Function {
                    parameters_json: Some("{".to_owned()),
                    ..pb::Function::default()
                }],
                ..chat_message()
            },
        ),
        (
            "tool_choice",
            pb::CreateCompletionRequest {
                tool_choice: 99,
                ..chat_message()
            },
        ),
        (
            "echo",
            pb::CreateCompletionRequest {
                echo: true,
                ..chat_message()
            },
        ),
        (
            "temperature",
            pb::CreateCompletionRequest {
                temperature: Some(1.0),
                extra_json: r#"{"temperature": 1}"#.to_owned(),
                ..chat_message()
            },
        ),
        (
            "extra_json",
            pb::CreateCompletionRequest {
                extra_json: "[]".to_owned(),
                ..chat_message()
            },
        ),
        (
            "model",
            pb::CreateCompletionRequest {
                extra_json: r#"{"model": "other"}"#.to_owned(),
                ..chat_message()
            },
        ),
    ];
    for (param, message) in wrong {
        let request = ask("/v1/chat/completions", message.encode_to_vec(), None);
        let answer = send(routes(gateway()), request).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{param}");
        assert_eq!(answer.error_code(), "invalid_request");
        assert_eq!(answer.json()["error"]["param"], param, "{}", answer.body);
    }
}

#[tokio::test]
async fn who_takes_nothing_but_protobuf_gets_errors_in_it() {
    let message = pb::CreateCompletionRequest {
        temperature: Some(3.0),
        ..chat_message()
    };
    let request = ask(
        "/v1/chat/completions",
        message.encode_to_vec(),
        Some(PROTOBUF),
    );
    let (status, content_type, body) = exchange(routes(gateway()), request).await;
    assert_eq!((status.as_u16(), content_type.as_str()), (400, PROTOBUF));
    let error = pb::Error::decode(body).unwrap();
    assert_eq!(error.code, "invalid_request");
    assert_eq!(error.r#type, "invalid_request_error");
    assert_eq!(error.param.as_deref(), Some("temperature"));
    // Who is not let in is told so in it too.
    let mut request = super::request(Method::POST, "/v1/chat/completions", Some(NO_SCOPES), "");
    let accept = PROTOBUF.parse().unwrap();
    request.headers_mut().insert("accept", accept);
    let (status, _, body) = exchange(routes(gateway()), request).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(pb::Error::decode(body).unwrap().code, "permission_denied");
}

/// GRPC-3, over REST.
#[tokio::test]
async fn garbage_is_refused_and_breaks_nothing() {
    for (what, bytes) in garbage() {
        for path in ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"] {
            let answer = send(routes(gateway()), ask(path, bytes.clone(), None)).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{what}");
            assert_eq!(answer.error_code(), "invalid_request", "{what}");
        }
    }
}

/// Bytes that are no message of ours, or none at all.
pub fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let whole = chat_message().encode_to_vec();
    // Field 100, which nobody has, as a message in a message, in groups, and so on.
    let deep = [0xa3, 0x06].repeat(101);
    let mut ended = deep.clone();
    ended.extend([0xa4, 0x06].repeat(101));
    vec![
        ("nothing", Vec::new()),
        ("truncated", whole[..whole.len() - 1].to_vec()),
        (
            "a varint without an end",
            vec![
                0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ],
        ),
        ("field 0", vec![0x00, 0x00]),
        ("a wire type that nobody has", vec![0x0f]),
        ("a group that does not end", vec![0x0b]),
        ("a group that was not begun", vec![0x0c]),
        ("a string that is no UTF-8", vec![0x0a, 0x02, 0xff, 0xfe]),
        (
            "a length of 5 GB",
            vec![0x0a, 0x80, 0xe4, 0x97, 0xd0, 0x12, 0x41],
        ),
        ("101 groups deep", deep),
        ("101 groups deep, each ended", ended),
        ("a number where a string must be", vec![0x08, 0x01]),
        ("JSON", chat_body().to_string().into_bytes()),
    ]
}

/// GRPC-6: what a newer client says besides is no reason to refuse it.
#[tokio::test]
async fn a_field_that_is_not_known_yet_is_passed_over() {
    let mut bytes = chat_message().encode_to_vec();
    bytes.extend([0xa0, 0x06, 0x01]);
    let request = ask("/v1/chat/completions", bytes, None);
    let (status, ..) = exchange(routes(hello()), request).await;
    assert_eq!(status, StatusCode::OK);
}
