//! Completions as events.

use fathom_api::completions::{Choice, Completion};
use fathom_api::sampling::StreamOptions;
use fathom_api::usage::{FinishReason, Usage};
use fathom_proto::Error;
use fathom_proto::inference::{Delta, Piece};

use crate::answer::{choice_index, logprobs, obfuscation};
use crate::dialect::Dialect;
use crate::event_stream::{Events, to_json};
use crate::generation::Generation;

/// Writes `text_completion`s.
pub struct CompletionEvents {
    id: String,
    options: StreamOptions,
    dialect: Dialect,
    /// Where the next token of each choice begins, in characters.
    offsets: Vec<u32>,
}

impl CompletionEvents {
    /// Events of this generation.
    pub fn new(generation: &Generation, options: StreamOptions, dialect: Dialect) -> Self {
        Self {
            id: format!("cmpl-{}", generation.request_id()),
            options,
            dialect,
            offsets: vec![0; generation.choices()],
        }
    }

    fn event(
        &self,
        generation: &Generation,
        choice: Option<Choice<'_>>,
        usage: Option<Usage>,
        noise: Option<String>,
    ) -> Vec<u8> {
        to_json(&Completion {
            id: self.id.as_str().into(),
            object: "text_completion".into(),
            created: generation.created,
            model: generation.model.as_str().into(),
            system_fingerprint: generation.fingerprint.as_deref().map(Into::into),
            choices: choice.into_iter().collect(),
            usage: self.options.include_usage.then_some(usage),
            obfuscation: noise.map(Into::into),
        })
    }
}

impl Events for CompletionEvents {
    fn opening(&self, _: &Generation, _: usize) -> Option<Vec<u8>> {
        None
    }

    fn delta(&mut self, generation: &Generation, index: usize, delta: Delta) -> Vec<u8> {
        let offset = self.offsets.get_mut(index);
        let logprobs = offset
            .filter(|_| !delta.logprobs.is_empty())
            .map(|offset| logprobs::of_completion(delta.logprobs, offset));
        let noise = obfuscation(self.options, &delta.piece);
        let text = match delta.piece {
            // A text has no thoughts; what an upstream takes for some is part of it.
            Piece::Text(text) | Piece::Reasoning(text) => text,
            Piece::ToolCall(_) => String::new(),
        };
        let choice = Choice {
            index: choice_index(index),
            text: text.into(),
            logprobs,
            finish_reason: None,
        };
        self.event(generation, Some(choice), None, noise)
    }

    fn finish(&self, generation: &Generation, index: usize, reason: FinishReason) -> Vec<u8> {
        let choice = Choice {
            index: choice_index(index),
            text: "".into(),
            logprobs: None,
            finish_reason: Some(reason),
        };
        self.event(generation, Some(choice), None, None)
    }

    fn usage(&self, generation: &Generation, usage: Usage) -> Vec<u8> {
        self.event(generation, None, Some(usage), None)
    }

    fn failure(&self, error: &Error) -> Vec<u8> {
        to_json(&self.dialect.body(error))
    }
}
