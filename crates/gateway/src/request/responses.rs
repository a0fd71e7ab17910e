//! `POST /v1/responses`

mod items;
mod settings;
mod tools;

use fathom_api::responses::{Input, Response, ResponsesRequest, Status};
use fathom_api::sampling::Extra;
use fathom_proto::inference::{ChatMessage, ChatRole, Format, GenerateRequest, Prompt};
use serde_json::json;

use super::object::Object;
use super::sampling::Fields;
use super::{FanOut, defaults, extra, model, positive, top_logprobs, user};
use crate::config::Config;
use crate::error::ApiError;

/// What a request asks for.
pub struct Asked {
    /// One generation.
    pub fan_out: FanOut,
    /// The answer that has nothing in it yet, with the settings that come back with it.
    pub response: Response,
}

/// What asks for probabilities.
const LOGPROBS: &str = "message.output_text.logprobs";
/// What asks for thoughts that nobody can read, so that they can be sent back. Here they come back
/// as they are.
const ENCRYPTED: &str = "reasoning.encrypted_content";

/// The domain's form of a request.
pub fn from_responses(request: ResponsesRequest, config: &Config) -> Result<Asked, ApiError> {
    let mut passed_on = Extra::new();
    let mut rest = Object::new("", request.extra);
    nothing_is_stored(&mut rest)?;
    let named = Named::take(&mut rest, &mut passed_on)?;
    rest.end()?;
    if let Some(options) = request.stream_options {
        let mut options = Object::new("stream_options", options);
        options.nothing_but("include_obfuscation", &[json!(false)])?;
        options.end()?;
    }
    let max_tool_calls = positive("max_tool_calls", request.max_tool_calls)?;
    let max_output_tokens = positive("max_output_tokens", request.max_output_tokens)?;
    let metadata = settings::metadata(request.metadata.unwrap_or_default())?;
    let text = settings::text(request.text.unwrap_or_default(), &mut passed_on)?;
    let reasoning = settings::reasoning(request.reasoning.unwrap_or_default(), &mut passed_on)?;
    let tools = tools::check(
        request.tools.clone(),
        request.tool_choice.clone(),
        request.parallel_tool_calls,
    )?;
    let logprobs = logprobs(request.include, request.top_logprobs)?;
    let asked_for = request.model.clone();
    let model = model(request.model)?;
    let generate = GenerateRequest {
        sampling: Fields {
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: None,
            min_p: None,
            seed: None,
            frequency_penalty: None,
            presence_penalty: None,
            logit_bias: None,
        }
        .check()?,
        max_tokens: max_output_tokens,
        defaults: defaults(config, config.default_max_tokens),
        logprobs,
        format: text.format,
        tools,
        extra: extra(&passed_on),
        ..GenerateRequest::new(
            model,
            Prompt::Chat(conversation(
                request.instructions.as_deref(),
                request.input,
            )?),
        )
    };
    let response = Response {
        id: String::new(),
        object: "response".into(),
        created_at: 0,
        status: Status::InProgress,
        background: false,
        error: None,
        incomplete_details: None,
        instructions: request.instructions,
        max_output_tokens,
        max_tool_calls,
        model: asked_for,
        output: Vec::new(),
        parallel_tool_calls: request.parallel_tool_calls.unwrap_or(true),
        previous_response_id: None,
        prompt_cache_key: named.prompt_cache_key,
        reasoning,
        safety_identifier: named.safety_identifier,
        store: false,
        temperature: request.temperature,
        text: text.told,
        tool_choice: request.tool_choice.unwrap_or_else(|| json!("auto")),
        tools: request.tools.unwrap_or_default(),
        top_logprobs: request.top_logprobs.unwrap_or(0),
        top_p: request.top_p,
        truncation: "disabled".into(),
        usage: None,
        user: named.user,
        metadata,
    };
    Ok(Asked {
        fan_out: FanOut::new(generate, Vec::new(), None, user(&passed_on))?,
        response,
    })
}

/// Refuses what takes up an earlier answer, or leaves one behind.
fn nothing_is_stored(rest: &mut Object) -> Result<(), ApiError> {
    const WHOLE: &str = "is not supported here, where nothing is stored; send the whole \
                         conversation as `input`";
    for name in ["previous_response_id", "conversation", "prompt"] {
        if rest.value(name).is_some() {
            return Err(rest.invalid(name, WHOLE));
        }
    }
    for name in ["store", "background"] {
        if rest.flag(name)? == Some(true) {
            let problem = "is not supported here, where nothing is stored; send `false`";
            return Err(rest.invalid(name, problem));
        }
    }
    if rest.word("truncation", &["auto", "disabled"])?.as_deref() == Some("auto") {
        let problem = "cannot be `auto` here, where no turn is left out; send a shorter `input`";
        return Err(rest.invalid("truncation", problem));
    }
    Ok(())
}

/// Names that are passed on and come back with the answer.
struct Named {
    user: Option<String>,
    safety_identifier: Option<String>,
    prompt_cache_key: Option<String>,
}

impl Named {
    fn take(rest: &mut Object, passed_on: &mut Extra) -> Result<Self, ApiError> {
        let mut named = |name: &str| -> Result<_, ApiError> {
            let value = rest.text(name)?;
            if let Some(value) = &value {
                passed_on.insert(name.to_owned(), value.as_str().into());
            }
            Ok(value)
        };
        let taken = Self {
            user: named("user")?,
            safety_identifier: named("safety_identifier")?,
            prompt_cache_key: named("prompt_cache_key")?,
        };
        named("service_tier")?;
        named("prompt_cache_retention")?;
        Ok(taken)
    }
}

/// How many likeliest tokens are told at each place.
fn logprobs(include: Option<Vec<String>>, top: Option<u32>) -> Result<Option<u32>, ApiError> {
    let mut wanted = false;
    for (index, what) in include.unwrap_or_default().into_iter().enumerate() {
        match what.as_str() {
            LOGPROBS => wanted = true,
            ENCRYPTED => {}
            _ => {
                let message = format!("it must be `{LOGPROBS}` or `{ENCRYPTED}` here");
                return Err(ApiError::invalid(format!("include[{index}]"), message));
            }
        }
    }
    let top = top_logprobs("top_logprobs", top.unwrap_or(0))?;
    if top > 0 && !wanted {
        let message = format!("`top_logprobs` without `\"include\": [\"{LOGPROBS}\"]`; send both");
        return Err(ApiError::invalid("top_logprobs", message));
    }
    Ok(wanted.then_some(top))
}

fn conversation(instructions: Option<&str>, input: Input) -> Result<Vec<ChatMessage>, ApiError> {
    let mut turns = Vec::new();
    if let Some(instructions) = instructions.filter(|it| !it.is_empty()) {
        turns.push(ChatMessage::new(ChatRole::System, instructions));
    }
    match input {
        Input::Text(text) => turns.push(ChatMessage::new(ChatRole::User, text)),
        Input::Items(items) => items::read(items, &mut turns)?,
    }
    if turns.is_empty() {
        return Err(ApiError::invalid(
            "input",
            "`input` says nothing; send at least one message",
        ));
    }
    Ok(turns)
}

/// `text`
struct Text {
    format: Format,
    /// As it comes back with the answer.
    told: Extra,
}

#[cfg(test)]
mod tests;
