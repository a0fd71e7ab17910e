//! Texts to vectors.

use std::sync::Arc;

use fathom_engine::{EmbedError, EmbedText, Embedder, EngineError, Token, Vectors};
use fathom_proto::inference::{EmbedInput, EmbedRequest, Embeddings};
use tokio::task::spawn_blocking;

use crate::Error;

/// The vectors that a request asks for; `max_queue` is how many may wait.
pub(super) async fn vectors(
    embedder: Arc<Embedder>,
    request: EmbedRequest,
    max_queue: usize,
) -> Result<Embeddings, Error> {
    let refusal = |error| refusal(error, max_queue);
    let EmbedRequest {
        inputs, dimensions, ..
    } = request;
    let submitted = spawn_blocking(move || {
        let texts: Vec<_> = inputs.into_iter().map(text).collect();
        embedder.submit(&texts, dimensions)
    });
    let embedding = submitted.await?.map_err(refusal)?;
    let Vectors { vectors, tokens } = embedding.vectors().await.map_err(refusal)?;
    Ok(Embeddings {
        vectors,
        prompt_tokens: tokens,
    })
}

fn text(input: EmbedInput) -> EmbedText {
    match input {
        EmbedInput::Text(text) => EmbedText::Text(text),
        EmbedInput::Tokens(ids) => {
            // An id beyond every vocabulary is refused by the embedder.
            let token = |id| Token(i32::try_from(id).unwrap_or(i32::MAX));
            EmbedText::Tokens(ids.into_iter().map(token).collect())
        }
    }
}

fn refusal(error: EmbedError, max_queue: usize) -> Error {
    let unsupported = |param: String| Error::Unsupported {
        param,
        problem: error.to_string(),
    };
    match error {
        EmbedError::Busy => Error::QueueFull { max_queue },
        EmbedError::Empty { text }
        | EmbedError::TooLong { text, .. }
        | EmbedError::Unbroken { text, .. }
        | EmbedError::UnknownToken { text } => unsupported(format!("input[{text}]")),
        EmbedError::Dimensions { .. } => unsupported("dimensions".to_owned()),
        EmbedError::Stopped => Error::ShuttingDown,
        EmbedError::Decode(_) | EmbedError::Internal => Error::Engine(EngineError::Internal),
    }
}
