//! Weights in this process, through llama.cpp.

mod answer;
mod call_ids;
mod prompt;
mod thoughts;
mod vectors;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use fathom_engine::{
    Embedder, EmbedderOptions, EngineError, EngineOptions, Event as EngineEvent, Generation, Job,
    LoadError, PromptError, Sampling as EngineSampling, Token, Weights,
};
use fathom_proto::catalog::Deployment;
use fathom_proto::engines::EngineLoad;
use fathom_proto::inference::{
    Defaults, EmbedRequest, Embeddings, GenerateRequest, RequestContext, Sampling, TokenStream,
};
use futures::TryFutureExt;
use tokio::task::spawn_blocking;

use crate::admission::{Admission, JobEnd, Limits, Place};
use crate::engine::local::answer::Answer;
use crate::engine::local::prompt::Prepared;
use crate::engine::local::thoughts::Thoughts;
use crate::engine::{Engine, answer_budget, extra, param, too_long};
use crate::{Error, LocalConfig, PromptTokens};

/// Weights and what computes with them.
pub(crate) struct Local {
    weights: Weights,
    compute: Compute,
    config: LocalConfig,
    deployment: Deployment,
    admission: Admission,
}

/// What the weights are for.
enum Compute {
    Text(Arc<fathom_engine::Engine>),
    Vectors(Arc<Embedder>),
}

impl Local {
    /// Loads the weights at `path`. Blocks for as long as that takes.
    pub fn load(config: &LocalConfig, path: &Path) -> Result<Self, Error> {
        Self::start(config, path).map_err(|source| Error::Load {
            serves: config.serves.join(", "),
            source,
        })
    }

    fn start(config: &LocalConfig, path: &Path) -> Result<Self, LoadError> {
        let weights = match &config.chat_template {
            Some(template) => Weights::load_with_template(path, template)?,
            None => Weights::load(path)?,
        };
        let info = weights.info();
        let embeds = info.pooling.is_some();
        let context_length = config.context_of(info);
        let deployment = Deployment {
            backend: "local".to_owned(),
            weights: info.name.clone(),
            context_length,
        };
        let capacity = if embeds { 1 } else { config.slots.get() };
        let limits = Limits {
            capacity,
            max_queue: config.max_queue,
            max_queue_age: config.max_queue_age,
        };
        // Requests that were given up leave the engine's own queue a step later.
        let max_waiting = config.max_queue.saturating_add(capacity);
        let threads = config.threads.or_else(|| available_parallelism().ok());
        let threads = threads.unwrap_or(NonZeroUsize::MIN);
        let compute = if embeds {
            let options = EmbedderOptions {
                context_length,
                threads,
                max_waiting,
                max_wait: config.max_queue_age,
            };
            Compute::Vectors(Arc::new(Embedder::start(weights.clone(), options)?))
        } else {
            let defaults = EngineOptions::new(context_length, threads);
            let options = EngineOptions {
                slots: config.slots,
                remembered_tokens: config
                    .remembered_tokens
                    .unwrap_or(defaults.remembered_tokens),
                prefill_chunk: config.prefill_chunk.unwrap_or(EngineOptions::PREFILL_CHUNK),
                max_waiting,
                max_wait: config.max_queue_age,
                ..defaults
            };
            let engine = fathom_engine::Engine::start(weights.clone(), options)?;
            Compute::Text(Arc::new(engine))
        };
        Ok(Self {
            weights: weights.for_context(context_length),
            compute,
            config: config.clone(),
            admission: Admission::new(&deployment.weights, limits),
            deployment,
        })
    }

    /// The prompt and what comes with it, and the place, which goes along: as many prompts are
    /// read at a time as there are places.
    async fn prepare(
        &self,
        place: Place,
        request: &GenerateRequest,
        thoughts: Thoughts,
    ) -> Result<(Place, Prepared), Error> {
        let (weights, asked) = (self.weights.clone(), request.clone());
        let prepared = spawn_blocking(move || (place, Prepared::of(&weights, asked, thoughts)));
        let (place, prepared) = prepared.await?;
        let prepared = prepared.map_err(|error| self.unread(error, request));
        Ok((place, prepared?))
    }

    /// Why a prompt was not read.
    fn unread(&self, error: Error, request: &GenerateRequest) -> Error {
        match error {
            Error::Prompt {
                param,
                source: PromptError::TooLong { tokens },
            } => {
                let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
                let at_least = PromptTokens::AtLeast(tokens);
                too_long(request, param, at_least, &self.deployment)
            }
            Error::Prompt {
                source: PromptError::Thread(source),
                ..
            } => Error::Tokenizer(source),
            error => error,
        }
    }

    /// What an error of the engine means here.
    fn refusal(&self, error: EngineError) -> Error {
        match error {
            EngineError::Busy => Error::QueueFull {
                max_queue: self.config.max_queue,
            },
            EngineError::Expired => Error::QueueTooSlow {
                max_queue_age: self.config.max_queue_age,
            },
            EngineError::NothingToDo => Error::Unsupported {
                param: "max_tokens".to_owned(),
                problem: "0 only makes sense with `echo`".to_owned(),
            },
            error => error.into(),
        }
    }
}

#[tonic::async_trait]
impl Engine for Local {
    fn deployment(&self) -> Deployment {
        self.deployment.clone()
    }

