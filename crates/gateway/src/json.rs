//! JSON bodies, read so that the caller learns where one is wrong.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use fathom_proto::ErrorCode;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::compression::NotInflated;
use crate::error::ApiError;

/// A JSON body.
pub struct Json<T>(pub T);

impl<S, T> FromRequest<S> for Json<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        read(request, state, &[JSON]).await.map(Self)
    }
}

/// A change of some members (RFC 7396), which many clients send as plain JSON.
pub struct MergePatch<T>(pub T);

impl<S, T> FromRequest<S> for MergePatch<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        read(request, state, &[MERGE_PATCH, JSON]).await.map(Self)
    }
}

/// The media type.
pub const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// Reads a body that says it is one of `types`.
async fn read<S, T>(request: Request, state: &S, types: &[&str]) -> Result<T, ApiError>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    let content_type = content_type(request.headers());
    if !types.iter().any(|it| it.eq_ignore_ascii_case(content_type)) {
        let types = types.join("` or `");
        return Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            format!("the body must be JSON; send `Content-Type: {types}`"),
        ));
    }
    let body = Bytes::from_request(request, state)
        .await
        .map_err(unreadable)?;
    parse(&body)
}

/// Reads JSON; the error names the field.
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let problem = problem(error.inner());
        if path == "." {
            ApiError::new(
                ErrorCode::InvalidRequest,
                format!("the body is not valid: {problem}"),
            )
        } else {
            let message = format!("`{path}` is not valid: {problem}");
            ApiError::invalid(path, message)
        }
    })?;
    json.end().map_err(|_| {
        ApiError::new(
            ErrorCode::InvalidRequest,
            "the body goes on after the end of its JSON",
        )
    })?;
    Ok(value)
}

/// serde's text repeats a rejected string, which may be a prompt; what is left says enough.
fn problem(error: &serde_json::Error) -> String {
    let at = format!("line {} column {}", error.line(), error.column());
    if !error.is_data() {
        return format!("it is no JSON at {at}");
    }
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" at {at}")).unwrap_or(&text);
    match text
        .strip_prefix("invalid type: string ")
        .and_then(|rest| rest.rsplit_once(", expected "))
    {
        Some((_, expected)) => format!("a string, expected {expected}"),
        None => text.to_owned(),
    }
}

/// The media type, without its parameters.
pub fn content_type(headers: &HeaderMap) -> &str {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let value = value.unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// Why a body could not be read.
pub fn unreadable(rejection: BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::new(
            ErrorCode::PayloadTooLarge,
            "the body is larger than this server accepts; send a smaller one",
        )
    } else if is_caused_by::<NotInflated>(&rejection) {
        ApiError::new(
            ErrorCode::InvalidRequest,
            "the body is not whole, or not what its `Content-Encoding` says, or too large as it is",
        )
    } else {
        ApiError::new(
            ErrorCode::InvalidRequest,
            "the body ended before it was whole",
        )
    }
}

fn is_caused_by<E: std::error::Error + 'static>(error: &dyn std::error::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        cause = error.source();
    }
    false
}
