//! Vectors of another server.

use fathom_proto::inference::{EmbedInput, Embeddings};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::client::Answered;
use super::count::BYTES_PER_TOKEN;
use super::error::{Failure, UpstreamError};

/// Most bytes of an answer.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// `{"data": [{"index": 0, "embedding": […]}], "usage": {…}}`
#[derive(Deserialize)]
struct List {
    data: Vec<Vector>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Vector {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u32>,
}

/// Reads the vectors of `inputs`.
pub(super) async fn read(
    answered: Answered,
    inputs: &[EmbedInput],
) -> Result<Embeddings, UpstreamError> {
    let body = Limited::new(answered.into_body(), MAX_ANSWER)
        .collect()
        .await;
    let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
        Ok(broken) => Failure::Broken(*broken),
        Err(_) => Failure::TooLong(MAX_ANSWER),
    })?;
    let body = body.to_bytes();
    // A million numbers take milliseconds.
    let list = spawn_blocking(move || serde_json::from_slice::<List>(&body)).await;
    let mut list = match list {
        Ok(list) => list.map_err(Failure::garbled)?,
        Err(_) => return Err(Failure::Incomplete("its vectors could not be read").into()),
    };
    list.data.sort_by_key(|vector| vector.index);
    let length = list.data.first().map_or(0, |vector| vector.embedding.len());
    let alike = list
        .data
        .iter()
        .all(|vector| vector.embedding.len() == length);
    if list.data.len() != inputs.len() || length == 0 || !alike {
        return Err(
            Failure::Incomplete("it sent no vector of the same length for each input").into(),
        );
    }
    let counted = list.usage.and_then(|usage| usage.prompt_tokens);
    Ok(Embeddings {
        vectors: list
            .data
            .into_iter()
            .map(|vector| vector.embedding)
            .collect(),
        prompt_tokens: counted.unwrap_or_else(|| estimate(inputs)),
    })
}

fn estimate(inputs: &[EmbedInput]) -> u32 {
    let tokens = inputs.iter().map(|input| match input {
        EmbedInput::Text(text) => text.len().div_ceil(BYTES_PER_TOKEN),
        EmbedInput::Tokens(tokens) => tokens.len(),
    });
    u32::try_from(tokens.sum::<usize>()).unwrap_or(u32::MAX)
}
