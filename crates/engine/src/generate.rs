//! The text of one job, from its prompt to its finish.

use std::sync::Arc;

use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use crate::logprobs::logprob;
use crate::model::Model;
use crate::outbox::Outbox;
use crate::sampling::Sampler;
use crate::text::TextStream;
use crate::{EngineError, Event, FinishReason, Job, Token, TokenLogprob, Tokens};

/// Generates the text of one job, a token at a time.
pub(crate) struct Generator {
    sampler: Sampler,
    text: TextStream,
    /// Tell how probable tokens were, and this many likeliest ones.
    logprobs: Option<usize>,
    /// The prompt's own text, until it is sent.
    echo: Option<Echo>,
    /// Control tokens whose text is part of the job's.
    visible_controls: Arc<[Token]>,
    prompt_tokens: u32,
    cached_tokens: u32,
    completion_tokens: u32,
    /// Most tokens to generate.
    budget: u32,
    /// What the tokens that the job came with gave.
    replayed: Vec<Event>,
    /// Why the text ends with these tokens, if it does.
    complete: Option<FinishReason>,
    /// The caller's, for as long as the text is not complete.
    _held: Option<Box<dyn Send>>,
}

struct Echo {
    text: String,
    logprobs: Vec<TokenLogprob>,
}

/// How a text goes on.
pub(crate) enum Next {
    /// With this token.
    Token(Token),
    /// Not at all.
    Finished(FinishReason),
}

impl Generator {
    /// A generator for `job`, in a context of so many tokens. Takes out of the
    /// job what it needs, but leaves the prompt and the generated tokens.
    ///
    /// # Errors
    ///
    /// [`EngineError::Generated`] for generated tokens that cannot be of this text.
    pub(crate) fn new(
        model: &impl Model,
        job: &mut Job,
        context_length: u32,
    ) -> Result<Self, EngineError> {
        let prompt_tokens = u32::try_from(job.prompt.len()).unwrap_or(u32::MAX);
        let mut generator = Self {
            sampler: Sampler::new(
                &job.sampling,
                job.constraint.take(),
                model.vocabulary(),
                context_length,
            ),
            text: TextStream::new(&job.stop),
            logprobs: job.logprobs,
            echo: (job.echo && job.generated.is_empty()).then(|| Echo::of(model, job)),
            visible_controls: job.visible_controls.clone(),
            prompt_tokens,
            cached_tokens: 0,
            completion_tokens: 0,
            budget: job
                .max_tokens
                .min(context_length.saturating_sub(prompt_tokens)),
            replayed: Vec::new(),
            complete: None,
            _held: job.held.take(),
        };
        generator.replay(model, &job.generated)?;
        Ok(generator)
    }

    /// Takes tokens that were generated elsewhere, as if it had sampled them.
    fn replay(&mut self, model: &impl Model, generated: &[Token]) -> Result<(), EngineError> {
        for (index, &token) in generated.iter().enumerate() {
            let problem = if self.complete.is_some() || self.budget == 0 {
                Some("the text was complete before it")
            } else if !(0..model.vocabulary()).contains(&token.0) {
                Some("it is outside the vocabulary")
            } else if model.ends_text(token) {
                Some("it is the end of a text")
            } else if !self.sampler.replay(token)? {
                Some("the constraint of the text does not allow it")
            } else {
                None
            };
            if let Some(problem) = problem {
                return Err(EngineError::Generated { index, problem });
            }
            let (event, complete) = self.take(model, token, None);
            self.replayed.extend(event);
            self.complete = complete;
        }
        if self.complete.is_none() && !generated.is_empty() && self.sampler.is_complete() {
            self.complete = Some(FinishReason::Stop);
        }
        Ok(())
    }

    /// Why the text ends with the tokens that the job came with, if it does.
    pub(crate) fn complete(&self) -> Option<FinishReason> {
        self.complete
    }

