//! A chat's answer as events.

use fathom_api::chat::{ChatChunk, ChunkChoice, Delta};
use fathom_api::logprobs::ChatLogprobs;
use fathom_api::sampling::StreamOptions;
use fathom_api::usage;
use fathom_proto::Error;
use fathom_proto::id::RequestId;
use fathom_proto::inference::{self, FinishReason, Piece, Usage};

use crate::answer::{self, choice_index, logprobs, obfuscation};
use crate::dialect::Dialect;
use crate::event_stream::{EventWriter, Events};
use crate::generation::Generation;

/// Writes `chat.completion.chunk`s.
#[derive(Clone)]
pub struct ChatEvents {
    /// The same in every event.
    id: String,
    options: StreamOptions,
    dialect: Dialect,
}

impl ChatEvents {
    /// Events of the request with this id.
    pub fn new(request: &RequestId, options: StreamOptions, dialect: Dialect) -> Self {
        Self {
            id: format!("chatcmpl-{request}"),
            options,
            dialect,
        }
    }

    fn write(
        &self,
        generation: &Generation,
        choice: Option<ChunkChoice<'_>>,
        usage: Option<usage::Usage>,
        noise: Option<String>,
        out: &mut impl EventWriter,
    ) {
        out.event(&ChatChunk {
            id: self.id.as_str().into(),
            object: "chat.completion.chunk".into(),
            created: generation.created,
            model: generation.model.as_str().into(),
            system_fingerprint: generation.fingerprint.as_deref().map(Into::into),
            choices: choice.into_iter().collect(),
            usage: self.options.include_usage.then_some(usage),
            obfuscation: noise.map(Into::into),
        });
    }
}

impl Events for ChatEvents {
    fn opening(&mut self, generation: &Generation, out: &mut impl EventWriter) {
        for index in 0..generation.choices() {
            let delta = Delta {
                role: Some("assistant".into()),
                content: Some("".into()),
                ..Delta::default()
            };
            self.write(
                generation,
                Some(choice(index, delta, None, None)),
                None,
                None,
                out,
            );
        }
    }

    fn delta(
        &mut self,
        generation: &Generation,
        index: usize,
        new: inference::Delta,
        out: &mut impl EventWriter,
    ) -> Result<(), Error> {
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
        self.write(generation, Some(choice), None, noise, out);
        Ok(())
    }

    fn finish(
        &mut self,
        generation: &Generation,
        index: usize,
        reason: FinishReason,
        usage: Option<Usage>,
        out: &mut impl EventWriter,
    ) -> Result<(), Error> {
        let reason = answer::finish_reason(reason);
        let choice = choice(index, Delta::default(), None, Some(reason));
        self.write(generation, Some(choice), None, None, out);
        if let Some(usage) = usage {
            if self.options.include_usage {
                self.write(generation, None, Some(answer::usage(usage)), None, out);
            }
            out.done();
        }
        Ok(())
    }

    /// Without `[DONE]`, which says that a stream is complete.
    fn error(&mut self, error: &Error, out: &mut impl EventWriter) {
        out.event(&self.dialect.body(error));
    }
}

fn choice(
    index: usize,
    delta: Delta<'_>,
    logprobs: Option<ChatLogprobs>,
    finish_reason: Option<usage::FinishReason>,
) -> ChunkChoice<'_> {
    ChunkChoice {
        index: choice_index(index),
        delta,
        logprobs,
        finish_reason,
    }
}
