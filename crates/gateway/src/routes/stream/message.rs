//! What is said on a socket, as text.

use fathom_api::stream::lanes::LaneMessage;
use fathom_proto::{Error, ErrorCode};
use serde::Serialize;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::error;
use crate::event_stream::to_json;

/// A message as the text of a frame.
pub fn text(message: &impl Serialize) -> Utf8Bytes {
    json_text(to_json(message))
}

/// JSON as the text of a frame.
pub fn json_text(json: Vec<u8>) -> Utf8Bytes {
    // What serde writes is UTF-8.
    Utf8Bytes::try_from(json).unwrap_or_default()
}

/// An error that is about a message, or about the whole socket.
pub fn refusal(error: &Error, stream_id: Option<&str>) -> Utf8Bytes {
    text(&LaneMessage::Error {
        status: error.code.row().http,
        stream_id: stream_id.map(Into::into),
        seq: None,
        id: None,
        error: error::body(error).error,
        retry_after_ms: retry_after_ms(error),
    })
}

/// When it may be tried again; there for the statuses for which REST has the header.
pub fn retry_after_ms(error: &Error) -> Option<u64> {
    let hinted = error.retry_after.map(|it| it.as_millis());
    match error.code.row().http {
        429 | 503 => Some(hinted.map_or(1000, |it| u64::try_from(it).unwrap_or(u64::MAX))),
        _ => None,
    }
}

/// The close code after an error that ends the socket.
pub fn close_code(code: ErrorCode) -> CloseCode {
    match code {
        ErrorCode::ShuttingDown => CloseCode::Away,
        ErrorCode::Overloaded | ErrorCode::Unavailable | ErrorCode::RateLimited => CloseCode::Again,
        code if code.row().http < 500 => CloseCode::Policy,
        _ => CloseCode::Error,
    }
}
