//! A request's vectors, whichever channel asks for them.

use std::time::Duration;

use fathom_api::embeddings::EmbeddingRequest;
use fathom_proto::ErrorCode;
use fathom_proto::id::ModelId;
use fathom_proto::inference::{Embeddings, Usage};

use crate::Gateway;
use crate::error::ApiError;
use crate::identity::Session;
use crate::lifetime::Lifetime;
use crate::record::Record;
use crate::request::{self, Encoding};

/// What is answered, and in which form.
pub struct Embedded {
    /// The model that was asked.
    pub model: ModelId,
    /// One vector for each text.
    pub embeddings: Embeddings,
    /// How JSON writes them.
    pub encoding: Encoding,
}

/// Turns the texts of `request` into vectors; `timeout` is how long the caller waits.
pub async fn embed(
    gateway: &Gateway,
    session: &Session,
    record: &Record,
    request: EmbeddingRequest,
    timeout: Option<Duration>,
) -> Result<Embedded, ApiError> {
    let user = request::user(&request.extra);
    let (request, encoding) = request::from_embedding(request)?;
    let model = request.model.clone();
    let inputs = request.inputs.len();
    let mut lifetime = Lifetime::begin(gateway, session, &model, timeout)?;
    let context = lifetime.context(session, record, user);
    let answer = gateway.inference.embed(request, context);
    let embeddings = {
        let _waiting = record.asks();
        lifetime.run(answer).await?
    };
    record.set_model(model.clone());
    record.set_usage(Usage {
        prompt_tokens: embeddings.prompt_tokens,
        ..Usage::default()
    });
    if embeddings.vectors.len() != inputs {
        return Err(ApiError::new(
            ErrorCode::WorkerFailed,
            "the worker did not answer with one vector for each text",
        ));
    }
    Ok(Embedded {
        model,
        embeddings,
        encoding,
    })
}
