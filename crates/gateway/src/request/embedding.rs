//! `POST /v1/embeddings`

use fathom_api::bounds::INPUTS as MAX_INPUTS;
use fathom_api::embeddings::{EmbeddingRequest, Input};
use fathom_proto::inference::{EmbedInput, EmbedRequest};

use super::{extra, model, positive};
use crate::error::ApiError;

/// How vectors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As lists of numbers.
    Float,
    /// As base64 of little-endian 32-bit floats.
    Base64,
}

/// The domain's form of an embedding request, and how its answer is written.
pub fn from_embedding(request: EmbeddingRequest) -> Result<(EmbedRequest, Encoding), ApiError> {
    let encoding = match request.encoding_format.as_deref() {
        None | Some("float") => Encoding::Float,
        Some("base64") => Encoding::Base64,
        Some(_) => {
            return Err(ApiError::invalid(
                "encoding_format",
                "`encoding_format` must be `float` or `base64`",
            ));
        }
    };
    let request = EmbedRequest {
        model: model(request.model)?,
        inputs: inputs(request.input)?,
        dimensions: positive("dimensions", request.dimensions)?,
        extra: extra(&request.extra),
    };
    Ok((request, encoding))
}

fn inputs(input: Input) -> Result<Vec<EmbedInput>, ApiError> {
    let inputs: Vec<_> = match input {
        Input::Text(text) => vec![EmbedInput::Text(text)],
        Input::Tokens(tokens) => vec![EmbedInput::Tokens(tokens)],
        Input::Texts(texts) => texts.into_iter().map(EmbedInput::Text).collect(),
        Input::TokenLists(lists) => lists.into_iter().map(EmbedInput::Tokens).collect(),
    };
    let is_empty = |input: &EmbedInput| match input {
        EmbedInput::Text(text) => text.is_empty(),
        EmbedInput::Tokens(tokens) => tokens.is_empty(),
    };
    if inputs.is_empty() || inputs.iter().any(is_empty) {
        return Err(ApiError::invalid(
            "input",
            "`input` holds nothing, or an empty text; send texts that are not empty",
        ));
    }
    if inputs.len() > MAX_INPUTS {
        let message = format!(
            "`input` holds {} texts; at most {MAX_INPUTS} are allowed",
            inputs.len()
        );
        return Err(ApiError::invalid("input", message));
    }
    Ok(inputs)
}
