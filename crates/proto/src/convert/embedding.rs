//! `fathom.inference.v1`: embeddings.

use super::inference::{decode_context, decode_json, encode_context, encode_json};
use super::missing;
use crate::Error;
use crate::inference::{EmbedInput, EmbedRequest, Embeddings, RequestContext};
use crate::pb::inference as pb;
use crate::pb::inference::embed_input::Input;

/// The wire form of a request; the deadline travels as `grpc-timeout`.
pub(crate) fn encode_embed_request(
    request: EmbedRequest,
    context: &RequestContext,
) -> pb::EmbedRequest {
    let inputs = request.inputs.into_iter().map(|input| {
        let input = match input {
            EmbedInput::Text(text) => Input::Text(text),
            EmbedInput::Tokens(ids) => Input::Tokens(pb::TokenPrompt { ids }),
        };
        pb::EmbedInput { input: Some(input) }
    });
    pb::EmbedRequest {
        context: Some(encode_context(context)),
        model: request.model.to_string(),
        inputs: inputs.collect(),
        dimensions: request.dimensions,
        extra_json: encode_json(request.extra),
    }
}

/// The domain form of a request; its context has no deadline yet.
pub(crate) fn decode_embed_request(
    message: pb::EmbedRequest,
) -> Result<(EmbedRequest, RequestContext), Error> {
    let context = decode_context(message.context)?;
    let inputs = message.inputs.into_iter().map(|input| {
        Ok(match input.input.ok_or_else(|| missing("inputs.input"))? {
            Input::Text(text) => EmbedInput::Text(text),
            Input::Tokens(tokens) => EmbedInput::Tokens(tokens.ids),
        })
    });
    let request = EmbedRequest {
        model: message.model.into(),
        inputs: inputs.collect::<Result<_, Error>>()?,
        dimensions: message.dimensions,
        extra: decode_json(message.extra_json),
    };
    Ok((request, context))
}

impl From<Embeddings> for pb::EmbedResponse {
    fn from(embeddings: Embeddings) -> Self {
        let vectors = embeddings.vectors.into_iter();
        Self {
            embeddings: vectors.map(|values| pb::Embedding { values }).collect(),
            prompt_tokens: embeddings.prompt_tokens,
        }
    }
}

impl From<pb::EmbedResponse> for Embeddings {
    fn from(message: pb::EmbedResponse) -> Self {
        let embeddings = message.embeddings.into_iter();
        Self {
            vectors: embeddings.map(|embedding| embedding.values).collect(),
            prompt_tokens: message.prompt_tokens,
        }
    }
}
