//! Errors as HTTP answers, in the one form that every SDK reads; layers give them others.

mod form;

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use fathom_api::error::{ErrorBody, ErrorObject};
use fathom_proto::id::ModelId;
use fathom_proto::identity::Scope;
use fathom_proto::{Error, ErrorCode};
use http::{HeaderName, HeaderValue, StatusCode, header};

/// The same as `retry-after`, more exactly; OpenAI's SDKs look here first.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// What OpenAI's SDKs obey before they look at the status.
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

pub use form::{ErrorForm, layer};

/// A failed request.
#[derive(Debug)]
pub struct ApiError(pub Error);

/// Left on an error answer for the request's log line; never sent.
#[derive(Clone)]
pub struct ErrorNote(pub Arc<Error>);

impl ApiError {
    /// An error with a code and a public message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Error::new(code, message))
    }

    /// A refused request whose field `param` is at fault.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Error::invalid(param, message))
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let status = StatusCode::from_u16(error.code.row().http)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(body(&error))).into_response();
        let headers = response.headers_mut();
        // RFC 6750, section 3.1. A policy that knows more says more.
        let challenge = match error.code {
            ErrorCode::Unauthenticated => Some("Bearer realm=\"fathom\", error=\"invalid_token\""),
            ErrorCode::PermissionDenied => {
                Some("Bearer realm=\"fathom\", error=\"insufficient_scope\"")
            }
            _ => None,
        };
        if let Some(challenge) = challenge {
            let challenge = HeaderValue::from_static(challenge);
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(millis) = retry_after_ms(&error) {
            // Less than a second would round to "at once".
            let seconds = millis.div_ceil(1000).max(1);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            headers.insert(RETRY_AFTER_MS, HeaderValue::from(millis));
        }
        if !error.code.row().retryable && sdks_retry(status) {
            headers.insert(X_SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        response.extensions_mut().insert(ErrorNote(Arc::new(error)));
        response
    }
}

/// When it may be tried again, in milliseconds, where that may help.
pub fn retry_after_ms(error: &Error) -> Option<u64> {
    const UNLESS_SAID: Duration = Duration::from_secs(1);
    let millis = error.retry_after.unwrap_or(UNLESS_SAID).as_millis();
    matches!(error.code.row().http, 429 | 503).then(|| u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Whether OpenAI's SDKs send a request again for this status alone.
fn sdks_retry(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 409 | 429 | 500..)
}

/// A model that does not exist, and one that the caller may not know of: the two are told apart by
/// nothing.
pub fn model_not_found(model: &ModelId) -> Error {
    Error {
        param: Some("model".to_owned()),
        ..Error::new(
            ErrorCode::ModelNotFound,
            format!("the model `{model}` does not exist; list the models to see which do"),
        )
    }
}

/// A caller who may do other things.
pub fn lacks_scope(scope: Scope) -> Error {
    let message = format!("this credential lacks the scope `{}`", scope.as_str());
    Error::new(ErrorCode::PermissionDenied, message)
}

/// The body with its four keys.
pub fn body(error: &Error) -> ErrorBody<'_> {
    let row = error.code.row();
    ErrorBody {
        error: ErrorObject {
            message: error.message.as_str().into(),
            kind: row.kind.into(),
            param: error.param.as_deref().map(Into::into),
            code: Some(row.name.into()),
        },
    }
}
