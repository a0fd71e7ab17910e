//! Errors in the form that Anthropic's clients read.

use std::borrow::Cow;

use fathom_api::messages::{ErrorBody, ErrorObject};
use fathom_proto::{Error, ErrorCode};

/// The status of a server that has too much to do; Anthropic's own.
pub const OVERLOADED: u16 = 529;

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
