//! Protocol Buffers as the second format of bodies, beside JSON: the messages of
//! `proto/fathom/inference/v1/completion.proto` on the routes of completions and embeddings. A
//! message becomes the request that its JSON would be, and from there on nothing tells them apart.

mod accept;
mod answer;
mod request;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use fathom_api::error::ErrorBody;
use fathom_proto::{ErrorCode, parts, pb};
use http::{HeaderName, HeaderValue, header};
use prost::{Message, Name};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::json::{self, Unreadable};
use crate::openapi::{Input, Operation};

pub use accept::Accept;
pub use answer::{Pieces, embeddings, respond, whole};
pub use request::{Completion, completion};

/// The media type, which no registry has; other servers call it so.
pub const PROTOBUF: &str = "application/x-protobuf";
/// Messages one after the other, each behind its length as a varint (`writeDelimitedTo`). The
/// parameter is Prometheus's.
pub const DELIMITED: &str = "application/x-protobuf; encoding=delimited";

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, and event streams.
    Json,
    /// Protocol Buffers.
    Protobuf,
}

/// A request that comes as a message too.
pub trait FromMessage: DeserializeOwned {
    /// The message.
    type Message: Message + Name + Default;
    /// What the message is called.
    const NAME: &'static str;

    /// The request that the JSON of the same meaning is.
    fn from_message(message: Self::Message) -> Result<Self, ApiError>;
}

/// A request in whichever format it comes, and the one that its answer is wanted in.
pub struct Asked<T> {
    /// What is asked.
    pub request: T,
    /// How the answer is written.
    pub answer: Format,
}

impl<S, T> FromRequest<S> for Asked<T>
where
    S: Send + Sync,
    T: FromMessage,
{
    type Rejection = Unreadable;

    async fn from_request(request: Request, state: &S) -> Result<Self, Unreadable> {
        let content_type = json::content_type(request.headers());
        let format = if content_type.eq_ignore_ascii_case(PROTOBUF) {
            Format::Protobuf
        } else if content_type.eq_ignore_ascii_case(json::JSON) {
            Format::Json
        } else {
            return Err(Unreadable(ApiError::new(
                ErrorCode::UnsupportedMediaType,
                format!(
                    "the body must be JSON or a protobuf message; send `Content-Type: {}` or \
                     `{PROTOBUF}`",
                    json::JSON
                ),
            )));
        };
        let answer = Accept::of(request.headers()).format(format);
        let body = json::body(request, state).await.map_err(Unreadable)?;
        let request = match format {
            Format::Json => json::parse(&body),
            Format::Protobuf => decode(&body).and_then(T::from_message),
        }
        .map_err(Unreadable)?;
        Ok(Self { request, answer })
    }
}

impl<T: FromMessage + JsonSchema> Input for Asked<T> {
    fn describe(operation: &mut Operation) {
        operation.reads::<T>(&[json::JSON]);
        operation.message = Some(T::NAME);
        operation.failures.extend(json::UNREADABLE);
    }
}

/// Reads a message. What is wrong with one is told by the names of fields, never by what they hold.
pub fn decode<M: Message + Name + Default>(bytes: &[u8]) -> Result<M, ApiError> {
    parts::check::<M>(bytes)?;
    M::decode(bytes).map_err(|error| {
        let message = format!("the body is not valid: {error}");
        ApiError::new(ErrorCode::InvalidRequest, message)
    })
}

/// The error of a JSON answer, as a message.
pub fn error_message(body: ErrorBody<'_>) -> pb::inference::Error {
    let error = body.error;
    pb::inference::Error {
        message: error.message.into_owned(),
        r#type: error.kind.into_owned(),
        param: error.param.map(std::borrow::Cow::into_owned),
        code: error.code.unwrap_or_default().into_owned(),
    }
}

/// An answer of one message.
fn one(message: &impl Message) -> Response {
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
    ([content_type], message.encode_to_vec()).into_response()
}

/// An answer of messages as they come.
fn many(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(DELIMITED)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        // Proxies that buffer would hold tokens back.
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    (headers, body).into_response()
}
