//! What a generation yields.

use smallvec::SmallVec;

use crate::id::ModelId;

/// One event of a generation.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The prompt is accepted.
    Started {
        /// Its size, as the model's tokenizer counts; an estimate where only the end tells.
        prompt_tokens: u32,
        /// Tokens of it that were computed for an earlier request.
        cached_tokens: u32,
        /// What an upstream calls its configuration (`system_fingerprint`).
        fingerprint: Option<String>,
        /// What the router chose; `None` from a worker.
        route: Option<Box<Route>>,
    },
    /// Something was generated.
    Delta(Delta),
    /// The generation is complete.
    Finished {
        /// Why.
        reason: FinishReason,
        /// Exact counts.
        usage: Usage,
    },
}

/// What the router chose for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The model that answers: the one asked for, or the one it falls back to.
    pub model: ModelId,
    /// The version of that model; `None`: it has none.
    pub version: Option<u32>,
    /// The version of the configuration of models that the router goes by.
    pub config_version: u64,
    /// The experiment that the request is part of.
    pub experiment: Option<Assignment>,
}

/// A request's place in an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Name of the experiment.
    pub experiment: String,
    /// Name of its arm.
    pub arm: String,
}

/// Ids of the tokens of one piece, of which there is mostly one.
pub type TokenIds = SmallVec<[u32; 4]>;

/// A piece of what is generated.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// What is new.
    pub piece: Piece,
    /// Generated tokens that the piece stands for. What one token yields comes at once, and its
    /// last piece tells the token: a piece with none belongs to the next one that has some, or to
    /// the end, and goes on only together with it if another worker is to take over.
    pub tokens: u32,
    /// One for each of these tokens, if they were asked for; for an echoed prompt, one for each
    /// of its tokens.
    pub logprobs: Vec<TokenLogprob>,
    /// Ids of these tokens, from which another worker can go on; fewer than `tokens`: none can.
    pub ids: TokenIds,
}

/// What is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Whole characters of the answer; may be empty.
    Text(String),
    /// Whole characters of what the model thinks before it answers.
    Reasoning(String),
    /// A part of a function call.
    ToolCall(ToolCallPiece),
}

/// A part of a function call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCallPiece {
    /// Which call of this answer, from 0.
    pub index: u32,
    /// Names the call; in its first part only.
    pub id: Option<String>,
    /// Name of the function; in its first part only.
    pub name: Option<String>,
    /// The next part of the arguments, which are JSON text in sum.
    pub arguments: String,
}

/// How probable a token was.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token's bytes, which need not be whole characters.
    pub token: Vec<u8>,
    /// Natural logarithm of its probability; `None`: nothing came before it.
    pub logprob: Option<f32>,
    /// The likeliest tokens at this place, the likeliest first.
    pub top: Vec<Alternative>,
}

/// A token that might have come.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// The token's bytes, which need not be whole characters.
    pub token: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f32,
}

/// Why a generation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its text; at an upstream, which does not tell, perhaps a stop text did.
    Stop,
    /// This one of the stop texts of the request came up.
    StopText(u32),
    /// `max_tokens` or the end of the context was reached.
    Length,
    /// The model waits for the results of the functions that it called.
    ToolCalls,
    /// A filter of the upstream took the text away.
    ContentFilter,
    /// The upstream ran out of capacity (DeepSeek's `insufficient_system_resource`).
    InsufficientSystemResource,
    /// A reason that only the upstream has, in its own word.
    Other(String),
}

impl FinishReason {
    /// A stop text of the request came up.
    #[must_use]
    pub fn stop_text(index: usize) -> Self {
        // A request has a few.
        Self::StopText(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

/// Token counts, as the model's tokenizer counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens generated, those of `reasoning_tokens` included; the end-of-text token is not
    /// counted.
    pub completion_tokens: u32,
    /// Tokens of the prompt that were computed for an earlier request.
    pub cached_tokens: u32,
    /// Generated tokens that were thought, not said.
    pub reasoning_tokens: u32,
}
