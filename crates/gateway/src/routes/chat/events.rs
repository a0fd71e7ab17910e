//! A chat's answer as events.

use fathom_api::chat::{ChatChunk, ChunkChoice, Delta};
use fathom_api::logprobs::ChatLogprobs;
use fathom_api::usage::{FinishReason, Usage};
use fathom_proto::inference::{self, Piece};

use crate::answer::{self, choice_index, logprobs};
use crate::event_stream::{Events, to_json};
use crate::generation::Generation;

/// Writes `chat.completion.chunk`s.
pub struct ChatEvents {
    /// The same in every event.
    pub id: String,
    /// Whether the counts are told.
    pub include_usage: bool,
}

impl ChatEvents {
    fn chunk(
        &self,
        generation: &Generation,
        choice: Option<ChunkChoice<'_>>,
        usage: Option<Usage>,
    ) -> Vec<u8> {
        to_json(&ChatChunk {
            id: self.id.as_str().into(),
            object: "chat.completion.chunk".into(),
            created: generation.created,
            model: generation.model.as_str().into(),
            system_fingerprint: generation.fingerprint.as_deref().map(Into::into),
            choices: choice.into_iter().collect(),
            usage: self.include_usage.then_some(usage),
        })
    }
}

impl Events for ChatEvents {
    fn opening(&self, generation: &Generation, index: usize) -> Option<Vec<u8>> {
        let delta = Delta {
            role: Some("assistant".into()),
            content: Some("".into()),
            ..Delta::default()
        };
        Some(self.chunk(generation, Some(choice(index, delta, None, None)), None))
    }

    fn delta(&mut self, generation: &Generation, index: usize, new: inference::Delta) -> Vec<u8> {
        let told = (!new.logprobs.is_empty()).then_some(new.logprobs);
        let mut delta = Delta::default();
        let mut logprobs = None;
        match new.piece {
            Piece::Text(text) => {
                delta.content = Some(text.into());
                logprobs = told.map(|told| logprobs::of_chat(Some(told), None));
            }
            Piece::Reasoning(text) => {
                delta.reasoning_content = Some(text.into());
                logprobs = told.map(|told| logprobs::of_chat(None, Some(told)));
            }
            Piece::ToolCall(piece) => {
                delta.tool_calls = Some(vec![answer::tool_call_delta(piece)]);
            }
        }
        self.chunk(generation, Some(choice(index, delta, logprobs, None)), None)
    }

    fn finish(&self, generation: &Generation, index: usize, reason: FinishReason) -> Vec<u8> {
        let choice = choice(index, Delta::default(), None, Some(reason));
        self.chunk(generation, Some(choice), None)
    }

    fn usage(&self, generation: &Generation, usage: Usage) -> Vec<u8> {
        self.chunk(generation, None, Some(usage))
    }
}

fn choice(
    index: usize,
    delta: Delta<'_>,
    logprobs: Option<ChatLogprobs>,
    finish_reason: Option<FinishReason>,
) -> ChunkChoice<'_> {
    ChunkChoice {
        index: choice_index(index),
        delta,
        logprobs,
        finish_reason,
    }
}
