//! `POST /v1/messages`

mod block;
mod tools;
mod turns;

use fathom_api::bounds;
use fathom_api::messages::MessagesRequest;
use fathom_api::sampling::Extra;
use fathom_proto::id::ModelId;
use fathom_proto::inference::{Format, GenerateRequest, Prompt};
use serde_json::{Value, json};

use super::object::Object;
use super::sampling::{Fields, in_range, stop_texts};
use super::{FanOut, defaults, extra, model, positive, user};
use crate::config::Config;
use crate::error::ApiError;

/// What a request asks for.
pub struct Asked {
    /// One generation.
    pub fan_out: FanOut,
    /// Texts that end it.
    pub stops: Vec<String>,
    /// Whether the caller does not want to see what the model thinks.
    pub hides_thoughts: bool,
}

/// Anthropic's names for how much a model should think.
const EFFORTS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

/// The domain's form of a request to continue a conversation.
pub fn from_messages(request: MessagesRequest, config: &Config) -> Result<Asked, ApiError> {
    if request.max_tokens.is_none() {
        return Err(ApiError::invalid(
            "max_tokens",
            "`max_tokens` is missing; say how many tokens the answer may have",
        ));
    }
    asked(request, config)
}

/// The domain's form of a request to count a conversation.
pub fn from_count(request: MessagesRequest, config: &Config) -> Result<FanOut, ApiError> {
    Ok(asked(request, config)?.fan_out)
}

fn asked(request: MessagesRequest, config: &Config) -> Result<Asked, ApiError> {
    let mut rest = Object::new("", request.extra);
    rest.ignore(&["cache_control"]);
    // No tier is worse than another here, and none is faster.
    rest.word("service_tier", &["auto", "standard_only"])?;
    rest.nothing_but("speed", &[json!("standard")])?;
    rest.end()?;

    let mut passed_on = Extra::new();
    let hides_thoughts = match request.thinking {
        Some(thinking) => self::thinking(thinking, &mut passed_on)?,
        None => false,
    };
    let format = match request.output_config {
        Some(output) => output_config(output, &mut passed_on)?,
        None => Format::Text,
    };
    if let Some(metadata) = request.metadata {
        let mut metadata = Object::new("metadata", metadata);
        if let Some(user) = metadata.text("user_id")? {
            passed_on.insert("user_id".to_owned(), user.into());
        }
        metadata.end()?;
    }
    in_range(
        "temperature",
        request.temperature,
        bounds::ANTHROPIC_TEMPERATURE,
    )?;
    let stops = stop_texts("stop_sequences", request.stop_sequences.unwrap_or_default())?;
    let generate = GenerateRequest {
        sampling: Fields {
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: request.top_k,
            min_p: None,
            seed: None,
            frequency_penalty: None,
            presence_penalty: None,
            logit_bias: None,
        }
        .check()?,
        max_tokens: positive("max_tokens", request.max_tokens)?,
        defaults: defaults(config, config.default_max_tokens),
        stop: stops.clone(),
        format,
        tools: tools::check(request.tools, request.tool_choice)?,
        extra: extra(&passed_on),
        ..GenerateRequest::new(
            served(request.model, config)?,
            Prompt::Chat(turns::conversation(request.system, request.messages)?),
        )
    };
    Ok(Asked {
        fan_out: FanOut::new(generate, Vec::new(), None, user(&passed_on))?,
        stops,
        hides_thoughts,
    })
}

/// The model that stands for a name, by the first pattern that fits.
fn served(name: String, config: &Config) -> Result<ModelId, ApiError> {
    let asked = model(name)?;
    let mut patterns = config.anthropic_models.iter();
    let fits = patterns.find(|alias| alias.fits(asked.as_str()));
    Ok(fits.map_or(asked, |alias| alias.model.as_str().into()))
}

/// Passes `thinking` on; whether thoughts are to be left out of the answer.
fn thinking(thinking: Extra, passed_on: &mut Extra) -> Result<bool, ApiError> {
    let mut thinking = Object::new("thinking", thinking);
    let Some(kind) = thinking.word("type", &["enabled", "disabled", "adaptive"])? else {
        return Err(thinking.invalid("type", "is missing"));
    };
    let mut told = Extra::new();
    told.insert("type".to_owned(), kind.into());
    if let Some(budget) = thinking.value("budget_tokens") {
        if !budget.is_u64() {
            return Err(thinking.invalid("budget_tokens", "must be a count"));
        }
        told.insert("budget_tokens".to_owned(), budget);
    }
    let display = thinking.word("display", &["summarized", "omitted"])?;
    thinking.end()?;
    passed_on.insert("thinking".to_owned(), Value::Object(told));
    Ok(display.as_deref() == Some("omitted"))
}

/// Passes `effort` on; what the answer must be.
fn output_config(output: Extra, passed_on: &mut Extra) -> Result<Format, ApiError> {
    let mut output = Object::new("output_config", output);
    if let Some(effort) = output.word("effort", &EFFORTS)? {
        passed_on.insert("reasoning_effort".to_owned(), effort.into());
    }
    let format = output.object("format")?;
    output.end()?;
    let Some(mut format) = format else {
        return Ok(Format::Text);
    };
    if format.word("type", &["json_schema"])?.is_none() {
        return Err(format.invalid("type", "is missing"));
    }
    let schema = match format.value("schema") {
        Some(schema @ Value::Object(_)) => super::json(&schema),
        _ => return Err(format.invalid("schema", "must be a JSON Schema, which is an object")),
    };
    format.end()?;
    Ok(Format::JsonSchema {
        // Other servers want one.
        name: "answer".to_owned(),
        schema,
        strict: Some(true),
    })
}

#[cfg(test)]
mod tests;
