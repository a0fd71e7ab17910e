//! Errors in the form that Anthropic's clients read.

use std::borrow::Cow;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use fathom_api::messages::{ErrorBody, ErrorObject};
use fathom_proto::{Error, ErrorCode};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::error::{ErrorNote, replace_body};
use crate::event_stream::to_json;
use crate::json::JSON;
use crate::record::Record;

/// Anthropic's name for the header `x-request-id`.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The status of a server that has too much to do; Anthropic's own.
pub const OVERLOADED: u16 = 529;

/// The layer that gives the errors of these routes their form, whichever handler or layer inside
/// of it they come from, and each answer the id of its request in Anthropic's header too.
pub async fn layer(request: Request, next: Next) -> Response {
    if !is_ours(request.uri().path()) {
        return next.run(request).await;
    }
    let record = request.extensions().get::<Record>().cloned();
    let id = record.as_ref().map(|record| record.id().as_str());
    let mut response = next.run(request).await;
    if let Some(ErrorNote(error)) = response.extensions().get() {
        let body = to_json(&body(error, id));
        if let Ok(status) = StatusCode::from_u16(status(error.code)) {
            *response.status_mut() = status;
        }
        replace_body(&mut response, JSON, body);
    }
    if let Some(Ok(id)) = id.map(HeaderValue::from_str) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Whether a path is one of these routes.
pub fn is_ours(path: &str) -> bool {
    path == "/v1/messages"
        || path.starts_with("/v1/messages/")
        || path == "/anthropic"
        || path.starts_with("/anthropic/")
}

/// The body of an error.
pub fn body<'a>(error: &'a Error, request_id: Option<&'a str>) -> ErrorBody<'a> {
    ErrorBody {
        kind: "error".into(),
        error: object(error),
        request_id: request_id.map(Cow::Borrowed),
    }
}

/// What is wrong. There is no member for the field at fault, so the message names it.
pub fn object(error: &Error) -> ErrorObject<'_> {
    let message = match &error.param {
        Some(param) if !error.message.contains(param.as_str()) => {
            Cow::Owned(format!("{param}: {}", error.message))
        }
        _ => Cow::Borrowed(error.message.as_str()),
    };
    ErrorObject {
        kind: kind(error.code).into(),
        message,
    }
}

/// The HTTP status of an error.
pub fn status(code: ErrorCode) -> u16 {
    match code {
        ErrorCode::Overloaded => OVERLOADED,
        code => code.row().http,
    }
}

/// The `type` of an error.
pub fn kind(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Overloaded => "overloaded_error",
        code => match code.row().http {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        },
    }
}
