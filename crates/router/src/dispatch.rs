//! Sends a request to the least loaded worker of its model, and to another one if that fails
//! before anything was generated.

mod attempts;
mod retried;
mod retry;

use std::sync::Arc;

use fathom_proto::Error as PublicError;
use fathom_proto::inference::{
    EmbedRequest, Embeddings, GenerateRequest, RequestContext, TokenStream,
};

use crate::Error;
use crate::dispatch::attempts::Attempts;
use crate::dispatch::retried::{Generation, Retried};
use crate::models::Models;
use crate::registry::Workers;

pub use retry::RetryConfig;

/// Starts the generation. Until its first token, what fails is tried again where and when that
/// may help.
pub(crate) async fn generate(
    models: &Models,
    workers: &Arc<Workers>,
    mut request: GenerateRequest,
    context: RequestContext,
) -> Result<TokenStream, PublicError> {
    let model = request.model.clone();
    let Some(allowed) = models.context_length(&model) else {
        return Err(Error::ModelNotFound { model }.into());
    };
    request.context_length = Some(
        request
            .context_length
            .map_or(allowed, |asked| asked.min(allowed)),
    );
    let attempts = Attempts::new(workers, model, context.deadline);
    let generation = Generation {
        request,
        context,
        attempts,
    };
    Ok(Box::pin(Retried::start(generation).await?))
}

/// Embeds; tries again in the same way.
pub(crate) async fn embed(
    models: &Models,
    workers: &Arc<Workers>,
    request: EmbedRequest,
    context: RequestContext,
) -> Result<Embeddings, PublicError> {
    let model = request.model.clone();
    if models.context_length(&model).is_none() {
        return Err(Error::ModelNotFound { model }.into());
    }
    let mut attempts = Attempts::new(workers, model, context.deadline);
    loop {
        let dispatch = attempts.place().await?;
        let worker = dispatch.worker();
        let answer = worker.embed(request.clone(), context.clone()).await;
        match answer {
            Ok(embeddings) => {
                dispatch.settle("finished");
                return Ok(embeddings);
            }
            Err(error) => {
                dispatch.settle(error.code.row().name);
                attempts.failed(error).await?;
            }
        }
    }
}
