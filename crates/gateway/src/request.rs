//! Checks the fields of a request and makes the domain's request of them. A field that is out of
//! its range, or that this server cannot honour, is refused by name; none is dropped in silence.

use fathom_api::chat::{ChatRequest, Content, Message};
use fathom_api::completions::{CompletionRequest, Prompt as ApiPrompt};
use fathom_api::sampling::{Extra, OneOrMany};
use fathom_api::stream::StreamRequest;
use fathom_proto::inference::{ChatMessage, ChatRole, GenerateRequest, Prompt, Sampling};
use serde_json::Value;

use crate::config::Config;
use crate::error::ApiError;

/// OpenAI's default for completions that name no `max_tokens`.
const COMPLETION_MAX_TOKENS: u32 = 16;
/// DeepSeek's limit; OpenAI's is 4.
const MAX_STOPS: usize = 16;
/// A stop text is held back while it could still come; a long one would hold back the answer.
const MAX_STOP_BYTES: usize = 1024;

/// The domain's form of a chat request.
pub fn from_chat(request: ChatRequest, config: &Config) -> Result<GenerateRequest, ApiError> {
    refuse_unsupported(&request.extra)?;
    let max_tokens = chat_budget(request.max_completion_tokens, request.max_tokens, config)?;
    Ok(GenerateRequest {
        model: model(request.model)?,
        prompt: conversation(request.messages)?,
        sampling: Fields {
            temperature: request.temperature,
            top_p: request.top_p,
            seed: request.seed,
            frequency_penalty: request.frequency_penalty,
            presence_penalty: request.presence_penalty,
        }
        .check(config)?,
        max_tokens: Some(max_tokens),
        stop: stops(request.stop)?,
        context_length: None,
    })
}

/// The domain's form of a completion request.
pub fn from_completion(
    request: CompletionRequest,
    config: &Config,
) -> Result<GenerateRequest, ApiError> {
    refuse_unsupported(&request.extra)?;
    Ok(GenerateRequest {
        model: model(request.model)?,
        prompt: prompt(request.prompt)?,
        sampling: Fields {
            temperature: request.temperature,
            top_p: request.top_p,
            seed: request.seed,
            frequency_penalty: request.frequency_penalty,
            presence_penalty: request.presence_penalty,
        }
        .check(config)?,
        max_tokens: Some(match request.max_tokens {
            Some(tokens) => positive("max_tokens", tokens)?,
            None => COMPLETION_MAX_TOKENS,
        }),
        stop: stops(request.stop)?,
        context_length: None,
    })
}

/// The domain's form of a request on the WebSocket.
pub fn from_stream(request: StreamRequest, config: &Config) -> Result<GenerateRequest, ApiError> {
    refuse_unsupported(&request.extra)?;
    let max_tokens = chat_budget(request.max_completion_tokens, request.max_tokens, config)?;
    let prompt = match (request.prompt, request.messages) {
        (Some(content), None) => Prompt::Chat(vec![ChatMessage {
            role: ChatRole::User,
            content,
            name: None,
        }]),
        (None, Some(messages)) => conversation(messages)?,
        _ => {
            return Err(ApiError::invalid(
                "prompt",
                "send either `prompt` or `messages`",
            ));
        }
    };
    Ok(GenerateRequest {
        model: model(request.model)?,
        prompt,
        sampling: Fields {
            temperature: request.temperature,
            top_p: request.top_p,
            seed: request.seed,
            frequency_penalty: request.frequency_penalty,
            presence_penalty: request.presence_penalty,
        }
        .check(config)?,
        max_tokens: Some(max_tokens),
        stop: stops(request.stop)?,
        context_length: None,
    })
}

struct Fields {
    temperature: Option<f32>,
    top_p: Option<f32>,
    seed: Option<i64>,
    frequency_penalty: Option<f32>,
    presence_penalty: Option<f32>,
}

impl Fields {
    fn check(self, config: &Config) -> Result<Sampling, ApiError> {
        let defaults = Sampling::default();
        let top_p = in_range("top_p", self.top_p, 0.0, 1.0, defaults.top_p)?;
        if top_p == 0.0 {
            return Err(ApiError::invalid(
                "top_p",
                "`top_p` is 0; it must be above 0 and at most 1",
            ));
        }
        Ok(Sampling {
            temperature: in_range(
                "temperature",
                self.temperature,
                0.0,
                2.0,
                config.default_temperature,
            )?,
            top_p,
            // A negative seed is as good as any other; only its bits count.
            seed: self.seed.map(i64::cast_unsigned),
            frequency_penalty: in_range(
                "frequency_penalty",
                self.frequency_penalty,
                -2.0,
                2.0,
                0.0,
            )?,
            presence_penalty: in_range("presence_penalty", self.presence_penalty, -2.0, 2.0, 0.0)?,
        })
    }
}

fn in_range(
    name: &str,
    value: Option<f32>,
    low: f32,
    high: f32,
    default: f32,
) -> Result<f32, ApiError> {
    match value {
        None => Ok(default),
        Some(value) if (low..=high).contains(&value) => Ok(value),
        Some(value) => {
            let message = format!("`{name}` is {value}; it must be from {low} to {high}");
            Err(ApiError::invalid(name, message))
        }
    }
}

/// The newer name wins, as at OpenAI.
fn chat_budget(newer: Option<u32>, older: Option<u32>, config: &Config) -> Result<u32, ApiError> {
    match (newer, older) {
        (Some(tokens), _) => positive("max_completion_tokens", tokens),
        (None, Some(tokens)) => positive("max_tokens", tokens),
        (None, None) => Ok(config.default_max_tokens),
    }
}

/// No model has a longer name.
const MAX_MODEL_NAME_BYTES: usize = 200;