    fn load(&self) -> EngineLoad {
        let (kv_used, kv_capacity) = match &self.compute {
            Compute::Text(engine) => {
                let load = engine.load();
                (load.kv_used, load.kv_capacity)
            }
            Compute::Vectors(_) => (0, 0),
        };
        EngineLoad {
            kv_used,
            kv_capacity,
            ..self.admission.load()
        }
    }

    async fn generate(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<TokenStream, Error> {
        let Compute::Text(engine) = &self.compute else {
            return Err(Error::Unsupported {
                param: "model".to_owned(),
                problem: "its weights make embeddings and no text".to_owned(),
            });
        };
        let known = extra::harmless(request.extra.as_ref())?;
        if known.contains_key("sim") {
            return Err(Error::Unsupported {
                param: "sim".to_owned(),
                problem: "its weights are real; leave it out".to_owned(),
            });
        }
        let thoughts = Thoughts::asked_for(&known)?;
        let place = self.admission.enter()?;
        let (place, prepared) = self.prepare(place, &request, thoughts).await?;
        let tokens = prepared.tokens.len();
        let max_tokens = answer_budget(&request, param(&request.prompt), tokens, &self.deployment)?;
        let told = request.generated.len();
        let ended = JobEnd::new();
        let stream_end = ended.stream();
        let job = Job {
            prompt: prepared.tokens,
            generated: tokens_of(request.generated)?,
            partition: context.tenant.as_str().into(),
            max_tokens,
            sampling: sampling(request.sampling, request.defaults),
            stop: request.stop,
            logprobs: request.logprobs.map(|top| top as usize),
            echo: request.echo,
            constraint: prepared.constraint,
            visible_controls: prepared.controls,
            held: Some(Box::new(ended)),
        };
        let (place, submitted) = submit(engine, place, job).await?;
        let mut generation = submitted.map_err(|error| self.refusal(error))?;
        let started = async {
            match generation.next().await {
                Some(Ok(event)) => Ok(event),
                Some(Err(error)) => Err(self.refusal(error)),
                None => Err(Error::Engine(EngineError::Internal)),
            }
        };
        let (started, permit): (EngineEvent, _) = self
            .admission
            .admit_when(place, context.deadline, started)
            .await?;
        stream_end.share(permit);
        Ok(Answer::new(prepared.style, &context.request_id, told)
            .stream(started, generation, stream_end))
    }

    async fn count_tokens(&self, request: GenerateRequest) -> Result<u32, Error> {
        let thoughts = Thoughts::asked_for(&extra::harmless(request.extra.as_ref())?)?;
        // As many prompts are read at a time as there are places.
        let place = self.admission.enter()?;
        let weights = self.weights.clone();
        let asked = request.clone();
        let counted =
            spawn_blocking(move || (place, prompt::count(&weights, asked, &thoughts))).await?;
        let (_place, tokens) = counted;
        let tokens = tokens.map_err(|error| self.unread(error, &request))?;
        Ok(u32::try_from(tokens).unwrap_or(u32::MAX))
    }

    async fn embed(
        &self,
        request: EmbedRequest,
        context: RequestContext,
    ) -> Result<Embeddings, Error> {
        let Compute::Vectors(embedder) = &self.compute else {
            let EmbedRequest { model, .. } = request;
            return Err(Error::NoEmbeddings { model });
        };
        extra::harmless(request.extra.as_ref())?;
        vectors::check(&request, self.weights.info().embedding_length)?;
        let place = self.admission.enter()?;
        let embedder = embedder.clone();
        // The place goes along: as many requests are read at a time as there are places.
        let submitted = spawn_blocking(move || {
            let submitted = vectors::submit(&embedder, &context.tenant, request);
            (place, submitted)
        });
        let (place, submitted) = submitted.await?;
        let refusal = |error| vectors::refusal(error, &self.config);
        let started = submitted.map_err(refusal)?.started().map_err(refusal);
        let (embedding, _permit) = self
            .admission
            .admit_when(place, context.deadline, started)
            .await?;
        vectors::answer(embedding).await.map_err(refusal)
    }
}

/// Hands a job to the engine; aside where there is much to do before. The place goes along.
async fn submit(
    engine: &Arc<fathom_engine::Engine>,
    place: Place,
    job: Job,
) -> Result<(Place, Result<Generation, EngineError>), Error> {
    if job.generated.is_empty() {
        return Ok((place, engine.submit(job)));
    }
    let engine = engine.clone();
    Ok(spawn_blocking(move || (place, engine.submit(job))).await?)
}

fn tokens_of(ids: Vec<u32>) -> Result<Vec<Token>, Error> {
    let ids = ids.into_iter().map(|id| i32::try_from(id).map(Token));
    ids.collect::<Result<_, _>>().map_err(|_| Error::Generated {
        problem: "it holds a token id outside the model's vocabulary".to_owned(),
    })
}

fn sampling(sampling: Sampling, defaults: Defaults) -> EngineSampling {
    let bias = sampling.logit_bias.iter().map(|bias| {
        // An id beyond every vocabulary is refused by the engine.
        let token = i32::try_from(bias.token).unwrap_or(i32::MAX);
        (Token(token), bias.bias)
    });
    EngineSampling {
        temperature: sampling.temperature.unwrap_or(defaults.temperature),
        top_p: sampling.top_p.unwrap_or(1.0),
        top_k: sampling.top_k,
        min_p: sampling.min_p.unwrap_or(0.0),
        seed: sampling.seed,
        frequency_penalty: sampling.frequency_penalty.unwrap_or(0.0),
        presence_penalty: sampling.presence_penalty.unwrap_or(0.0),
        logit_bias: bias.collect(),
    }
}
