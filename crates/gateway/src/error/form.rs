//! The forms of errors. Each API has its own, by which its clients tell errors apart; this is the
//! one place that gives an error that of its path, whichever handler or layer it comes from.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use fathom_proto::{Error, ErrorCode};
use http::{HeaderName, HeaderValue, StatusCode, header};
use prost::Message;

use super::ErrorNote;
use crate::dialect::Dialect;
use crate::event_stream::to_json;
use crate::json::{JSON, Malformed};
use crate::protobuf::{Accept, PROTOBUF, error_message};
use crate::record::Record;
use crate::routes::{ADMIN_PREFIX, Problem, anthropic};

/// Anthropic's name for the header `x-request-id`.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// Beta or not, errors are the same.
const DEEPSEEK: Dialect = Dialect::DeepSeek { beta: false };

/// The form of an error's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorForm {
    /// The one with four keys.
    Common,
    /// The same, in DeepSeek's words and with its statuses.
    DeepSeek,
    /// That of Anthropic.
    Anthropic,
    /// Problem details (RFC 9457).
    Problem,
    /// That of RFC 6749, section 5.2, in which such errors are made.
    OAuth,
}

/// The layer that tells handlers the dialect of their path, and gives errors its form.
pub async fn layer(mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let form = ErrorForm::of(path);
    let dialect = Dialect::of(path);
    let is_message = form.has_message() && Accept::of(request.headers()).is_protobuf_alone();
    let extensions = request.extensions_mut();
    let record = extensions.get::<Record>().cloned();
    extensions.insert(dialect);

    let mut response = next.run(request).await;

    let id = record.as_ref().map(|record| record.id().as_str());
    if form != ErrorForm::OAuth
        && let Some(ErrorNote(error)) = response.extensions().get().cloned()
    {
        let malformed = response.extensions().get::<Malformed>().is_some();
        let status = form.status(error.code, malformed);
        if let Ok(status) = StatusCode::from_u16(status) {
            *response.status_mut() = status;
        }
        if is_message {
            let message = error_message(dialect.body(&error)).encode_to_vec();
            replace_body(&mut response, PROTOBUF, message);
        } else if let Some((media, body)) = form.body(&error, status, id) {
            replace_body(&mut response, media, body);
        }
    }
    let headers = response.headers_mut();
    match form {
        ErrorForm::Anthropic => {
            if let Some(Ok(id)) = id.map(HeaderValue::from_str) {
                headers.insert(REQUEST_ID, id);
            }
        }
        // Some answers of administration hold a secret.
        ErrorForm::Problem => {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        ErrorForm::Common | ErrorForm::DeepSeek | ErrorForm::OAuth => {}
    }
    response
}

impl ErrorForm {
    /// The form below a path.
    pub fn of(path: &str) -> Self {
        if path.starts_with(ADMIN_PREFIX) {
            Self::Problem
        } else if path.starts_with("/oauth/") {
            Self::OAuth
        } else if anthropic::is_ours(path) {
            Self::Anthropic
        } else if Dialect::of(path) == Dialect::OpenAi {
            Self::Common
        } else {
            Self::DeepSeek
        }
    }

    /// The statuses that an error has in this form: a body that cannot be read and one that asks
    /// for something wrong are told apart by some.
    pub fn statuses(self, code: ErrorCode) -> [u16; 2] {
        [true, false].map(|malformed| self.status(code, malformed))
    }

    fn status(self, code: ErrorCode, malformed: bool) -> u16 {
        match self {
            Self::DeepSeek => DEEPSEEK.status(code, malformed),
            Self::Anthropic => anthropic::status(code),
            Self::Common | Self::Problem | Self::OAuth => code.row().http,
        }
    }

    /// What programs tell errors apart by.
    pub fn word(self, code: ErrorCode) -> &'static str {
        match self {
            Self::DeepSeek => DEEPSEEK.word(code),
            Self::Anthropic => anthropic::kind(code),
            Self::Common | Self::Problem | Self::OAuth => code.row().name,
        }
    }

    /// Whether callers may have it as a message of Protocol Buffers.
    fn has_message(self) -> bool {
        matches!(self, Self::Common | Self::DeepSeek)
    }

    /// The body and its media type; none where an error is made with it.
    fn body(self, error: &Error, status: u16, id: Option<&str>) -> Option<(&'static str, Vec<u8>)> {
        match self {
            Self::DeepSeek => Some((JSON, to_json(&DEEPSEEK.body(error)))),
            Self::Anthropic => Some((JSON, to_json(&anthropic::body(error, id)))),
            Self::Problem => Some((
                "application/problem+json",
                to_json(&Problem::new(error, status, id)),
            )),
            Self::Common | Self::OAuth => None,
        }
    }
}

/// Gives an answer another body.
fn replace_body(response: &mut Response, media: &'static str, body: Vec<u8>) {
    *response.body_mut() = body.into();
    let headers = response.headers_mut();
    // Both are of the body that was there before.
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::CONTENT_ENCODING);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
}
