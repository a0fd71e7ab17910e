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
        retry_after_ms: error::retry_after_ms(error),
    })
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
