//! One public request as several generations.

use std::time::Duration;
use std::{mem, vec};

use fathom_api::bounds::{CHOICES as MAX_CHOICES, GENERATIONS as MAX_GENERATIONS};
use fathom_proto::id::{ModelId, UserId};
use fathom_proto::inference::{GenerateRequest, Prompt};

use crate::error::ApiError;

/// Several continuations of one or several prompts.
pub struct FanOut {
    /// What all of them ask.
    pub model: ModelId,
    /// One for each choice, in their order: those of one prompt follow one another.
    pub requests: Requests,
    /// How many choices each prompt has.
    pub per_prompt: usize,
    /// Who asks, if the caller says so.
    pub user: Option<UserId>,
    /// How long the caller waits, if it says so.
    pub timeout: Option<Duration>,
}

impl FanOut {
    /// `n` continuations of each prompt; `request` is that of the first. If that one fills a gap,
    /// the texts after it are before the same gap.
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
        check_prompts(prompts)?;
        if prompts * per_prompt > MAX_GENERATIONS {
            let message = format!(
                "`n` is {n} and `prompt` holds {prompts} prompts; at most {MAX_GENERATIONS} \
                 answers are given to one request"
            );
            return Err(ApiError::invalid("n", message));
        }
        Ok(Self {
            model: request.model.clone(),
            requests: Requests::new(request, more_prompts, n),
            per_prompt,
            user,
            timeout: None,
        })
    }
}

/// Refuses more prompts than have answers, before anything is made of them.
pub fn check_prompts(prompts: usize) -> Result<(), ApiError> {
    if prompts > MAX_GENERATIONS {
        let message =
            format!("`prompt` holds {prompts} prompts; at most {MAX_GENERATIONS} are allowed");
        return Err(ApiError::invalid("prompt", message));
    }
    Ok(())
}

/// The requests for all choices. Each is made when its turn comes: they have everything but the
/// prompt in common, which may be large, and few run at a time.
pub struct Requests {
    /// What all of them have in common; its prompt is that of the choices that come next.
    next: Box<GenerateRequest>,
    /// What is behind the gap before which all prompts are.
    after: Option<String>,
    prompts: vec::IntoIter<Prompt>,
    per_prompt: u32,
    /// The choice of the prompt that comes next; `per_prompt`: there is none.
    choice: u32,
}

impl Requests {
    fn new(request: GenerateRequest, more_prompts: Vec<Prompt>, per_prompt: u32) -> Self {
        let after = match &request.prompt {
            Prompt::Infill { after, .. } if !more_prompts.is_empty() => Some(after.clone()),
            _ => None,
        };
        Self {
            next: Box::new(request),
            after,
            prompts: more_prompts.into_iter(),
            per_prompt,
            choice: 0,
        }
    }

    fn prompt(&mut self) -> Option<Prompt> {
        Some(match (self.prompts.next()?, &self.after) {
            (Prompt::Text(before), Some(after)) => Prompt::Infill {
                before,
                after: after.clone(),
            },
            (prompt, _) => prompt,
        })
    }
}

impl Iterator for Requests {
    type Item = GenerateRequest;

    fn next(&mut self) -> Option<GenerateRequest> {
        if self.choice == self.per_prompt {
            self.next.prompt = self.prompt()?;
            self.choice = 0;
        }
        let choice = self.choice;
        self.choice += 1;
        let nothing = Prompt::Text(String::new());
        let mut request = match self.len() {
            0 => mem::replace(
                &mut *self.next,
                GenerateRequest::new(ModelId::from(""), nothing),
            ),
            _ if self.choice < self.per_prompt => (*self.next).clone(),
            _ => {
                let prompt = mem::replace(&mut self.next.prompt, nothing);
                let mut request = (*self.next).clone();
                request.prompt = prompt;
                request
            }
        };
        // Choices differ, and are the same when they are asked for again.
        let seed = request.sampling.seed;
        request.sampling.seed = seed.map(|seed| seed.wrapping_add(choice.into()));
        Some(request)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let of_this = self.per_prompt - self.choice;
        let left = self.prompts.len() * self.per_prompt as usize + of_this as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Requests {}
