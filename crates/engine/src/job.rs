//! What an engine takes and what it tells of it.

use crate::{Sampling, Token};

/// A text to be generated.
///
/// It has no `Debug`, which would carry its text into log lines.
pub struct Job {
    /// The tokens to continue, of the same weights as the engine's.
    pub prompt: Vec<Token>,
    /// Most tokens to generate; the context length may end the text earlier.
    pub max_tokens: u32,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Strings that end the text and are no part of it. Empty ones are ignored.
    pub stop: Vec<String>,
}

/// What happens to a job, in this order: one `Started`, any number of `Text`,
/// one `Finished`.
///
/// It has no `Debug`, which would carry its text into log lines.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// The engine turns to the job: it now reads the prompt.
    Started {
        /// Tokens of the prompt.
        prompt_tokens: u32,
    },
    /// More text, never empty.
    Text {
        /// The text.
        text: String,
        /// Sampled tokens it stands for, those before it that gave no text yet
        /// included. All pieces together may have fewer than the job: the tokens
        /// of a stop string have no text.
        tokens: u32,
    },
    /// The text is complete.
    Finished {
        /// Why it ends here.
        reason: FinishReason,
        /// Tokens of the prompt.
        prompt_tokens: u32,
        /// Tokens sampled, the model's own end token not counted.
        completion_tokens: u32,
    },
}

/// Why a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it, or a stop string was generated.
    Stop,
    /// It reached `max_tokens` or the context length.
    Length,
}
