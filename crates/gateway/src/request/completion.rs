//! `POST /v1/completions`

use fathom_api::completions::{CompletionRequest, Prompt as ApiPrompt};
use fathom_proto::inference::{Format, GenerateRequest, Prompt};

use super::fan_out::check_prompts;
use super::sampling::{Fields, stops};
use super::{FanOut, defaults, elsewhere, extra, model, positive, top_logprobs, user};
use crate::config::Config;
use crate::dialect::Dialect;
use crate::error::ApiError;

/// OpenAI's default for completions that name no `max_tokens`.
const DEFAULT_MAX_TOKENS: u32 = 16;

/// The domain's form of a completion request. DeepSeek has no such default, so that a completion
/// there is as long as a chat.
pub fn from_completion(
    dialect: Dialect,
    mut request: CompletionRequest,
    config: &Config,
) -> Result<FanOut, ApiError> {
    elsewhere::refuse_functions(&request.extra)?;
    elsewhere::refuse(&mut request.extra, elsewhere::CHAT)?;
    let echo = request.echo.unwrap_or(false);
    let (prompt, more_prompts) = prompts(request.prompt, request.suffix, echo)?;
    let generate = GenerateRequest {
        model: model(request.model)?,
        prompt,
        sampling: Fields {
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: request.top_k,
            min_p: request.min_p,
            seed: request.seed,
            frequency_penalty: request.frequency_penalty,
            presence_penalty: request.presence_penalty,
            logit_bias: request.logit_bias,
        }
        .check()?,
        max_tokens: match request.max_tokens {
            // The probabilities of a given text are asked for in this way.
            Some(0) if echo => Some(0),
            asked => positive("max_tokens", asked)?,
        },
        defaults: defaults(
            config,
            match dialect {
                Dialect::OpenAi => DEFAULT_MAX_TOKENS,
                Dialect::DeepSeek { .. } => config.default_max_tokens,
            },
        ),
        stop: stops(request.stop)?,
        logprobs: request
            .logprobs
            .map(|count| top_logprobs("logprobs", count))
            .transpose()?,
        echo,
        format: Format::Text,
        tools: None,
        extra: extra(&request.extra),
        context_length: None,
        generated: Vec::new(),
    };
    if request
        .best_of
        .is_some_and(|it| it != request.n.unwrap_or(1))
    {
        return Err(ApiError::invalid(
            "best_of",
            "`best_of` must be the same as `n`: this server gives every text that it makes",
        ));
    }
    FanOut::new(generate, more_prompts, request.n, user(&request.extra))
}

/// The first prompt, and those after it, which have its suffix.
fn prompts(
    prompt: ApiPrompt,
    suffix: Option<String>,
    echo: bool,
) -> Result<(Prompt, Vec<Prompt>), ApiError> {
    let suffix = suffix.filter(|suffix| !suffix.is_empty());
    if echo && suffix.is_some() {
        return Err(ApiError::invalid(
            "suffix",
            "`suffix` cannot be used with `echo`; send one of them",
        ));
    }
    let prompts: Vec<_> = match prompt {
        ApiPrompt::Text(text) => vec![Prompt::Text(text)],
        ApiPrompt::Texts(many) => {
            check_prompts(many.len())?;
            many.into_iter().map(Prompt::Text).collect()
        }
        ApiPrompt::Tokens(_) | ApiPrompt::TokenLists(_) if suffix.is_some() => {
            return Err(ApiError::invalid(
                "suffix",
                "`suffix` needs a `prompt` that is text, not token ids",
            ));
        }
        ApiPrompt::Tokens(tokens) => vec![Prompt::Tokens(tokens)],
        ApiPrompt::TokenLists(lists) => {
            check_prompts(lists.len())?;
            lists.into_iter().map(Prompt::Tokens).collect()
        }
    };
    let is_empty = |prompt: &Prompt| matches!(prompt, Prompt::Tokens(ids) if ids.is_empty());
    if prompts.iter().any(is_empty) {
        return Err(ApiError::invalid("prompt", "`prompt` holds an empty list"));
    }
    let mut prompts = prompts.into_iter();
    let first = match (prompts.next(), suffix) {
        (None, _) => return Err(ApiError::invalid("prompt", "`prompt` is an empty list")),
        (Some(Prompt::Text(before)), Some(after)) => Prompt::Infill { before, after },
        (Some(prompt), _) => prompt,
    };
    Ok((first, prompts.collect()))
}
