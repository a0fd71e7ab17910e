//! Errors of the authorization server (RFC 6749, section 5.2).

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use fathom_api::oauth::TokenError;
use fathom_proto::{Error, ErrorCode};
use http::{HeaderValue, StatusCode, header};

use crate::error::{ApiError, ErrorForm, ErrorNote};
use crate::openapi::{Failure, Operation};

/// A request that is not answered as its sender hoped.
pub enum Refusal {
    /// It is malformed, in this way.
    Request(&'static str),
    /// Its body is larger than any that makes sense.
    TooLarge,
    /// Its body does not come.
    TooSlow,
    /// It is for a grant that there is not.
    GrantType,
    /// It asks for a scope that its client has not.
    Scope,
    /// Its client is not authenticated; `basic`: by the `Authorization` header.
    Client {
        /// Whether the header was used, and is to be answered with a challenge.
        basic: bool,
    },
    /// It may be answered later.
    Later(Error),
}

impl Refusal {
    /// What auth says of a client, or of itself.
    pub fn from_auth(error: Error, basic: bool) -> Self {
        match error.code {
            ErrorCode::Unauthenticated => Self::Client { basic },
            _ => Self::Later(error),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let bad = StatusCode::BAD_REQUEST;
        let code = match self {
            Self::Client { .. } => ErrorCode::Unauthenticated,
            Self::TooLarge => ErrorCode::PayloadTooLarge,
            Self::TooSlow => ErrorCode::RequestTimeout,
            _ => ErrorCode::InvalidRequest,
        };
        let (status, error, description) = match self {
            Self::Request(description) => (bad, "invalid_request", description),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "invalid_request",
                "the body is larger than 64 KiB",
            ),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "invalid_request",
                "the body did not come in time",
            ),
            Self::GrantType => (
                bad,
                "unsupported_grant_type",
                "`grant_type` must be `client_credentials`",
            ),
            Self::Scope => (
                bad,
                "invalid_scope",
                "a wanted scope is unknown or not granted to this client",
            ),
            Self::Client { .. } => (
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                "the client is not authenticated",
            ),
            Self::Later(error) => return later(error),
        };
        let mut response = (status, body(error, description)).into_response();
        let note = ErrorNote(Arc::new(Error::new(code, description)));
        response.extensions_mut().insert(note);
        if matches!(self, Self::Client { basic: true }) {
            let challenge = HeaderValue::from_static("Basic realm=\"fathom\"");
            let headers = response.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl Failure for Refusal {
    fn describe(operation: &mut Operation) {
        operation.form = ErrorForm::OAuth;
        operation.failures.extend([
            ErrorCode::InvalidRequest,
            ErrorCode::RequestTimeout,
            ErrorCode::PayloadTooLarge,
            ErrorCode::Unauthenticated,
            ErrorCode::RateLimited,
            ErrorCode::Unavailable,
        ]);
    }
}

/// With the status of the error table, `Retry-After`, and a body that OAuth libraries read. RFC
/// 6749 has no name for too many attempts; 429 says what `temporarily_unavailable` does not.
fn later(error: Error) -> Response {
    let description = if error.code == ErrorCode::RateLimited {
        "too many attempts that failed; wait as long as `Retry-After` says"
    } else {
        "the request cannot be answered now; send it again"
    };
    let mut response = ApiError(error).into_response();
    *response.body_mut() = body("temporarily_unavailable", description)
        .into_response()
        .into_body();
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

fn body(error: &str, description: &str) -> Json<TokenError> {
    Json(TokenError {
        error: error.to_owned(),
        error_description: description.to_owned(),
    })
}
