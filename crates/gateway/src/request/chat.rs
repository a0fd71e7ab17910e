//! `POST /v1/chat/completions`

use fathom_api::chat::ChatRequest;
use fathom_proto::inference::GenerateRequest;

use super::messages::conversation;
use super::sampling::{Fields, stops};
use super::{
    FanOut, chat_budget, defaults, elsewhere, extra, format, model, tools, top_logprobs, user,
};
use crate::config::Config;
use crate::error::ApiError;

/// The domain's form of a chat request.
pub fn from_chat(mut request: ChatRequest, config: &Config) -> Result<FanOut, ApiError> {
    elsewhere::refuse_functions(&request.extra)?;
    elsewhere::refuse_unanswerable(&request.extra)?;
    elsewhere::refuse(&mut request.extra, elsewhere::COMPLETIONS)?;
    let generate = GenerateRequest {
        model: model(request.model)?,
        prompt: conversation(request.messages)?,
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
        logprobs: logprobs(request.logprobs, request.top_logprobs)?,
        echo: false,
        format: format::check(request.response_format)?,
        tools: tools::check(
            request.tools,
            request.tool_choice,
            request.parallel_tool_calls,
        )?,
        extra: extra(&request.extra),
        context_length: None,
        generated: Vec::new(),
    };
    FanOut::new(generate, Vec::new(), request.n, user(&request.extra))
}

fn logprobs(wanted: Option<bool>, top: Option<u32>) -> Result<Option<u32>, ApiError> {
    let top = top_logprobs("top_logprobs", top.unwrap_or(0))?;
    match wanted {
        Some(true) => Ok(Some(top)),
        _ if top == 0 => Ok(None),
        _ => Err(ApiError::invalid(
            "top_logprobs",
            "`top_logprobs` without `logprobs`; send `\"logprobs\": true` too",
        )),
    }
}
