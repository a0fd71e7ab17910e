//! Where bytes of callers are first read, made reachable for fuzzers alone.

use fathom_api::chat::ChatRequest;
use fathom_api::stream::ClientMessage;
use fathom_proto::ErrorCode;

use crate::{Config, json, request};

/// Reads and checks the body of a chat request.
///
/// # Errors
/// Why it is refused.
pub fn chat_request(body: &[u8]) -> Result<(), ErrorCode> {
    let refused = |error: crate::error::ApiError| error.0.code;
    let request: ChatRequest = json::parse(body).map_err(refused)?;
    request::from_chat(request, &Config::default()).map_err(refused)?;
    Ok(())
}

/// Reads and checks a message on the WebSocket.
///
/// # Errors
/// Why it is refused.
pub fn socket_message(text: &[u8]) -> Result<(), ErrorCode> {
    let refused = |error: crate::error::ApiError| error.0.code;
    match json::parse(text).map_err(refused)? {
        ClientMessage::Auth { .. } => {}
        ClientMessage::Request(request) => {
            request::from_stream(*request, &Config::default()).map_err(refused)?;
        }
    }
    Ok(())
}
