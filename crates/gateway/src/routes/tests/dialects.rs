//! DeepSeek's dialect, at the root and below `/beta`, beside OpenAI's at `/v1`.

use fathom_proto::inference::{ChatRole, Json, Prompt};

use super::fakes::{delta, finished, gateway_with, started, steered};
use super::*;

async fn status(path: &str, body: &str) -> (u16, Value) {
    let ask = request(Method::POST, path, Some(ALL_SCOPES), body.to_owned());
    let answer = send(routes(fakes::hanging()), ask).await;
    (answer.status.as_u16(), answer.json()["error"].take())
}

fn with(fields: Value) -> Value {
    let mut body = chat_body();
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The request that the engine is asked, or the `param` of the refusal.
async fn asked(
    path: &str,
    body: Value,
) -> Result<fathom_proto::inference::GenerateRequest, (u16, String)> {
    let (gateway, mut calls) = steered();
    let answer = send(routes(gateway), post(path, body));
    tokio::select! {
        biased;
        answer = answer => {
            let param = answer.json()["error"]["param"].as_str().unwrap_or_default().to_owned();
            Err((answer.status.as_u16(), param))
        }
        call = calls.recv() => Ok(call.unwrap().request),
    }
}

#[tokio::test]
async fn errors_have_the_status_and_the_body_of_their_dialect() {
    let hot = with(json!({"temperature": 3})).to_string();
    let unknown = with(json!({"model": "unknown"})).to_string();
    for (body, openai, deepseek) in [
        ("{", 400, 400),
        (r#"{"model": "m"}"#, 400, 400),
        (hot.as_str(), 400, 422),
        (unknown.as_str(), 404, 400),
    ] {
        let (v1, error) = status("/v1/chat/completions", body).await;
        assert_eq!(v1, openai, "{body}");
        assert_ne!(error["code"], "invalid_request_error");
        for path in ["/chat/completions", "/beta/chat/completions"] {
            let (status, error) = status(path, body).await;
            assert_eq!(status, deepseek, "{path} {body}");
            assert_eq!(error["code"], "invalid_request_error");
            assert_eq!(error["type"], "invalid_request_error");
        }
    }
    let stranger = request(Method::POST, "/chat/completions", None, "{}");
    let stranger = send(routes(gateway()), stranger).await;
    assert_eq!(stranger.status, 401);
    assert!(stranger.headers.contains_key("www-authenticate"));
    insta::assert_snapshot!(stranger.body);
    for (code, openai, deepseek, name) in [
        (ErrorCode::WorkerFailed, 502, 500, "worker_failed"),
        (ErrorCode::Internal, 500, 500, "internal_error"),
        (ErrorCode::Overloaded, 503, 503, "overloaded"),
        (ErrorCode::RateLimited, 429, 429, "rate_limit_exceeded"),
        (ErrorCode::DeadlineExceeded, 504, 504, "deadline_exceeded"),
        (
            ErrorCode::ContextLengthExceeded,
            400,
            400,
            "invalid_request_error",
        ),
    ] {
        for (path, expected) in [
            ("/v1/chat/completions", openai),
            ("/chat/completions", deepseek),
        ] {
            let answer = send(
                routes(gateway_with(vec![Err(code)])),
                post(path, chat_body()),
            )
            .await;
            assert_eq!(answer.status.as_u16(), expected, "{path} {code}");
            assert!(answer.headers.contains_key("x-request-id"));
            if path == "/chat/completions" {
                assert_eq!(answer.json()["error"]["code"], name);
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_has_the_error_of_its_dialect() {
    let events = || {
        vec![
            started(1),
            delta("x", 1),
            Err(ErrorCode::ContextLengthExceeded),
        ]
    };
    for (path, code) in [
        ("/v1/chat/completions", "context_length_exceeded"),
        ("/chat/completions", "invalid_request_error"),
    ] {
        let ask = post(path, with(json!({"stream": true})));
        let answer = send(routes(gateway_with(events())), ask).await;
        assert!(
            answer.body.contains(&format!("\"code\":\"{code}\"")),
            "{}",
            answer.body
        );
    }
}

#[tokio::test]
async fn an_answer_goes_on_from_a_prefix_below_beta_alone() {
    let turns = |role: &str| {
        with(json!({"messages": [
            {"role": "user", "content": "hi"},
            {"role": role, "content": "```py\n", "prefix": true},
        ]}))
    };
    let request = asked("/beta/chat/completions", turns("assistant")).await;
    let Prompt::Chat(sent) = request.ok().unwrap().prompt else {
        panic!("a chat");
    };
    assert!(sent[1].prefix && sent[1].role == ChatRole::Assistant && !sent[0].prefix);
    for (path, status) in [("/v1/chat/completions", 400), ("/chat/completions", 422)] {
        let refused = asked(path, turns("assistant")).await.err();
        assert_eq!(
            refused,
            Some((status, "messages[1].prefix".to_owned())),
            "{path}"
        );
    }
    let refused = asked("/beta/chat/completions", turns("user")).await.err();
    assert_eq!(refused, Some((422, "messages[1].prefix".to_owned())));
    let first = with(json!({"messages": [
        {"role": "assistant", "content": "a", "prefix": true}, {"role": "user", "content": "hi"},
    ]}));
    let refused = asked("/beta/chat/completions", first).await.err();
    assert_eq!(refused, Some((422, "messages[0].prefix".to_owned())));
}

#[tokio::test]
async fn gaps_are_filled_below_beta_as_at_the_root() {
    for path in ["/beta/completions", "/completions", "/v1/completions"] {
        let body = json!({"model": "m", "prompt": "def f(", "suffix": "return 1", "max_tokens": 8});
        let request = asked(path, body).await.ok().unwrap();
        let Prompt::Infill { before, after } = request.prompt else {
            panic!("a gap");
        };
        assert_eq!((before.as_str(), after.as_str()), ("def f(", "return 1"));
    }
}

#[tokio::test]
async fn fields_of_deepseek_are_checked_and_go_to_the_engine_in_its_words() {
    let extra = async |path: &str, fields: Value| {
        let request = asked(path, with(fields)).await;
        request.map(|request| request.extra.map(|Json(text)| text))
    };
    for (asked, sent) in [
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "high"),
        ("high", "high"),
        ("xhigh", "high"),
        ("max", "max"),
        ("ultra", "max"),
    ] {
        let fields = json!({"thinking": {"type": "enabled"}, "reasoning_effort": asked});
        let expected =
            format!(r#"{{"thinking":{{"type":"enabled"}},"reasoning_effort":"{sent}"}}"#);
        assert_eq!(
            extra("/chat/completions", fields.clone()).await.unwrap(),
            Some(expected)
        );
        let as_it_is =
            format!(r#"{{"thinking":{{"type":"enabled"}},"reasoning_effort":"{asked}"}}"#);
        assert_eq!(
            extra("/v1/chat/completions", fields).await.unwrap(),
            Some(as_it_is)
        );
    }
    let long = "a".repeat(513);
    for (fields, param) in [
        (json!({"reasoning_effort": "some"}), "reasoning_effort"),
        (json!({"reasoning_effort": 5}), "reasoning_effort"),
        (json!({"thinking": {"type": "often"}}), "thinking.type"),
        (json!({"thinking": true}), "thinking.type"),
        (json!({"user_id": long}), "user_id"),
        (json!({"user_id": ""}), "user_id"),
        (json!({"user_id": "a@example.com"}), "user_id"),
        (json!({"user_id": 7}), "user_id"),
        (
            json!({"response_format": {"type": "json_object"}}),
            "messages",
        ),
    ] {
        for path in ["/chat/completions", "/beta/chat/completions"] {
            let refused = extra(path, fields.clone()).await.err();
            assert_eq!(refused, Some((422, param.to_owned())), "{path} {fields}");
        }
    }
    let named = with(json!({
        "response_format": {"type": "json_object"}, "user_id": "a-Z_9",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "as JSON"}]}],
    }));
    assert!(asked("/chat/completions", named).await.is_ok());
}

#[tokio::test]
async fn strict_functions_are_beta_and_leave_nothing_open() {
    let tool = |name: &str, strict: bool, parameters: Value| json!({"type": "function", "function": {"name": name, "strict": strict, "parameters": parameters}});
    let closed = json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {"a": {"type": "array", "items": {
            "type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"],
            "additionalProperties": false,
        }}},
    });
    let mut open = closed.clone();
    open["properties"]["a"]["items"]["additionalProperties"] = true.into();
    let mut named = closed.clone();
    named["properties"]["default"] = json!({"type": "object"});
    named["required"] = json!(["a", "default"]);
    let mut nullable = closed.clone();
    nullable["properties"]["a"] = json!({"type": ["object", "null"], "properties": {}});
    let untyped = json!({"properties": {}});
    let mut optional = closed.clone();
    optional["required"] = json!([]);
    let ask = async |path: &str, tools: Value| asked(path, with(json!({ "tools": tools }))).await;
    let beta = "/beta/chat/completions";
    assert!(
        ask(beta, json!([tool("f", true, closed.clone())]))
            .await
            .is_ok()
    );
    assert!(
        ask(
            "/v1/chat/completions",
            json!([tool("f", true, open.clone())])
        )
        .await
        .is_ok()
    );
    assert!(
        ask("/chat/completions", json!([tool("f", false, open.clone())]))
            .await
            .is_ok()
    );
    for (path, tools, param) in [
        (
            "/chat/completions",
            json!([tool("f", true, closed.clone())]),
            "tools[0].function.strict",
        ),
        (
            beta,
            json!([tool("f", true, closed.clone()), tool("g", false, closed)]),
            "tools[1].function.strict",
        ),
        (
            beta,
            json!([tool("f", true, open)]),
            "tools[0].function.parameters.properties.a.items.additionalProperties",
        ),
        (
            beta,
            json!([tool("f", true, named)]),
            "tools[0].function.parameters.properties.default.additionalProperties",
        ),
        (
            beta,
            json!([tool("f", true, nullable)]),
            "tools[0].function.parameters.properties.a.additionalProperties",
        ),
        (
            beta,
            json!([tool("f", true, untyped)]),
            "tools[0].function.parameters.additionalProperties",
        ),
        (
            beta,
            json!([tool("f", true, optional)]),
            "tools[0].function.parameters.required",
        ),
    ] {
        let refused = ask(path, tools).await.err();
        assert_eq!(refused, Some((422, param.to_owned())), "{path}");
    }
}

