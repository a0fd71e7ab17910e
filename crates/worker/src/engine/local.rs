//! Weights in this process, through llama.cpp.

use std::num::NonZeroUsize;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Duration;

use fathom_engine::{
    ChatMessage, EngineError, EngineOptions, Event as EngineEvent, FinishReason as EngineFinish,
    Generation, Job, Sampling as EngineSampling, Token, Weights,
};
use fathom_proto::catalog::Deployment;
use fathom_proto::engines::EngineLoad;
use fathom_proto::inference::{
    Delta, Event, FinishReason, GenerateRequest, Piece, Prompt, RequestContext, Sampling,
    TokenStream, Usage,
};
use futures::StreamExt;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::admission::{Admission, Limits, Permit};
use crate::engine::{Engine, answer_budget, param};
use crate::{Error, LocalConfig};

/// Longest context that memory is set aside for unless configured.
const DEFAULT_CONTEXT: u32 = 8192;

/// How long to wait for llama.cpp to notice that a job was cancelled, between two looks.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// One engine of llama.cpp; it runs one generation at a time.
pub(crate) struct Local {
    weights: Weights,
    engine: fathom_engine::Engine,
    deployment: Deployment,
    admission: Admission,
}

impl Local {
    /// Loads the weights at `path`. Blocks for as long as that takes.
    pub fn load(config: &LocalConfig, path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Load {
            serves: config.serves.join(", "),
            source,
        };
        let weights = Weights::load(path).map_err(failed)?;
        let info = weights.info();
        let context_length = config
            .context_length
            .unwrap_or(info.context_length.min(DEFAULT_CONTEXT));
        let threads = config.threads.or_else(|| available_parallelism().ok());
        let options = EngineOptions::new(context_length, threads.unwrap_or(NonZeroUsize::MIN));
        let deployment = Deployment {
            backend: "local".to_owned(),
            weights: info.name.clone(),
            context_length,
        };
        let limits = Limits {
            capacity: 1,
            max_queue: config.max_queue,
            max_queue_age: config.max_queue_age,
        };
        Ok(Self {
            engine: fathom_engine::Engine::start(weights.clone(), options).map_err(failed)?,
            admission: Admission::new(&deployment.weights, limits),
            weights,
            deployment,
        })
    }

    /// Hands the job to the engine. A generation that was dropped holds the engine until the
    /// step it is in ends, and is waited for.
    async fn submit(&self, job: impl Fn() -> Job) -> Result<Generation, Error> {
        loop {
            match self.engine.submit(job()) {
                Err(EngineError::Busy) => sleep(BUSY_PAUSE).await,
                Err(error) => return Err(error.into()),
                Ok(generation) => return Ok(generation),
            }
        }
    }
}

#[tonic::async_trait]
impl Engine for Local {
    fn deployment(&self) -> Deployment {
        self.deployment.clone()
    }

    fn load(&self) -> EngineLoad {
        self.admission.load()
    }

    async fn generate(
        &self,
        mut request: GenerateRequest,
        context: RequestContext,
    ) -> Result<TokenStream, Error> {
        // The place goes along: as many prompts are read at a time as there are places.
        let place = self.admission.enter()?;
        let weights = self.weights.clone();
        let prompt = std::mem::replace(&mut request.prompt, Prompt::Tokens(Vec::new()));
        let param = param(&prompt);
        let (place, tokens) = spawn_blocking(move || (place, tokens(&weights, prompt))).await?;
        let tokens = tokens?;
        let max_tokens = answer_budget(&request, param, tokens.len(), &self.deployment)?;
        let permit = self.admission.admit(place, context.deadline).await?;
        let job = || Job {
            prompt: tokens.clone(),
            max_tokens,
            sampling: sampling(request.sampling.clone()),
            stop: request.stop.clone(),
            partition: context.tenant.as_str().into(),
            logprobs: None,
            echo: false,
            constraint: None,
        };
        Ok(events(self.submit(job).await?, permit))
    }
}

/// The tokens of a prompt. Blocks for milliseconds when it is long.
fn tokens(weights: &Weights, prompt: Prompt) -> Result<Vec<Token>, Error> {
    let param = param(&prompt);
    let tokens = match prompt {
        Prompt::Text(text) => weights.tokenize(&text),
        Prompt::Infill { before, .. } => weights.tokenize(&before),
        Prompt::Chat(messages) => {
            let messages = messages.into_iter().map(|message| ChatMessage {
                role: message.role.as_str().to_owned(),
                content: message.content,
                name: message.name,
            });
            weights.render_chat(&messages.collect::<Vec<_>>())
        }
        Prompt::Tokens(ids) => {
            let ids = ids.into_iter().map(|id| i32::try_from(id).map(Token));
            return ids
                .collect::<Result<_, _>>()
                .map_err(|_| Error::UnknownToken);
        }
    };
    tokens.map_err(|source| Error::Prompt { param, source })
}

/// The engine's events as the port's; the permit goes with them.
fn events(generation: Generation, permit: Permit) -> TokenStream {
    Box::pin(generation.map(move |event| {
        let _held = &permit;
        match event {
            Ok(event) => Ok(convert(event)),
            Err(error) => Err(Error::from(error).into()),
        }
    }))
}

fn convert(event: EngineEvent) -> Event {
    match event {
        EngineEvent::Started {
            prompt_tokens,
            cached_tokens,
        } => Event::Started {
            prompt_tokens,
            cached_tokens,
            fingerprint: None,
        },
        EngineEvent::Text { text, tokens, .. } => Event::Delta(Delta {
            piece: Piece::Text(text),
            tokens,
            logprobs: Vec::new(),
        }),
        EngineEvent::Finished {
            reason,
            prompt_tokens,
            cached_tokens,
            completion_tokens,
        } => Event::Finished {
            reason: match reason {
                EngineFinish::Stop => FinishReason::Stop,
                EngineFinish::Length => FinishReason::Length,
            },
            usage: Usage {
                prompt_tokens,
                completion_tokens,
                cached_tokens,
                reasoning_tokens: 0,
            },
        },
    }
}

fn sampling(sampling: Sampling) -> EngineSampling {
    EngineSampling {
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        seed: sampling.seed,
        frequency_penalty: sampling.frequency_penalty,
        presence_penalty: sampling.presence_penalty,
        ..EngineSampling::default()
    }
}
