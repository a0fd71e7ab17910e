//! What an engine takes and what it tells of it.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::{Constraint, Sampling, Token};

/// A text to be generated.
///
/// It has no `Debug`, which would carry its text into log lines.
pub struct Job {
    /// The tokens to continue, of the same weights as the engine's.
    pub prompt: Vec<Token>,
    /// Tokens of its text that another engine of the same weights generated: what follows them is
    /// generated, and all limits and counts are those of the whole. The prompt is not echoed then.
    pub generated: Vec<Token>,
    /// Whose job it is: what was computed for one partition is never reused for another, and
    /// partitions that wait take turns.
    pub partition: Arc<str>,
    /// Most tokens to generate; the context length may end the text earlier. 0 only with `echo`.
    pub max_tokens: u32,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Strings that end the text and are no part of it. Empty ones are ignored.
    pub stop: Vec<String>,
    /// Tell how probable each token was, and this many likeliest ones; nothing when absent.
    pub logprobs: Option<usize>,
    /// Begin the text with that of the prompt.
    pub echo: bool,
    /// What the text must be.
    pub constraint: Option<Constraint>,
    /// Control tokens whose text is part of the generated text, such as those
    /// that mark thoughts and calls; other control tokens have none.
    pub visible_controls: Arc<[Token]>,
    /// What its caller has given it for as long as it runs or waits: dropped when it ends, its
    /// events read or not.
    pub held: Option<Box<dyn Send>>,
}

/// Tokens of one piece of text, of which there is mostly one.
pub type Tokens = SmallVec<[Token; 4]>;

/// What happens to a job, in this order: one `Started`, any number of `Text`,
/// one `Finished`.
///
/// It has no `Debug`, which would carry its text into log lines.
#[derive(Clone, PartialEq)]
pub enum Event {
    /// The engine turns to the job: it now reads the prompt.
    Started {
        /// Tokens of the prompt.
        prompt_tokens: u32,
        /// Those of them that were computed for an earlier job.
        cached_tokens: u32,
        /// The `Text`s of the tokens that the job came with.
        replayed: Vec<Event>,
    },
    /// More text.
    Text {
        /// The text; empty only if it carries tokens that have none.
        text: String,
        /// Sampled tokens it stands for, those before it that gave no text yet
        /// included; none for an echoed prompt. All pieces together may have fewer than the job:
        /// the tokens of a stop string have no text.
        tokens: Tokens,
        /// One for each of these tokens that was sampled here, or of the echoed prompt, if asked
        /// for.
        logprobs: Vec<TokenLogprob>,
    },
    /// The text is complete.
    Finished {
        /// Why it ends here.
        reason: FinishReason,
        /// Tokens of the prompt.
        prompt_tokens: u32,
        /// Those of them that were computed for an earlier job.
        cached_tokens: u32,
        /// Tokens sampled, the model's own end token not counted.
        completion_tokens: u32,
    },
}

/// How probable a token was, before any sampling parameter.
#[derive(Clone, PartialEq)]
pub struct TokenLogprob {
    /// Its bytes, which need not be whole characters.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability; absent for the first token of an echoed prompt.
    pub logprob: Option<f32>,
    /// The likeliest tokens at this place, the likeliest first.
    pub top: Vec<Alternative>,
}

/// A token that might have come.
#[derive(Clone, PartialEq)]
pub struct Alternative {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f32,
}

/// Why a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it.
    Stop,
    /// This one of the job's stop strings was generated.
    StopString(usize),
    /// It reached `max_tokens` or the context length.
    Length,
}

/// What an engine has to do at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngineLoad {
    /// Jobs that can run at a time.
    pub slots: u32,
    /// Jobs that run.
    pub running: u32,
    /// Jobs that wait.
    pub waiting: u32,
    /// Tokens of context that running texts take.
    pub kv_used: u32,
    /// Tokens of context that there are.
    pub kv_capacity: u32,
}
