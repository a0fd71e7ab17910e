//! Where bytes of callers are first read, made reachable for fuzzers alone.

use fathom_api::chat::ChatRequest;
use fathom_api::completions::CompletionRequest;
use fathom_api::messages::MessagesRequest;
use fathom_api::responses::ResponsesRequest;
use fathom_api::stream::ClientMessage;
use fathom_proto::ErrorCode;

use crate::dialect::Dialect;
use crate::error::ApiError;
use crate::protobuf::{self, Completion, completion};
use crate::request::FanOut;
use crate::routes::{Asked, Command};
use crate::{Config, json, request};

/// Whose paths a request may come by: the one that knows least, and the one that checks most.
const DIALECTS: [Dialect; 2] = [Dialect::OpenAi, Dialect::DeepSeek { beta: true }];

/// Reads and checks the body of a chat request, as each dialect does.
///
/// # Errors
/// Why it is refused.
pub fn chat_request(body: &[u8]) -> Result<(), ErrorCode> {
    let request: ChatRequest = json::parse(body).map_err(refused)?;
    each_dialect(|dialect| chat(dialect, request.clone()))
}

/// Reads and checks the body of a request to continue texts, as each dialect does.
///
/// # Errors
/// Why it is refused.
pub fn completion_request(body: &[u8]) -> Result<(), ErrorCode> {
    let request: CompletionRequest = json::parse(body).map_err(refused)?;
    each_dialect(|dialect| text(dialect, request.clone()))
}

/// Reads and checks the body of a request in Anthropic's words.
///
/// # Errors
/// Why it is refused.
pub fn messages_request(body: &[u8]) -> Result<(), ErrorCode> {
    let request: MessagesRequest = json::parse(body).map_err(refused)?;
    request::anthropic::from_messages(request, &Config::default()).map_err(refused)?;
    Ok(())
}

/// Reads and checks the body of a request for a response.
///
/// # Errors
/// Why it is refused.
pub fn responses_request(body: &[u8]) -> Result<(), ErrorCode> {
    let request: ResponsesRequest = json::parse(body).map_err(refused)?;
    request::responses::from_responses(request, &Config::default()).map_err(refused)?;
    Ok(())
}

fn each_dialect(check: impl Fn(Dialect) -> Result<FanOut, ApiError>) -> Result<(), ErrorCode> {
    DIALECTS.into_iter().try_for_each(|dialect| {
        check(dialect).map_err(refused)?;
        Ok(())
    })
}

fn chat(dialect: Dialect, mut request: ChatRequest) -> Result<FanOut, ApiError> {
    request::check_chat(dialect, &mut request)?;
    request::stream_options(request.stream, request.stream_options)?;
    request::from_chat(request, &Config::default())
}

fn text(dialect: Dialect, mut request: CompletionRequest) -> Result<FanOut, ApiError> {
    request::check_completion(dialect, &mut request)?;
    request::stream_options(request.stream, request.stream_options)?;
    request::from_completion(dialect, request, &Config::default())
}

/// Reads and checks a message on the WebSocket.
///
/// # Errors
/// Why it is refused.
pub fn socket_message(text: &[u8]) -> Result<(), ErrorCode> {
    let config = Config::default();
    // What is no UTF-8 is no message.
    let text = std::str::from_utf8(text).map_err(|_| ErrorCode::InvalidRequest)?;
    if let Ok(command) = Command::read(text) {
        if let Command::Create { request, .. } = command {
            let asked = Asked::read(request).map_err(refused)?;
            asked.check(&"0".into(), &config).map_err(refused)?;
        }
        return Ok(());
    }
    // The messages that come before: none of them is a command.
    match json::parse(text.as_bytes()).map_err(refused)? {
        ClientMessage::Auth { .. } => {}
        ClientMessage::Request(request) => {
            request::from_stream(*request, &config).map_err(refused)?;
        }
    }
    Ok(())
}

/// Reads and checks a message that asks for a completion.
///
/// # Errors
/// Why it is refused.
pub fn completion_message(bytes: &[u8]) -> Result<(), ErrorCode> {
    let message = protobuf::decode(bytes).map_err(refused)?;
    match completion(message).map_err(refused)? {
        Completion::Chat(request) => each_dialect(|dialect| chat(dialect, (*request).clone())),
        Completion::Text(request) => each_dialect(|dialect| text(dialect, (*request).clone())),
    }
}

fn refused(error: ApiError) -> ErrorCode {
    error.0.code
}