/// Both kinds of clients find what they know in the counts.
#[tokio::test]
async fn cached_tokens_are_told_in_both_dialects() {
    for path in ["/v1/chat/completions", "/chat/completions"] {
        let answer = send(
            routes(gateway_with(vec![started(3), finished(3, 0)])),
            post(path, chat_body()),
        )
        .await;
        let usage = &answer.json()["usage"];
        assert_eq!(usage["prompt_cache_miss_tokens"], 3, "{path}");
        assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 0, "{path}");
    }
}

/// Whoever takes only messages gets them where there are some, in every dialect; elsewhere what is
/// answered says that it is JSON.
#[tokio::test]
async fn an_error_is_of_the_format_that_its_head_says() {
    for (path, media_type) in [
        ("/v1/chat/completions", "application/x-protobuf"),
        ("/chat/completions", "application/x-protobuf"),
        ("/beta/completions", "application/x-protobuf"),
        ("/v1/messages", "application/json"),
        ("/admin/v1/tenants", "application/problem+json"),
    ] {
        let mut ask = request(Method::POST, path, None, "{}");
        let accept = "application/x-protobuf".parse().unwrap();
        ask.headers_mut().insert("accept", accept);
        let answer = send(routes(gateway()), ask).await;
        assert_eq!(answer.headers["content-type"], media_type, "{path}");
        let is_json = serde_json::from_str::<Value>(&answer.body).is_ok();
        assert_eq!(is_json, media_type.ends_with("json"), "{path}");
    }
}
