//! Sends a request to a worker, and to others if that fails: before the first token it begins
//! again, after it another worker goes on.

mod attempt;
mod attempts;
mod continuation;
mod generation;
mod hedge;
mod latency;
mod observation;
mod retry;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use fathom_proto::Error as PublicError;
use fathom_proto::inference::{
    EmbedRequest, Embeddings, GenerateRequest, Inference, Prompt, RequestContext, TokenStream,
};
use futures::stream;
use tokio::time::Instant;
use tower::retry::budget::{Budget, TpsBudget};

use crate::affinity::{Prefixes, prefixes};
use crate::dispatch::attempt::{Failure, Limits, contact};
use crate::dispatch::attempts::Attempts;
use crate::dispatch::generation::Generation;
use crate::dispatch::observation::Observation;
use crate::dispatch::target::{Target, Targets};
use crate::models::Models;
use crate::outcome::Outcome;
use crate::registry::Workers;
use crate::{Config, Error, Policy};

pub use retry::RetryConfig;

/// What every request needs.
pub(crate) struct Dispatch {
    models: Arc<Models>,
    workers: Arc<Workers>,
    targets: Targets,
    limits: Limits,
    /// Whether the policy goes by beginnings of prompts.
    by_prefix: bool,
    /// What may be tried again.
    budget: TpsBudget,
    /// What may be tried twice at a time.
    hedges: TpsBudget,
}

impl Dispatch {
    pub fn new(models: &Arc<Models>, workers: &Arc<Workers>, config: &Config) -> Arc<Self> {
        Arc::new(Self {
            models: models.clone(),
            workers: workers.clone(),
            targets: Targets::new(config.queue),
            limits: Limits {
                first_token: config.first_token_timeout,
                between_tokens: config.token_timeout,
            },
            by_prefix: config.balance.policy == Policy::PrefixAffinity,
            budget: config.retry.budget(),
            hedges: retry::hedging_budget(),
        })
    }

    /// Starts the generation; returns with its first event.
    pub async fn generate(
        self: &Arc<Self>,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<TokenStream, PublicError> {
        let choice = self
            .models
            .choose(&request.model, Some(&request.sampling), &context)?;
        let target = self.targets.get(&choice.target);
        let observation = Observation::new(&self.models, choice);
        let generation = Generation::new(self, request, context, target, observation);
        let mut generation = Box::new(generation);
        let first = generation.first().await?;
        Ok(Box::pin(stream::unfold(
            (Some(first), generation),
            |(first, mut generation)| async move {
                let item = match first {
                    Some(first) => Ok(first),
                    None => generation.next().await?,
                };
                Some((item, (None, generation)))
            },
        )))
    }

    /// Embeds; tries again in the same way. Vectors of another model are of no use, so there is
    /// no fallback.
    pub async fn embed(
        self: &Arc<Self>,
        mut request: EmbedRequest,
        context: RequestContext,
    ) -> Result<Embeddings, PublicError> {
        let choice = self.models.choose(&request.model, None, &context)?;
        let target = self.targets.get(&choice.target);
        request.model = choice.target.clone();
        let mut observation = Observation::new(&self.models, choice);
        let embed = |worker: Arc<dyn Inference>, context| {
            let request = request.clone();
            async move { worker.embed(request, context).await }
        };
        let embedded = self.asked(target, context, embed).await;
        match &embedded {
            Ok(_) => observation.finished(),
            Err(error) => observation.failed(error),
        }
        embedded
    }

    /// Counts the tokens of a prompt; tries again in the same way. It says nothing of how good a
    /// version is, so that nobody observes it.
    pub async fn count_tokens(
        self: &Arc<Self>,
        mut request: GenerateRequest,
        context: RequestContext,
    ) -> Result<u32, PublicError> {
        let sampling = Some(&request.sampling);
        let choice = self.models.choose(&request.model, sampling, &context)?;
        let target = self.targets.get(&choice.target);
        request.model = choice.target.clone();
        let count = |worker: Arc<dyn Inference>, context| {
            let request = request.clone();
            async move { worker.count_tokens(request, context).await }
        };
        self.asked(target, context, count).await
    }

    /// Asks one worker after the other for what comes whole.
    async fn asked<T, F>(
        self: &Arc<Self>,
        target: Arc<Target>,
        context: RequestContext,
        ask: impl Fn(Arc<dyn Inference>, RequestContext) -> F,
    ) -> Result<T, PublicError>
    where
        F: Future<Output = Result<T, PublicError>>,
    {
        self.admit(&target, &context)?;
        let mut attempts = Attempts::new(self, target.clone(), &context, Prefixes::new());
        loop {
            let place = attempts.place().await?;
            let error = match ask(place.worker(), context.clone()).await {
                Ok(answer) => {
                    place.settle(Outcome::Finished);
                    target.line.freed();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let connection = place.connection().clone();
            let contact = contact(&error);
            let error = attempt::in_context(error, context.deadline);
            place.settle(Outcome::Failed(error.code));
            attempts
                .failed(connection, Failure { error, contact })
                .await?;
        }
    }

    /// Beginnings of `prompt` by which a worker is chosen, if the policy goes by them.
    fn prefixes(&self, prompt: &Prompt) -> Prefixes {
        match self.by_prefix {
            true => prefixes(prompt),
            false => Prefixes::new(),
        }
    }

    /// Takes a request on, unless its deadline cannot be met.
    fn admit(&self, target: &Target, context: &RequestContext) -> Result<(), Error> {
        self.budget.deposit();
        let Some(deadline) = context.deadline else {
            return Ok(());
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let needed = target.first_tokens.fastest().unwrap_or_default();
        if left.is_zero() || left < needed {
            return Err(Error::DeadlinePassed);
        }
        Ok(())
    }
}
