//! Sends a request to the least loaded worker of its model, and to another one if that fails
//! before anything was generated.

mod attempts;
mod retried;
mod retry;

use std::sync::Arc;

use fathom_proto::Error as PublicError;
use fathom_proto::inference::{
    EmbedRequest, Embeddings, GenerateRequest, RequestContext, Sampling, TokenStream,
};

use crate::dispatch::attempts::Attempts;
use crate::dispatch::retried::{Generation, Retried};
use crate::models::Models;
use crate::outcome::Outcome;
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
    let choice = models.choose(&request.model, &request.sampling, &context)?;
    let allowed = choice.context_length;
    request.context_length = Some(
        request
            .context_length
            .map_or(allowed, |asked| asked.min(allowed)),
    );
    let attempts = Attempts::new(workers, choice.target, &context);
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
    let choice = models.choose(&request.model, &Sampling::default(), &context)?;
    let mut attempts = Attempts::new(workers, choice.target, &context);
    loop {
        let place = attempts.place().await?;
        let worker = place.worker();
        let answer = worker.embed(request.clone(), context.clone()).await;
        match answer {
            Ok(embeddings) => {
                place.settle(Outcome::Finished);
                return Ok(embeddings);
            }
            Err(error) => {
                place.settle(Outcome::Failed(error.code));
                attempts.failed(error).await?;
            }
        }
    }
}
