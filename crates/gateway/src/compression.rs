//! Compressed bodies. Whole answers are compressed as `Accept-Encoding` wants it; what comes in
//! pieces is not, so that nothing holds a token back. Requests are inflated as they are read, and
//! the limits of a body hold for what comes out.

mod inflate;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use fathom_proto::ErrorCode;
use http::{HeaderMap, HeaderValue, header};
use tower_http::compression::predicate::{And, NotForContentType, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel, Predicate};

pub use self::inflate::NotInflated;
use self::inflate::inflated;
use crate::error::ApiError;

/// A smaller answer fits into one packet either way.
const MIN_BYTES: u16 = 1024;

/// Routes whose answers hold secrets: the length of a compressed one would tell of what is in it
/// (BREACH).
const SECRET: [&str; 2] = ["/oauth/", "/admin/"];

/// Whether answers of the route at `path` may be compressed.
pub fn is_allowed(path: &str) -> bool {
    !SECRET.iter().any(|prefix| path.starts_with(prefix))
}

/// What is compressed.
pub type Wanted = And<And<SizeAbove, NotForContentType>, NotForDelimited>;

/// The layer that compresses answers. The least effort already takes most of JSON away.
pub fn answers() -> CompressionLayer<Wanted> {
    let wanted = SizeAbove::new(MIN_BYTES)
        .and(NotForContentType::SSE)
        .and(NotForDelimited);
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(wanted)
}

/// Keeps the layer from streams of messages.
#[derive(Clone, Copy)]
pub struct NotForDelimited;

impl Predicate for NotForDelimited {
    fn should_compress<B: http_body::Body>(&self, response: &http::Response<B>) -> bool {
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        !content_type.is_some_and(|value| value.ends_with("encoding=delimited"))
    }
}

/// An encoding that requests may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Zstd,
}

/// Routes that read a body before it is known who sends it. A few bytes that stand for many would
/// take memory there for nothing, and forms are small.
const OPEN: &str = "/oauth/";

/// The layer that inflates requests; `limit` is the most bytes of a body, before and after.
pub async fn requests(limit: usize, request: Request, next: Next) -> Response {
    let is_open = request.uri().path().starts_with(OPEN);
    match encoding(request.headers()) {
        Ok(None) => next.run(request).await,
        Ok(Some(_)) if is_open => {
            let message = "a form must be sent as it is, without `Content-Encoding`";
            refused(
                ApiError::new(ErrorCode::UnsupportedMediaType, message),
                "identity",
            )
        }
        Ok(Some(encoding)) => {
            let (mut parts, body) = request.into_parts();
            parts.headers.remove(header::CONTENT_ENCODING);
            parts.headers.remove(header::CONTENT_LENGTH);
            let body = inflated(body, encoding, limit);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(error) => refused(error, if is_open { "identity" } else { "gzip, zstd" }),
    }
}

/// In such an answer `Accept-Encoding` says what would be taken (RFC 9110, section 12.5.3).
fn refused(error: ApiError, taken: &'static str) -> Response {
    let mut response = error.into_response();
    let taken = HeaderValue::from_static(taken);
    response
        .headers_mut()
        .insert(header::ACCEPT_ENCODING, taken);
    response
}

/// The one encoding of a body; none for one that is as it is.
fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, ApiError> {
    let unsupported = || {
        ApiError::new(
            ErrorCode::UnsupportedMediaType,
            "the body must be sent as it is or with one `Content-Encoding`, `gzip` or `zstd`",
        )
    };
    let mut found = None;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let value = value.to_str().map_err(|_| unsupported())?;
        for name in value.split(',').map(str::trim) {
            let encoding = match name.to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                // RFC 9110, section 8.4.1.3.
                "gzip" | "x-gzip" => Encoding::Gzip,
                "zstd" => Encoding::Zstd,
                _ => return Err(unsupported()),
            };
            if found.replace(encoding).is_some() {
                return Err(unsupported());
            }
        }
    }
    Ok(found)
}
