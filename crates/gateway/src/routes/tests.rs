//! The routes over fake ports: what a client sees on the wire, whatever happens behind.

mod fakes;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use axum::routing::get;
use fathom_proto::ErrorCode;
use fathom_proto::inference::{Event, FinishReason, Usage};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use self::fakes::{ALL_SCOPES, NO_SCOPES, delta, gateway, gateway_with, started};
use super::*;

struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    /// Asserts the one form of all errors, and gives the error's code.
    #[track_caller]
    fn error_code(&self) -> String {
        let error = &self.json()["error"];
        let keys: Vec<_> = error.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["code", "message", "param", "type"]);
        assert!(self.headers.contains_key("x-request-id"));
        error["code"].as_str().unwrap().to_owned()
    }
}

async fn send(router: Router, request: Request<Body>) -> Answer {
    let response: Response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

fn request(
    method: Method,
    path: &str,
    bearer: Option<&str>,
    body: impl Into<Body>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(bearer) = bearer {
        request = request.header("authorization", format!("Bearer {bearer}"));
    }
    request
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap()
}

fn post(path: &str, body: Value) -> Request<Body> {
    request(Method::POST, path, Some(ALL_SCOPES), body.to_string())
}

fn chat_body() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
}

/// Part of SEC-24.
#[tokio::test]
async fn every_guarded_route_refuses_a_caller_it_does_not_know() {
    for (path, policy, _) in table() {
        let Policy::Scope(_) = policy else { continue };
        let path = path.replace("{id}", "m");
        let method = if path.ends_with("completions") {
            Method::POST
        } else {
            Method::GET
        };
        let ask = async |bearer| {
            send(
                routes(gateway()),
                request(method.clone(), &path, bearer, "{}"),
            )
            .await
        };
        let nobody = ask(None).await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(
            nobody.headers["www-authenticate"],
            "Bearer realm=\"fathom\""
        );
        assert_eq!(
            ask(Some("unknown")).await.error_code(),
            "invalid_api_key",
            "{path}"
        );
        assert_eq!(
            ask(Some(NO_SCOPES)).await.status,
            StatusCode::FORBIDDEN,
            "{path}"
        );
        let broken = ask(Some(fakes::AUTH_IS_DOWN)).await;
        assert_eq!(broken.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(broken.headers["retry-after"], "1");
    }
}

/// Part of SEC-24: no answer is no permission.
#[tokio::test(start_paused = true)]
async fn an_auth_service_that_hangs_does_not_hold_the_caller() {
    let ask = request(Method::GET, "/v1/models", Some(fakes::AUTH_HANGS), "");
    let answer = send(routes(gateway()), ask).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (503, "unavailable")
    );
    assert_eq!(answer.headers["retry-after"], "1");
}

/// Part of SEC-24: a route that takes its own credentials is an exception to look at.
#[test]
fn the_routes_without_a_guard_are_these() {
    let open: Vec<_> = table()
        .into_iter()
        .filter(|(_, policy, _)| *policy == Policy::OwnCredentials)
        .map(|(path, ..)| path)
        .collect();
    assert_eq!(open, ["/v1/stream", "/oauth/token"]);
}

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
    let bug = get(async || -> String { panic!("a bug with a secret in it") });
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

/// Part of LIFE-6.
#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_and_without_done() {
    let mut body = chat_body();
    body["stream"] = true.into();
    let silent = vec![started(3), delta("Hel", 1)];
    let failed = vec![started(3), delta("Hel", 1), Err(ErrorCode::Internal)];
    for (events, code) in [(silent, "worker_failed"), (failed, "internal_error")] {
        let answer = send(
            routes(gateway_with(events)),
            post("/v1/chat/completions", body.clone()),
        )
        .await;
        assert_eq!(answer.status, StatusCode::OK);
        let last = answer.body.trim_end().rsplit("\n\n").next().unwrap();
        let error: Value = serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(error["error"]["code"], code);
        assert!(!answer.body.contains("[DONE]"));
    }
}

/// Part of LIFE-6.
#[tokio::test]
async fn what_breaks_before_the_answer_begins_is_an_http_error() {
    for (events, status) in [
        (vec![], 502),
        (vec![Err(ErrorCode::Overloaded)], 503),
        (vec![started(3), delta("Hel", 1)], 502),
    ] {
        let answer = send(
            routes(gateway_with(events)),
            post("/v1/chat/completions", chat_body()),
        )
        .await;
        assert_eq!(answer.status.as_u16(), status);
        answer.error_code();
    }
}

#[tokio::test(start_paused = true)]
async fn a_generation_that_never_ends_is_ended_with_504() {
    let answer = send(
        routes(fakes::hanging()),
        post("/v1/chat/completions", chat_body()),
    )
    .await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (504, "deadline_exceeded")
    );
}

mod token {
    use super::*;

    fn form(body: &str) -> Request<Body> {
        Request::post("/oauth/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body.to_owned()))
            .unwrap()
    }

    async fn answer(request: Request<Body>) -> Answer {
        let answer = send(routes(gateway()), request).await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        answer
    }

    const GRANT: &str = "grant_type=client_credentials";

    #[tokio::test]
    async fn credentials_in_the_body_get_a_token() {
        let answer = answer(form(&format!(
            "{GRANT}&client_id=c&client_secret=a%3Ab%25+c"
        )))
        .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(
            answer.json(),
            json!({"access_token": "t", "token_type": "Bearer", "expires_in": 3600, "scope": "inference"})
        );
    }

    #[tokio::test]
    async fn basic_credentials_are_form_decoded() {
        use base64::Engine;
        let encoded = base64::prelude::BASE64_STANDARD.encode("c:a%3Ab%25+c");
        let mut request = form(GRANT);
        request
            .headers_mut()
            .insert("authorization", format!("Basic {encoded}").parse().unwrap());
        assert_eq!(answer(request).await.status, StatusCode::OK);
    }

    #[tokio::test]
    async fn refusals_have_the_form_of_rfc_6749() {
        for (body, status, error) in [
            (
                format!("{GRANT}&client_id=c&client_secret=wrong"),
                401,
                "invalid_client",
            ),
            (GRANT.to_owned(), 401, "invalid_client"),
            ("client_id=c".to_owned(), 400, "invalid_request"),
            (format!("{GRANT}&{GRANT}"), 400, "invalid_request"),
            (
                "grant_type=password".to_owned(),
                400,
                "unsupported_grant_type",
            ),
            (
                format!("{GRANT}&scope=root&client_id=c&client_secret=a"),
                400,
                "invalid_scope",
            ),
        ] {
            let answer = answer(form(&body)).await;
            assert_eq!(answer.status.as_u16(), status, "{body}");
            assert_eq!(answer.json()["error"], error, "{body}");
        }
        let get = Request::get("/oauth/token").body(Body::empty()).unwrap();
        assert_eq!(
            send(routes(gateway()), get).await.status,
            StatusCode::METHOD_NOT_ALLOWED
        );
    }

    #[tokio::test]
    async fn two_ways_to_authenticate_at_once_are_refused() {
        let mut request = form(&format!("{GRANT}&client_id=c&client_secret=a"));
        request
            .headers_mut()
            .insert("authorization", "Basic Yzph".parse().unwrap());
        let answer = answer(request).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.json()["error"], "invalid_request");
    }
}