fn positive(name: &str, value: u32) -> Result<u32, ApiError> {
    if value == 0 {
        return Err(ApiError::invalid(
            name,
            format!("`{name}` is 0; it must be at least 1"),
        ));
    }
    Ok(value)
}

fn model(name: String) -> Result<fathom_proto::id::ModelId, ApiError> {
    if name.is_empty() {
        return Err(ApiError::invalid(
            "model",
            "`model` is empty; `GET /v1/models` lists the names",
        ));
    }
    // The name travels in headers between services, whose size has a bound.
    if name.len() > MAX_MODEL_NAME_BYTES {
        return Err(ApiError::invalid(
            "model",
            format!("`model` is longer than {MAX_MODEL_NAME_BYTES} bytes"),
        ));
    }
    Ok(name.into())
}

fn prompt(prompt: ApiPrompt) -> Result<Prompt, ApiError> {
    let one = |len: usize| match len {
        1 => Ok(()),
        0 => Err(ApiError::invalid("prompt", "`prompt` is an empty list")),
        _ => Err(ApiError::invalid(
            "prompt",
            format!("`prompt` holds {len} prompts; this server takes one per request"),
        )),
    };
    match prompt {
        ApiPrompt::Text(text) => Ok(Prompt::Text(text)),
        ApiPrompt::Tokens(tokens) => {
            if tokens.is_empty() {
                return Err(ApiError::invalid("prompt", "`prompt` is an empty list"));
            }
            Ok(Prompt::Tokens(tokens))
        }
        ApiPrompt::Texts(texts) => {
            one(texts.len())?;
            Ok(Prompt::Text(texts.into_iter().next().unwrap_or_default()))
        }
        ApiPrompt::TokenLists(lists) => {
            one(lists.len())?;
            Ok(Prompt::Tokens(lists.into_iter().next().unwrap_or_default()))
        }
    }
}

fn conversation(messages: Vec<Message>) -> Result<Prompt, ApiError> {
    if messages.is_empty() {
        return Err(ApiError::invalid(
            "messages",
            "`messages` is empty; send at least one",
        ));
    }
    let turns = messages
        .into_iter()
        .enumerate()
        .map(|(i, message)| turn(i, message));
    Ok(Prompt::Chat(turns.collect::<Result<_, _>>()?))
}

fn turn(index: usize, message: Message) -> Result<ChatMessage, ApiError> {
    if let Some((field, _)) = message.extra.iter().find(|(_, value)| !value.is_null()) {
        return Err(ApiError::invalid(
            format!("messages[{index}].{field}"),
            format!("a message with `{field}` is not supported by this server; leave it out"),
        ));
    }
    let role = match message.role.as_str() {
        // OpenAI's newer name for the same thing.
        "system" | "developer" => ChatRole::System,
        "user" => ChatRole::User,
        "assistant" => ChatRole::Assistant,
        "tool" => ChatRole::Tool,
        _ => {
            return Err(ApiError::invalid(
                format!("messages[{index}].role"),
                "the role must be `system`, `developer`, `user`, `assistant` or `tool`",
            ));
        }
    };
    let content = match message.content {
        None => String::new(),
        Some(Content::Text(text)) => text,
        Some(Content::Parts(parts)) => {
            let mut content = String::new();
            for (i, part) in parts.into_iter().enumerate() {
                match (part.kind.as_str(), part.text) {
                    ("text", Some(text)) => content.push_str(&text),
                    _ => {
                        return Err(ApiError::invalid(
                            format!("messages[{index}].content[{i}]"),
                            "only parts of the form {\"type\": \"text\", \"text\": …} can be read",
                        ));
                    }
                }
            }
            content
        }
    };
    Ok(ChatMessage {
        role,
        content,
        name: message.name,
    })
}

fn stops(stop: Option<OneOrMany>) -> Result<Vec<String>, ApiError> {
    let stops = stop.map(OneOrMany::into_vec).unwrap_or_default();
    if stops.len() > MAX_STOPS {
        let message = format!(
            "`stop` holds {} texts; at most {MAX_STOPS} are allowed",
            stops.len()
        );
        return Err(ApiError::invalid("stop", message));
    }
    match stops
        .iter()
        .find(|stop| stop.is_empty() || stop.len() > MAX_STOP_BYTES)
    {
        Some(stop) => {
            let message = format!(
                "a `stop` text has {} bytes; 1 to {MAX_STOP_BYTES} are allowed",
                stop.len()
            );
            Err(ApiError::invalid("stop", message))
        }
        None => Ok(stops),
    }
}

/// Fields that change what the caller gets back and that no engine honours yet. A value that asks
/// for nothing passes; fields that are not listed have no effect on the answer's form.
fn refuse_unsupported(extra: &Extra) -> Result<(), ApiError> {
    for (name, value) in extra {
        let asks_for_nothing = match name.as_str() {
            "n" | "best_of" => value.as_u64() == Some(1),
            "echo" | "logprobs" => value.as_bool() == Some(false),
            "top_logprobs" => value.as_u64() == Some(0),
            "suffix" => value.as_str() == Some(""),
            "tools" | "functions" => value.as_array().is_some_and(Vec::is_empty),
            "tool_choice" | "function_call" => value.as_str() == Some("none"),
            "logit_bias" => value.as_object().is_some_and(serde_json::Map::is_empty),
            "response_format" => value.get("type").and_then(Value::as_str) == Some("text"),
            "modalities" => value
                .as_array()
                .is_some_and(|kinds| kinds.iter().all(|kind| kind == "text")),
            "audio" | "prediction" | "web_search_options" => false,
            _ => true,
        };
        if !asks_for_nothing && !value.is_null() {
            let message =
                format!("`{name}` with this value is not supported by this server; leave it out");
            return Err(ApiError::invalid(name.as_str(), message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
