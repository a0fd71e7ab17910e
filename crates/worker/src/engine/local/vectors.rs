//! Texts to vectors.

use fathom_engine::{EmbedError, EmbedText, Embedder, Embedding, EngineError, Token, Vectors};
use fathom_proto::grpc::MAX_MESSAGE_BYTES;
use fathom_proto::id::TenantId;
use fathom_proto::inference::{EmbedInput, EmbedRequest, Embeddings};

use crate::{Error, LocalConfig};

/// Bytes of an answer beside its vectors.
const AROUND_ALL: usize = 64;

/// Bytes of an answer around each vector.
const AROUND_EACH: usize = 16;

/// Refuses a request whose answer no message holds; the model's own vectors have `length` numbers.
pub(super) fn check(request: &EmbedRequest, length: u32) -> Result<(), Error> {
    let vectors = request.inputs.len();
    let numbers = request.dimensions.unwrap_or(length).min(length) as usize;
    let most = (MAX_MESSAGE_BYTES - AROUND_ALL) / (numbers * size_of::<f32>() + AROUND_EACH);
    if vectors <= most {
        return Ok(());
    }
    Err(Error::Unsupported {
        param: "input".to_owned(),
        problem: format!(
            "{vectors} vectors of {numbers} numbers take more than the {MAX_MESSAGE_BYTES} bytes \
             of one answer; give it at most {most} texts at a time, or ask for fewer `dimensions`"
        ),
    })
}

/// Hands the texts of a request to `embedder`. Blocks for milliseconds when they are long.
pub(super) fn submit(
    embedder: &Embedder,
    tenant: &TenantId,
    request: EmbedRequest,
) -> Result<Embedding, EmbedError> {
    let texts: Vec<_> = request.inputs.into_iter().map(text).collect();
    embedder.submit(tenant.as_str(), &texts, request.dimensions)
}

/// What comes of it.
pub(super) async fn answer(embedding: Embedding) -> Result<Embeddings, EmbedError> {
    let Vectors { vectors, tokens } = embedding.vectors().await?;
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

/// What an error of the embedder means here.
pub(super) fn refusal(error: EmbedError, config: &LocalConfig) -> Error {
    let unsupported = |param: String| Error::Unsupported {
        param,
        problem: error.to_string(),
    };
    match error {
        EmbedError::Busy => Error::QueueFull {
            max_queue: config.max_queue,
        },
        EmbedError::Expired => Error::QueueTooSlow {
            max_queue_age: config.max_queue_age,
        },
        EmbedError::Empty { text }
        | EmbedError::TooLong { text, .. }
        | EmbedError::Unbroken { text, .. }
        | EmbedError::UnknownToken { text } => unsupported(format!("input[{text}]")),
        EmbedError::Dimensions { .. } => unsupported("dimensions".to_owned()),
        EmbedError::Stopped => Error::ShuttingDown,
        EmbedError::Decode | EmbedError::Internal => Error::Engine(EngineError::Internal),
    }
}

#[cfg(test)]
mod tests {
    use fathom_proto::{Error as Refusal, ErrorCode};

    use super::*;

    fn request(texts: usize, dimensions: Option<u32>) -> EmbedRequest {
        EmbedRequest {
            model: "vectors".into(),
            inputs: vec![EmbedInput::Text("a".to_owned()); texts],
            dimensions,
            extra: None,
        }
    }

    #[test]
    fn an_answer_that_no_message_holds_is_refused_with_what_would_fit() {
        assert!(check(&request(1022, None), 4096).is_ok());
        let error = Refusal::from(check(&request(1100, None), 4096).unwrap_err());
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        assert_eq!(error.param.as_deref(), Some("input"));
        for part in ["16777216", "at most 1022 texts", "`dimensions`"] {
            assert!(error.message.contains(part), "{part}: {error}");
        }
        assert!(check(&request(1100, Some(1024)), 4096).is_ok());
        // Numbers that no vector has are another error's matter.
        assert!(check(&request(1, Some(u32::MAX)), 4096).is_ok());
        assert!(check(&request(1, Some(0)), 4096).is_ok());
    }
}
