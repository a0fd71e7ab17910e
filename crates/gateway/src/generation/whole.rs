//! Generations that are waited for.

use fathom_proto::Error;
use fathom_proto::inference::{
    Delta, FinishReason, Piece, TokenLogprob, ToolCall, ToolCallPiece, Usage,
};
use futures::StreamExt;

use super::{Generation, Output, truncated};

/// All that a request yields.
pub struct Whole {
    /// In their order.
    pub choices: Vec<WholeChoice>,
    /// The counts of all.
    pub usage: Usage,
}

/// All of one choice.
pub struct WholeChoice {
    /// What it says.
    pub text: String,
    /// What the model thought before.
    pub reasoning: String,
    /// Functions that it calls, with the number that each goes by.
    pub tool_calls: Vec<(u32, ToolCall)>,
    /// How probable the tokens of the text were.
    pub logprobs: Vec<TokenLogprob>,
    /// How probable the tokens of the thoughts were.
    pub reasoning_logprobs: Vec<TokenLogprob>,
    /// Why it ended.
    pub reason: FinishReason,
}

impl Generation {
    /// Waits for all of it.
    pub async fn whole(mut self) -> Result<Whole, Error> {
        let _waiting = self.record.asks();
        let mut choices: Vec<_> = (0..self.choices()).map(|_| WholeChoice::begin()).collect();
        while let Some(output) = self.next().await {
            match output? {
                Output::Delta { choice, delta } => {
                    if let Some(choice) = choices.get_mut(choice) {
                        choice.push(delta);
                    }
                }
                Output::Finish {
                    choice,
                    reason,
                    usage,
                } => {
                    if let Some(choice) = choices.get_mut(choice) {
                        choice.reason = reason;
                    }
                    if let Some(usage) = usage {
                        return Ok(Whole { choices, usage });
                    }
                }
            }
        }
        Err(truncated())
    }
}

impl WholeChoice {
    fn begin() -> Self {
        Self {
            text: String::new(),
            reasoning: String::new(),
            tool_calls: Vec::new(),
            logprobs: Vec::new(),
            reasoning_logprobs: Vec::new(),
            reason: FinishReason::Stop,
        }
    }

    fn push(&mut self, delta: Delta) {
        match delta.piece {
            Piece::Text(text) => {
                self.text.push_str(&text);
                self.logprobs.extend(delta.logprobs);
            }
            Piece::Reasoning(text) => {
                self.reasoning.push_str(&text);
                self.reasoning_logprobs.extend(delta.logprobs);
            }
            Piece::ToolCall(piece) => self.push_call(piece),
        }
    }

    fn push_call(&mut self, piece: ToolCallPiece) {
        let known = self.tool_calls.iter_mut().rev();
        match { known }.find(|(index, _)| *index == piece.index) {
            Some((_, call)) => call.arguments.push_str(&piece.arguments),
            None => self.tool_calls.push((
                piece.index,
                ToolCall {
                    id: piece.id.unwrap_or_default(),
                    name: piece.name.unwrap_or_default(),
                    arguments: piece.arguments,
                },
            )),
        }
    }
}
