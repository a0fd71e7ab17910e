//! Checks the fields of a request and makes the domain's request of them. A field that is out of
//! its range is refused by name; one that is not known here is left to the engines.

pub mod anthropic;
mod chat;
mod completion;
mod dialect;
mod elsewhere;
mod embedding;
mod fan_out;
mod format;
mod messages;
mod object;
mod renamed;
pub mod responses;
mod sampling;
mod speech;
mod stream;
mod strict;
mod tools;
mod user;

use fathom_api::bounds;
use fathom_api::sampling::{Extra, StreamOptions};
use fathom_proto::id::ModelId;
use fathom_proto::inference::{Defaults, Json};
use serde::Serialize;

use crate::config::Config;
use crate::error::ApiError;

pub use chat::from_chat;
pub use completion::from_completion;
pub use dialect::{check_chat, check_completion};
pub use embedding::{Encoding, from_embedding};
pub use fan_out::{FanOut, Requests};
pub use renamed::renamed;
pub use stream::from_stream;
pub use user::user;

fn model(name: String) -> Result<ModelId, ApiError> {
    if name.is_empty() {
        return Err(ApiError::invalid(
            "model",
            "`model` is empty; `GET /v1/models` lists the names",
        ));
    }
    // The name travels in headers between services, whose size has a bound.
    if name.len() > bounds::MODEL_BYTES {
        return Err(ApiError::invalid(
            "model",
            format!("`model` is longer than {} bytes", bounds::MODEL_BYTES),
        ));
    }
    Ok(name.into())
}

fn positive(name: &str, value: Option<u32>) -> Result<Option<u32>, ApiError> {
    if value == Some(0) {
        return Err(ApiError::invalid(
            name,
            format!("`{name}` is 0; it must be at least 1"),
        ));
    }
    Ok(value)
}

/// The newer name wins, as at OpenAI.
fn chat_budget(newer: Option<u32>, older: Option<u32>) -> Result<Option<u32>, ApiError> {
    let newer = positive("max_completion_tokens", newer)?;
    let older = positive("max_tokens", older)?;
    Ok(newer.or(older))
}

/// What an engine does where the request does not say.
fn defaults(config: &Config, max_tokens: u32) -> Defaults {
    Defaults {
        temperature: config.default_temperature,
        max_tokens: Some(max_tokens),
    }
}

/// How to stream; `None`: not at all.
pub fn stream_options(
    stream: Option<bool>,
    options: Option<StreamOptions>,
) -> Result<Option<StreamOptions>, ApiError> {
    match (stream.unwrap_or(false), options) {
        (false, Some(_)) => Err(ApiError::invalid(
            "stream_options",
            "`stream_options` without `stream`; send `\"stream\": true` too",
        )),
        (false, None) => Ok(None),
        (true, options) => Ok(Some(options.unwrap_or_default())),
    }
}

fn top_logprobs(name: &str, count: u32) -> Result<u32, ApiError> {
    if count > bounds::TOP_LOGPROBS {
        return Err(ApiError::invalid(
            name,
            format!(
                "`{name}` is {count}; it must be from 0 to {}",
                bounds::TOP_LOGPROBS
            ),
        ));
    }
    Ok(count)
}

/// Fields that are not known here; none if all of them are `null`, which counts as absent.
fn extra(fields: &Extra) -> Option<Json> {
    let says_something = fields.values().any(|value| !value.is_null());
    says_something.then(|| json(fields))
}

/// The text of JSON that was read before and so can be written.
fn json(value: &impl Serialize) -> Json {
    Json(serde_json::to_string(value).unwrap_or_default())
}

#[cfg(test)]
mod tests;
