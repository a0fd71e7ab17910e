//! Requests that are refused for what they are.

use super::*;

#[tokio::test]
async fn a_wrong_path_a_wrong_method_and_a_panic_have_the_four_keys() {
    let missing = send(routes(gateway()), request(Method::GET, "/v2", None, "")).await;
    assert_eq!(
        (missing.status.as_u16(), missing.error_code().as_str()),
        (404, "not_found")
    );
    let wrong = request(Method::GET, "/v1/chat/completions", None, "");
    let wrong = send(routes(gateway()), wrong).await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.error_code().as_str()),
        (405, "method_not_allowed")
    );
    let bug = get("Fail.", async || -> StatusCode {
        panic!("a bug with a secret in it")
    });
    let router = layered(vec![("/bug", Policy::OwnCredentials, bug)], gateway());
    let panicked = send(router, request(Method::GET, "/bug", None, "")).await;
    assert_eq!(
        (panicked.status.as_u16(), panicked.error_code().as_str()),
        (500, "internal_error")
    );
    assert!(!panicked.body.contains("secret"));
}

#[tokio::test]
async fn a_bad_body_is_refused_with_the_place_that_is_wrong() {
    let ask = async |body: &str| {
        send(
            routes(gateway()),
            request(
                Method::POST,
                "/v1/chat/completions",
                Some(ALL_SCOPES),
                body.to_owned(),
            ),
        )
        .await
    };
    let answer = ask(r#"{"model": "m", "messages": [{"role": "user", "content": 5}]}"#).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["error"]["param"], "messages[0].content");
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{\"model\": \"m\"}",
        "{} {}",
        "\u{feff}{}",
        "{\"model\": 1e400}",
    ] {
        let answer = ask(body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (400, "invalid_request"),
            "{body}"
        );
    }
    let deep = "[".repeat(100_000);
    assert_eq!(ask(&deep).await.status, StatusCode::BAD_REQUEST);
}

/// What is said inside of an object is no more dropped than a field is: each would be another
/// answer than the one that was asked for.
#[tokio::test]
async fn a_member_that_is_not_honoured_is_refused_by_name() {
    let function = json!({"name": "f"});
    for (field, value, name) in [
        (
            "response_format",
            json!({"type": "json_object", "schema": {}}),
            "schema",
        ),
        (
            "response_format",
            json!({"type": "text", "json_schema": {}}),
            "json_schema",
        ),
        (
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "a"}, "strict": true}),
            "strict",
        ),
        (
            "tools",
            json!([{"type": "function", "function": function, "strict": true}]),
            "strict",
        ),
        ("max_completion_tokens", json!(5), "max_completion_tokens"),
    ] {
        let is_chat = field != "max_completion_tokens";
        let path = if is_chat {
            "/v1/chat/completions"
        } else {
            "/v1/completions"
        };
        let mut body = if is_chat {
            chat_body()
        } else {
            json!({"model": "m", "prompt": "a"})
        };
        body[field] = value;
        let answer = send(routes(gateway()), post(path, body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{field}");
        assert!(
            answer.body.contains(&format!("`{name}`")),
            "{}",
            answer.body
        );
    }
    for format in [
        json!({"type": "text", "schema": null}),
        json!({"type": "json_schema", "json_schema": {"name": "a"}, "strict": null}),
    ] {
        let mut body = chat_body();
        body["response_format"] = format;
        let answer = send(routes(gateway()), post("/v1/chat/completions", body)).await;
        assert_ne!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
    }
}

/// A rejected value may be a prompt.
#[tokio::test]
async fn an_error_does_not_repeat_what_the_caller_wrote() {
    let body = r#"{"model": "m", "messages": "the secret plan"}"#;
    let answer = send(
        routes(gateway()),
        post("/v1/chat/completions", serde_json::from_str(body).unwrap()),
    )
    .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(!answer.body.contains("secret plan"), "{}", answer.body);
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_json_is_refused_as_such() {
    let limit = gateway().config.max_body_bytes;
    let large = request(
        Method::POST,
        "/v1/completions",
        Some(ALL_SCOPES),
        vec![b' '; limit + 1],
    );
    let answer = send(routes(gateway()), large).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (413, "payload_too_large")
    );
    let mut form = request(Method::POST, "/v1/completions", Some(ALL_SCOPES), "a=b");
    form.headers_mut().insert(
        "content-type",
        "application/x-www-form-urlencoded".parse().unwrap(),
    );
    let answer = send(routes(gateway()), form).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (415, "unsupported_media_type")
    );
}