    /// The job has a slot, and so many tokens of its prompt need not be read.
    pub(crate) fn start(&mut self, cached_tokens: usize, outbox: &mut Outbox) {
        let cached_tokens = u32::try_from(cached_tokens).unwrap_or(u32::MAX);
        self.cached_tokens = cached_tokens.min(self.prompt_tokens);
        outbox.send(Event::Started {
            prompt_tokens: self.prompt_tokens,
            cached_tokens: self.cached_tokens,
            replayed: std::mem::take(&mut self.replayed),
        });
        if self.logprobs.is_none() {
            self.send_echo(outbox);
        }
    }

    /// The prompt goes on with `token` where the model gave these `logits`.
    pub(crate) fn read(&mut self, model: &impl Model, logits: &[f32], token: Token) {
        if let (Some(top), Some(echo)) = (self.logprobs, &mut self.echo) {
            let piece = |token| model.piece(token);
            echo.logprobs.push(logprob(logits, token, top, piece));
        }
    }

    /// Chooses the next token. `candidates` is only memory to work in.
    pub(crate) fn next(
        &mut self,
        model: &impl Model,
        logits: &[f32],
        candidates: &mut LlamaTokenDataArray,
        outbox: &mut Outbox,
    ) -> Result<Next, EngineError> {
        self.send_echo(outbox);
        if self.budget == 0 {
            return Ok(Next::Finished(FinishReason::Length));
        }
        let token = self.sampler.sample(logits, candidates)?;
        if model.ends_text(token) {
            return Ok(Next::Finished(FinishReason::Stop));
        }
        let told = self
            .logprobs
            .map(|top| logprob(logits, token, top, |token| model.piece(token)));
        let (event, complete) = self.take(model, token, told);
        if let Some(event) = event {
            outbox.send(event);
        }
        Ok(complete.map_or(Next::Token(token), Next::Finished))
    }

    /// Takes the next token of the text; what there is to send, and why the
    /// text ends with it, if it does.
    fn take(
        &mut self,
        model: &impl Model,
        token: Token,
        told: Option<TokenLogprob>,
    ) -> (Option<Event>, Option<FinishReason>) {
        self.completion_tokens += 1;
        let bytes = match self.visible_controls.contains(&token) {
            true => model.control_piece(token),
            false => model.piece(token),
        };
        let piece = self.text.push(token, &bytes, told);
        let complete = match piece.stopped_by {
            Some(index) => Some(FinishReason::StopString(index)),
            None => (self.completion_tokens == self.budget).then_some(FinishReason::Length),
        };
        (piece.event, complete)
    }

    /// Ends the text; returns the event that it is finished.
    pub(crate) fn finish(mut self, reason: FinishReason, outbox: &mut Outbox) -> Event {
        if let Some(event) = self.text.finish() {
            outbox.send(event);
        }
        Event::Finished {
            reason,
            prompt_tokens: self.prompt_tokens,
            cached_tokens: self.cached_tokens,
            completion_tokens: self.completion_tokens,
        }
    }

    fn send_echo(&mut self, outbox: &mut Outbox) {
        if let Some(Echo { text, logprobs }) = self.echo.take() {
            outbox.send(Event::Text {
                text,
                tokens: Tokens::new(),
                logprobs,
            });
        }
    }
}

impl Echo {
    /// Nothing comes before the first token, so nothing tells how probable it
    /// was.
    fn of(model: &impl Model, job: &Job) -> Self {
        let pieces = job.prompt.iter().map(|&token| model.piece(token));
        let first = job.prompt.first().filter(|_| job.logprobs.is_some());
        let first = first.map(|&token| TokenLogprob {
            bytes: model.piece(token),
            logprob: None,
            top: Vec::new(),
        });
        Self {
            text: String::from_utf8_lossy(&pieces.collect::<Vec<_>>().concat()).into_owned(),
            logprobs: first.into_iter().collect(),
        }
    }
}
