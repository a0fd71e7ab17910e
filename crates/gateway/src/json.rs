//! JSON bodies, read so that the caller learns where one is wrong.

mod duplicates;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use fathom_kit::server::BodyStalled;
use fathom_proto::ErrorCode;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::LengthLimitError;
use schemars::JsonSchema;
use serde::de::{Deserialize, DeserializeOwned};

use crate::compression::NotInflated;
use crate::error::ApiError;
use crate::openapi::{Input, Operation};
use crate::record::Record;

/// A JSON body.
pub struct Json<T>(pub T);

impl<S, T> FromRequest<S> for Json<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Unreadable;

    async fn from_request(request: Request, state: &S) -> Result<Self, Unreadable> {
        let value = read(request, state, &[JSON]).await;
        value.map(Self).map_err(Unreadable)
    }
}

/// A body that could not be read, which some dialects tell from one that asks for something wrong.
pub struct Unreadable(pub ApiError);

/// Left on the answer to such a body; never sent.
#[derive(Clone, Copy)]
pub struct Malformed;

impl IntoResponse for Unreadable {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.extensions_mut().insert(Malformed);
        response
    }
}

impl<T: JsonSchema> Input for Json<T> {
    fn describe(operation: &mut Operation) {
        operation.reads::<T>(&[JSON]);
        operation.failures.extend(UNREADABLE);
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

impl<T: JsonSchema> Input for MergePatch<T> {
    fn describe(operation: &mut Operation) {
        operation.reads::<T>(&[MERGE_PATCH, JSON]);
        operation.failures.extend(UNREADABLE);
    }
}

/// How a body can be refused before anybody looks at what it asks for.
pub const UNREADABLE: [ErrorCode; 4] = [
    ErrorCode::InvalidRequest,
    ErrorCode::RequestTimeout,
    ErrorCode::PayloadTooLarge,
    ErrorCode::UnsupportedMediaType,
];

/// So much is told of a name that a caller made up, and of the path to a place in its body.
const MAX_NAME_BYTES: usize = 200;
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
    parse(&body(request, state).await?)
}

/// The bytes of a body. The time that they take to come is the caller's.
pub async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    let record = request.extensions().get::<Record>().cloned();
    let _reading = record.as_ref().map(Record::reads);
    Bytes::from_request(request, state)
        .await
        .map_err(unreadable)
}

/// Reads an object; the error names the field.
pub fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, ApiError> {
    let value = part(text)?;
    refuse_duplicates(text)?;
    Ok(value)
}

/// Reads an object of which nobody else reads anything, or which is part of a text that was read
/// whole: in either case no second look is needed to know that it means one thing.
pub fn part<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, ApiError> {
    // serde would take a list for one, member by member.
    if text.trim_ascii_start().first() == Some(&b'[') {
        return Err(ApiError::new(
            ErrorCode::InvalidRequest,
            "the body is a list; it must be an object",
        ));
    }
    value(text)
}

/// Reads a list; the error names the field.
pub fn parse_list<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<Vec<T>, ApiError> {
    let list = value(text)?;
    refuse_duplicates(text)?;
    Ok(list)
}

fn value<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = shortened(error.path().to_string());
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

/// Whoever reads the other one of two values would see another request than the one checked here.
fn refuse_duplicates(text: &[u8]) -> Result<(), ApiError> {
    duplicates::refuse(text)
        .map_err(|error| ApiError::new(ErrorCode::InvalidRequest, problem(&error)))
}

/// The beginning of a text that has the caller's own names in it.
pub fn shortened(mut text: String) -> String {
    if text.len() > MAX_NAME_BYTES {
        text.truncate(text.floor_char_boundary(MAX_NAME_BYTES));
        text.push('…');
    }
    text
}

/// serde's text repeats a rejected string, which may be a prompt, and names without end; what is
/// left says enough.
fn problem(error: &serde_json::Error) -> String {
    let at = format!("line {} column {}", error.line(), error.column());
    let text = error.to_string();
    if text.starts_with("recursion limit exceeded") {
        return format!("it is nested too deeply at {at}");
    }
    if !error.is_data() {
        return format!("it is no JSON at {at}");
    }
    let text = text.strip_suffix(&format!(" at {at}")).unwrap_or(&text);
    if let Some(rest) = text.strip_prefix("invalid type: string ")
        && let Some((_, expected)) = rest.rsplit_once(", expected ")
    {
        return format!("a string, expected {expected}");
    }
    for unknown in ["unknown variant `", "unknown field `"] {
        if let Some(rest) = text.strip_prefix(unknown)
            && let Some((name, expected)) = rest.rsplit_once("`, ")
        {
            return format!("{unknown}{}`, {expected}", shortened(name.to_owned()));
        }
    }
    text.to_owned()
}

/// The media type, without its parameters.
pub fn content_type(headers: &HeaderMap) -> &str {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let value = value.unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// The answer to a body of too many bytes.
pub fn too_large() -> ApiError {
    ApiError::new(
        ErrorCode::PayloadTooLarge,
        "the body is larger than this server accepts; send a smaller one",
    )
}

/// Why a body could not be read.
fn unreadable(rejection: BytesRejection) -> ApiError {
    let is_too_large = rejection.status() == StatusCode::PAYLOAD_TOO_LARGE
        || is_caused_by::<LengthLimitError>(&rejection);
    if is_too_large {
        too_large()
    } else if BodyStalled::is_cause_of(&rejection) {
        ApiError::new(
            ErrorCode::RequestTimeout,
            "the body did not come in time; send it again, faster",
        )
    } else if is_caused_by::<NotInflated>(&rejection) {
        ApiError::new(
            ErrorCode::InvalidRequest,
            "the body is not whole, or not what its `Content-Encoding` says",
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
