//! Where bytes of callers are first read, made reachable for fuzzers alone.

use fathom_api::chat::ChatRequest;
use fathom_api::stream::ClientMessage;
use fathom_api::stream::lanes::{CANCEL, CREATE, Cancel, Create, Kind};
use fathom_proto::ErrorCode;
use fathom_proto::pb::inference::CreateCompletionRequest;
use prost::Message;

use crate::error::ApiError;
use crate::protobuf::{Completion, completion};
use crate::{Config, json, request};

/// Reads and checks the body of a chat request.
///
/// # Errors
/// Why it is refused.
pub fn chat_request(body: &[u8]) -> Result<(), ErrorCode> {
    let request: ChatRequest = json::parse(body).map_err(refused)?;
    request::from_chat(request, &Config::default()).map_err(refused)?;
    Ok(())
}

/// Reads and checks a message on the WebSocket.
///
/// # Errors
/// Why it is refused.
pub fn socket_message(text: &[u8]) -> Result<(), ErrorCode> {
    match serde_json::from_slice(text) {
        Ok(Kind { kind }) if kind == CREATE => {
            let create: Create<'_> = json::parse(text).map_err(refused)?;
            return chat_request(create.request.get().as_bytes());
        }
        Ok(Kind { kind }) if kind == CANCEL => {
            let _: Cancel<'_> = json::parse(text).map_err(refused)?;
            return Ok(());
        }
        _ => {}
    }
    match json::parse(text).map_err(refused)? {
        ClientMessage::Auth { .. } => {}
        ClientMessage::Request(request) => {
            request::from_stream(*request, &Config::default()).map_err(refused)?;
        }
    }
    Ok(())
}

/// Reads and checks a message that asks for a completion.
///
/// # Errors
/// Why it is refused.
pub fn completion_message(bytes: &[u8]) -> Result<(), ErrorCode> {
    let message = CreateCompletionRequest::decode(bytes).map_err(|_| ErrorCode::InvalidRequest)?;
    let config = Config::default();
    match completion(message).map_err(refused)? {
        Completion::Chat(chat) => request::from_chat(*chat, &config),
        Completion::Text(text) => request::from_completion(*text, &config),
    }
    .map_err(refused)?;
    Ok(())
}

fn refused(error: ApiError) -> ErrorCode {
    error.0.code
}
