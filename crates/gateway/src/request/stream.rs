//! Requests on the WebSocket.

use fathom_api::stream::StreamRequest;
use fathom_proto::inference::{ChatMessage, ChatRole, GenerateRequest, Prompt};

use super::dialect::refuse_prefix;
use super::messages::conversation;
use super::sampling::{Fields, stops};
use super::{FanOut, chat_budget, defaults, elsewhere, extra, format, model, user};
use crate::config::Config;
use crate::error::ApiError;

/// The domain's form of a request on the WebSocket.
pub fn from_stream(mut request: StreamRequest, config: &Config) -> Result<FanOut, ApiError> {
    elsewhere::refuse_functions(&request.extra)?;
    elsewhere::refuse_unanswerable(&request.extra)?;
    // A socket carries the text of one answer.
    elsewhere::refuse(&mut request.extra, elsewhere::MORE_THAN_TEXT)?;
    elsewhere::refuse(&mut request.extra, elsewhere::COMPLETIONS)?;
    // It always streams, and always tells the counts.
    request.extra.shift_remove("stream");
    if let Some(options) = request.extra.shift_remove("stream_options")
        && options["include_obfuscation"] == true
    {
        return Err(ApiError::invalid(
            "stream_options.include_obfuscation",
            "`include_obfuscation` is not supported here; use `POST /v1/chat/completions`",
        ));
    }
    let prompt = match (request.prompt, request.messages) {
        (Some(content), None) => Prompt::Chat(vec![ChatMessage::new(ChatRole::User, content)]),
        (None, Some(messages)) => {
            refuse_prefix(&messages)?;
            conversation(messages)?
        }
        _ => {
            return Err(ApiError::invalid(
                "prompt",
                "send either `prompt` or `messages`",
            ));
        }
    };
    let generate = GenerateRequest {
        sampling: Fields {
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: request.top_k,
            min_p: request.min_p,
            seed: request.seed,
            frequency_penalty: request.frequency_penalty,
            presence_penalty: request.presence_penalty,
            logit_bias: request.logit_bias,
        }
        .check()?,
        max_tokens: chat_budget(request.max_completion_tokens, request.max_tokens)?,
        defaults: defaults(config, config.default_max_tokens),
        stop: stops(request.stop)?,
        format: format::check(request.response_format)?,
        extra: extra(&request.extra),
        ..GenerateRequest::new(model(request.model)?, prompt)
    };
    FanOut::new(generate, Vec::new(), None, user(&request.extra))
}
