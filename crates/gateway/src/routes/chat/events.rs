//! A chat's answer as events.

use fathom_api::chat::{ChatChunk, ChunkChoice, Delta};
use fathom_api::logprobs::ChatLogprobs;
use fathom_api::sampling::StreamOptions;
use fathom_api::usage::{FinishReason, Usage};
use fathom_proto::Error;
use fathom_proto::inference::{self, Piece};

use crate::answer::{self, choice_index, logprobs, obfuscation};
use crate::dialect::Dialect;
use crate::event_stream::{Events, to_json};
use crate::generation::Generation;

/// Writes `chat.completion.chunk`s.
pub struct ChatEvents {
    /// The same in every event.
    id: String,
    options: StreamOptions,
    dialect: Dialect,
}

impl ChatEvents {
    /// Events of this generation.
    pub fn new(generation: &Generation, options: StreamOptions, dialect: Dialect) -> Self {
        Self {
            id: format!("chatcmpl-{}", generation.request_id()),
            options,
            dialect,
        }
    }

    fn chunk(
        &self,
        generation: &Generation,
        choice: Option<ChunkChoice<'_>>,
        usage: Option<Usage>,
    ) -> Vec<u8> {
        self.noisy_chunk(generation, choice, usage, None)
    }

    fn noisy_chunk(
        &self,
        generation: &Generation,
        choice: Option<ChunkChoice<'_>>,
        usage: Option<Usage>,
        noise: Option<String>,
    ) -> Vec<u8> {
        to_json(&ChatChunk {
            id: self.id.as_str().into(),
            object: "chat.completion.chunk".into(),
            created: generation.created,
            model: generation.model.as_str().into(),
            system_fingerprint: generation.fingerprint.as_deref().map(Into::into),
            choices: choice.into_iter().collect(),
            usage: self.options.include_usage.then_some(usage),
            obfuscation: noise.map(Into::into),
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
        let noise = obfuscation(self.options, &new.piece);
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
        let choice = choice(index, delta, logprobs, None);
        self.noisy_chunk(generation, Some(choice), None, noise)
    }

    fn finish(&self, generation: &Generation, index: usize, reason: FinishReason) -> Vec<u8> {
        let choice = choice(index, Delta::default(), None, Some(reason));
        self.chunk(generation, Some(choice), None)
    }

    fn usage(&self, generation: &Generation, usage: Usage) -> Vec<u8> {
        self.chunk(generation, None, Some(usage))
    }

    fn failure(&self, error: &Error) -> Vec<u8> {
        to_json(&self.dialect.body(error))
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
