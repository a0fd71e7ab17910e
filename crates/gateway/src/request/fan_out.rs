//! One public request as several generations.

use std::time::Duration;

use fathom_api::bounds::{CHOICES as MAX_CHOICES, GENERATIONS as MAX_GENERATIONS};
use fathom_proto::id::{ModelId, UserId};
use fathom_proto::inference::{GenerateRequest, Prompt};

use crate::error::ApiError;

/// Several continuations of one or several prompts.
pub struct FanOut {
    /// What all of them ask.
    pub model: ModelId,
    /// One for each choice, in their order: those of one prompt follow one another.
    pub requests: Vec<GenerateRequest>,
    /// How many choices each prompt has.
    pub per_prompt: usize,
    /// Who asks, if the caller says so.
    pub user: Option<UserId>,
    /// How long the caller waits, if it says so.
    pub timeout: Option<Duration>,
}

impl FanOut {
    /// `n` continuations of each prompt; `request` is that of the first.
    pub fn new(
        request: GenerateRequest,
        more_prompts: Vec<Prompt>,
        n: Option<u32>,
        user: Option<UserId>,
    ) -> Result<Self, ApiError> {
        let n = n.unwrap_or(1);
        if !(1..=MAX_CHOICES).contains(&n) {
            let message = format!("`n` is {n}; it must be from 1 to {MAX_CHOICES}");
            return Err(ApiError::invalid("n", message));
        }
        let per_prompt = n as usize;
        let prompts = more_prompts.len() + 1;
        if prompts * per_prompt > MAX_GENERATIONS {
            let (param, message) = match per_prompt {
                1 => (
                    "prompt",
                    format!(
                        "`prompt` holds {prompts} prompts; at most {MAX_GENERATIONS} are allowed"
                    ),
                ),
                _ => (
                    "n",
                    format!(
                        "`n` is {n} and `prompt` holds {prompts} prompts; at most \
                         {MAX_GENERATIONS} answers are given to one request"
                    ),
                ),
            };
            return Err(ApiError::invalid(param, message));
        }
        let model = request.model.clone();
        let requests = match prompts * per_prompt {
            1 => vec![request],
            _ => each(request, more_prompts, n),
        };
        Ok(Self {
            model,
            requests,
            per_prompt,
            user,
            timeout: None,
        })
    }
}

fn each(mut request: GenerateRequest, more_prompts: Vec<Prompt>, n: u32) -> Vec<GenerateRequest> {
    // What is cloned holds no prompt: the first one may be large.
    let first = std::mem::replace(&mut request.prompt, Prompt::Text(String::new()));
    let mut requests = Vec::new();
    for prompt in std::iter::once(first).chain(more_prompts) {
        for choice in 0..n {
            let mut request = request.clone();
            request.prompt = prompt.clone();
            // Choices differ, and are the same when they are asked for again.
            let seed = request.sampling.seed;
            request.sampling.seed = seed.map(|seed| seed.wrapping_add(choice.into()));
            requests.push(request);
        }
    }
    requests
}
