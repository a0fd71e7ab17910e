//! What every engine does.

mod extra;
pub(crate) mod local;
pub(crate) mod sim;
pub(crate) mod upstream;

use fathom_proto::catalog::Deployment;
use fathom_proto::engines::EngineLoad;
use fathom_proto::id::ModelId;
use fathom_proto::inference::{
    EmbedRequest, Embeddings, GenerateRequest, Prompt, RequestContext, TokenStream,
};

use crate::{Error, PromptTokens};

/// Turns prompts into text.
#[tonic::async_trait]
pub(crate) trait Engine: Send + Sync {
    /// What it is, for operators.
    fn deployment(&self) -> Deployment;

    /// The weights behind `model`, as callers are told: without the address of a server.
    fn weights(&self, model: &ModelId) -> String {
        let _ = model;
        self.deployment().weights
    }

    /// What it has to do at this moment.
    fn load(&self) -> EngineLoad;

    /// Starts one generation once it is admitted. Dropping the future gives up the place in the
    /// queue, dropping the stream stops the generation.
    async fn generate(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<TokenStream, Error>;

    /// Turns texts into vectors; most engines cannot.
    async fn embed(
        &self,
        request: EmbedRequest,
        context: RequestContext,
    ) -> Result<Embeddings, Error> {
        let _ = context;
        let EmbedRequest { model, .. } = request;
        Err(Error::NoEmbeddings { model })
    }

    /// How many tokens the prompt has, with the functions that may be called; an estimate where
    /// only another server knows.
    async fn count_tokens(&self, request: GenerateRequest) -> Result<u32, Error>;
}

/// Most tokens that an answer to a prompt of `prompt_tokens` may have: what the request asks
/// for or its defaults say, cut to what its context leaves. [`Error::ContextLength`], which names
/// `param`, if it leaves nothing; [`Error::Generated`] if there are more of them already.
fn answer_budget(
    request: &GenerateRequest,
    param: &'static str,
    prompt_tokens: usize,
    deployment: &Deployment,
) -> Result<u32, Error> {
    let prompt_tokens = u32::try_from(prompt_tokens).unwrap_or(u32::MAX);
    let room = limit(request, deployment).saturating_sub(prompt_tokens);
    if room == 0 {
        let counted = PromptTokens::Counted(prompt_tokens);
        return Err(too_long(request, param, counted, deployment));
    }
    let wanted = request.max_tokens.or(request.defaults.max_tokens);
    let budget = wanted.map_or(room, |wanted| wanted.min(room));
    if request.generated.len() > budget as usize {
        let generated = request.generated.len();
        return Err(Error::Generated {
            problem: format!("it holds {generated} tokens, and the answer may have {budget}"),
        });
    }
    Ok(budget)
}

/// The error of a prompt that leaves no room for an answer.
fn too_long(
    request: &GenerateRequest,
    param: &'static str,
    prompt_tokens: PromptTokens,
    deployment: &Deployment,
) -> Error {
    Error::ContextLength {
        param,
        model: request.model.clone(),
        prompt_tokens,
        limit: limit(request, deployment),
        registry: request.context_length,
        weights: deployment.weights.clone(),
        weights_context: deployment.context_length,
    }
}

/// Most tokens of prompt and answer together.
fn limit(request: &GenerateRequest, deployment: &Deployment) -> u32 {
    let registry = request.context_length.unwrap_or(u32::MAX);
    registry.min(deployment.context_length)
}

/// The request field that a prompt comes from.
const fn param(prompt: &Prompt) -> &'static str {
    match prompt {
        Prompt::Chat(_) => "messages",
        Prompt::Text(_) | Prompt::Tokens(_) | Prompt::Infill { .. } => "prompt",
    }
}
