//! The routes over fake ports: what a client sees on the wire, whatever happens behind.

mod admin;
mod answers;
mod bodies;
mod broken_streams;
mod compression;
mod dialects;
mod embeddings;
pub(super) mod fakes;
mod fan_out;
mod feedback;
mod grpc;
mod guard;
mod headers;
mod hostile;
mod identities;
mod keep_alives;
mod logs;
mod messages;
mod models;
mod oauth;
mod openapi;
mod paths;
mod protobuf;
mod reference;
mod refused_requests;
mod responses;
mod resume;
mod routing;
mod sockets;
mod unread;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use self::fakes::{gateway, gateway_with};
use super::*;
use crate::identity::fake::ALL_SCOPES;

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
        let mut keys: Vec<_> = error.as_object().unwrap().keys().cloned().collect();
        keys.sort();
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
