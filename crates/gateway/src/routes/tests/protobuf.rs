//! Protocol Buffers as bodies: the same requests, answers and errors as JSON has.

mod requests;

use bytes::Bytes;
use fathom_proto::inference::Piece;
use fathom_proto::pb::inference as pb;
use prost::Message;

use super::fakes::{delta, embedding, finished, piece, started};
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
